//! Changes act on the next look-up, keys do not come back, and the pace of logins holds over frontends.

use std::time::{Duration, SystemTime};

use restante_auth::{
    AccountPatch, AccountState, Directory, DirectoryAdmin, DirectoryErrorKind, LiveLogin, LoginNote,
    Standing, TenantPatch,
};
use restante_postgres::{Pg, PgDirectory, PgMailIndex};
use sqlx::Executor;

use crate::scene::{STORAGE, clock, deliver, options};
use crate::world::{World, hashed, name, user};

#[tokio::test]
async fn a14_a_changed_password_is_another_version_on_every_frontend_at_once() {
    let world = World::new().await;
    let other = Pg::open(&options(&world.database.url())).await.unwrap();
    let other = PgDirectory::new(&other);
    let before = other.credentials(&world.one.name).await.unwrap().unwrap();
    let patch = AccountPatch {
        password: Some(hashed("another")),
        ..AccountPatch::default()
    };
    world.directory.set_account(&world.one.name, patch).await.unwrap();
    let after = other.credentials(&world.one.name).await.unwrap().unwrap();
    assert!(after.version > before.version);
    assert_eq!(after.password.unwrap().expose(), "another");
    // A rehash of the old password, begun before, comes too late.
    let late = other.upgrade(world.one.id, before.version, hashed("the old one, stronger"));
    assert!(!late.await.unwrap());
}

#[tokio::test]
async fn a15_a_state_acts_on_logins_and_live_sessions_at_once() {
    let world = World::new().await;
    let app_password = world.app_password(&world.one).await.id;
    let live = [None, Some(app_password)].map(|app_password| LiveLogin {
        account: world.one.id,
        app_password,
    });
    let directory = &world.directory;
    assert_eq!(directory.standing(&live).await.unwrap(), [Standing::Good; 2]);
    let tenant = |state| TenantPatch {
        state: Some(state),
        ..TenantPatch::default()
    };
    for (state, may_log_in, standing) in [
        (AccountState::ReadOnly, true, Standing::ReadOnly),
        (AccountState::LoginSuspended, false, Standing::Ended),
        (AccountState::Closed, false, Standing::Ended),
        (AccountState::ReceiveSuspended, true, Standing::Good),
    ] {
        directory.set_tenant("one", tenant(state)).await.unwrap();
        let found = directory.credentials(&world.one.name).await.unwrap().unwrap();
        assert_eq!(found.account.may_log_in(), may_log_in, "{state:?}");
        assert_eq!(
            directory.standing(&live).await.unwrap(),
            [standing; 2],
            "{state:?}"
        );
    }
    directory
        .remove_app_password(&world.one.name, app_password)
        .await
        .unwrap();
    assert_eq!(
        directory.standing(&live).await.unwrap(),
        [Standing::Good, Standing::Ended]
    );
}

#[tokio::test]
async fn u09_an_account_made_again_under_the_same_name_reaches_nothing_of_the_old_one() {
    let world = World::new().await;
    let mail = PgMailIndex::new(&world.db, clock());
    assert_eq!(world.db.storage_id("store").await.unwrap(), STORAGE);
    deliver(&mail, world.one.id.maildrop()).await.unwrap();
    let old_app_password = world.app_password(&world.one).await.id;
    world.directory.remove_account(&world.one.name).await.unwrap();
    let again = world
        .directory
        .add_account(user("ann@one.example"))
        .await
        .unwrap();
    assert_ne!(again.id, world.one.id);
    let found = world.directory.credentials(&again.name).await.unwrap().unwrap();
    assert_eq!(found.app_passwords.len(), 0);
    let old = LiveLogin {
        account: world.one.id,
        app_password: None,
    };
    let mixed = LiveLogin {
        account: again.id,
        app_password: Some(old_app_password),
    };
    assert_eq!(
        world.directory.standing(&[old, mixed]).await.unwrap(),
        [Standing::Ended; 2]
    );
    let live: i64 = sqlx::query_scalar("SELECT count(*) FROM message WHERE deleted_at IS NULL")
        .fetch_one(&mut world.database.connect().await)
        .await
        .unwrap();
    assert_eq!(live, 0);
    let refused = deliver(&mail, world.one.id.maildrop()).await.unwrap_err();
    assert_eq!(refused.kind, restante_store::StoreErrorKind::NoSuchMaildrop);
}

