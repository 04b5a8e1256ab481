//! `restante serve` from its start to its end: signals, certificates, the collector, and no secret in the log.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::support::http::{get, value};
use crate::support::{Demo, Lmtp, PATIENCE, POP3S, Pop3, Server, eventually, now, restante, succeed};

#[test]
fn sigterm_lets_a_session_quit_and_tells_the_others() {
    let mut demo = Demo::start();
    let mut busy = demo.log_in("alice");
    let mut idle = demo.log_in("bob");
    busy.ok("DELE 1");
    demo.signal("TERM");
    assert_eq!(busy.ok("QUIT"), "+OK 1 message deleted");
    assert_eq!(idle.line(), "-ERR [SYS/TEMP] Server shutting down");
    assert!(demo.wait(), "ended well");
}

#[test]
fn strangers_who_fill_the_pop3_side_do_not_keep_mail_out() {
    let demo = Demo::stopped();
    let clear = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3\"\n";
    let lmtp = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"lmtp\"\n";
    let limits = "[limits]\nconnections = 10\nunauthenticated_share_percent = 10\n";
    let server = Server::start(&demo, &format!("{clear}{lmtp}"), limits);
    let greeting = || {
        let stream = TcpStream::connect(("127.0.0.1", server.ports[0])).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        (stream, line)
    };
    let (_stranger, first) = greeting();
    assert!(first.starts_with("+OK"), "{first}");
    assert_eq!(
        greeting().1,
        "-ERR [SYS/TEMP] Too many connections\r\n",
        "the share of strangers is full"
    );
    let mut lmtp = Lmtp::connect(server.ports[1]).unwrap();
    let reply = lmtp
        .send("bob@demo.test", "Subject: through\r\n\r\nhello\r\n")
        .unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn sighup_puts_a_new_certificate_in_force_and_a_broken_one_leaves_the_old() {
    let demo = Demo::stopped();
    let server = Server::start(&demo, POP3S, "");
    let first = demo.folder().join("first.pem");
    fs::copy(server.certificate(), &first).unwrap();
    let mut held = Pop3::connect(server.ports[0], &first);

    let second = demo.folder().join("second.pem");
    server.replace_pair(&second);
    server.signal("HUP");
    server.wait_for("\"errors\":0", 1);
    drop(Pop3::connect(server.ports[0], &second));
    held.ok("QUIT");

    fs::write(server.key(), "-----BEGIN PRIVATE KEY-----\nhalf").unwrap();
    server.signal("HUP");
    server.wait_for("\"errors\":1", 1);
    let [said] = &server.wait_for("the pair in force stays", 1)[..] else {
        panic!("one line");
    };
    assert!(said.contains("k.pem"), "{said}");
    drop(Pop3::connect(server.ports[0], &second));
}

#[test]
fn changed_files_are_read_as_the_configuration_in_force_says() {
    let demo = Demo::stopped();
    let place = demo.folder().display();
    let more = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\nmetrics_address = \"127.0.0.1:0\"\ncertificate_file = \"{place}/c.pem\"\n\
         key_file = \"{place}/k.pem\"\n"
    );
    let server = Server::start(&demo, POP3S, &more);
    let n_certificates = || {
        let metrics = get(server.metrics_port(), "/metrics").1;
        value(&metrics, "restante_certificates{source=\"files\"}")
    };
    assert_eq!(n_certificates(), Some(1.0));
    let before = fs::read_to_string(server.configuration()).unwrap();
    let second =
        "[[tls.certificate]]\ncertificate_file = \"c2.pem\"\nkey_file = \"k2.pem\"\nnames = [\"two.test\"]\n";
    let second = second
        .replace("c2.pem", &format!("{place}/c2.pem"))
        .replace("k2.pem", &format!("{place}/k2.pem"));
    fs::copy(server.certificate(), demo.folder().join("c2.pem")).unwrap();
    fs::copy(server.key(), demo.folder().join("k2.pem")).unwrap();
    fs::write(server.configuration(), format!("{before}{second}")).unwrap();
    server.signal("HUP");
    server.wait_for("configuration reloaded", 1);
    assert_eq!(n_certificates(), Some(2.0));

    let copy = demo.folder().join("new.pem");
    server.replace_pair(&copy);
    eventually("the new one is shown", || {
        server
            .log()
            .contains("certificate files of the admin port changed")
    });
    assert!(server.log().contains("certificate files changed"));
    assert_eq!(n_certificates(), Some(2.0), "the added one stays");
    drop(Pop3::connect(server.ports[0], &copy));
}

