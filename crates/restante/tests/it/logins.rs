//! Logins over real sockets, Postgres, PgBouncer and Redis: rows A and U of what must never go wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use restante_testkit::{Pop3Client, Socket};
use tokio::task::JoinSet;

use crate::support::{ALICE, Fleet, Layout, PASSWORD, Pop3, eventually};

const REFUSED: &str = "-ERR [AUTH] Authentication failed";
const MALFORMED: &str = "-ERR Malformed authentication response";
const NOT_NOW: &str = "-ERR [SYS/TEMP] Service temporarily unavailable";
const TOO_MANY: &str = "-ERR [SYS/TEMP] Too many attempts, try later";

fn plain(pop3: &mut Pop3, message: &[u8]) -> String {
    pop3.ask(&format!("AUTH PLAIN {}", STANDARD.encode(message)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u01_u02_u04_u05_u06_what_is_no_users_name_is_refused_as_any_other() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let long = "x".repeat(300);
    let names: [&[u8]; 24] = [
        b"' OR 1=1--",
        b"\"; DROP TABLE account; --",
        b"*)(uid=*",
        b"%u",
        b"{{7*7}}",
        b"../../etc/passwd",
        b"..%2f..%2fetc%2fpasswd@acme.example",
        b"C:\\",
        b"CON",
        long.as_bytes(),
        // Kelvin sign for k, zero width joiner, right-to-left override, a wide commercial at.
        "\u{212a}alice@acme.example".as_bytes(),
        "al\u{200d}ice@acme.example".as_bytes(),
        "al\u{202e}ice@acme.example".as_bytes(),
        "alice\u{ff20}acme.example".as_bytes(),
        b"a@b@c",
        b"@acme.example",
        b"alice@",
        b"\"alice\"@acme.example",
        b"alice%x@acme.example",
        b"acme!alice",
        b"\xff\xfealice@acme.example",
        b"\xc0\xaf@acme.example",
        b"\xed\xa0\x80@acme.example",
        b"nobody@acme.example",
    ];
    for (nth, name) in names.iter().enumerate() {
        let message = [b"\0", *name, b"\0", PASSWORD.as_bytes()].concat();
        let reply = plain(&mut fleet.stranger(nth % 2), &message);
        assert_eq!(reply, REFUSED, "{}", String::from_utf8_lossy(name));
    }
    let (_, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u03_all_forms_of_a_name_are_one_user() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    fleet.tool(&["domain", "add", "bücher.example", "--tenant", "acme"], b"");
    fleet.account("Jürgen@bücher.example", "pässword");
    fleet.deliver("jürgen@bücher.example", b"Subject: x\r\n\r\n");
    for name in [
        "jürgen@bücher.example",
        "JÜRGEN@BÜCHER.example",
        "ju\u{308}rgen@bu\u{308}cher.EXAMPLE.",
        "jürgen@xn--bcher-kva.example",
        "j\u{ff55}\u{308}rgen@xn--bcher-kva.example",
    ] {
        // A03: the password's forms are one, too.
        for password in ["pässword", "pa\u{308}ssword"] {
            let mut pop3 = fleet.stranger(0);
            let message = format!("\0{name}\0{password}");
            let reply = plain(&mut pop3, message.as_bytes());
            assert!(reply.starts_with("+OK"), "{name}: {reply}");
            assert_eq!(pop3.stat().0, 1, "{name}");
            pop3.ok("QUIT");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u07_u08_a_tenants_server_name_completes_its_names_and_hides_other_tenants() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    fleet.tenant("beta");
    fleet.account("bob@beta.example", PASSWORD);
    let (mut anywhere, reply) = fleet.log_in(0, "bob@beta.example", PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    anywhere.ok("QUIT");
    let (_, reply) = fleet.log_in(0, "alice", PASSWORD);
    assert_eq!(reply, REFUSED, "no tenant, no domain");
    let rules = [
        "--add-server-name",
        "localhost",
        "--default-domain",
        "acme.example",
    ];
    fleet.tool(&[&["tenant", "set", "acme"][..], &rules].concat(), b"");
    for frontend in [0, 1] {
        eventually("the server name is the tenant's", || {
            let (mut pop3, reply) = fleet.log_in(frontend, "alice", PASSWORD);
            reply.starts_with("+OK") && pop3.ask("QUIT").starts_with("+OK")
        });
        let (_, reply) = fleet.log_in(frontend, "bob@beta.example", PASSWORD);
        assert_eq!(reply, REFUSED);
    }
    // Where no server name is asked for, both are known.
    let mut balanced = fleet.stranger(1);
    let reply = balanced.try_login("bob@beta.example", PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u09_a_new_account_of_an_old_name_has_nothing_of_the_old_one() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    fleet.deliver(ALICE, b"Subject: for the first alice\r\n\r\n");
    for frontend in [0, 1] {
        let (mut pop3, reply) = fleet.log_in(frontend, ALICE, PASSWORD);
        assert!(reply.starts_with("+OK"), "{reply}");
        pop3.ok("QUIT");
    }
    fleet.tool(&["account", "set", ALICE, "--rename", "alicia@acme.example"], b"");
    let (mut first, reply) = fleet.log_in(0, "alicia@acme.example", PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(first.stat().0, 1);
    fleet.account(ALICE, "another password");
    for frontend in [0, 1] {
        let reply = fleet.stranger(frontend).try_login(ALICE, PASSWORD);
        assert_eq!(reply, REFUSED, "the cached login was another account's");
        // The first account's session goes on, and holds its own maildrop only.
        let mut second = fleet.stranger(frontend);
        let reply = second.try_login(ALICE, "another password");
        assert!(reply.starts_with("+OK"), "{reply}");
        assert_eq!(second.stat().0, 0);
        second.ok("QUIT");
    }
    assert_eq!(first.retr(1), b"Subject: for the first alice\r\n\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a04_a05_a_response_that_is_none_is_refused_and_hurts_nobody_else() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let mut bystander = fleet.connect(0);
    bystander.ok(&format!("USER {ALICE}"));
    let authorized_as_another = format!("bob@acme.example\0{ALICE}\0{PASSWORD}");
    for (response, expected) in [
        ("AAAA*".to_owned(), MALFORMED),
        ("no base64".to_owned(), MALFORMED),
        ("=".to_owned(), MALFORMED),
        (STANDARD.encode("no separators"), MALFORMED),
        (STANDARD.encode("a\0b\0c\0d"), MALFORMED),
        (STANDARD.encode("\0\0password"), MALFORMED),
        (STANDARD.encode(format!("\0{ALICE}\0")), MALFORMED),
        (STANDARD.encode(authorized_as_another), REFUSED),
        ("*".to_owned(), "-ERR Authentication cancelled"),
    ] {
        let mut pop3 = fleet.stranger(0);
        assert_eq!(pop3.ask("AUTH PLAIN"), "+ ");
        assert_eq!(pop3.ask(&response), expected, "{response}");
        assert_eq!(pop3.ask("AUTH PLAIN"), "+ ", "the session goes on");
    }
    // The longest response that RFC 4954 section 4 wants taken is judged; one past the limit ends the connection.
    let longest = "A".repeat(12_288);
    let mut pop3 = fleet.stranger(0);
    assert_eq!(pop3.ask("AUTH PLAIN"), "+ ");
    assert_eq!(pop3.ask(&longest), MALFORMED);
    for endless in ["A".repeat(16_385), "A".repeat(1 << 20)] {
        let mut pop3 = fleet.stranger(0);
        assert_eq!(pop3.ask("AUTH PLAIN"), "+ ");
        // The server may have closed before all of it was sent.
        pop3.try_send(&endless);
        pop3.try_send("\r\n");
        let last = pop3.last_line();
        assert!(
            last.is_none_or(|line| line.starts_with("-ERR")),
            "{} octets",
            endless.len()
        );
    }
    let reply = bystander.ask(&format!("PASS {PASSWORD}"));
    assert!(reply.starts_with("+OK"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a10_a_stored_hash_that_asks_for_too_much_is_not_computed() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    fleet.account("bob@acme.example", PASSWORD);
    for hash in [
        "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$argon2id$v=19$m=8192,t=1000000,p=1$c29tZXNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$argon2id$v=19$garbage",
        "{UNHEARD-OF}abc",
    ] {
        let statement = format!(
            "UPDATE account SET password = '{hash}', credential_version = credential_version + 1 WHERE account_id = \
             (SELECT account_id FROM address WHERE address = 'bob@acme.example')"
        );
        fleet.database.execute(&statement).await;
        let reply = fleet.stranger(0).try_login("bob@acme.example", PASSWORD);
        assert_eq!(reply, NOT_NOW, "{hash}");
    }
    let log = fleet.frontend(0).log();
    assert!(log.contains("\"level\":\"ERROR\""), "an operator is told: {log}");
    assert!(
        !log.contains("aGFzaGhh") && !log.contains("garbage"),
        "no hash in {log}"
    );
    let (_, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a11_an_address_that_guesses_a_thousand_times_waits_alone() {
    let layout = Layout {
        tables: "[limits]\nconnections_per_address = 2000\n".to_owned(),
        // What is usual. On a busy machine a thousand at once lose the shared limits by it; the promise holds then too.
        redis_millis: 20,
        ..Layout::default()
    };
    let Some(fleet) = Fleet::of(layout).await else {
        return;
    };
    let guesser = Ipv4Addr::new(198, 51, 100, 7);
    let first = fleet.from(0, guesser).try_login("nobody@acme.example", "guess");
    assert_eq!(first, REFUSED);
    let asked = Arc::new(AtomicUsize::new(0));
    let mut guesses = JoinSet::new();
    for n in 0..1_000 {
        let (asked, port) = (Arc::clone(&asked), fleet.frontend(n % 2).ports[1]);
        guesses.spawn(async move {
            let mut socket = Socket::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
            socket
                .send(format!("PROXY TCP4 {guesser} 192.0.2.1 50000 110\r\n").as_bytes())
                .await;
            let mut guess = Pop3Client::on(socket);
            guess.reply().await;
            guess.ok(&format!("USER nobody{n}@acme.example")).await;
            asked.fetch_add(1, Ordering::SeqCst);
            guess.command("PASS guess").await
        });
    }
    restante_testkit::eventually("all have guessed", || asked.load(Ordering::SeqCst) == 1_000).await;
    for frontend in [0, 1] {
        let (mut pop3, reply) = fleet.log_in(frontend, ALICE, PASSWORD);
        assert!(reply.starts_with("+OK"), "{reply}");
        pop3.ok("QUIT");
    }
    let mut n_answered = 0;
    while let Some(reply) = guesses.try_join_next() {
        let reply = reply.unwrap();
        assert!([REFUSED, TOO_MANY].contains(&reply.as_str()), "{reply}");
        n_answered += 1;
    }
    assert!(n_answered < 1_000, "the guesses that wait were not waited for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_guesses_from_everywhere_close_the_password_on_all_frontends_and_the_owner_gets_in() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let added = fleet.tool(&["app-password", "add", ALICE, "--label", "phone", "--json"], b"");
    let added: serde_json::Value = serde_json::from_str(&added).unwrap();
    let app_password = added["password"].as_str().unwrap();
    let home = Ipv4Addr::new(203, 0, 113, 9);
    let mut at_home = fleet.from(0, home);
    assert!(at_home.try_login(ALICE, PASSWORD).starts_with("+OK"));
    at_home.ok("QUIT");
    // None of the two frontends sees enough of it alone.
    fleet.close_password(ALICE, &[0, 1]);
    for frontend in [0, 1] {
        let reply = fleet.stranger(frontend).try_login(ALICE, PASSWORD);
        assert_eq!(reply, TOO_MANY, "guarded: nobody learns that this was right");
        for (mut owner, password) in [
            (fleet.stranger(frontend), app_password),
            (fleet.from(frontend, home), PASSWORD),
        ] {
            let reply = owner.try_login(ALICE, password);
            assert!(reply.starts_with("+OK"), "{reply}");
            owner.ok("QUIT");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a14_a_changed_password_counts_at_once_where_the_old_one_is_cached() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let log_in = |frontend: usize, password: &str| {
        let mut pop3 = fleet.stranger(frontend);
        let reply = pop3.try_login(ALICE, password);
        if reply.starts_with("+OK") {
            pop3.ok("QUIT");
        }
        reply
    };
    for frontend in [0, 1] {
        assert!(log_in(frontend, PASSWORD).starts_with("+OK"));
    }
    fleet.tool(&["account", "set", ALICE, "--password-stdin"], b"battery staple");
    for frontend in [0, 1] {
        assert_eq!(log_in(frontend, PASSWORD), REFUSED);
        assert!(log_in(frontend, "battery staple").starts_with("+OK"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a17_logins_that_are_given_up_never_lend_an_identity() {
    const USERS: usize = 6;
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let name = |user: usize| format!("user{user}@acme.example");
    for user in 0..USERS {
        fleet.account(&name(user), &format!("password {user}"));
        for _ in 0..=user {
            fleet.deliver(&name(user), b"Subject: counted\r\n\r\n");
        }
    }
    let mut logins = JoinSet::new();
    for attempt in 0..240_u16 {
        let frontend = usize::from(attempt % 2);
        let (user, mut pop3) = (usize::from(attempt) % USERS, fleet.stranger(frontend));
        let (name, password) = (name(user), format!("password {user}"));
        logins.spawn_blocking(move || {
            pop3.ok(&format!("USER {name}"));
            pop3.send(&format!("PASS {password}\r\n"));
            // Two of three hang up: at once, and a little later.
            match attempt % 3 {
                0 => None,
                1 => {
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(attempt % 97)));
                    None
                }
                _ => {
                    let reply = pop3.line();
                    let count = reply.starts_with("+OK").then(|| pop3.stat().0);
                    Some((user, reply, count))
                }
            }
        });
        if logins.len() >= 24
            && let Some(judged) = logins.join_next().await
        {
            judge(judged.unwrap());
        }
    }
    while let Some(judged) = logins.join_next().await {
        judge(judged.unwrap());
    }
    for user in 0..USERS {
        eventually("the maildrop is free", || {
            let mut pop3 = fleet.stranger(user % 2);
            let reply = pop3.try_login(&name(user), &format!("password {user}"));
            reply.starts_with("+OK") && pop3.stat().0 == user + 1 && pop3.ask("QUIT").starts_with("+OK")
        });
    }
}

fn judge(login: Option<(usize, String, Option<usize>)>) {
    let Some((user, reply, count)) = login else {
        return;
    };
    match count {
        Some(count) => assert_eq!(count, user + 1, "another user's maildrop"),
        None => assert!(
            reply.starts_with("-ERR [IN-USE]") || reply.starts_with("-ERR [SYS/TEMP]"),
            "{reply}"
        ),
    }
}
