//! Several frontends over one Postgres: any of them serves any user, and what is laid down once holds on all.

use crate::support::{ALICE, Fleet, Layout, PASSWORD, eventually};

const TOO_SOON: &str = "-ERR [LOGIN-DELAY]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_frontend_serves_any_user_and_a_maildrop_is_one_session_s() {
    for pooled in [false, true] {
        let layout = Layout {
            pooled,
            ..Layout::default()
        };
        let Some(fleet) = Fleet::of(layout).await else {
            return;
        };
        fleet.deliver(ALICE, b"Subject: a\r\n\r\nhello\r\n");
        let (mut first, reply) = fleet.log_in(0, ALICE, PASSWORD);
        assert!(reply.starts_with("+OK"), "{reply}");
        assert_eq!(first.stat().0, 1);
        let (_, reply) = fleet.log_in(1, ALICE, PASSWORD);
        assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
        let (_, reply) = fleet.log_in(1, ALICE, "wrong");
        assert!(reply.starts_with("-ERR [AUTH]"), "{reply}");
        assert_eq!(first.retr(1), b"Subject: a\r\n\r\nhello\r\n");
        first.ok("DELE 1");
        first.ok("QUIT");
        let (mut second, reply) = fleet.log_in(1, ALICE, PASSWORD);
        assert!(reply.starts_with("+OK"), "{reply}");
        assert_eq!(second.stat().0, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a15_a_suspended_account_ends_its_live_session_on_whichever_frontend() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let (mut live, reply) = fleet.log_in(1, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    fleet.tool(&["account", "set", ALICE, "--state", "login-suspended"], b"");
    // Not asked for anything: the server says it by itself.
    assert_eq!(live.line(), "-ERR [SYS/PERM] Account disabled");
    let (_, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("-ERR [AUTH]"), "{reply}");
    let audit = fleet.tool(&["audit", "list", "--account", ALICE, "--json"], b"");
    for expected in ["\"session-ended\"", "\"account-changed\"", "\"operator:uid="] {
        assert!(audit.contains(expected), "{expected} in {audit}");
    }
    assert!(!audit.contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a19_a_login_delay_holds_over_all_frontends() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    fleet.policy(&["--login-delay", "1h", "--login-burst", "2"], |pop3| {
        pop3.listing("CAPA").contains(&"LOGIN-DELAY 3600".to_owned())
    });
    for frontend in [0, 1] {
        let (mut pop3, reply) = fleet.log_in(frontend, ALICE, PASSWORD);
        assert!(reply.starts_with("+OK"), "{reply}");
        pop3.ok("QUIT");
    }
    for frontend in [0, 1] {
        let (_, reply) = fleet.log_in(frontend, ALICE, PASSWORD);
        assert!(reply.starts_with(TOO_SOON), "{reply}");
        let (_, reply) = fleet.log_in(frontend, ALICE, "wrong");
        assert!(reply.starts_with("-ERR [AUTH]"), "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_adds_works_on_all_frontends() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    fleet.tool(
        &["alias", "add", "boss@acme.example", "--account", ALICE, "--login"],
        b"",
    );
    let added = fleet.tool(
        &[
            "app-password",
            "add",
            ALICE,
            "--label",
            "phone",
            "--scope",
            "read-only",
            "--json",
        ],
        b"",
    );
    let added: serde_json::Value = serde_json::from_str(&added).unwrap();
    let secret = added["password"].as_str().unwrap();
    fleet.deliver("boss@acme.example", b"Subject: b\r\n\r\n");
    let (mut pop3, reply) = fleet.log_in(1, "boss@acme.example", secret);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(pop3.stat().0, 1);
    assert_eq!(pop3.ask("DELE 1"), "-ERR [SYS/PERM] Maildrop is read-only");
    pop3.ok("QUIT");
    let listed = fleet.tool(&["app-password", "list", ALICE, "--json"], b"");
    assert!(listed.contains("\"last_used_at\": \"2"), "{listed}");
    let id = added["id"].to_string();
    let (mut live, reply) = fleet.log_in(0, ALICE, secret);
    assert!(reply.starts_with("+OK"), "{reply}");
    fleet.tool(&["app-password", "remove", ALICE, &id], b"");
    assert_eq!(live.line(), "-ERR [SYS/PERM] Account disabled");
    let (_, reply) = fleet.log_in(1, ALICE, secret);
    assert!(reply.starts_with("-ERR [AUTH]"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_certificate_is_shown_for_its_names_on_all_frontends() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("acme.crt"), folder.path().join("acme.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fleet.tool(
        &[
            "tenant",
            "set",
            "acme",
            "--add-server-name",
            "localhost",
            "--default-domain",
            "acme.example",
        ],
        b"",
    );
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let added = fleet.tool(
        &[
            "certificate",
            "add",
            "acme",
            "--certificate",
            &certificate,
            "--key",
            &key,
        ],
        b"",
    );
    assert!(added.contains("localhost"), "{added}");
    // The frontends' own certificate is for the same name and goes first, so what is seen here is the tenant: its
    // users need no domain on its server name.
    for frontend in [0, 1] {
        eventually("a bare name is completed", || {
            fleet.log_in(frontend, "alice", PASSWORD).1.starts_with("+OK")
        });
    }
    let listed = fleet.tool(&["certificate", "list", "--json"], b"");
    assert!(!listed.contains("PRIVATE"), "{listed}");
}
