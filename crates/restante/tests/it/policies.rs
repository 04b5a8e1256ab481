//! What a tenant lays down, as its users meet it on a frontend.

use restante_testkit::{TestCertificate, TlsOptions};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::support::{ALICE, Fleet, Layout, PASSWORD, Pop3, eventually};

const REFUSED: &str = "-ERR [AUTH] Authentication failed";

async fn one_frontend() -> Option<Fleet> {
    let layout = Layout {
        n_frontends: 1,
        ..Layout::default()
    };
    let fleet = Fleet::of(layout).await?;
    // Announced in AUTHORIZATION too, where the server name says who asks.
    fleet.tool(&["tenant", "set", "acme", "--add-server-name", "localhost"], b"");
    Some(fleet)
}

fn announces(pop3: &mut Pop3, line: &str) -> bool {
    pop3.listing("CAPA").contains(&line.to_owned())
}

fn logged_in(fleet: &Fleet) -> Pop3 {
    let (pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    pop3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_mechanisms_laid_down_open_a_maildrop() {
    let Some(fleet) = one_frontend().await else {
        return;
    };
    fleet.policy(&["--mechanisms", "PLAIN"], |pop3| announces(pop3, "SASL PLAIN"));
    let mut pop3 = fleet.connect(0);
    assert!(!announces(&mut pop3, "USER"));
    // By a listener that cannot know the tenant it is offered, and refused as a wrong password is.
    let mut stranger = fleet.stranger(0);
    assert_eq!(stranger.try_login(ALICE, PASSWORD), REFUSED);
    let plain = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("\0{ALICE}\0{PASSWORD}"),
    );
    let reply = fleet.stranger(0).ask(&format!("AUTH PLAIN {plain}"));
    assert!(reply.starts_with("+OK"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_over_less_than_the_tls_laid_down_is_refused() {
    let Some(fleet) = one_frontend().await else {
        return;
    };
    let older = || {
        let options = TlsOptions {
            versions: vec![&rustls::version::TLS12],
            ..TlsOptions::default()
        };
        let certificate = CertificateDer::from_pem_file(fleet.frontend(0).certificate()).unwrap();
        Pop3::connect_with(
            fleet.port(0),
            TestCertificate::client_config(certificate, &options),
        )
    };
    let mut pop3 = older();
    assert!(pop3.try_login(ALICE, PASSWORD).starts_with("+OK"));
    pop3.ok("QUIT");
    fleet.tool(&["policy", "set", "acme", "--tls", "tls13"], b"");
    eventually("the rule is known", || {
        let mut pop3 = older();
        // Which of the two says so is the server's affair.
        pop3.ask(&format!("USER {ALICE}")).starts_with("-ERR")
            || pop3.ask(&format!("PASS {PASSWORD}")).starts_with("-ERR")
    });
    assert!(!fleet.stranger(0).try_login(ALICE, PASSWORD).starts_with("+OK"));
    logged_in(&fleet).ok("QUIT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_sessions_of_a_tenant_and_no_more() {
    let Some(fleet) = one_frontend().await else {
        return;
    };
    fleet.account("bob@acme.example", PASSWORD);
    fleet.account("carol@acme.example", PASSWORD);
    fleet.tool(&["policy", "set", "acme", "--max-sessions", "2"], b"");
    let mut alice = logged_in(&fleet);
    let (_bob, reply) = fleet.log_in(0, "bob@acme.example", PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    eventually("the rule is known", || {
        let (mut carol, reply) = fleet.log_in(0, "carol@acme.example", PASSWORD);
        if reply.starts_with("+OK") {
            carol.ok("QUIT");
        }
        reply == "-ERR [SYS/TEMP] Too many sessions, try later"
    });
    alice.ok("QUIT");
    eventually("a place is free", || {
        let reply = fleet.log_in(0, "carol@acme.example", PASSWORD).1;
        reply.starts_with("+OK")
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_octets_a_day_on_all_frontends_and_no_more() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    fleet.tool(&["tenant", "set", "acme", "--add-server-name", "localhost"], b"");
    let body = format!("Subject: large\r\n\r\n{}", "0123456789abcde\r\n".repeat(4_000));
    fleet.deliver(ALICE, body.as_bytes());
    fleet.deliver(ALICE, body.as_bytes());
    fleet.policy(&["--max-octets-per-day", "100000", "--expire", "90d"], |pop3| {
        announces(pop3, "EXPIRE 90")
    });
    let (mut pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(pop3.retr(1).len(), body.len());
    pop3.ok("QUIT");
    let (mut pop3, reply) = fleet.log_in(1, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(pop3.retr(2).len(), body.len(), "what is begun is finished");
    assert_eq!(
        pop3.ask("RETR 1"),
        "-ERR [SYS/TEMP] Daily download limit reached, try later"
    );
    assert_eq!(pop3.stat().0, 2, "nothing else is refused");
    pop3.ok("QUIT");
    let (mut pop3, _) = fleet.log_in(0, ALICE, PASSWORD);
    assert_eq!(
        pop3.ask("RETR 1"),
        "-ERR [SYS/TEMP] Daily download limit reached, try later"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_messages_stay_out_of_a_listing_window_and_are_not_lost() {
    let Some(fleet) = one_frontend().await else {
        return;
    };
    for nth in 1..=5 {
        fleet.deliver(ALICE, format!("Subject: {nth}\r\n\r\n").as_bytes());
    }
    let all = logged_in(&fleet).listing("UIDL");
    assert_eq!(all.len(), 5);
    fleet.tool(&["policy", "set", "acme", "--listing-messages", "2"], b"");
    eventually("two are listed", || {
        let mut pop3 = logged_in_when_free(&fleet);
        let listed = pop3.listing("UIDL");
        pop3.ok("QUIT");
        listed.len() == 2
    });
    let mut pop3 = logged_in(&fleet);
    assert_eq!(pop3.retr(1), b"Subject: 4\r\n\r\n");
    assert_eq!(pop3.retr(2), b"Subject: 5\r\n\r\n");
    pop3.ok("DELE 2");
    pop3.ok("QUIT");
    fleet.tool(&["policy", "set", "acme", "--listing-messages", "none"], b"");
    eventually("all others are there", || {
        let mut pop3 = logged_in_when_free(&fleet);
        let listed = pop3.listing("UIDL");
        pop3.ok("QUIT");
        listed == all[..4]
    });
}

fn logged_in_when_free(fleet: &Fleet) -> Pop3 {
    let mut found = None;
    eventually("the maildrop is free", || {
        let (pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
        found = reply.starts_with("+OK").then_some(pop3);
        found.is_some()
    });
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_is_announced() {
    let Some(fleet) = one_frontend().await else {
        return;
    };
    fleet.policy(&["--expire", "90d"], |pop3| announces(pop3, "EXPIRE 90"));
    assert!(announces(&mut logged_in(&fleet), "EXPIRE 90"));
    fleet.policy(&["--expire", "never"], |pop3| announces(pop3, "EXPIRE NEVER"));
}
