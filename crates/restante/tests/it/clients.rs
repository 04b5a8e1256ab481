//! Real clients over POP3 with STLS and over POP3S: they fetch what was delivered, delete it, and it is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Demo, Server, program, run, succeed};

/// A message that a client must hand on without harm, and the line to look for in it.
const MESSAGE: &[u8] =
    b"From: a@example.org\nTo: bob@demo.test\nSubject: by a real client\nMessage-ID: <real@example.org>\n\n.\n..dots\nthe canary sings\n";
const CANARY: &str = "the canary sings";

/// A demo whose bob has exactly that message.
fn demo_with_one_message() -> Demo {
    let demo = Demo::start();
    demo.empty("bob");
    demo.deliver("bob", MESSAGE);
    demo
}

fn assert_gone(demo: &Demo) {
    assert_eq!(demo.log_in("bob").stat().0, 0, "the client deleted it");
}

fn write_private(folder: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn curl(demo: &Demo, url: &str, more: &[&str]) -> Option<String> {
    let curl = program("curl", "curl")?;
    let user = format!("bob@demo.test:{}", demo.password("bob"));
    let mut command = Command::new(curl);
    command
        .args(["--silent", "--show-error", "--max-time", "30", "--cacert"])
        .arg(demo.certificate());
    Some(succeed(command.args(["--user", &user]).args(more).arg(url), b""))
}

#[test]
fn curl_over_pop3s_lists_fetches_and_deletes() {
    let demo = demo_with_one_message();
    let base = format!("pop3s://localhost:{}/", demo.pop3s);
    let Some(listing) = curl(&demo, &base, &[]) else {
        return;
    };
    assert!(listing.starts_with("1 "), "{listing}");
    let message = curl(&demo, &format!("{base}1"), &[]).unwrap();
    assert!(
        message.contains(CANARY) && message.contains("\r\n.\r\n..dots\r\n"),
        "{message}"
    );
    let unique_ids = curl(&demo, &base, &["--request", "UIDL"]).unwrap();
    assert_eq!(unique_ids.trim().len(), "1 ".len() + 26, "{unique_ids}");
    curl(&demo, &format!("{base}1"), &["--list-only", "--request", "DELE"]).unwrap();
    assert_gone(&demo);
}

#[test]
fn curl_upgrades_by_stls() {
    let demo = demo_with_one_message();
    let url = format!("pop3://localhost:{}/1", demo.pop3);
    let Some(message) = curl(&demo, &url, &["--ssl-reqd"]) else {
        return;
    };
    assert!(message.contains(CANARY), "{message}");
}

#[test]
fn a_password_in_the_clear_is_taken_only_where_the_listener_is_declared_trusted() {
    let demo = demo_with_one_message();
    let Some(curl) = program("curl", "curl") else {
        return;
    };
    let user = format!("bob@demo.test:{}", demo.password("bob"));
    let over_plain_pop3 = |port: u16| {
        let url = format!("pop3://127.0.0.1:{port}/1");
        let mut command = Command::new(&curl);
        command.args(["--silent", "--max-time", "30", "--user", &user, &url]);
        run(&mut command, b"")
    };
    let refused = over_plain_pop3(demo.pop3);
    assert_eq!(refused.status.code(), Some(67), "curl: login denied");
    assert!(refused.stdout.is_empty());

    let demo = demo.stop();
    let trusted =
        "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3\"\nallow_plaintext_login = true\n";
    let server = Server::start(&demo, trusted, "");
    let message = over_plain_pop3(server.ports[0]);
    assert!(String::from_utf8_lossy(&message.stdout).contains(CANARY));
}

#[test]
fn curl_takes_every_sasl_mechanism_offered() {
    let demo = demo_with_one_message();
    for mechanism in ["PLAIN", "LOGIN"] {
        for sasl_ir in [&["--sasl-ir"][..], &[]] {
            let options = format!("AUTH={mechanism}");
            let more = [&["--login-options", &options], sasl_ir].concat();
            let url = format!("pop3s://localhost:{}/1", demo.pop3s);
            let Some(message) = curl(&demo, &url, &more) else {
                return;
            };
            assert!(message.contains(CANARY), "{mechanism}: {message}");
        }
    }
}

#[test]
fn fetchmail_over_stls_fetches_and_deletes() {
    let demo = demo_with_one_message();
    fetchmail(&demo, demo.pop3, "sslproto \"TLS1.2+\"");
}

#[test]
fn fetchmail_over_pop3s_fetches_and_deletes() {
    let demo = demo_with_one_message();
    fetchmail(&demo, demo.pop3s, "ssl");
}

fn fetchmail(demo: &Demo, port: u16, tls: &str) {
    let Some(fetchmail) = program("fetchmail", "fetchmail") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let fetched = folder.path().join("fetched");
    let rc = format!(
        "poll localhost protocol pop3 port {port} uidl\n  user \"bob@demo.test\" password \"{}\"\n  {tls} sslcertck \
         sslcertfile \"{}\"\n  fetchall no keep no rewrite mda \"cat >> {}\"\n",
        demo.password("bob"),
        demo.certificate().display(),
        fetched.display()
    );
    let rc = write_private(&folder, "fetchmailrc", &rc);
    let mut command = Command::new(fetchmail);
    command
        .env("HOME", folder.path())
        .env("FETCHMAILHOME", folder.path());
    // For root it would otherwise be one for the whole host.
    command.arg("--pidfile").arg(folder.path().join("pid"));
    succeed(
        command
            .args(["--nodetach", "--nosyslog", "--fetchmailrc"])
            .arg(rc),
        b"",
    );
    assert_fetched(&fetched);
    assert_gone(demo);
}

#[test]
fn mpop_over_pop3s_fetches_and_deletes() {
    let demo = demo_with_one_message();
    mpop(&demo, demo.pop3s, "tls_starttls off");
}

#[test]
fn mpop_over_stls_fetches_and_deletes() {
    let demo = demo_with_one_message();
    mpop(&demo, demo.pop3, "tls_starttls on");
}

fn mpop(demo: &Demo, port: u16, starttls: &str) {
    let Some(mpop) = program("mpop", "mpop") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let fetched = folder.path().join("fetched");
    let rc = format!(
        "account demo\nhost localhost\nport {port}\nuser bob@demo.test\npassword {}\ntls on\n{starttls}\n\
         tls_trust_file {}\nuidls_file {}\nkeep off\ndelivery mbox {}\naccount default : demo\n",
        demo.password("bob"),
        demo.certificate().display(),
        folder.path().join("uidls").display(),
        fetched.display()
    );
    let rc = write_private(&folder, "mpoprc", &rc);
    let mut command = Command::new(mpop);
    command.env("HOME", folder.path());
    succeed(
        command.arg(format!("--file={}", rc.display())).arg("--quiet"),
        b"",
    );
    assert_fetched(&fetched);
    assert_gone(demo);
}

#[test]
fn getmail_over_pop3s_fetches_and_deletes() {
    let demo = demo_with_one_message();
    let Some(getmail) = program("getmail", "getmail6") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let fetched = folder.path().join("fetched");
    // As an external command, because getmail does not deliver into files for root.
    let script = write_private(&folder, "take.sh", &format!("cat >> {}\n", fetched.display()));
    let rc = format!(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = {}\nusername = bob@demo.test\n\
         password = {}\nca_certs = {}\n[destination]\ntype = MDA_external\npath = /bin/sh\narguments = (\"{}\",)\n\
         allow_root_commands = true\n[options]\ndelete = true\nread_all = true\nverbose = 0\n",
        demo.pop3s,
        demo.password("bob"),
        demo.certificate().display(),
        script.display()
    );
    let rc = write_private(&folder, "getmailrc", &rc);
    let mut command = Command::new(getmail);
    command
        .env("HOME", folder.path())
        .arg("--getmaildir")
        .arg(folder.path());
    succeed(command.arg("--rcfile").arg(rc), b"");
    assert_fetched(&fetched);
    assert_gone(&demo);
}

fn assert_fetched(file: &Path) {
    let fetched = fs::read_to_string(file).unwrap_or_default();
    assert!(
        fetched.contains(CANARY) && fetched.contains("Message-ID: <real@example.org>"),
        "{fetched:?}"
    );
}

#[test]
fn poplib_reads_every_message_byte_for_byte() {
    let demo = Demo::start();
    let Some(python) = program("python3", "python3") else {
        return;
    };
    for (class, port, stls) in [("POP3_SSL", demo.pop3s, "False"), ("POP3", demo.pop3, "True")] {
        let script = format!(
            "import poplib, ssl\n\
             context = ssl.create_default_context(cafile={certificate:?})\n\
             kind, stls = poplib.{class}, {stls}\n\
             pop = kind('localhost', {port}) if stls else kind('localhost', {port}, context=context)\n\
             capa = pop.capa()\n\
             if stls:\n    assert 'STLS' in capa and 'USER' not in capa, capa\n    pop.stls(context)\n\
             pop.user('alice@demo.test'); pop.pass_({password:?})\n\
             count, octets = pop.stat()\n\
             sizes = dict(map(int, line.split()) for line in pop.list()[1])\n\
             uids = dict(line.split() for line in pop.uidl()[1])\n\
             assert len(sizes) == len(uids) == count == 12, (sizes, uids)\n\
             assert sum(sizes.values()) == octets\n\
             poplib._MAXLINE = 1 << 20\n\
             for number in sizes:\n    \
                 reply, lines, _ = pop.retr(number)\n    \
                 assert sum(len(line) + 2 for line in lines) == sizes[number], number\n    \
                 head = pop.top(number, 0)[1]\n    \
                 assert head == lines[:len(head)] and (head[-1] == b'' or head == lines), number\n\
             pop.quit()\n\
             print('all there')\n",
            certificate = demo.certificate().display().to_string(),
            password = demo.password("alice"),
        );
        assert_eq!(
            succeed(Command::new(&python).args(["-c", &script]), b"").trim(),
            "all there"
        );
    }
}

#[test]
fn the_lines_that_the_demo_prints_do_what_they_say() {
    let demo = Demo::start();
    if program("curl", "curl").is_none() {
        return;
    }
    let commands: Vec<&str> = demo
        .said
        .lines()
        .map(str::trim)
        .filter(|line| (line.starts_with("curl ") && line.contains("pop3s:")) || line.starts_with("printf "))
        .collect();
    assert_eq!(commands.len(), 4, "{}", demo.said);
    let run = |command: &str| succeed(Command::new("sh").args(["-c", command]), b"");
    assert_eq!(run(commands[0]).lines().count(), 12);
    assert!(run(commands[1]).contains("Lines that start with a dot"));
    run(commands[2]);
    assert_eq!(run(commands[0]).lines().count(), 11, "the third is deleted");
    assert!(run(commands[3]).contains("delivered"));
    assert_eq!(run(commands[0]).lines().count(), 12, "the new one is there");
}