#[tokio::test]
async fn u09_a_renamed_account_keeps_its_key_and_its_old_name_is_nobody() {
    let world = World::new().await;
    let patch = AccountPatch {
        name: Some(name("anna@one.example")),
        ..AccountPatch::default()
    };
    let renamed = world.directory.set_account(&world.one.name, patch).await.unwrap();
    assert_eq!(renamed.id, world.one.id);
    assert!(
        world
            .directory
            .credentials(&world.one.name)
            .await
            .unwrap()
            .is_none()
    );
    let new = world
        .directory
        .add_account(user("ann@one.example"))
        .await
        .unwrap();
    assert_ne!(new.id, renamed.id);
}

#[tokio::test]
async fn a19_the_pace_of_logins_is_kept_by_the_clock_of_postgres() {
    let world = World::new().await;
    let note = |delay, burst| LoginNote {
        account: world.one.id,
        delay,
        burst,
        app_password: None,
    };
    let (hour, directory) = (Duration::from_hours(1), &world.directory);
    for admitted in [true, true, true, false, false] {
        assert_eq!(directory.note_login(&note(hour, 3)).await.unwrap(), admitted);
    }
    // An hour later one more is admitted, and one only.
    let mut conn = world.database.connect().await;
    conn.execute("UPDATE login_pace SET expected_at = expected_at - interval '1 hour'")
        .await
        .unwrap();
    for admitted in [true, false] {
        assert_eq!(directory.note_login(&note(hour, 3)).await.unwrap(), admitted);
    }
    // Without a delay nothing is written down.
    assert!(directory.note_login(&note(Duration::ZERO, 1)).await.unwrap());
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM login_pace")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_login_that_comes_too_soon_does_not_count_as_a_use_of_its_application_password() {
    let world = World::new().await;
    let app_password = world.app_password(&world.one).await.id;
    let note = LoginNote {
        account: world.one.id,
        delay: Duration::from_hours(1),
        burst: 1,
        app_password: Some(app_password),
    };
    assert!(world.directory.note_login(&note).await.unwrap());
    let used = async || world.directory.app_passwords(&world.one.name).await.unwrap()[0].last_used_at;
    let first = used().await;
    assert!(first.is_some_and(|at| at > SystemTime::UNIX_EPOCH));
    assert!(!world.directory.note_login(&note).await.unwrap());
    assert_eq!(used().await, first);
    // Nor is another account's touched.
    let other = LoginNote {
        account: world.two.id,
        ..note
    };
    assert!(world.directory.note_login(&other).await.unwrap());
    assert_eq!(used().await, first);
}

#[tokio::test]
async fn racing_additions_never_pass_a_hundred_application_passwords() {
    let world = World::new().await;
    let mut conn = world.database.connect().await;
    sqlx::query(
        "INSERT INTO app_password (tenant_id, account_id, label, verifier, scope, networks)
         SELECT $1, $2, 'n', 'v', 'full', '{}' FROM generate_series(1, 97)",
    )
    .bind(world.one.id.tenant().get())
    .bind(world.one.id.number())
    .execute(&mut conn)
    .await
    .unwrap();
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let (directory, account) = (world.directory.clone(), world.one.name.clone());
            tokio::spawn(async move {
                let new = restante_auth::NewAppPassword {
                    label: "raced".to_owned(),
                    verifier: restante_types::Secret::new("v".to_owned()),
                    scope: restante_auth::AppScope::Full,
                    networks: Vec::new(),
                    expires_at: None,
                };
                directory.add_app_password(&account, new).await
            })
        })
        .collect();
    let mut added = 0;
    for raced in racing {
        match raced.await.unwrap() {
            Ok(_) => added += 1,
            Err(refused) => assert_eq!(refused.kind, DirectoryErrorKind::InUse),
        }
    }
    assert_eq!(added, 3);
}
