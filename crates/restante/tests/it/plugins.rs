//! Storage plugins as a provider meets them: installed while frontends serve, exchanged, broken, taken away.

use std::path::{Path, PathBuf};

use restante_testkit::{JmapCall, JmapFault, JmapServer, component};
use serde_json::Value;

use crate::support::{ALICE, Fleet, Layout, PASSWORD, Pop3, eventually, restante, run};

const BOB: &str = "bob@kept.example";
const MAIL: &[u8] = b"Subject: a\r\n\r\n.hello\r\nThe quick brown fox\r\n";

/// A fleet whose tenant `kept` keeps its mail in the plugin `keeper`, which is not installed yet.
async fn kept(tables: &str) -> Option<Fleet> {
    let fleet = Fleet::of(Layout {
        tables: tables.to_owned(),
        ..Layout::default()
    })
    .await?;
    fleet.tenant("kept");
    fleet.tool(&["tenant", "set", "kept", "--storage", "kept"], b"");
    fleet.account(BOB, PASSWORD);
    Some(fleet)
}

const KEEPER: &str = "[plugin.keeper]\ngrants = [\"key-value\"]\ncall_secs = 2\n\
    [storage.kept]\nkind = \"plugin\"\nplugin = \"keeper\"\n";

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// Whether it ended well, and everything it said.
fn said(fleet: &Fleet, arguments: &[&str], input: &[u8]) -> (bool, String) {
    let output = run(&mut fleet.command(arguments), input);
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn install(fleet: &Fleet, plugin: &str) {
    fleet.tool(&["plugin", "install", "keeper", path(&component(plugin))], b"");
}

fn log_in(fleet: &Fleet, frontend: usize) -> Pop3 {
    let (pop3, reply) = fleet.log_in(frontend, BOB, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    pop3
}

/// Until the first message can be read at every frontend.
fn readable(fleet: &Fleet) {
    for frontend in 0..2 {
        eventually("the message is readable", || {
            let mut pop3 = log_in(fleet, frontend);
            pop3.send("RETR 1\r\n");
            let is_there = pop3.line().starts_with("+OK");
            drop(pop3);
            is_there
        });
    }
}

fn the_plugin(fleet: &Fleet) -> Value {
    let listed = fleet.tool(&["plugin", "list", "--json"], b"");
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    listed.into_iter().next().unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_installed_exchanged_and_disabled_while_frontends_serve() {
    let Some(fleet) = kept(KEEPER).await else { return };
    let (is_good, text) = said(&fleet, &["deliver", "--to", BOB], MAIL);
    assert!(!is_good && text.contains("not installed"), "{text}");
    let mut pop3 = log_in(&fleet, 0);
    assert_eq!(pop3.stat().0, 0);
    pop3.ok("QUIT");

    let check = |fleet: &Fleet| {
        let output = run(&mut fleet.command_of_frontend(0, &["check-config"]), b"");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (is_good, text) = check(&fleet);
    assert!(
        !is_good && text.contains("storage.kept") && text.contains("not installed"),
        "{text}"
    );

    install(&fleet, "memory");
    let (is_good, text) = check(&fleet);
    assert!(is_good && text.contains("plugin keeper is well"), "{text}");
    fleet.deliver(BOB, MAIL);
    readable(&fleet);
    let mut pop3 = log_in(&fleet, 1);
    assert_eq!(pop3.retr(1), MAIL);

    // The same format, in another language; who reads goes on.
    install(&fleet, "memory-c");
    assert_eq!(pop3.retr(1), MAIL);
    pop3.ok("QUIT");
    for frontend in 0..2 {
        fleet.frontend(frontend).wait_for("plugin in force", 2);
    }
    let mut pop3 = log_in(&fleet, 0);
    assert_eq!(pop3.retr(1), MAIL);
    pop3.ok("QUIT");

    let text = fleet.tool(&["plugin", "disable", "keeper"], b"");
    assert!(text.contains("disabled"), "{text}");
    for frontend in 0..2 {
        eventually("it is disabled", || {
            let mut pop3 = log_in(&fleet, frontend);
            assert_eq!(pop3.stat().0, 1, "never an empty maildrop");
            let reply = pop3.ask("RETR 1");
            reply.starts_with("-ERR [SYS/TEMP]")
        });
    }
    fleet.tool(&["plugin", "enable", "keeper"], b"");
    readable(&fleet);
    let audit = fleet.tool(&["audit", "list", "--action", "plugin-changed"], b"");
    assert_eq!(audit.matches("keeper: ").count(), 2, "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_not_well_leaves_the_one_before_in_force() {
    let tables = format!("{KEEPER}config = {{ misdeed = \"unhealthy\" }}\n");
    let Some(fleet) = kept(&tables).await else { return };
    install(&fleet, "memory");
    fleet.deliver(BOB, MAIL);
    readable(&fleet);
    let before = the_plugin(&fleet);

    let hostile = component("hostile");
    let (is_good, text) = said(&fleet, &["plugin", "install", "keeper", path(&hostile)], b"");
    assert!(!is_good && text.contains("storage kept"), "{text}");
    assert_eq!(the_plugin(&fleet), before, "nothing has changed");

    fleet.tool(&["plugin", "install", "keeper", path(&hostile), "--untried"], b"");
    assert_eq!(the_plugin(&fleet)["previous_sha256"], before["sha256"]);
    for frontend in 0..2 {
        fleet
            .frontend(frontend)
            .wait_for("the version before stays in force", 1);
        let mut pop3 = log_in(&fleet, frontend);
        assert_eq!(pop3.retr(1), MAIL);
        pop3.ok("QUIT");
    }
    fleet.tool(&["plugin", "roll-back", "keeper"], b"");
    assert_eq!(the_plugin(&fleet)["sha256"], before["sha256"]);
}

/// A component around a module of so many functions that do nothing.
fn many_functions(n: usize) -> Vec<u8> {
    fn leb(mut n: usize) -> Vec<u8> {
        let mut octets = Vec::new();
        loop {
            let low = u8::try_from(n & 0x7f).unwrap();
            n >>= 7;
            octets.push(if n == 0 { low } else { low | 0x80 });
            if n == 0 {
                return octets;
            }
        }
    }
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id], &*leb(content.len()), content].concat()
    }
    let types = section(1, &[1, 0x60, 0, 0]);
    let functions = section(3, &[leb(n), vec![0; n]].concat());
    let code = section(10, &[leb(n), [2, 0, 0x0b].repeat(n)].concat());
    let module = [b"\0asm\x01\0\0\0".to_vec(), types, functions, code].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module)].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p08_a_wrong_thing_is_refused_with_one_clear_message_and_changes_nothing() {
    let Some(fleet) = kept(KEEPER).await else { return };
    install(&fleet, "memory");
    let before = the_plugin(&fleet);
    let memory = std::fs::read(component("memory")).unwrap();
    let newer = String::from_utf8_lossy(&memory).contains("storage/blobs@1.0.0");
    assert!(newer, "the name of the export is in the component");
    let newer = replaced(&memory, b"@1.0.0", b"@2.0.0");
    let mut cut = memory.clone();
    cut.truncate(memory.len() / 2);
    let write = |name: &str, octets: &[u8]| -> PathBuf {
        let file = fleet.write(name, "");
        std::fs::write(&file, octets).unwrap();
        file
    };
    let large = fleet.write("large.wasm", "");
    std::fs::File::options()
        .write(true)
        .open(&large)
        .unwrap()
        .set_len(200 << 20)
        .unwrap();
    for (file, why) in [
        (write("text.wasm", b"no component"), "not a WebAssembly component"),
        (
            write("core.wasm", b"\0asm\x01\0\0\0"),
            "not a WebAssembly component",
        ),
        (write("cut.wasm", &cut), "not a WebAssembly component"),
        (write("empty.wasm", b"\0asm\x0d\0\x01\0"), "does not export"),
        (
            write("newer.wasm", &newer),
            "this server speaks restante:storage@1",
        ),
        (
            write("functions.wasm", &many_functions(1_000_001)),
            "not a WebAssembly component",
        ),
        (large, "a component has at most"),
        (component("seal"), "which is not granted"),
        (
            component("shelf"),
            "of the world maildrop, and the storage of the world blob-store",
        ),
        (PathBuf::from("/nowhere.wasm"), "cannot be read"),
    ] {
        let (is_good, text) = said(&fleet, &["plugin", "install", "keeper", path(&file)], b"");
        assert!(!is_good && text.contains(why), "{}: {text}", file.display());
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        assert_eq!(the_plugin(&fleet), before, "{}", file.display());
    }
    let (is_good, text) = said(&fleet, &["plugin", "remove", "keeper"], b"");
    assert!(!is_good && text.contains("storage kept uses it"), "{text}");
    let (is_good, text) = said(&fleet, &["plugin", "remove", "stranger"], b"");
    assert!(
        !is_good && text.contains("no plugin stranger is installed"),
        "{text}"
    );
    assert_eq!(the_plugin(&fleet), before);
    let (is_good, text) = said(
        &fleet,
        &["plugin", "install", "stranger", path(&component("memory"))],
        b"",
    );
    assert!(
        !is_good && text.contains("there is no [plugin.stranger]"),
        "{text}"
    );
}

fn replaced(octets: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for start in 0..octets.len() - from.len() {
        if octets[start..].starts_with(from) {
            octets[start..start + to.len()].copy_from_slice(to);
        }
    }
    octets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beneath_seal_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    let beneath = folder.path().join("beneath");
    let tables = format!(
        "[plugin.keeper]\ngrants = [\"inner\"]\nsecrets = {{ kek = \"{}\" }}\n[storage.beneath]\nkind = \"file\"\n\
         path = \"{}\"\n[storage.kept]\nkind = \"plugin\"\nplugin = \"keeper\"\ninner = \"beneath\"\nconfig = {{ key = \"kek\" }}\n",
        key.display(),
        beneath.display()
    );
    let Some(fleet) = kept(&tables).await else { return };
    install(&fleet, "seal");
    let large = [
        b"Subject: large\r\n\r\n".to_vec(),
        b"The quick brown fox\r\n".repeat(200_000),
    ]
    .concat();
    fleet.deliver(BOB, MAIL);
    fleet.deliver(BOB, &large);
    readable(&fleet);
    let mut pop3 = log_in(&fleet, 1);
    assert_eq!(pop3.retr(1), MAIL);
    assert!(pop3.retr(2) == large);
    pop3.send("TOP 2 1\r\n");
    assert!(pop3.line().starts_with("+OK"));
    let top: Vec<String> = (0..4).map(|_| pop3.line()).collect();
    assert_eq!(top, ["Subject: large", "", "The quick brown fox", "."]);
    pop3.ok("QUIT");

    let files = files(&beneath);
    assert_eq!(files.len(), 2);
    for file in files {
        let octets = std::fs::read(file).unwrap();
        assert!(
            !octets.windows(11).any(|window| window == b"quick brown"),
            "in the clear"
        );
    }
    // A tenant cannot choose what is beneath, and an audit of it is nobody's.
    let (is_good, text) = said(&fleet, &["deliver", "--to", ALICE], MAIL);
    assert!(is_good, "{text}");
    let verified = fleet.tool(&["verify"], b"");
    assert!(verified.contains(": 0 findings"), "{verified}");
    let (is_good, text) = said(
        &fleet,
        &["storage", "move", "--tenant", "acme", "--to", "beneath"],
        b"",
    );
    assert!(!is_good && text.contains("beneath"), "{text}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jmap_account_is_read_and_emptied_over_pop3() {
    let jmap = JmapServer::start().await;
    jmap.add_account(BOB);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, jmap.token()).unwrap();
    let (url, origin) = (jmap.url(), format!("http://{}", jmap.address()));
    let tables = format!(
        "[plugin.keeper]\ngrants = [\"key-value\"]\nhttp = [\"{origin}\"]\nsecrets = {{ token = \"{}\" }}\n\
         [storage.kept]\nkind = \"plugin\"\nworld = \"maildrop\"\nplugin = \"keeper\"\n\
         config = {{ session_url = \"{url}\", token = \"token\" }}\n",
        token.display()
    );
    let Some(fleet) = kept(&tables).await else { return };
    install(&fleet, "jmap");
    for n in 1..=3 {
        jmap.add(BOB, format!("Subject: {n}\r\n\r\n.body of {n}\r\n"));
    }
    for frontend in 0..2 {
        fleet.frontend(frontend).wait_for("plugin in force", 1);
    }
    let mut pop3 = log_in(&fleet, 0);
    assert_eq!(pop3.stat().0, 3);
    let unique_ids = pop3.listing("UIDL");
    assert_eq!(pop3.retr(2), b"Subject: 2\r\n\r\n.body of 2\r\n");
    // One session at a time, over all frontends, though the mail is elsewhere.
    let (_second, reply) = fleet.log_in(1, BOB, PASSWORD);
    assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
    pop3.ok("DELE 1");
    drop(pop3);
    let mut pop3 = again(&fleet, 1);
    assert_eq!(
        pop3.listing("UIDL"),
        unique_ids,
        "a session that did not end with QUIT deletes nothing"
    );
    pop3.ok("DELE 1");
    pop3.ok("QUIT");
    assert_eq!(jmap.emails(BOB).len(), 2);

    // Delivery goes there too, and comes last.
    fleet.deliver(BOB, MAIL);
    let mut pop3 = again(&fleet, 0);
    let left = pop3.listing("UIDL");
    assert_eq!(names(&left)[..2], names(&unique_ids)[1..]);
    assert_eq!(pop3.retr(3), MAIL);
    pop3.ok("DELE 3");

    // The answer to QUIT is true, whatever becomes of the other side.
    jmap.set(JmapCall::Set, 0, JmapFault::Refuse(503));
    let reply = pop3.ask("QUIT");
    assert!(reply.starts_with("-ERR [SYS/TEMP]"), "{reply}");
    assert_eq!(jmap.emails(BOB).len(), 3);
    jmap.mend();

    // A mail system that does not answer is no empty maildrop.
    jmap.set(JmapCall::Read, 0, JmapFault::Refuse(503));
    eventually("the lock is free again", || {
        let (_, reply) = fleet.log_in(0, BOB, PASSWORD);
        !reply.starts_with("-ERR [IN-USE]")
    });
    let (_, reply) = fleet.log_in(0, BOB, PASSWORD);
    assert!(reply.starts_with("-ERR [SYS/TEMP]"), "{reply}");
}

fn names(listing: &[String]) -> Vec<&str> {
    listing
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect()
}

/// Logs in once the session before has been given up.
fn again(fleet: &Fleet, frontend: usize) -> Pop3 {
    let mut found = None;
    eventually("the maildrop is free", || {
        let (pop3, reply) = fleet.log_in(frontend, BOB, PASSWORD);
        let is_in = reply.starts_with("+OK");
        found = is_in.then_some(pop3);
        is_in
    });
    found.unwrap()
}

#[test]
fn a_component_is_checked_by_its_author() {
    let check = |plugin: &str, more: &[&str]| {
        let mut command = restante();
        command
            .args(["plugin", "check"])
            .arg(component(plugin))
            .args(more);
        let output = run(&mut command, b"");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (is_good, text) = check("memory", &["--grant", "key-value"]);
    assert!(is_good && text.contains("27 cases passed"), "{text}");
    let (is_good, text) = check("shelf", &["--grant", "key-value"]);
    assert!(is_good && text.contains("20 cases passed"), "{text}");
    // Each kind of check fails on what is broken for it.
    for (misdeed, why) in [
        ("short", "FAIL"),
        ("trap", "FAIL"),
        ("grow", "FAIL"),
        ("spin-configure", "computed for longer"),
        ("unhealthy", "unavailable"),
    ] {
        let settings = format!("{{\"misdeed\":\"{misdeed}\"}}");
        let (is_good, text) = check("hostile", &["--grant", "key-value", "--settings", &settings]);
        assert!(!is_good && text.contains(why), "{misdeed}: {text}");
    }
    let (is_good, text) = check("memory", &[]);
    assert!(
        !is_good && text.contains("restante:storage/key-value@1"),
        "{text}"
    );
    let (is_good, text) = check("memory", &["--grant", "key-value", "--except", "no_such_case"]);
    assert!(!is_good && text.contains("there is no such case"), "{text}");
}

/// `restante plugin run`, ended when dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_author_reads_mail_from_the_plugin_within_a_minute() {
    use std::io::{BufRead as _, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "07".repeat(32)).unwrap();
    let secret = format!("key={}", key.display());
    for (plugin, more) in [
        ("shelf", &["--grant", "key-value"][..]),
        (
            "seal",
            &[
                "--grant",
                "inner",
                "--secret",
                &secret,
                "--settings",
                r#"{"key":"key"}"#,
            ],
        ),
    ] {
        let data = folder.path().join(plugin);
        let mut run = restante();
        run.args(["plugin", "run"]).arg(component(plugin)).args(more);
        run.args([
            "--pop3-port",
            "0",
            "--pop3s-port",
            "0",
            "--admin-port",
            "0",
            "--lmtp-port",
            "0",
            "--data",
        ])
        .arg(&data)
        .stdout(std::process::Stdio::piped());
        let mut running = Running(run.spawn().unwrap());
        let mut said = String::new();
        let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        while !said.contains("Ctrl-C stops it.") {
            said.push_str(&lines.next().expect("it says that it is ready").unwrap());
            said.push('\n');
        }
        let (_, port) = said.split_once("pop3s://localhost:").unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        let mut pop3 = Pop3::connect(port.parse().unwrap(), &data.join("certificate.pem"));
        let password = std::fs::read_to_string(data.join("password-of-alice")).unwrap();
        let reply = pop3.try_login("alice@demo.test", &password);
        assert!(reply.starts_with("+OK"), "{reply}");
        assert!(pop3.stat().0 > 5);
        assert!(!pop3.retr(3).is_empty());
        pop3.dele(1..=1);
        pop3.ok("QUIT");
    }
}
