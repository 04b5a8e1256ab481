//! Cases of the lock: one session at a time, tokens that grow, late releases that free nothing.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::sync::Arc;

use restante_lock::LockError;
use restante_types::Fence;

use crate::LockManagerFixture;
use crate::sample::session;

/// The only list of these cases.
#[doc(hidden)]
#[macro_export]
macro_rules! lock_manager_cases {
    ($then:ident { $($arg:tt)* }) => { $crate::$then! { { $($arg)* } lock_manager:
        a_free_maildrop_opens,
        a_held_maildrop_is_in_use,
        a_held_maildrop_is_in_use_for_its_own_session_too,
        another_maildrop_opens_meanwhile,
        a_released_maildrop_opens_again,
        tokens_grow_with_every_opening,
        tokens_grow_over_a_restart,
        a_restart_frees_what_was_held,
        one_of_many_racing_openings_wins,
        release_of_a_free_maildrop_does_nothing,
        a_late_release_frees_nothing,
        a_superseded_release_frees_nothing,
        supersede_frees_the_maildrop,
        supersede_of_a_free_maildrop_says_so,
        probe_answers_the_superseded_alone,
        probe_of_nothing_is_empty,
        heartbeat_succeeds,
    } };
}

async fn open(fixture: &mut impl LockManagerFixture, n: u8) -> (restante_types::MaildropId, Fence) {
    let maildrop = fixture.maildrop().await;
    let fence = fixture.manager().open(maildrop, session(n)).await.unwrap();
    (maildrop, fence)
}

async fn assert_in_use(fixture: &mut impl LockManagerFixture, maildrop: restante_types::MaildropId, n: u8) {
    let second = fixture.manager().open(maildrop, session(n)).await;
    assert!(matches!(second, Err(LockError::InUse)), "{second:?}");
}

pub async fn a_free_maildrop_opens(fixture: &mut impl LockManagerFixture) {
    let (maildrop, fence) = open(fixture, 1).await;
    assert_eq!(fence.maildrop, maildrop);
}

pub async fn a_held_maildrop_is_in_use(fixture: &mut impl LockManagerFixture) {
    let (maildrop, fence) = open(fixture, 1).await;
    assert_in_use(fixture, maildrop, 2).await;
    let superseded = fixture.manager().probe(&[fence]).await.unwrap();
    assert!(superseded.is_empty(), "the first session is unaffected");
}

pub async fn a_held_maildrop_is_in_use_for_its_own_session_too(fixture: &mut impl LockManagerFixture) {
    let (maildrop, _) = open(fixture, 1).await;
    assert_in_use(fixture, maildrop, 1).await;
}

pub async fn another_maildrop_opens_meanwhile(fixture: &mut impl LockManagerFixture) {
    let (first, _) = open(fixture, 1).await;
    let (second, _) = open(fixture, 2).await;
    assert_ne!(first, second);
}

pub async fn a_released_maildrop_opens_again(fixture: &mut impl LockManagerFixture) {
    let (maildrop, fence) = open(fixture, 1).await;
    fixture.manager().release(&fence).await.unwrap();
    fixture.manager().open(maildrop, session(2)).await.unwrap();
}

pub async fn tokens_grow_with_every_opening(fixture: &mut impl LockManagerFixture) {
    let (maildrop, mut last) = open(fixture, 1).await;
    for n in 2..20 {
        fixture.manager().release(&last).await.unwrap();
        let next = fixture.manager().open(maildrop, session(n)).await.unwrap();
        assert!(next.token > last.token, "{next} after {last}");
        last = next;
    }
    fixture.manager().supersede(maildrop).await.unwrap();
    let next = fixture.manager().open(maildrop, session(20)).await.unwrap();
    assert!(next.token > last.token, "{next} after {last} was superseded");
}

pub async fn tokens_grow_over_a_restart(fixture: &mut impl LockManagerFixture) {
    let (maildrop, before) = open(fixture, 1).await;
    fixture.restart().await;
    let after = fixture.manager().open(maildrop, session(2)).await.unwrap();
    assert!(after.token > before.token, "{after} after {before}");
}