/// FAULTS.md F24.
#[test]
fn f24_sighup_with_an_invalid_configuration_keeps_what_is_in_force() {
    let demo = Demo::stopped();
    let server = Server::start(&demo, POP3S, "");
    let valid = fs::read_to_string(server.configuration()).unwrap();
    let mut held = server.connect();
    held.try_login("bob@demo.test", &demo.password("bob"));
    held.ok("DELE 1");
    let broken = [
        "[[listener",
        "[limits]\nconnections = \"many\"\n",
        "[limit]\nconnections = 5\n",
        "",
    ];
    for (nth, text) in broken.iter().enumerate() {
        fs::write(server.configuration(), text).unwrap();
        server.signal("HUP");
        server.wait_for("configuration not reloaded; the old one stays in force", nth + 1);
        let mut another = server.connect();
        let reply = another.try_login("alice@demo.test", &demo.password("alice"));
        assert!(reply.starts_with("+OK"), "{text:?}: {reply}");
        another.ok("QUIT");
    }
    assert_eq!(held.ok("QUIT"), "+OK 1 message deleted");
    fs::write(server.configuration(), valid).unwrap();
    server.signal("HUP");
    server.wait_for("\"errors\":0", 1);
}

#[test]
fn no_password_is_ever_in_the_log() {
    let demo = Demo::stopped();
    let server = Server::start(&demo, POP3S, "[log]\nlevel = \"trace\"\n");
    let right = demo.password("alice");
    let canaries = [right.as_str(), "canary-of-a-wrong-password"];
    for password in canaries {
        let plain = base64(&format!("\0alice@demo.test\0{password}"));
        // By USER and PASS, by both SASL mechanisms, and where neither belongs.
        for lines in [
            &["USER alice@demo.test", &format!("PASS {password}")][..],
            &[&format!("AUTH PLAIN {plain}")],
            &["AUTH LOGIN", &base64("alice@demo.test"), &base64(password)],
            &[&format!("{password} {plain}"), &format!("USER {password}")],
        ] {
            let mut pop3 = server.connect();
            for line in lines {
                pop3.ask(line);
            }
            pop3.ok("QUIT");
        }
    }
    let records = server.wait_for("session ended", 2 * 4);
    let record: serde_json::Value = serde_json::from_str(&records[0]).unwrap();
    assert_eq!(record["reason"], "quit");
    assert!(record["elapsed_ms"].is_u64(), "a number: {record}");
    let log = server.log();
    for canary in canaries {
        for secret in [
            canary.to_owned(),
            base64(canary),
            base64(&format!("\0alice@demo.test\0{canary}")),
        ] {
            assert!(!log.contains(&secret), "{secret} in {log}");
        }
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn blobs_of_deleted_messages_go_once_the_retention_is_over() {
    let demo = Demo::stopped();
    let server = Server::start(&demo, POP3S, "[collector]\ninterval_secs = 1\n");
    let operate = |arguments: &[&str], input: &[u8]| {
        let mut command = restante();
        command.args(arguments).arg("--config").arg(demo.configuration());
        succeed(&mut command, input)
    };
    operate(&["tenant", "add", "brisk"], b"");
    operate(&["tenant", "set", "brisk", "--retention", "0s"], b"");
    operate(&["domain", "add", "brisk.test", "--tenant", "brisk"], b"");
    operate(
        &["account", "add", "carol@brisk.test", "--password-stdin"],
        b"secret\n",
    );
    operate(&["deliver", "--to", "carol@brisk.test"], b"gone soon\n");

    let blobs = || n_files(&demo.data().join("blobs"));
    let settles_at = |n: usize| {
        let until = now() + PATIENCE;
        while blobs() != n {
            assert!(now() < until, "{} blobs instead of {n}", blobs());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(blobs(), 12 + 1 + 1);
    let delete_all = |name: &str, password: &str, n: usize| {
        let mut pop3 = server.connect();
        pop3.ok(&format!("USER {name}"));
        pop3.ok(&format!("PASS {password}"));
        pop3.dele(1..=n);
        pop3.ok("QUIT");
    };
    delete_all("alice@demo.test", &demo.password("alice"), 12);
    delete_all("carol@brisk.test", "secret", 1);
    // That carol's is gone tells that the collector has been here; alice's tenant keeps a day.
    settles_at(12 + 1);
    operate(&["tenant", "set", "demo", "--retention", "0s"], b"");
    settles_at(1);
}

/// How many files there are below a folder.
fn n_files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).map(|entries| entries.map_while(Result::ok).collect::<Vec<_>>());
    let entries = entries.unwrap_or_default();
    let n = |path: &Path| if path.is_dir() { n_files(path) } else { 1 };
    entries.iter().map(|entry| n(&entry.path())).sum()
}
