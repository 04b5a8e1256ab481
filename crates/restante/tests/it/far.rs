//! The operator's commands from elsewhere: through the admin interface of a server, with a token and no configuration.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Demo, POP3S, Server, restante, run, succeed};

const TOKEN: &str = "token-of-the-provider-0123456789";
const OF_DEMO: &str = "token-of-the-tenant-demo-0123456";

/// A server inside TLS with two tokens, over a database with the tenant `demo`.
struct Far {
    server: Server,
    demo: Demo,
}

impl Far {
    fn start() -> Self {
        let demo = Demo::stopped();
        let file = |name: &str, text: &str| {
            let file = demo.folder().join(name);
            std::fs::write(&file, format!("{text}\n")).unwrap();
            succeed(Command::new("chmod").arg("600").arg(&file), b"");
            file.display().to_string()
        };
        let place = demo.folder().display();
        let more = format!(
            "[auth]\nkeys_file = {:?}\nargon2_memory_kib = 8192\nargon2_iterations = 1\n\
             [admin]\naddress = \"127.0.0.1:0\"\ncertificate_file = \"{place}/c.pem\"\nkey_file = \"{place}/k.pem\"\n\
             [[admin.token]]\nname = \"portal\"\ntoken_file = {:?}\n\
             [[admin.token]]\nname = \"demo\"\ntoken_file = {:?}\ntenant = \"demo\"\n",
            file("keys", &format!("1:{}", "5a".repeat(32))),
            file("token", TOKEN),
            file("token-of-demo", OF_DEMO),
        );
        let server = Server::start(&demo, POP3S, &more);
        Self { server, demo }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.demo.folder().join(name)
    }

    /// A command with the provider's token.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_with("token", arguments)
    }

    fn command_with(&self, token: &str, arguments: &[&str]) -> Command {
        let url = format!("https://localhost:{}", self.server.admin_port());
        let mut command = restante();
        command
            .args(arguments)
            .args(["--server", &url, "--token-file"])
            .arg(self.file(token))
            .arg("--ca-file")
            .arg(self.server.certificate());
        command
    }

    fn tool(&self, arguments: &[&str], input: &str) -> String {
        succeed(&mut self.command(arguments), input.as_bytes())
    }

    fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        serde_json::from_str(&self.tool(&[arguments, &["--json"]].concat(), "")).unwrap()
    }

    /// Why a command was refused, and its exit code.
    fn refused(command: &mut Command, input: &str) -> (Option<i32>, String) {
        let output = run(command, input.as_bytes());
        assert!(!output.status.success(), "{command:?}");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_tenant_is_set_up_from_elsewhere_and_its_users_log_in() {
    let far = Far::start();
    let said = far.tool(&["tenant", "add", "acme"], "");
    assert!(said.starts_with("Tenant acme added."), "{said}");
    assert_eq!(far.rows(&["tenant", "list"])[0]["storage"], "main", "the default");
    far.tool(&["domain", "add", "acme.example", "--tenant", "acme"], "");
    far.tool(
        &[
            "account",
            "add",
            "ann@acme.example",
            "--password-stdin",
            "--quota",
            "1M",
        ],
        "first password\n",
    );
    let log_in = |password: &str| {
        let mut pop3 = far.server.connect();
        pop3.try_login("ann@acme.example", password)
    };
    assert!(log_in("first password").starts_with("+OK"));
    far.tool(
        &[
            "account",
            "set",
            "ann@acme.example",
            "--password-stdin",
            "--quota",
            "2M",
        ],
        "second password\n",
    );
    assert!(log_in("first password").starts_with("-ERR [AUTH]"));
    assert!(log_in("second password").starts_with("+OK"));
    let shown: Value =
        serde_json::from_str(&far.tool(&["account", "show", "ann@acme.example", "--json"], "")).unwrap();
    assert_eq!(
        (&shown["limit_octets"], &shown["held_messages"]),
        (&Value::from(2_097_152), &Value::from(0))
    );

    // A hash from another server is taken as it is.
    let hash = far.file("hash");
    std::fs::write(&hash, "{PLAIN}third password\n").unwrap();
    let imported = ["--password-file", text(&hash), "--password-is-hash"];
    far.tool(
        &[&["account", "set", "ann@acme.example"][..], &imported].concat(),
        "",
    );
    assert!(log_in("third password").starts_with("+OK"));

    let made: Value = serde_json::from_str(&far.tool(
        &[
            "app-password",
            "add",
            "ann@acme.example",
            "--label",
            "phone",
            "--json",
        ],
        "",
    ))
    .unwrap();
    assert!(log_in(made["password"].as_str().unwrap()).starts_with("+OK"));
    let id = made["id"].to_string();
    far.tool(&["app-password", "remove", "ann@acme.example", &id], "");
    assert!(far.rows(&["app-password", "list", "ann@acme.example"]).is_empty());

    far.tool(
        &[
            "alias",
            "add",
            "sales@acme.example",
            "--account",
            "ann@acme.example",
        ],
        "",
    );
    assert_eq!(far.rows(&["alias", "list"])[0]["address"], "sales@acme.example");
    far.tool(
        &["policy", "set", "acme", "--login-delay", "1m", "--expire", "90d"],
        "",
    );
    let policy = far.tool(&["policy", "show", "acme"], "");
    assert!(policy.contains("60s, ") && policy.contains("90 days"), "{policy}");
    let secret = far.file("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    far.tool(
        &[
            "policy",
            "add-issuer",
            "acme",
            "--issuer",
            "https://id.acme.example",
            "--audience",
            "mail",
            "--introspection-url",
            "https://id.acme.example/ask",
            "--client-id",
            "pop3",
            "--client-secret-file",
            text(&secret),
        ],
        "",
    );
    let policy = far.tool(&["policy", "show", "acme", "--json"], "");
    assert!(
        policy.contains("https://id.acme.example/ask") && !policy.contains("s3cret"),
        "{policy}"
    );
    far.tool(&["tenant", "set", "acme", "--add-server-name", "localhost"], "");
    far.tool(
        &[
            "certificate",
            "add",
            "acme",
            "--certificate",
            text(&far.server.certificate()),
            "--key",
            text(&far.server.key()),
        ],
        "",
    );
    assert_eq!(far.rows(&["certificate", "list"])[0]["names"][0], "localhost");
    assert_eq!(far.rows(&["storage", "list"])[0]["kind"], "file");
    assert!(far.rows(&["plugin", "list"]).is_empty());
    let audit = far.rows(&["audit", "list", "--tenant", "acme"]);
    assert!(!audit.is_empty());
    assert!(
        audit.iter().any(|line| line["actor"] == "api:portal"),
        "who did it is the token: {audit:?}"
    );
}

#[test]
fn sessions_are_seen_and_ended_from_elsewhere_even_over_sqlite() {
    let far = Far::start();
    let mut inside = far.server.connect();
    inside.try_login("bob@demo.test", &far.demo.password("bob"));
    inside.ok("DELE 1");
    let sessions = far.rows(&["sessions"]);
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0]["account"], "bob@demo.test");
    let said = far.tool(&["kick", "bob@demo.test"], "");
    assert!(said.starts_with("bob@demo.test is free."), "{said}");
    let mut next = far.server.connect();
    let reply = next.try_login("bob@demo.test", &far.demo.password("bob"));
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(next.stat().0, 1, "nothing was deleted");
    let audit = far.rows(&["audit", "list", "--action", "session-kicked"]);
    assert_eq!(audit.len(), 1, "noted once: {audit:?}");
}