pub async fn a_restart_frees_what_was_held(fixture: &mut impl LockManagerFixture) {
    let (maildrop, before) = open(fixture, 1).await;
    fixture.restart().await;
    let after = fixture.manager().open(maildrop, session(2)).await.unwrap();
    assert_eq!(fixture.manager().probe(&[before, after]).await.unwrap(), [before]);
}

pub async fn one_of_many_racing_openings_wins(fixture: &mut impl LockManagerFixture) {
    let maildrop = fixture.maildrop().await;
    let racers: Vec<_> = (0..16)
        .map(|n| {
            let manager = fixture.manager();
            tokio::spawn(async move { manager.open(maildrop, session(n)).await })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => winners += 1,
            Err(LockError::InUse) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(winners, 1);
}

pub async fn release_of_a_free_maildrop_does_nothing(fixture: &mut impl LockManagerFixture) {
    let (maildrop, fence) = open(fixture, 1).await;
    fixture.manager().release(&fence).await.unwrap();
    fixture.manager().release(&fence).await.unwrap();
    fixture.manager().open(maildrop, session(2)).await.unwrap();
}

pub async fn a_late_release_frees_nothing(fixture: &mut impl LockManagerFixture) {
    let (maildrop, first) = open(fixture, 1).await;
    fixture.manager().release(&first).await.unwrap();
    let second = fixture.manager().open(maildrop, session(2)).await.unwrap();
    fixture.manager().release(&first).await.unwrap();
    assert_in_use(fixture, maildrop, 3).await;
    assert!(fixture.manager().probe(&[second]).await.unwrap().is_empty());
}

pub async fn a_superseded_release_frees_nothing(fixture: &mut impl LockManagerFixture) {
    let (maildrop, first) = open(fixture, 1).await;
    assert!(fixture.manager().supersede(maildrop).await.unwrap());
    fixture.manager().open(maildrop, session(2)).await.unwrap();
    fixture.manager().release(&first).await.unwrap();
    assert_in_use(fixture, maildrop, 3).await;
}

pub async fn supersede_frees_the_maildrop(fixture: &mut impl LockManagerFixture) {
    let (maildrop, first) = open(fixture, 1).await;
    assert!(fixture.manager().supersede(maildrop).await.unwrap());
    assert_eq!(fixture.manager().probe(&[first]).await.unwrap(), [first]);
    fixture.manager().open(maildrop, session(2)).await.unwrap();
}

pub async fn supersede_of_a_free_maildrop_says_so(fixture: &mut impl LockManagerFixture) {
    let (maildrop, fence) = open(fixture, 1).await;
    fixture.manager().release(&fence).await.unwrap();
    assert!(!fixture.manager().supersede(maildrop).await.unwrap());
}

pub async fn probe_answers_the_superseded_alone(fixture: &mut impl LockManagerFixture) {
    let (_, held) = open(fixture, 1).await;
    let (taken, lost) = open(fixture, 2).await;
    fixture.manager().supersede(taken).await.unwrap();
    let successor = fixture.manager().open(taken, session(3)).await.unwrap();
    let superseded = fixture.manager().probe(&[held, lost, successor]).await.unwrap();
    assert_eq!(superseded, [lost]);
}

pub async fn probe_of_nothing_is_empty(fixture: &mut impl LockManagerFixture) {
    assert!(fixture.manager().probe(&[]).await.unwrap().is_empty());
}

pub async fn heartbeat_succeeds(fixture: &mut impl LockManagerFixture) {
    let (maildrop, fence) = open(fixture, 1).await;
    let manager = Arc::clone(&fixture.manager());
    manager.heartbeat().await.unwrap();
    assert_in_use(fixture, maildrop, 2).await;
    assert!(manager.probe(&[fence]).await.unwrap().is_empty());
}
