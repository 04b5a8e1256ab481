//! Several storages at once: files, rows of the database, a bucket over HTTP. Each tenant's mail is where it chose.

use std::path::Path;

use restante_testkit::{S3, S3Call, S3Fault};

use crate::support::{ALICE, Fleet, Layout, PASSWORD, restante, run};

const BOB: &str = "bob@bucket.example";
const CAROL: &str = "carol@rows.example";
const MAIL: &[u8] = b"Subject: a\r\n\r\n.hello\r\n";

/// A bucket, and a fleet whose tenants `acme`, `bucket` and `rows` keep their mail in a storage of each kind.
async fn everything() -> Option<(S3, Fleet)> {
    let s3 = S3::own().await;
    let fleet = Fleet::of(Layout {
        tables: tables(&s3, s3.bucket()),
        ..Layout::default()
    })
    .await?;
    for (name, account) in [("bucket", BOB), ("rows", CAROL)] {
        fleet.tenant(name);
        fleet.tool(&["tenant", "set", name, "--storage", name], b"");
        fleet.account(account, PASSWORD);
    }
    Some((s3, fleet))
}

fn tables(s3: &S3, bucket: &str) -> String {
    format!(
        "[storage.rows]\nkind = \"postgres\"\n[storage.bucket]\nkind = \"s3\"\nbucket = \"{bucket}\"\nregion = \"{}\"\n\
         endpoint = \"{}\"\nprefix = \"e2e-{}\"\ncredentials_file = \"{}\"\n",
        s3.region(),
        s3.endpoint(),
        std::process::id(),
        s3.credentials_file().display()
    )
}

/// Files below a folder.
fn n_files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { n_files(&path) } else { 1 }
    });
    sizes.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tenant_s_mail_is_in_the_storage_of_its_choice_and_older_mail_stays() {
    let Some((s3, fleet)) = everything().await else {
        return;
    };
    for account in [ALICE, BOB, CAROL] {
        fleet.deliver(account, MAIL);
    }
    let n_objects = || n_files(&s3.objects().join(format!("e2e-{}", std::process::id())));
    assert_eq!(n_objects(), 1);
    fleet.tool(&["tenant", "set", "acme", "--storage", "bucket"], b"");
    fleet.tool(&["tenant", "set", "bucket", "--storage", "rows"], b"");
    for account in [ALICE, BOB, CAROL] {
        fleet.deliver(account, MAIL);
    }
    assert_eq!(n_objects(), 2, "Alice's second");
    for (nth, account) in [ALICE, BOB, CAROL].into_iter().enumerate() {
        let (mut pop3, reply) = fleet.log_in(nth % 2, account, PASSWORD);
        assert!(reply.starts_with("+OK"), "{reply}");
        assert_eq!(pop3.stat(), (2, 2 * MAIL.len() as u64));
        for number in [1, 2] {
            assert_eq!(pop3.retr(number), MAIL, "{account} {number}");
        }
        assert_eq!(pop3.listing("TOP 2 0"), ["Subject: a", ""]);
        pop3.ok("QUIT");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_to_f16_what_a_broken_bucket_means_for_a_client() {
    let Some((s3, fleet)) = everything().await else {
        return;
    };
    for _ in 0..3 {
        fleet.deliver(BOB, MAIL);
    }
    s3.set(S3Call::Get, 0, S3Fault::Refuse(503, "SlowDown"));
    let (mut pop3, reply) = fleet.log_in(0, BOB, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(
        pop3.listing("UIDL").len(),
        3,
        "what exists is told by the database"
    );
    let unavailable = "-ERR [SYS/TEMP] Message temporarily unavailable";
    assert!(pop3.ask("RETR 1").starts_with(unavailable));
    assert!(pop3.ask("TOP 1 0").starts_with(unavailable));
    s3.set(S3Call::Get, 0, S3Fault::Refuse(404, "NoSuchKey"));
    assert!(
        pop3.ask("RETR 1")
            .starts_with("-ERR [SYS/PERM] Message body unavailable")
    );
    s3.set(S3Call::Get, 0, S3Fault::Refuse(403, "AccessDenied"));
    assert!(pop3.ask("RETR 1").starts_with("-ERR [SYS/PERM]"));
    s3.mend();
    assert_eq!(pop3.retr(1), MAIL, "the session goes on");
    // One octet is another: the reply has no end.
    s3.set(S3Call::Get, 0, S3Fault::Flip(15));
    pop3.send("RETR 2\r\n");
    let last = pop3.last_line();
    assert!(last.as_deref() != Some("."), "{last:?}");
    let (mut pop3, reply) = fleet.log_in(1, BOB, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    // Of what cannot be read the client may be rid of.
    s3.set(S3Call::Get, 0, S3Fault::Refuse(404, "NoSuchKey"));
    pop3.ok("DELE 2");
    assert_eq!(pop3.ok("QUIT"), "+OK 1 message deleted");
    s3.mend();
    let (mut pop3, _) = fleet.log_in(0, BOB, PASSWORD);
    assert_eq!(pop3.stat().0, 2);
    assert_eq!(pop3.retr(2), MAIL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_config_tries_each_storage_and_serve_refuses_one_that_is_set_wrongly() {
    let Some((s3, fleet)) = everything().await else {
        return;
    };
    // The certificate's files of the operator's configuration are none, which is another matter.
    let said = |fault: Option<S3Fault>| {
        s3.mend();
        if let Some(fault) = fault {
            s3.set(S3Call::Put, 0, fault);
        }
        let output = run(&mut fleet.command_of_frontend(0, &["check-config"]), b"");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (is_good, text) = said(None);
    assert!(is_good, "{text}");
    for line in [
        "ok    storage main: open",
        "ok    storage rows: open",
        "ok    storage bucket: writes, reads and removes",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("ignores"), "{text}");
    let (is_good, text) = said(Some(S3Fault::IgnoreConditions));
    assert!(
        is_good && text.contains("warn  storage bucket: the service ignores conditional writes"),
        "{text}"
    );
    let (is_good, text) = said(Some(S3Fault::Refuse(404, "NoSuchBucket")));
    assert!(
        !is_good && text.contains("storage.bucket: ") && text.contains("there is no bucket"),
        "{text}"
    );
    // The file of a frontend that runs is taken.
    let configuration = fleet.copy_of_configuration(0);
    let serve = run(restante().args(["serve", "--config"]).arg(configuration), b"");
    let text = String::from_utf8(serve.stderr).unwrap();
    assert!(
        !serve.status.success() && text.contains("there is no bucket \"mail\": create it"),
        "{text}"
    );
}