#[test]
fn what_goes_wrong_from_elsewhere_says_what_to_do() {
    let far = Far::start();
    let (code, said) = Far::refused(
        &mut far.command_with("token-of-demo", &["tenant", "add", "other"]),
        "",
    );
    assert!(code == Some(1) && said.contains("tenant"), "{code:?} {said}");
    let own = succeed(
        &mut far.command_with("token-of-demo", &["account", "list", "--json"]),
        b"",
    );
    assert!(own.contains("bob@demo.test"), "{own}");
    let wrong = far.file("wrong");
    std::fs::write(&wrong, "not-a-token-at-all-0123456789\n").unwrap();
    let (code, said) = Far::refused(&mut far.command_with("wrong", &["tenant", "list"]), "");
    assert!(
        code == Some(1) && !said.contains("not-a-token-at-all"),
        "{code:?} {said}"
    );

    let setup = |arguments: &[&str], expected: &str| {
        let (code, said) = Far::refused(restante().args(arguments), "");
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    let token = far.file("token");
    setup(
        &["tenant", "list", "--server", "https://localhost"],
        "--token-file",
    );
    setup(
        &[
            "tenant",
            "list",
            "--server",
            "http://pop.example",
            "--token-file",
            text(&token),
        ],
        "use https",
    );
    setup(
        &[
            "tenant",
            "list",
            "--server",
            "https://localhost:1",
            "--token-file",
            "/nowhere",
        ],
        "/nowhere",
    );
    let nobody = [
        "tenant",
        "list",
        "--server",
        "http://127.0.0.1:1",
        "--token-file",
        text(&token),
    ];
    let (code, said) = Far::refused(restante().args(nobody), "");
    assert!(
        code == Some(1) && said.contains("cannot be asked"),
        "{code:?} {said}"
    );
    // Without the certificate it trusts nobody.
    let url = format!("https://localhost:{}", far.server.admin_port());
    let untrusted = ["tenant", "list", "--server", &url, "--token-file", text(&token)];
    let (code, said) = Far::refused(restante().args(untrusted), "");
    assert!(code == Some(1) && said.contains("certificate"), "{code:?} {said}");
}
