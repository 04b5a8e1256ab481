//! The operator's commands: life cycles, errors in words, exit codes.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Demo, Lmtp, Pop3, program, restante, run, succeed};

/// Runs a command on a demo's data.
fn on(demo: &Demo, arguments: &[&str], input: &str) -> Output {
    run(
        restante()
            .args(arguments)
            .arg("--config")
            .arg(demo.configuration()),
        input.as_bytes(),
    )
}

fn done(demo: &Demo, arguments: &[&str], input: &str) -> String {
    succeed(
        restante()
            .args(arguments)
            .arg("--config")
            .arg(demo.configuration()),
        input.as_bytes(),
    )
}

fn json(demo: &Demo, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(demo, arguments, "")).unwrap()
}

/// Runs a command that cannot be done and returns the reason it gives.
fn fails(demo: &Demo, arguments: &[&str], input: &str) -> String {
    let output = on(demo, arguments, input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    said
}

fn log_in_with(demo: &Demo, name: &str, password: &str) -> String {
    let mut pop3 = Pop3::connect(demo.pop3s, &demo.certificate());
    pop3.ok(&format!("USER {name}"));
    pop3.ask(&format!("PASS {password}"))
}

#[test]
fn tenants_domains_and_accounts_live_and_end() {
    let demo = Demo::start();
    done(&demo, &["tenant", "add", "acme"], "");
    done(
        &demo,
        &["tenant", "set", "acme", "--quota", "2G", "--retention", "30d"],
        "",
    );
    let tenant = json(&demo, &["tenant", "show", "acme", "--json"]);
    assert_eq!(
        (&tenant["quota_octets"], &tenant["retention_secs"]),
        (&(2_u64 << 30).into(), &2_592_000.into())
    );
    done(
        &demo,
        &["domain", "add", "Bücher.example", "--tenant", "acme"],
        "",
    );
    let domain = json(&demo, &["domain", "show", "bücher.example", "--json"]);
    assert_eq!(
        (&domain["name"], &domain["tenant"]),
        (&"xn--bcher-kva.example".into(), &"acme".into())
    );
    done(
        &demo,
        &["account", "add", "Carol@bücher.example", "--password-stdin"],
        "correct horse\n",
    );
    assert!(log_in_with(&demo, "carol@xn--bcher-kva.example", "correct horse").starts_with("+OK"));
    assert!(log_in_with(&demo, "CAROL@bücher.example", "wrong horse").starts_with("-ERR [AUTH]"));
    let accounts = json(
        &demo,
        &["account", "list", "--domain", "bücher.example", "--json"],
    );
    assert_eq!(accounts.as_array().map(Vec::len), Some(1));
    assert_eq!(accounts[0]["name"], "carol@xn--bcher-kva.example");
    assert!(!accounts.to_string().contains("argon2"), "no hash is shown");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "new secret\nsecond line\n").unwrap();
    let file = file.display().to_string();
    done(
        &demo,
        &["account", "set", "carol@bücher.example", "--password-file", &file],
        "",
    );
    assert!(log_in_with(&demo, "carol@bücher.example", "new secret").starts_with("+OK"));
    assert!(log_in_with(&demo, "carol@bücher.example", "correct horse").starts_with("-ERR [AUTH]"));

    done(&demo, &["tenant", "add", "globex"], "");
    done(&demo, &["domain", "add", "example.net", "--tenant", "acme"], "");
    done(&demo, &["domain", "set", "example.net", "--tenant", "globex"], "");
    let domains = json(&demo, &["domain", "list", "--tenant", "globex", "--json"]);
    assert_eq!(domains[0]["name"], "example.net");
    assert_eq!(domains.as_array().map(Vec::len), Some(1));
    let table = done(&demo, &["domain", "list"], "");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert!(rows.contains(&"example.net            globex"), "{table}");
    done(&demo, &["domain", "remove", "example.net"], "");
    done(&demo, &["tenant", "remove", "globex"], "");

    assert!(fails(&demo, &["tenant", "remove", "acme"], "").contains("domain"));
    assert!(fails(&demo, &["domain", "remove", "bücher.example"], "").contains("account"));
    done(&demo, &["account", "remove", "carol@bücher.example"], "");
    assert!(log_in_with(&demo, "carol@bücher.example", "new secret").starts_with("-ERR [AUTH]"));
    done(&demo, &["domain", "remove", "bücher.example"], "");
    done(&demo, &["tenant", "remove", "acme"], "");
    let names: Vec<String> = json(&demo, &["tenant", "list", "--json"])
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| tenant["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["demo"]);
}

#[test]
fn what_cannot_be_done_is_said_in_one_line_with_exit_code_1() {
    let demo = Demo::start();
    let long = "x".repeat(256);
    for (arguments, input, word) in [
        (&["tenant", "add", "demo"][..], "", "demo"),
        (&["tenant", "add", "Not A Name"], "", "a-z"),
        (&["tenant", "show", "nobody"], "", "tenant list"),
        (&["tenant", "add", "acme", "--storage", "nowhere"], "", "nowhere"),
        (
            &["domain", "add", "demo.test", "--tenant", "demo"],
            "",
            "demo.test",
        ),
        (
            &["domain", "add", "example.org", "--tenant", "nobody"],
            "",
            "nobody",
        ),
        (
            &["domain", "add", "not a domain", "--tenant", "demo"],
            "",
            "domain",
        ),
        (
            &["account", "add", "alice@demo.test", "--password-stdin"],
            "secret",
            "alice@demo.test",
        ),
        (
            &["account", "add", "carol@elsewhere.test", "--password-stdin"],
            "secret",
            "elsewhere.test",
        ),
        (&["account", "add", "carol", "--password-stdin"], "secret", "@"),
        (
            &["account", "add", "carol@demo.test", "--password-stdin"],
            &long,
            "255",
        ),
        (
            &["account", "add", "carol@demo.test", "--password-stdin"],
            "",
            "empty",
        ),
        (&["account", "show", "nobody@demo.test"], "", "account list"),
        (
            &["deliver", "--to", "nobody@demo.test"],
            "hello",
            "nobody@demo.test",
        ),
    ] {
        let said = fails(&demo, arguments, input);
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
    for usage in [
        &["account", "add"][..],
        &["account", "add", "a@demo.test", "--password", "secret"],
        &["account", "set", "bob@demo.test", "--state", "asleep"],
        &["account", "set", "bob@demo.test", "--quota", "lots"],
        &["tenant", "set", "demo", "--retention", "30"],
        &["deliver"],
        &["frobnicate"],
    ] {
        assert_eq!(on(&demo, usage, "").status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn states_and_quotas_take_effect() {
    let demo = Demo::start();
    demo.empty("bob");
    let password = demo.password("bob");
    let bob = "bob@demo.test";
    let deliver = ["deliver", "--to", bob];
    for (state, may_log_in, may_receive, to_recipient) in [
        ("login-suspended", false, true, "250 2.1.5 "),
        ("receive-suspended", true, false, "450 4.2.1 "),
        ("read-only", true, false, "450 4.2.1 "),
        ("closed", false, false, "550 5.2.1 "),
        ("active", true, true, "250 2.1.5 "),
    ] {
        done(&demo, &["account", "set", bob, "--state", state], "");
        let reply = log_in_with(&demo, bob, &password);
        assert_eq!(reply.starts_with("+OK"), may_log_in, "{state}: {reply}");
        assert_eq!(
            on(&demo, &deliver, "hello").status.success(),
            may_receive,
            "{state}"
        );
        let mut lmtp = Lmtp::connect(demo.lmtp).unwrap();
        lmtp.ask("MAIL FROM:<sender@example.org>").unwrap();
        let reply = lmtp.ask("RCPT TO:<bob@demo.test>").unwrap();
        assert!(reply.starts_with(to_recipient), "{state}: {reply}");
    }
    done(&demo, &["account", "set", bob, "--state", "read-only"], "");
    assert_eq!(
        demo.log_in("bob").ask("DELE 1"),
        "-ERR [SYS/PERM] Maildrop is read-only"
    );
    done(&demo, &["account", "set", bob, "--state", "active"], "");
    demo.empty("bob");
    done(&demo, &["account", "set", bob, "--quota", "1k"], "");
    done(&demo, &deliver, &"a".repeat(900));
    let said = String::from_utf8(on(&demo, &deliver, &"b".repeat(900)).stdout).unwrap();
    assert!(said.contains("not delivered") && said.contains("quota"), "{said}");
    let mut lmtp = Lmtp::connect(demo.lmtp).unwrap();
    let reply = lmtp
        .send("bob@demo.test", &format!("{}\r\n", "b".repeat(900)))
        .unwrap();
    assert_eq!(reply, "452 4.2.2 mailbox is full\r\n");
    let shown = done(&demo, &["account", "show", bob], "");
    assert!(shown.contains("octets:    902 of 1024"), "{shown}");
    done(&demo, &["account", "set", bob, "--quota", "none"], "");
    done(&demo, &["tenant", "set", "demo", "--quota", "1k"], "");
    assert!(!on(&demo, &deliver, &"b".repeat(900)).status.success());
    let listed = done(&demo, &["account", "list"], "");
    assert!(listed.contains("bob@demo.test    active  tenant's"), "{listed}");
    done(&demo, &["tenant", "set", "demo", "--quota", "none"], "");
    done(&demo, &deliver, &"b".repeat(900));
    let shown = json(&demo, &["account", "show", bob, "--json"]);
    assert_eq!(
        (
            &shown["held_messages"],
            &shown["held_octets"],
            &shown["limit_octets"]
        ),
        (&2.into(), &1804.into(), &Value::Null)
    );
}

#[test]
fn help_lists_every_command_and_completions_are_valid() {
    let help = succeed(restante().arg("--help"), b"");
    for command in [
        "demo",
        "serve",
        "check-config",
        "migrate",
        "tenant",
        "domain",
        "account",
        "deliver",
        "completions",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
    for command in [
        "demo",
        "serve",
        "check-config",
        "migrate",
        "deliver",
        "completions",
        "tenant add",
        "domain set",
        "account show",
    ] {
        let help = succeed(restante().args(command.split(' ')).arg("--help"), b"");
        assert!(
            help.contains(&format!("Example:\n  restante {command}")),
            "{help}"
        );
    }
    let Some(bash) = program("bash", "bash") else {
        return;
    };
    let completions = succeed(restante().args(["completions", "bash"]), b"");
    let script = format!("{completions}\ncomplete -p restante");
    assert!(succeed(Command::new(bash).arg("--norc"), script.as_bytes()).contains("-F _restante"));
}

#[test]
fn a_second_demo_finds_its_data_and_a_fresh_one_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = Demo::start_in(&data, &[]);
    let password = demo.password("alice");
    let unique_ids = demo.log_in("alice").listing("UIDL");
    demo.empty("bob");
    demo.signal("INT");
    assert!(demo.wait(), "Ctrl-C ends it well");
    let mut demo = Demo::start_in(&data, &[]);
    assert_eq!(demo.password("alice"), password);
    assert_eq!(demo.log_in("alice").listing("UIDL"), unique_ids);
    assert_eq!(demo.log_in("bob").stat().0, 0, "what was deleted stays deleted");
    demo.signal("TERM");
    assert!(demo.wait());
    let demo = Demo::start_in(&data, &["--fresh"]);
    assert_ne!(demo.password("alice"), password);
    assert_ne!(demo.log_in("alice").listing("UIDL"), unique_ids);
    assert_eq!(demo.log_in("bob").stat().0, 1);
}

#[test]
fn a_running_demo_is_neither_thrown_away_nor_changed() {
    let demo = Demo::start();
    let configuration = fs::read(demo.configuration()).unwrap();
    for options in [&[][..], &["--fresh"]] {
        let mut second = restante();
        second.args([
            "demo",
            "--pop3-port",
            "0",
            "--pop3s-port",
            "0",
            "--admin-port",
            "0",
            "--lmtp-port",
            "0",
            "--data",
        ]);
        let output = run(second.arg(demo.data()).args(options), b"");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("a demo is running"));
    }
    assert_eq!(fs::read(demo.configuration()).unwrap(), configuration);
    assert_eq!(demo.log_in("alice").stat().0, 12);
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let demo = Demo::start();
    let Some(bash) = program("bash", "bash") else {
        return;
    };
    let script = format!(
        "set -o pipefail; {} account list --config {} | head -n 0",
        env!("CARGO_BIN_EXE_restante"),
        demo.configuration().display()
    );
    assert_eq!(succeed(Command::new(bash).args(["-c", &script]), b""), "");
}

#[test]
fn the_demo_leaves_a_foreign_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let letter = folder.path().join("letter.txt");
    fs::write(&letter, "mine").unwrap();
    for options in [&[][..], &["--fresh"]] {
        let output = run(
            restante()
                .arg("demo")
                .arg("--data")
                .arg(folder.path())
                .args(options),
            b"",
        );
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("--data"));
    }
    assert_eq!(fs::read_to_string(letter).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
