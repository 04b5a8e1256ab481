//! The directory by its own clock, and beside other processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use restante_auth::{
    AccountPatch, AccountState, Actor, Directory, DirectoryAdmin, LoginName, LoginNote, TenantPatch,
};
use restante_sqlite::SqliteDirectory;
use restante_types::{AccountId, Clock, SystemClock};
use tokio::time::timeout;

use crate::scene::{Scene, clock};

/// How long whoever watches may take to be woken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Civil time that only a test moves.
#[derive(Debug, Default)]
struct ByHand(AtomicU64);

impl ByHand {
    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for ByHand {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.0.load(Ordering::Relaxed))
    }
}

fn user() -> LoginName {
    LoginName::parse("user@example.org").unwrap()
}

async fn account(directory: &SqliteDirectory) -> AccountId {
    directory.account(&user()).await.unwrap().unwrap().id
}

fn note(account: AccountId, delay: Duration, burst: u32) -> LoginNote {
    LoginNote {
        account,
        delay,
        burst,
        app_password: None,
    }
}

fn suspended() -> AccountPatch {
    AccountPatch {
        state: Some(AccountState::LoginSuspended),
        ..AccountPatch::default()
    }
}

#[tokio::test]
async fn logins_are_admitted_again_as_the_clock_goes_on() {
    let scene = Scene::new().await;
    let hand = Arc::new(ByHand::default());
    let directory = SqliteDirectory::new(&scene.open().await, Arc::clone(&hand) as _);
    let account = account(&directory).await;
    let login = note(account, Duration::from_mins(1), 2);
    // Seconds that pass before each login, and whether it is admitted.
    let logins = [
        (0, true),
        (0, true),
        (0, false),
        (59, false),
        (1, true),
        (0, false),
        (120, true),
        (0, true),
        (0, false),
    ];
    for (nth, (seconds, admitted)) in logins.into_iter().enumerate() {
        hand.pass(seconds);
        assert_eq!(directory.note_login(&login).await.unwrap(), admitted, "{nth}");
    }
}

#[tokio::test]
async fn the_longest_delay_is_no_overflow() {
    let scene = Scene::new().await;
    let directory = SqliteDirectory::new(&scene.open().await, clock());
    let account = account(&directory).await;
    let once = note(account, Duration::MAX, 1);
    assert!(directory.note_login(&once).await.unwrap());
    assert!(!directory.note_login(&once).await.unwrap());
    let often = note(account, Duration::MAX, u32::MAX);
    // However many are admitted before the end of time, all of them are decided.
    while directory.note_login(&often).await.unwrap() {}
    assert!(!directory.note_login(&once).await.unwrap());
}

#[tokio::test]
async fn a_removed_account_is_not_admitted() {
    let scene = Scene::new().await;
    let directory = SqliteDirectory::new(&scene.open().await, clock());
    let account = account(&directory).await;
    let login = note(account, Duration::from_mins(1), 9);
    assert!(directory.note_login(&login).await.unwrap());
    directory.remove_account(&user()).await.unwrap();
    assert!(!directory.note_login(&login).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_holds_over_all_processes() {
    let scene = Scene::new().await;
    let first = SqliteDirectory::new(&scene.open().await, clock());
    let second = SqliteDirectory::new(&scene.open().await, clock());
    let login = note(account(&first).await, Duration::from_hours(1), 3);
    let racing: Vec<_> = (0..12)
        .map(|nth| {
            let directory = if nth % 2 == 0 {
                first.clone()
            } else {
                second.clone()
            };
            tokio::spawn(async move { directory.note_login(&login).await.unwrap() })
        })
        .collect();
    let mut admitted = 0;
    for login in racing {
        admitted += usize::from(login.await.unwrap());
    }
    assert_eq!(admitted, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_another_process_wakes_the_server() {
    let scene = Scene::new().await;
    let server = SqliteDirectory::watching(&scene.open().await, clock());
    let tool = SqliteDirectory::new(&scene.open().await, clock());
    let mut changes = server.changes();
    // The first look is what later ones are compared with; every change until the server woke is one more chance.
    let woken = timeout(PATIENCE, async {
        for days in 1.. {
            let mut policy = tool.tenant("tenant").await.unwrap().unwrap().policy;
            policy.expire_days = Some(days);
            let patch = TenantPatch {
                policy: Some(policy),
                ..TenantPatch::default()
            };
            tool.set_tenant("tenant", patch).await.unwrap();
            let soon = timeout(Duration::from_secs(4), changes.changed()).await;
            if let Ok(told) = soon {
                return told.is_ok();
            }
        }
        false
    });
    assert_eq!(woken.await, Ok(true));
    tool.set_account(&user(), suspended()).await.unwrap();
    assert!(matches!(timeout(PATIENCE, changes.changed()).await, Ok(Ok(()))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_for_changes_ends_with_the_last_clone() {
    let scene = Scene::new().await;
    let server = SqliteDirectory::watching(&scene.open().await, clock());
    let mut changes = server.changes();
    let acting = server.acting(Actor::system());
    drop(server);
    changes.mark_unchanged();
    acting.set_account(&user(), suspended()).await.unwrap();
    assert!(matches!(timeout(PATIENCE, changes.changed()).await, Ok(Ok(()))));
    drop(acting);
    // What the task may have told before it ended is passed over.
    let ended = timeout(PATIENCE, async { while changes.changed().await.is_ok() {} }).await;
    assert_eq!(ended, Ok(()));
}
