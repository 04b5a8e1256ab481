//! Logins by application password: what they open, from where, until when, and what they leave behind.

use std::time::Duration;

use restante_auth::password::AppPassword;
use restante_auth::{
    AccountPatch, AccountState, AppPasswordId, AppScope, DirectoryAdmin, LoginContext, NewAppPassword,
};
use restante_types::{ClientAddr, Clock};

use crate::world::{ALICE, BOB, CLOSED, PASSWORD, Setup, World, after, claim, context, parsed};

/// Adds an application password to Alice.
async fn add(world: &World, change: impl FnOnce(&mut NewAppPassword)) -> (AppPasswordId, Vec<u8>) {
    let (shown, secret) = AppPassword::generate().unwrap();
    let mut new = NewAppPassword {
        label: "phone".to_owned(),
        verifier: secret.verifier(None),
        scope: AppScope::Full,
        networks: Vec::new(),
        expires_at: None,
    };
    change(&mut new);
    let added = world
        .directory
        .add_app_password(&parsed(ALICE), new)
        .await
        .unwrap();
    (added.id, shown.expose().clone().into_bytes())
}

#[tokio::test]
async fn an_application_password_needs_no_hash_and_opens_its_account_alone() {
    let world = World::open(Setup {
        gate: CLOSED,
        ..Setup::default()
    })
    .await;
    let (id, secret) = add(&world, |_| {}).await;
    let authenticated = world.granted(ALICE, &secret).await;
    assert_eq!(authenticated.app_password(), Some(id));
    assert!(authenticated.may_delete());
    assert_eq!(
        world.log_in(BOB, &secret).await,
        Err("busy"),
        "to be hashed as any wrong password"
    );
}

#[tokio::test]
async fn an_application_password_for_reading_deletes_nothing() {
    let world = World::new().await;
    let (_, reading) = add(&world, |new| new.scope = AppScope::ReadOnly).await;
    let (_, full) = add(&world, |_| {}).await;
    assert!(!world.granted(ALICE, &reading).await.may_delete());
    assert!(world.granted(ALICE, &full).await.may_delete());
    let read_only = AccountPatch {
        state: Some(AccountState::ReadOnly),
        ..AccountPatch::default()
    };
    world.set(ALICE, read_only).await;
    assert!(
        !world.granted(ALICE, &full).await.may_delete(),
        "the account's state holds besides"
    );
}

#[tokio::test]
async fn an_application_password_is_good_from_its_networks_alone() {
    let world = World::new().await;
    let networks = ["192.0.2.0/28", "2001:db8:1::/48"];
    let (_, secret) = add(&world, |new| {
        new.networks = networks.iter().map(|net| net.parse().unwrap()).collect();
    })
    .await;
    let alice = world.id(ALICE).await;
    for (client, expected) in [
        ("192.0.2.7:1", Ok(alice)),
        ("[::ffff:192.0.2.7]:1", Ok(alice)),
        ("[2001:db8:1:2::3]:1", Ok(alice)),
        ("192.0.2.16:1", Err("refused")),
        ("[2001:db8:2::3]:1", Err("refused")),
    ] {
        let context = LoginContext {
            client: ClientAddr::new(client.parse().unwrap()),
            ..context()
        };
        assert_eq!(
            world.verify_on(claim(ALICE, &secret), &context).await,
            expected,
            "{client}"
        );
    }
}

#[tokio::test]
async fn an_application_password_is_good_until_it_expires_or_is_revoked() {
    let world = World::new().await;
    let end = world.clock.wall() + Duration::from_hours(1);
    let (_, short) = add(&world, |new| new.expires_at = Some(end)).await;
    let (id, lasting) = add(&world, |_| {}).await;
    world.clock.pass(Duration::from_secs(3599));
    assert!(world.log_in(ALICE, &short).await.is_ok());
    world.clock.pass(Duration::from_secs(1));
    assert_eq!(world.log_in(ALICE, &short).await, Err("refused"));
    assert!(world.log_in(ALICE, &lasting).await.is_ok());
    world
        .directory
        .remove_app_password(&parsed(ALICE), id)
        .await
        .unwrap();
    assert_eq!(world.log_in(ALICE, &lasting).await, Err("refused"), "at once");
}

#[tokio::test]
async fn the_last_use_is_written_down_at_most_every_five_minutes() {
    let world = World::new().await;
    let (_, secret) = add(&world, |_| {}).await;
    let mut last_uses = Vec::new();
    for _ in 0..4 {
        let authenticated = world.granted(ALICE, &secret).await;
        assert!(world.authenticator.logged_in(&authenticated).await.unwrap());
        let kept = world.directory.app_passwords(&parsed(ALICE)).await.unwrap();
        last_uses.push(kept[0].last_used_at.unwrap());
        world.clock.pass(Duration::from_secs(150));
    }
    let since = |n: usize| last_uses[n].duration_since(last_uses[0]).unwrap().as_secs();
    assert_eq!([since(1), since(2), since(3)], [0, 300, 300]);
}

#[tokio::test]
async fn a_login_without_a_delay_by_the_own_password_asks_the_directory_nothing_more() {
    let world = World::new().await;
    let authenticated = world.granted(ALICE, PASSWORD).await;
    world.switch.set_down(true);
    assert!(world.authenticator.logged_in(&authenticated).await.unwrap());
}

#[tokio::test]
async fn a12_a_guarded_account_is_opened_by_an_application_password_without_a_hash_of_anything() {
    let world = World::new().await;
    let (_, secret) = add(&world, |_| {}).await;
    assert!(world.log_in(ALICE, PASSWORD).await.is_ok(), "and cached");
    world.limiter.set(Some(after(Duration::ZERO, true)));
    for (name, password) in [
        (ALICE, PASSWORD),
        (ALICE, b"wrong"),
        ("nobody@one.example", PASSWORD),
    ] {
        assert_eq!(world.log_in(name, password).await, Err("busy"), "{name}");
    }
    assert_eq!(
        world.limiter.n_failed(),
        0,
        "what was not evaluated is no failure"
    );
    assert!(world.log_in(ALICE, &secret).await.is_ok());
    assert_eq!(world.limiter.n_succeeded(), 2);
}

#[tokio::test]
async fn a19_the_login_delay_counts_open_maildrops_and_tells_only_who_is_right() {
    let world = World::new().await;
    world
        .set_policy("one", |policy| {
            policy.login_delay_secs = 60;
            policy.login_burst = 2;
        })
        .await;
    let (_, secret) = add(&world, |_| {}).await;
    let mut admitted = Vec::new();
    for password in [PASSWORD, &secret, PASSWORD] {
        let authenticated = world.granted(ALICE, password).await;
        admitted.push(world.authenticator.logged_in(&authenticated).await.unwrap());
    }
    assert_eq!(admitted, [true, true, false]);
    assert_eq!(world.log_in(ALICE, b"wrong").await, Err("refused"));
    let bob = world.granted(BOB, PASSWORD).await;
    assert!(
        world.authenticator.logged_in(&bob).await.unwrap(),
        "of each account alone"
    );
    world.clock.pass(Duration::from_mins(1));
    let authenticated = world.granted(ALICE, PASSWORD).await;
    assert!(world.authenticator.logged_in(&authenticated).await.unwrap());
    world.switch.set_down(true);
    assert!(
        world.authenticator.logged_in(&authenticated).await.is_err(),
        "nobody can tell"
    );
}
