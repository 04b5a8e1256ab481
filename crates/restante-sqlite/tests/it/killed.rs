//! A server that is killed at any moment: what it acknowledged is there, what it was doing is whole or absent.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use restante_lock::LockManager;
use restante_session::DeleteSet;
use restante_sqlite::{SqliteLockManager, SqliteMailIndex};
use restante_store::MailIndex;
use restante_types::{MessageNumber, SessionId};

use crate::scene::{Scene, clock, deliver, maildrop_in};

/// Tells the test's own executable to be the server that dies.
const VICTIM: &str = "RESTANTE_TEST_VICTIM";
const ROUNDS: u64 = 24;
/// Messages of one UPDATE.
const SET: usize = 5;

#[tokio::test]
async fn what_was_acknowledged_survives_sigkill_and_no_update_is_half_done() {
    if let Some(path) = std::env::var_os(VICTIM) {
        serve_until_killed(path.as_ref()).await;
    }
    let scene = Scene::new().await;
    let mut present: BTreeSet<String> = BTreeSet::new();
    for round in 0..ROUNDS {
        // After a different number of lines each time, at whatever the victim does then.
        let story = run_victim(&scene, 3 + round * 7 % 40);
        let mut tried: Vec<String> = Vec::new();
        for line in &story {
            match line.split_once(' ') {
                Some(("delivered", id)) => {
                    present.insert(id.to_owned());
                }
                Some(("deletes", ids)) => tried = ids.split(',').map(str::to_owned).collect(),
                Some(("deleted", _)) => tried.drain(..).for_each(|id| assert!(present.remove(&id))),
                _ => panic!("{line}"),
            }
        }
        let listed = listed(&scene, round).await;
        let n_left = tried.iter().filter(|id| listed.contains(*id)).count();
        assert!(
            n_left == 0 || n_left == tried.len(),
            "half an UPDATE in round {round}"
        );
        if n_left == 0 {
            for id in &tried {
                assert!(present.remove(id));
            }
        }
        assert!(present.is_subset(&listed), "lost in round {round}");
        // The one message whose delivery was not acknowledged any more may be there.
        assert!(listed.len() <= present.len() + 1, "too many in round {round}");
        present = listed;
    }
    assert!(!present.is_empty());
}

/// Runs the victim until it has written `lines` lines; answers all that it wrote before it was killed.
fn run_victim(scene: &Scene, lines: u64) -> Vec<String> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg("killed::what_was_acknowledged_survives_sigkill_and_no_update_is_half_done")
        .env(VICTIM, &scene.path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut story = Vec::new();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The test harness writes lines of its own.
        if let Some(said) = line.strip_prefix("victim: ") {
            story.push(said.to_owned());
        }
        if u64::try_from(story.len()).unwrap() == lines {
            victim.kill().unwrap();
        }
    }
    assert!(!victim.wait().unwrap().success());
    assert!(
        u64::try_from(story.len()).unwrap() >= lines,
        "the victim died by itself"
    );
    story
}

async fn listed(scene: &Scene, round: u64) -> BTreeSet<String> {
    let db = scene.open().await;
    let locks = SqliteLockManager::start(&db).await.unwrap();
    let index = SqliteMailIndex::new(&db, &locks, clock());
    let fence = locks.open(scene.maildrop, session(round, 0)).await.unwrap();
    let listing = index.snapshot(&fence).await.unwrap();
    listing
        .snapshot
        .iter()
        .map(|entry| entry.unique_id.to_owned())
        .collect()
}

fn session(process: u64, n: u64) -> SessionId {
    SessionId::from_octets((u128::from(process) << 64 | u128::from(n)).to_be_bytes())
}

/// Delivers some messages, deletes some, for ever; says what it is about to delete and what is done.
async fn serve_until_killed(path: &std::path::Path) -> ! {
    let (db, maildrop) = maildrop_in(path).await;
    let locks = SqliteLockManager::start(&db).await.unwrap();
    let index = SqliteMailIndex::new(&db, &locks, clock());
    let process = u64::from(std::process::id()) + 1_000_000;
    for n in 0.. {
        for _ in 0..=SET {
            let unique_id = deliver(&db, &index, maildrop).await.unwrap();
            say(&format!("delivered {unique_id}"));
        }
        let fence = locks.open(maildrop, session(process, n)).await.unwrap();
        let snapshot = index.snapshot(&fence).await.unwrap().snapshot;
        let deletes = DeleteSet::of(snapshot, (0..SET).filter_map(MessageNumber::from_index));
        let ids: Vec<&str> = deletes.iter().map(|entry| entry.unique_id).collect();
        say(&format!("deletes {}", ids.join(",")));
        let receipt = index.commit(&fence, session(process, n), &deletes).await.unwrap();
        say(&format!("deleted {}", receipt.n_deleted()));
        locks.release(&fence).await.unwrap();
    }
    unreachable!("it is killed before it has counted to the end")
}

fn say(line: &str) {
    // Written at once and as a whole: what stands in the pipe was acknowledged.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\nvictim: {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
