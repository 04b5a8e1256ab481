//! The operator's commands from elsewhere: through the admin interface of a server, with a token and no configuration.

use std::path::{Path, PathBuf};
use std::process::Command;

use restante_testkit::TestCertificate;
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
    assert!(!policy.contains("s3cret"), "{policy}");
    let policy: Value = serde_json::from_str(&policy).unwrap();
    let issuer = &policy["oauth"][0];
    assert_eq!(issuer["introspection_url"], "https://id.acme.example/ask");
    let sealed = issuer["sealed_client_secret"].as_str().unwrap();
    assert!(!sealed.is_empty(), "the server sealed it: {policy}");
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
    let issuer = [
        "policy",
        "add-issuer",
        "acme",
        "--issuer",
        "https://id.acme.example",
    ];
    let keys = ["--audience", "mail", "--jwks-url", "https://id.acme.example/keys"];
    for unused in [["--client-secret-file", text(&token)], ["--client-id", "pop3"]] {
        setup(&[&issuer[..], &keys, &unused].concat(), "--introspection-url");
    }
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

#[test]
fn a_command_works_where_it_was_typed_to_whatever_the_environment_says() {
    let far = Far::start();
    let url = format!("https://localhost:{}", far.server.admin_port());
    let elsewhere = |arguments: &[&str]| {
        let mut command = restante();
        command
            .args(arguments)
            .env("RESTANTE_SERVER", &url)
            .env("RESTANTE_TOKEN_FILE", far.file("token"))
            .env("RESTANTE_CA_FILE", far.server.certificate());
        command
    };
    let tenants = |command: &mut Command| -> Vec<String> {
        let rows: Vec<Value> = serde_json::from_str(&succeed(command, b"")).unwrap();
        let names = rows.iter().map(|row| row["name"].as_str().unwrap().to_owned());
        names.collect()
    };
    let list = ["tenant", "list", "--json"];
    // Another installation on this host.
    let here = Demo::stopped();
    let configuration = here.configuration();
    let at_here = [&list[..], &["--config", text(&configuration)]].concat();
    succeed(
        restante().args(["tenant", "add", "here", "--config", text(&configuration)]),
        b"",
    );
    assert_eq!(tenants(&mut elsewhere(&list)), ["demo"]);
    assert_eq!(
        tenants(elsewhere(&list).env("RESTANTE_CONFIG", &configuration)),
        ["demo"],
        "of two places in the environment the server is meant"
    );
    assert_eq!(tenants(&mut elsewhere(&at_here)), ["demo", "here"]);
    assert_eq!(
        tenants(elsewhere(&at_here).env_remove("RESTANTE_TOKEN_FILE")),
        ["demo", "here"]
    );
    assert_eq!(
        tenants(
            far.command(&list)
                .env("RESTANTE_SERVER", "https://localhost:1")
                .env("RESTANTE_TOKEN_FILE", "/nowhere")
                .env("RESTANTE_CONFIG", &configuration)
        ),
        ["demo"]
    );

    let token = far.file("token");
    let certificate = far.server.certificate();
    let with = |arguments: &[&str]| {
        let mut command = restante();
        command.args([&at_here[..], arguments].concat());
        command
    };
    for (mut command, expected) in [
        (
            with(&["--server", &url, "--token-file", text(&token)]),
            "--config works here and --server elsewhere",
        ),
        (with(&["--token-file", text(&token)]), "name it with --server"),
        (with(&["--ca-file", text(&certificate)]), "name it with --server"),
        (
            {
                let mut command = elsewhere(&at_here);
                command.arg("--token-file").arg(&token);
                command
            },
            "name it with --server",
        ),
        (
            {
                let mut command = elsewhere(&list);
                command.env_remove("RESTANTE_TOKEN_FILE");
                command
            },
            "--token-file",
        ),
    ] {
        let (code, said) = Far::refused(&mut command, "");
        assert_eq!(code, Some(2), "{command:?}: {said}");
        assert!(said.contains(expected), "{command:?}: {said}");
    }
}

#[test]
fn a_reload_moves_the_certificate_of_the_admin_port() {
    let far = Far::start();
    let fresh = TestCertificate::new();
    let pair = fresh.files();
    let before = std::fs::read_to_string(far.server.configuration()).unwrap();
    let (others, admin) = before.split_once("[admin]").unwrap();
    let admin = admin
        .replace(text(&far.server.certificate()), text(&pair.certificate))
        .replace(text(&far.server.key()), text(&pair.key));
    std::fs::write(far.server.configuration(), format!("{others}[admin]{admin}")).unwrap();
    far.server.signal("HUP");
    let [taken] = &far.server.wait_for("configuration reloaded", 1)[..] else {
        panic!("one line");
    };
    assert!(
        taken.contains("\"admin.certificate_file, admin.key_file\""),
        "{taken}"
    );
    assert!(!far.server.log().contains("take effect at the next start"));
    let url = format!("https://localhost:{}", far.server.admin_port());
    succeed(
        restante()
            .args(["tenant", "list", "--server", &url, "--token-file"])
            .arg(far.file("token"))
            .arg("--ca-file")
            .arg(&pair.certificate),
        b"",
    );
}
