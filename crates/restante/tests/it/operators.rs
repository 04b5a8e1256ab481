//! What an operator does at night: look, bring back, move, end a session, stop the collector.

use std::process::Command;

use restante_testkit::{S3, S3Call, S3Fault};
use serde_json::Value;

use crate::support::{ALICE, Fleet, Layout, PASSWORD, eventually, run};

fn mail(n: usize) -> Vec<u8> {
    format!("Subject: {n}\r\n\r\nbody of {n}\r\n").into_bytes()
}

/// A fleet with mail for alice in files, and a bucket beside.
async fn fleet() -> Option<(S3, Fleet)> {
    let s3 = S3::own().await;
    let tables = format!(
        "[storage.bucket]\nkind = \"s3\"\nbucket = \"{}\"\nregion = \"{}\"\nendpoint = \"{}\"\nprefix = \"op-{}\"\n\
         credentials_file = \"{}\"\n[storage.rows]\nkind = \"postgres\"\n[collector]\ninterval_secs = 1\n",
        s3.bucket(),
        s3.region(),
        s3.endpoint(),
        std::process::id(),
        s3.credentials_file().display()
    );
    let fleet = Fleet::of(Layout {
        tables,
        ..Layout::default()
    })
    .await?;
    for n in 1..=4 {
        fleet.deliver(ALICE, &mail(n));
    }
    Some((s3, fleet))
}

