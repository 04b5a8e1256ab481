//! SCRAM with clients that cheat, and with somebody in between.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_sasl::{ChannelBinding, Exchange, LoginMechanism, Salting, SaslError, Turn};

use crate::driver::{EXPORTER, Keys, answer, begin, error};

/// `c=` of a client that says `n,,`.
const UNBOUND: &str = "c=biws";

fn unbound(first: &str) -> Turn {
    begin(
        LoginMechanism::ScramSha256,
        &ChannelBinding::none(),
        first.as_bytes(),
    )
}

/// An exchange that awaits the client's last message; the nonce is `abcdef`.
fn challenged(mechanism: LoginMechanism, binding: &ChannelBinding, header: &str) -> Exchange {
    let turn = begin(mechanism, binding, format!("{header}n=user,r=abc").as_bytes());
    let Turn::Salt(exchange, _) = turn else {
        panic!("the salt is asked for, not {turn:?}");
    };
    match exchange.salted(&Keys::of("pencil", b"salt").salting("def")) {
        Turn::Challenge(exchange, _) => exchange,
        other => panic!("the salt is sent, not {other:?}"),
    }
}

fn last(message: &str) -> Turn {
    let exchange = challenged(LoginMechanism::ScramSha256, &ChannelBinding::none(), "n,,");
    answer(exchange, message.as_bytes())
}

fn proof() -> String {
    format!("p={}", STANDARD.encode([1; 32]))
}

#[test]
fn a07_a_reused_nonce_is_refused() {
    assert!(matches!(
        last(&format!("{UNBOUND},r=abcdef,{}", proof())),
        Turn::Verify(..)
    ));
    for nonce in ["abcxyz", "abc", "def", "abcdefg", "abcde", "ABCDEF"] {
        let turn = last(&format!("{UNBOUND},r={nonce},{}", proof()));
        assert_eq!(error(turn), SaslError::Refused, "{nonce}");
    }
}

#[test]
fn a07_a_missing_proof_is_refused() {
    let long = format!("p={}", STANDARD.encode([1; 33]));
    let short = format!("p={}", STANDARD.encode([1; 31]));
    let unpadded = proof().trim_end_matches('=').to_owned();
    for proof in [
        "",
        ",p=",
        ",p=????",
        &format!(",{long}"),
        &format!(",{short}"),
        &format!(",{unpadded}"),
    ] {
        let turn = last(&format!("{UNBOUND},r=abcdef{proof}"));
        assert_eq!(error(turn), SaslError::Refused, "{proof}");
    }
    // In front of the end it is no proof.
    let turn = last(&format!("{UNBOUND},r=abcdef,{},x=y", proof()));
    assert_eq!(error(turn), SaslError::Refused);
}

#[test]
fn a07_an_extension_that_must_be_understood_is_refused() {
    for first in [
        "n,,m=x,n=user,r=abc",
        "n,,n=user,r=abc,m=x",
        "n,,n=user,r=abc,x=y,m=z",
    ] {
        assert_eq!(error(unbound(first)), SaslError::Refused, "{first}");
    }
    let turn = last(&format!("{UNBOUND},r=abcdef,m=x,{}", proof()));
    assert_eq!(error(turn), SaslError::Refused);
}

#[test]
fn a07_the_iteration_count_is_ours() {
    for first in [
        "n,,n=user,r=abc,i=1",
        "n,,n=user,r=abc,i=2147483648",
        "n,,n=user,r=abc,s=c2FsdA==",
    ] {
        assert_eq!(error(unbound(first)), SaslError::Refused, "{first}");
    }
    let turn = last(&format!("{UNBOUND},r=abcdef,i=1,{}", proof()));
    assert_eq!(error(turn), SaslError::Refused);
}

#[test]
fn a07_what_no_client_could_use_is_never_sent() {
    let good = Keys::of("pencil", b"salt").salting("def");
    let broken = [
        Salting {
            salt: Vec::new(),
            ..good.clone()
        },
        Salting {
            iterations: 0,
            ..good.clone()
        },
        Salting {
            nonce: String::new(),
            ..good.clone()
        },
        Salting {
            nonce: "a,b".into(),
            ..good.clone()
        },
        Salting {
            nonce: "a b".into(),
            ..good
        },
    ];
    for salting in broken {
        let Turn::Salt(exchange, _) = unbound("n,,n=user,r=abc") else {
            panic!("the salt is asked for");
        };
        assert_eq!(
            error(exchange.salted(&salting)),
            SaslError::Refused,
            "{salting:?}"
        );
    }
}

#[test]
fn s21_a_client_that_was_not_told_of_plus_is_refused() {
    let first = b"y,,n=user,r=abc";
    let turn = begin(
        LoginMechanism::ScramSha256,
        &ChannelBinding::exporter(EXPORTER),
        first,
    );
    assert_eq!(error(turn), SaslError::Refused);
    // Where there is nothing to bind to, it is right.
    assert!(matches!(
        begin(LoginMechanism::ScramSha256, &ChannelBinding::none(), first),
        Turn::Salt(..)
    ));
}

