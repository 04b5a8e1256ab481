//! One test per transcript, by name. Each is also played with the client's octets cut in two at every position, and
//! one octet at a time: the answers must not change.

use crate::trace::{Chunks, Trace};

macro_rules! traces {
    ($($name:ident)+) => {
        const LISTED: &[&str] = &[$(stringify!($name)),+];

        $(
            #[test]
            fn $name() {
                play(stringify!($name), include_str!(concat!("../traces/", stringify!($name), ".trace")));
            }
        )+
    };
}

traces! {
    apop
    auth_external
    auth_external_not_offered
    auth_list
    auth_login
    auth_login_at_once
    auth_none_offered
    auth_oauthbearer
    auth_oauthbearer_refused
    auth_plain
    auth_plain_authzid
    auth_plain_dialogue
    auth_plain_refused
    auth_scram
    auth_scram_dialogue
    auth_scram_not_confirmed
    auth_scram_plus_downgrade
    auth_scram_plus_not_offered
    auth_scram_refused
    auth_unknown
    auth_xoauth2
    auth_xoauth2_at_once
    capa_clear
    capa_tls
    capa_trusted
    dele
    dele_read_only
    dele_without_quit
    dot_stuffing
    ended_from_outside
    ended_superseded
    ended_suspended
    foreign_later
    foreign_mail
    foreign_protocols
    foreign_tls
    lang
    limits_bad_commands
    limits_command_line
    limits_no_line_end
    limits_sasl_line
    line_ends_crlf_only
    line_syntax
    list
    list_empty
    login_delay
    login_delay_per_user
    message_numbers
    noop
    pass
    pass_not_evaluated
    pass_outcomes
    pass_too_often
    quit
    quit_before_login
    quit_then_half_close
    restricted
    retr
    retr_body_refused
    retr_empty
    rfc_1939_session
    rfc_2449_session
    rfc_5034_session
    rfc_5034_session_in_two_lines
    rfc_6856_session
    rset
    stat
    stls
    stls_as_sasl_response
    stls_forgets_user
    stls_half_a_line_behind
    stls_in_transaction
    stls_not_offered
    stls_pipelined
    stls_trusted
    timeout_idle
    timeout_login
    tls_required
    top
    uidl
    uidl_twins
    update_fenced
    update_not_deleted
    update_unknown
    user
    user_not_offered
    utf8
    utf8_not_offered
    utf8_then_stls
    utf8_without
}

fn play(name: &str, text: &str) {
    let trace = Trace::new(name, text);
    let n_octets = trace.play(Chunks::Whole);
    if !trace.is_about_segments() {
        trace.play(Chunks::OctetByOctet);
        // Every position; of the few traces that are made of filling, 500 of them.
        for at in (1..n_octets).step_by(n_octets / 500 + 1) {
            trace.play(Chunks::SplitAt(at));
        }
    }
}

#[test]
fn every_trace_file_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(files, LISTED);
}