/// Whether it ended well, and everything it said.
fn said(command: &mut Command) -> (bool, String) {
    let output = run(command, b"");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn delete(fleet: &Fleet, numbers: &[usize]) {
    let (mut pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    for number in numbers {
        pop3.ok(&format!("DELE {number}"));
    }
    pop3.ok("QUIT");
}

fn unique_ids(fleet: &Fleet) -> Vec<String> {
    let (mut pop3, reply) = fleet.log_in(1, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    let listing = pop3.listing("UIDL");
    pop3.ok("QUIT");
    listing
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_messages_are_listed_and_brought_back() {
    let Some((_s3, fleet)) = fleet().await else {
        return;
    };
    let before = unique_ids(&fleet);
    delete(&fleet, &[1, 3]);
    let listed = fleet.tool(&["restore", ALICE, "--list", "--json"], b"");
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let listed: Vec<&str> = listed
        .iter()
        .map(|it| it["unique_id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, [&before[0], &before[2]]);
    let (is_good, text) = said(&mut fleet.command(&["restore", ALICE, "--unique-id", "nonsense"]));
    assert!(!is_good && text.contains("--list"), "{text}");
    let text = fleet.tool(&["restore", ALICE, "--unique-id", &before[2]], b"");
    assert!(text.contains("1 messages restored"), "{text}");
    assert_eq!(
        unique_ids(&fleet),
        [&before[1], &before[2], &before[3]].map(Clone::clone)
    );
    fleet.tool(&["restore", ALICE, "--deleted-within", "1h"], b"");
    assert_eq!(unique_ids(&fleet), before, "at their place");
    let (mut pop3, _) = fleet.log_in(0, ALICE, PASSWORD);
    assert_eq!(pop3.retr(3), mail(3));
    let audit = fleet.tool(
        &[
            "audit",
            "list",
            "--account",
            ALICE,
            "--action",
            "messages-restored",
        ],
        b"",
    );
    assert_eq!(audit.matches("messages-restored").count(), 2, "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_moved_while_it_is_read_and_delivered() {
    let Some((s3, fleet)) = fleet().await else {
        return;
    };
    let before = unique_ids(&fleet);
    // A session that lists before the move and reads after it.
    let (mut open, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(open.retr(1), mail(1));
    s3.set_once(S3Call::Put, 1, S3Fault::Refuse(403, "AccessDenied"));
    let (is_good, text) =
        said(&mut fleet.command(&["storage", "move", "--tenant", "acme", "--to", "bucket"]));
    assert!(!is_good, "{text}");
    assert!(text.contains("3 messages moved to bucket"), "{text}");
    assert!(
        text.contains("not moved") && text.contains("run the same command again"),
        "{text}"
    );
    let text = fleet.tool(&["storage", "move", "--tenant", "acme", "--to", "bucket"], b"");
    assert!(text.contains("1 messages moved to bucket"), "{text}");
    fleet.deliver(ALICE, &mail(5));
    assert_eq!(open.retr(2), mail(2), "where it was when the session began");
    open.ok("QUIT");
    let verified = fleet.tool(&["verify"], b"");
    assert!(
        verified.contains("5 messages") && verified.contains(": 0 findings"),
        "{verified}"
    );
    let after = unique_ids(&fleet);
    assert_eq!(after[..4], before);
    // The new ones, wherever else they could come from.
    s3.set(S3Call::Get, 0, S3Fault::Refuse(503, "SlowDown"));
    let (mut pop3, _) = fleet.log_in(1, ALICE, PASSWORD);
    for number in 1..=5 {
        let reply = pop3.ask(&format!("RETR {number}"));
        assert!(reply.starts_with("-ERR [SYS/TEMP]"), "{reply}");
    }
    s3.mend();
    for number in 1..=5 {
        assert_eq!(pop3.retr(number), mail(number));
    }
    pop3.ok("QUIT");
    let text = fleet.tool(&["storage", "move", "--account", ALICE, "--to", "rows"], b"");
    assert!(text.contains("5 messages moved to rows"), "{text}");
    let verified = fleet.tool(&["verify", "--account", ALICE], b"");
    assert!(verified.contains(": 0 findings"), "{verified}");
    assert_eq!(unique_ids(&fleet), after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_tells_each_kind_of_trouble_and_changes_nothing() {
    let Some((s3, fleet)) = fleet().await else {
        return;
    };
    fleet.tool(&["storage", "move", "--account", ALICE, "--to", "bucket"], b"");
    let objects = s3.objects().join(format!("op-{}", std::process::id()));
    let mut files: Vec<_> = walk(&objects);
    files.sort();
    std::fs::remove_file(&files[0]).unwrap();
    let mut body = std::fs::read(&files[1]).unwrap();
    body[0] ^= 1;
    std::fs::write(&files[1], body).unwrap();
    // Of a blob that nothing names the key tells that it is old.
    let stray = objects.join("1/07/00000000000000000000000000000007");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, b"stray").unwrap();
    let output = run(&mut fleet.command(&["verify", "--json"]), b"");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (totals, findings) = lines.split_last().unwrap();
    let mut kinds: Vec<&str> = findings
        .iter()
        .map(|it| it["finding"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["damaged", "missing", "orphan"], "{text}");
    assert!(findings.iter().all(|it| it["storage"] == "bucket"), "{text}");
    let missing = findings.iter().find(|it| it["finding"] == "missing").unwrap();
    assert!(unique_ids(&fleet).contains(&missing["unique_id"].as_str().unwrap().to_owned()));
    assert_eq!(
        (totals["messages"].as_u64(), totals["findings"].as_u64()),
        (Some(4), Some(3))
    );
    let (is_good, text) = said(&mut fleet.command(&["verify", "--quick"]));
    assert!(!is_good && text.contains("missing   bucket: account "), "{text}");
    assert!(
        text.contains("2 findings") && text.contains("nothing was changed"),
        "{text}"
    );
    assert!(stray.exists());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_seen_and_ended_from_anywhere() {
    let Some((_s3, fleet)) = fleet().await else {
        return;
    };
    let none = fleet.tool(&["sessions", "--json"], b"");
    assert_eq!(
        serde_json::from_str::<Value>(&none).unwrap(),
        Value::Array(Vec::new())
    );
    let text = fleet.tool(&["kick", ALICE], b"");
    assert!(text.contains("is not in use"), "{text}");
    let (mut live, reply) = fleet.log_in(1, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    live.ok("DELE 1");
    let listed: Value = serde_json::from_str(&fleet.tool(&["sessions", "--json"], b"")).unwrap();
    assert_eq!(listed[0]["account"], ALICE);
    assert_eq!(listed[0]["is_alive"], true);
    assert!(
        listed[0]["frontend"]
            .as_str()
            .unwrap()
            .ends_with("frontend-1/serve.toml"),
        "{listed}"
    );
    let table = fleet.tool(&["sessions", "--account", ALICE], b"");
    assert!(table.contains("ACCOUNT") && table.contains(ALICE), "{table}");
    let (is_good, text) = said(&mut fleet.command(&["unlock", ALICE]));
    assert!(!is_good && text.contains("is alive; restante kick"), "{text}");
    let text = fleet.tool(&["kick", ALICE], b"");
    assert!(text.contains("is free"), "{text}");
    let (mut next, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    let late = live.ask("QUIT");
    assert!(late.starts_with("-ERR [SYS/TEMP]"), "{late}");
    assert_eq!(next.stat().0, 4, "what it had marked is there");
    // One that does nothing is told all the same.
    fleet.tool(&["kick", ALICE], b"");
    assert_eq!(next.line(), "-ERR [SYS/TEMP] Session superseded");
    assert_eq!(next.last_line(), None);
    let audit = fleet.tool(
        &["audit", "list", "--account", ALICE, "--action", "session-kicked"],
        b"",
    );
    assert!(audit.contains("frontend-1"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_collector_removes_nothing_on_any_frontend() {
    let Some((_s3, fleet)) = fleet().await else {
        return;
    };
    fleet.tool(&["tenant", "set", "acme", "--retention", "0s"], b"");
    let text = fleet.tool(&["collector", "stop"], b"");
    assert!(text.contains("Stopped since"), "{text}");
    delete(&fleet, &[1, 2]);
    let text = fleet.tool(&["restore", ALICE, "--deleted-within", "1d"], b"");
    assert!(text.contains("2 messages restored"), "{text}");
    delete(&fleet, &[1, 2]);
    let text = fleet.tool(&["collector", "resume"], b"");
    assert!(text.contains("Working"), "{text}");
    let listed = || fleet.tool(&["restore", ALICE, "--list", "--json"], b"");
    eventually("the octets are given up", || listed().trim() == "[]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_is_served_once_on_a_host() {
    let Some((_s3, fleet)) = fleet().await else {
        return;
    };
    let (is_good, text) = said(&mut fleet.command_of_frontend(0, &["serve"]));
    assert!(
        !is_good && text.contains("is served already on this host") && text.contains("lock.node"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x09_a_tenant_that_is_removed_takes_its_sessions_and_its_mail_along() {
    let Some((_s3, fleet)) = fleet().await else {
        return;
    };
    fleet.tool(&["tenant", "set", "acme", "--retention", "0s"], b"");
    let (mut live, reply) = fleet.log_in(1, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(walk(&fleet.blobs()).len(), 4);
    fleet.tool(&["account", "remove", ALICE], b"");
    fleet.tool(&["domain", "remove", "acme.example"], b"");
    fleet.tool(&["tenant", "remove", "acme"], b"");
    assert_eq!(live.line(), "-ERR [SYS/PERM] Account disabled");
    let (_, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("-ERR [AUTH]"), "{reply}");
    eventually("the octets are gone", || walk(&fleet.blobs()).is_empty());
    let audit = fleet.tool(&["audit", "list", "--action", "tenant-removed"], b"");
    assert!(audit.contains("acme"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x10_a_database_put_back_to_an_earlier_time_has_its_unique_ids_and_its_bodies() {
    let Some((_s3, fleet)) = fleet().await else {
        return;
    };
    let before = unique_ids(&fleet);
    let backup = fleet.copy_of_the_database().await;
    // For the copy all connections were cut.
    for frontend in [0, 1] {
        eventually("the frontend has its database again", || {
            let (mut pop3, reply) = fleet.log_in(frontend, ALICE, PASSWORD);
            let is_in = reply.starts_with("+OK");
            if is_in {
                pop3.ok("QUIT");
            }
            is_in
        });
    }
    delete(&fleet, &[1, 2]);
    fleet.deliver(ALICE, &mail(5));
    // Within the retention nothing that the backup names has been removed.
    let (is_good, text) = said(&mut fleet.command_over(&backup, &["verify"]));
    assert!(is_good && text.contains("4 messages"), "{text}");
    let exported = fleet.serve_over(&backup);
    let mut pop3 = exported.connect();
    assert!(pop3.try_login(ALICE, PASSWORD).starts_with("+OK"));
    let listing = pop3.listing("UIDL");
    let after: Vec<&str> = listing
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(after, before);
    assert_eq!(pop3.retr(1), mail(1));
    pop3.ok("QUIT");
    // With a retention that is shorter than the way back, they are missing, and that is told.
    fleet.tool(&["tenant", "set", "acme", "--retention", "0s"], b"");
    eventually("two bodies are gone", || walk(&fleet.blobs()).len() == 3);
    let (is_good, text) = said(&mut fleet.command_over(&backup, &["verify"]));
    assert!(!is_good && text.matches("missing ").count() == 2, "{text}");
}