#[test]
fn s21_the_flag_has_to_agree_with_the_mechanism_and_the_connection() {
    use LoginMechanism::{ScramSha256, ScramSha256Plus};

    let (none, exporter) = (ChannelBinding::none(), ChannelBinding::exporter(EXPORTER));
    for (mechanism, binding, header) in [
        (ScramSha256Plus, &exporter, "p=tls-unique,,"),
        (ScramSha256Plus, &exporter, "p=tls-server-end-point,,"),
        (ScramSha256Plus, &exporter, "p=,,"),
        (ScramSha256Plus, &exporter, "n,,"),
        (ScramSha256Plus, &exporter, "y,,"),
        (ScramSha256Plus, &none, "p=tls-exporter,,"),
        (ScramSha256Plus, &none, "n,,"),
        (ScramSha256, &exporter, "p=tls-exporter,,"),
        (ScramSha256, &none, "p=tls-exporter,,"),
    ] {
        let turn = begin(mechanism, binding, format!("{header}n=user,r=abc").as_bytes());
        assert_eq!(
            error(turn),
            SaslError::Refused,
            "{mechanism} {binding:?} {header}"
        );
    }
}

#[test]
fn s21_a_proof_of_another_connection_is_refused() {
    let binding = ChannelBinding::exporter(EXPORTER);
    let header = "p=tls-exporter,,";
    for bound in [
        [header.as_bytes(), &[8; 32]].concat(),
        [header.as_bytes(), &EXPORTER[..31]].concat(),
        [b"p=tls-unique,,".as_slice(), &EXPORTER].concat(),
        header.as_bytes().to_vec(),
        b"n,,".to_vec(),
        EXPORTER.to_vec(),
    ] {
        let exchange = challenged(LoginMechanism::ScramSha256Plus, &binding, header);
        let message = format!("c={},r=abcdef,{}", STANDARD.encode(&bound), proof());
        assert_eq!(
            error(answer(exchange, message.as_bytes())),
            SaslError::Refused,
            "{bound:?}"
        );
    }
}

#[test]
fn s21_a_header_changed_on_the_way_is_refused() {
    for header in ["y,,", "n,a=user,", "p=tls-exporter,,", ""] {
        let turn = last(&format!("c={},r=abcdef,{}", STANDARD.encode(header), proof()));
        let refusal = error(turn);
        assert_eq!(refusal, SaslError::Refused, "{header}");
    }
}

#[test]
fn acting_for_another_is_not_permitted() {
    assert_eq!(error(unbound("n,a=root,n=user,r=abc")), SaslError::Authorization);
    assert!(matches!(unbound("n,a=user,n=user,r=abc"), Turn::Salt(..)));
}

#[test]
fn what_is_no_client_first_message_is_malformed() {
    let long_nonce = format!("n,,n=user,r={}", "x".repeat(257));
    let long_name = format!("n,,n={},r=abc", "x".repeat(1025));
    let long_extension = format!("n,,n=user,r=abc,x={}", "y".repeat(8192));
    for first in [
        "",
        "n,,",
        "n=user,r=abc",
        "n,n=user,r=abc",
        "n,,r=abc,n=user",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,n=,r=abc",
        "n,,n=us=er,r=abc",
        "n,,n=user,r=a b",
        "n,,n=user,r=\u{e9}",
        "n,,n=user,r=abc,",
        "n,,n=user,r=abc,x",
        "n,,n=user,r=abc,x=",
        "n,,n=user,r=abc,1=x",
        "n,,n=us\0er,r=abc",
        "n,a=,n=user,r=abc",
        &long_nonce,
        &long_name,
        &long_extension,
    ] {
        assert_eq!(error(unbound(first)), SaslError::Malformed, "{first}");
    }
    let octets = begin(
        LoginMechanism::ScramSha256,
        &ChannelBinding::none(),
        b"n,,n=\xff,r=abc",
    );
    assert_eq!(error(octets), SaslError::Malformed);
    assert!(matches!(
        unbound(&format!("n,,n={},r={}", "x".repeat(1024), "y".repeat(256))),
        Turn::Salt(..)
    ));
}

#[test]
fn nothing_follows_a_claim_but_its_verdict() {
    let message = format!("{UNBOUND},r=abcdef,{}", proof());
    let Turn::Verify(exchange, _) = last(&message) else {
        panic!("a claim");
    };
    assert_eq!(error(answer(exchange, message.as_bytes())), SaslError::Malformed);

    let Turn::Verify(exchange, _) = last(&message) else {
        panic!("a claim");
    };
    assert_eq!(exchange.refused(), None);

    let exchange = challenged(LoginMechanism::ScramSha256, &ChannelBinding::none(), "n,,");
    let salting = Keys::of("pencil", b"other").salting("ghi");
    assert_eq!(error(exchange.salted(&salting)), SaslError::Refused);
}
