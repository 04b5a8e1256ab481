//! What is wrong with a configuration is said in one message that names the place and the remedy; exit code 2.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::support::{Demo, restante, run, succeed, with_database};

/// Starts the server with this configuration, which must be refused; answers what it said.
fn refused(folder: &Path, text: &str) -> String {
    let file = folder.join("restante.toml");
    fs::write(&file, text).unwrap();
    let output = run(restante().arg("serve").arg("--config").arg(&file), b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let messages = said.lines().filter(|line| line.starts_with("restante: ")).count();
    assert_eq!(messages, 1, "one message: {said}");
    said
}

/// A configuration over a demo's database and storage, with its own listener.
fn over(demo: &Demo, listener: &str) -> String {
    let data = demo.data().display();
    format!(
        "{listener}\n[database]\nurl = \"sqlite://{data}/restante.db\"\n[storage.main]\nkind = \"file\"\n\
         path = \"{data}/blobs\"\n"
    )
}

const TRUSTED: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3\"\nallow_plaintext_login = true\nstls = false\n";

#[test]
fn an_unknown_key_is_named_with_its_nearest_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(
        folder.path(),
        &format!("{TRUSTED}[limits]\nidle_timeout_sec = 700\n"),
    );
    assert!(
        said.contains("idle_timeout_sec") && said.contains("idle_timeout_secs"),
        "{said}"
    );
    assert!(said.contains("restante.toml:7"), "{said}");
}

#[test]
fn a_missing_configuration_file_is_named() {
    let output = run(
        restante().args(["serve", "--config", "/nonexistent/restante.toml"]),
        b"",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("/nonexistent/restante.toml") && said.contains("--config"),
        "{said}"
    );
}

#[test]
fn a_missing_certificate_file_is_named() {
    let demo = Demo::stopped();
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3s\"\n[[tls.certificate]]\n\
                    certificate_file = \"/nonexistent/c.pem\"\nkey_file = \"/nonexistent/k.pem\"\n";
    let said = refused(demo.folder(), &over(&demo, listener));
    assert!(said.contains("/nonexistent/c.pem"), "{said}");
}

#[test]
fn a_key_that_does_not_match_is_named() {
    let demo = Demo::stopped();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = demo.folder().join("other-key.pem");
    fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    let listener = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3s\"\n[[tls.certificate]]\ncertificate_file = {:?}\n\
         key_file = {:?}\n",
        demo.certificate(),
        key
    );
    let said = refused(demo.folder(), &over(&demo, &listener));
    assert!(
        said.contains("other-key.pem") && said.contains("not the private key"),
        "{said}"
    );
}

#[test]
fn a_taken_port_is_named() {
    let demo = Demo::stopped();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listener = TRUSTED.replace("127.0.0.1:0", &address.to_string());
    let said = refused(demo.folder(), &over(&demo, &listener));
    assert!(
        said.contains(&address.to_string()) && said.contains("another process"),
        "{said}"
    );
}

#[test]
fn a_database_that_another_server_serves_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start();
    let said = refused(folder.path(), &over(&demo, TRUSTED));
    assert!(said.contains("restante.db"), "{said}");
    assert_eq!(demo.log_in("alice").stat().0, 12, "the other server serves on");
}

#[test]
fn a_database_without_tables_asks_for_migrate() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display();
    let text = format!(
        "{TRUSTED}[database]\nurl = \"sqlite://{data}/new.db\"\n[storage.main]\nkind = \"file\"\npath = \"{data}/blobs\"\n"
    );
    let said = refused(folder.path(), &text);
    assert!(said.contains("restante migrate"), "{said}");
    let file = folder.path().join("restante.toml");
    succeed(restante().args(["migrate", "--config"]).arg(&file), b"");
    let said = succeed(restante().args(["check-config", "--config"]).arg(&file), b"");
    assert!(said.contains("up to date"), "{said}");
    let again = succeed(restante().args(["migrate", "--config"]).arg(&file), b"");
    assert!(
        again.contains("up to date") && !again.contains("applied"),
        "{again}"
    );
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("new.db"),
        "this is a letter, not a database, and long enough to be read as one".repeat(100),
    )
    .unwrap();
    let data = folder.path().display();
    let text = format!(
        "{TRUSTED}[database]\nurl = \"sqlite://{data}/new.db\"\n[storage.main]\nkind = \"file\"\npath = \"{data}/blobs\"\n"
    );
    let said = refused(folder.path(), &text);
    assert!(said.contains("new.db"), "{said}");
}

#[test]
fn a_database_newer_than_the_server_is_named() {
    let demo = Demo::stopped();
    let made = with_database(
        demo.data(),
        "db.execute(\"insert into _sqlx_migrations values (9999, 'of a later release', '2030-01-01', 1, x'00', 0)\")",
    );
    if !made {
        return;
    }
    let said = refused(demo.folder(), &over(&demo, TRUSTED));
    assert!(
        said.contains("9999") && said.contains("install a newer release"),
        "{said}"
    );
}

#[test]
fn a_listener_for_an_unknown_tenant_is_named() {
    let demo = Demo::stopped();
    let said = refused(
        demo.folder(),
        &over(&demo, &format!("{TRUSTED}tenant = \"nobody\"\n")),
    );
    assert!(
        said.contains("listener[0].tenant") && said.contains("nobody"),
        "{said}"
    );
}

#[test]
fn an_idle_timeout_below_ten_minutes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(
        folder.path(),
        &format!("{TRUSTED}[limits]\nidle_timeout_secs = 599\n"),
    );
    assert!(
        said.contains("idle_timeout_secs") && said.contains("600"),
        "{said}"
    );
}
