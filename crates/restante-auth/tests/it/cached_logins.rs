//! What the verify cache may spare, and what it never may: the hash, not the rules.

use std::time::Duration;

use restante_auth::password::Password;
use restante_auth::{AccountPatch, AccountState, DirectoryAdmin, NewAccount, NewPassword, TenantPatch};
use restante_testkit::quick_rule;

use crate::world::{ALICE, BOB, CLOSED, PASSWORD, Setup, World, parsed};

fn hashed(password: &[u8]) -> NewPassword {
    NewPassword::make(&Password::prepare(password).unwrap(), &quick_rule(), false).unwrap()
}

/// Lets paused time pass while nothing is computed.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_right_password_is_hashed_once_in_ten_minutes() {
    let world = World::new().await;
    let alice = world.id(ALICE).await;
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(alice));
    world.probe.break_hashes(true);
    assert_eq!(
        world.log_in(ALICE, b"other").await,
        Err("unavailable"),
        "a hash would show"
    );
    pass(Duration::from_secs(590)).await;
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(alice));
    assert_eq!(
        world.switch.n_look_ups(),
        3,
        "the account is looked up every time"
    );
    pass(Duration::from_secs(20)).await;
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Err("unavailable"));
}

#[tokio::test]
async fn a14_a_password_that_was_changed_is_not_taken_from_the_cache() {
    let world = World::new().await;
    assert!(world.log_in(ALICE, PASSWORD).await.is_ok());
    let patch = AccountPatch {
        password: Some(hashed(b"another")),
        ..AccountPatch::default()
    };
    world.set(ALICE, patch).await;
    world.probe.break_hashes(true);
    assert_eq!(
        world.log_in(ALICE, PASSWORD).await,
        Err("unavailable"),
        "it is evaluated anew"
    );
    world.probe.break_hashes(false);
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Err("refused"));
    assert!(world.log_in(ALICE, b"another").await.is_ok());
}

#[tokio::test]
async fn a15_a_suspended_account_or_tenant_is_refused_though_its_login_is_cached() {
    let world = World::new().await;
    let alice = world.id(ALICE).await;
    for state in AccountState::ALL {
        assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(alice));
        let expected = if state.may_log_in() {
            Ok(alice)
        } else {
            Err("refused")
        };
        let account = |state| AccountPatch {
            state: Some(state),
            ..AccountPatch::default()
        };
        world.set(ALICE, account(state)).await;
        assert_eq!(world.log_in(ALICE, PASSWORD).await, expected, "account {state:?}");
        world.set(ALICE, account(AccountState::Active)).await;
        let tenant = |state| TenantPatch {
            state: Some(state),
            ..TenantPatch::default()
        };
        world.directory.set_tenant("one", tenant(state)).await.unwrap();
        assert_eq!(world.log_in(ALICE, PASSWORD).await, expected, "tenant {state:?}");
        world
            .directory
            .set_tenant("one", tenant(AccountState::Active))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a16_the_same_password_of_two_accounts_is_cached_for_each_alone() {
    let world = World::new().await;
    let (alice, bob) = (world.id(ALICE).await, world.id(BOB).await);
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(alice));
    world.probe.break_hashes(true);
    assert_eq!(world.log_in(BOB, PASSWORD).await, Err("unavailable"));
    world.probe.break_hashes(false);
    assert_eq!(world.log_in(BOB, PASSWORD).await, Ok(bob));
    world.probe.break_hashes(true);
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(alice));
    assert_eq!(world.log_in(BOB, PASSWORD).await, Ok(bob));
}

#[tokio::test]
async fn u09_a_new_account_of_an_old_name_inherits_no_login() {
    let world = World::new().await;
    let old = world.id(ALICE).await;
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(old));
    world.directory.remove_account(&parsed(ALICE)).await.unwrap();
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Err("refused"));
    let account = NewAccount {
        name: parsed(ALICE),
        password: Some(hashed(b"another")),
        quota_octets: None,
        quota_messages: None,
    };
    let new = world.directory.add_account(account).await.unwrap().id;
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Err("refused"));
    assert_eq!(world.log_in(ALICE, b"another").await, Ok(new));
    assert_ne!(old, new);
}

#[tokio::test]
async fn u09_a_renamed_account_is_found_by_its_new_name_alone() {
    let world = World::new().await;
    let alice = world.id(ALICE).await;
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(alice));
    let patch = AccountPatch {
        name: Some(parsed("alicia@one.example")),
        ..AccountPatch::default()
    };
    world.set(ALICE, patch).await;
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Err("refused"));
    assert_eq!(world.log_in("alicia@one.example", PASSWORD).await, Ok(alice));
}

#[tokio::test]
async fn a13_the_same_wrong_password_500_times_costs_one_hash_a_minute_and_counts_once() {
    let world = World::new().await;
    for name in [ALICE, "nobody@one.example"] {
        let before = world.limiter.n_failed();
        assert_eq!(world.log_in(name, b"mistyped").await, Err("refused"));
        world.probe.break_hashes(true);
        for _ in 1..500 {
            assert_eq!(world.log_in(name, b"mistyped").await, Err("refused"));
        }
        world.probe.break_hashes(false);
        assert_eq!(world.limiter.n_failed() - before, 1, "{name}");
    }
    world.probe.break_hashes(true);
    assert_eq!(
        world.log_in(ALICE, b"another guess").await,
        Err("unavailable"),
        "a hash would show"
    );
    pass(Duration::from_secs(61)).await;
    assert_eq!(
        world.log_in(ALICE, b"mistyped").await,
        Err("unavailable"),
        "hashed again"
    );
    assert_eq!(world.logins().await.len(), 2);
}

#[tokio::test]
async fn a13_a_password_that_was_wrong_opens_as_soon_as_it_is_set() {
    let world = World::new().await;
    assert_eq!(world.log_in(ALICE, b"another").await, Err("refused"));
    let patch = AccountPatch {
        password: Some(hashed(b"another")),
        ..AccountPatch::default()
    };
    world.set(ALICE, patch).await;
    assert!(world.log_in(ALICE, b"another").await.is_ok());
}

#[tokio::test]
async fn a18_without_an_answer_or_with_anothers_nothing_is_hashed_counted_or_recorded() {
    let world = World::open(Setup {
        gate: CLOSED,
        ..Setup::default()
    })
    .await;
    assert_eq!(
        world.log_in(ALICE, PASSWORD).await,
        Err("busy"),
        "a hash would show"
    );
    world.switch.set_wrong(true);
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Err("unavailable"));
    world.switch.set_wrong(false);
    world.switch.set_down(true);
    for name in [ALICE, "nobody@one.example"] {
        assert_eq!(world.log_in(name, PASSWORD).await, Err("unavailable"), "{name}");
    }
    world.switch.set_down(false);
    assert_eq!(world.limiter.n_failed() + world.limiter.n_succeeded(), 0);
    assert!(world.logins().await.is_empty());
}

#[tokio::test]
async fn a10_a_stored_hash_that_cannot_be_used_gives_no_verdict() {
    let world = World::new().await;
    for stored in [
        "",
        "correct horse",
        "$2y$10$abcdefghijklmnopqrstuv",
        "{MD5}X03MO1qnZdYdgyfeuILPmQ==",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=64,t=1000000,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        world.store(ALICE, stored).await;
        assert_eq!(
            world.log_in(ALICE, PASSWORD).await,
            Err("unavailable"),
            "{stored}"
        );
    }
    assert_eq!(world.limiter.n_failed(), 0);
    assert!(
        world.log_in(BOB, PASSWORD).await.is_ok(),
        "others are not concerned"
    );
}
