//! What a login costs on Postgres, counted on the wire. A statement is one round trip.

use std::time::Duration;

use restante_auth::{Directory, DirectoryAdmin, LoginNote};
use restante_postgres::{Pg, PgDirectory, Pooler};
use restante_testkit::FaultProxy;
use restante_types::Secret;

use crate::scene::options;
use crate::world::World;

/// The same directory over one connection, and what counts its round trips.
async fn counted(world: &World, pooler: Pooler) -> (PgDirectory, FaultProxy) {
    let proxy = FaultProxy::to(([127, 0, 0, 1], world.database.port).into()).await;
    let mut through = world.database.clone();
    through.port = proxy.address().port();
    let mut options = options(&format!("{}?sslmode=disable", through.url()));
    options.max_connections = 1;
    options.pooler = pooler;
    options.direct_url = Some(Secret::new(world.database.url()));
    let db = Pg::open(&options).await.unwrap();
    (PgDirectory::new(&db), proxy)
}

/// A look-up, and its note.
async fn log_in(world: &World, directory: &PgDirectory, app_password: bool) {
    let found = directory.credentials(&world.one.name).await.unwrap().unwrap();
    let used = found.app_passwords.first().map(|app| app.id);
    let note = LoginNote {
        account: found.account.id,
        delay: Duration::from_millis(1),
        burst: 1_000,
        app_password: used.filter(|_| app_password),
    };
    assert!(directory.note_login(&note).await.unwrap());
}

#[tokio::test]
async fn a_login_is_two_round_trips_with_everything_that_there_is() {
    let world = World::new().await;
    for _ in 0..3 {
        world.app_password(&world.one).await;
    }
    for pooler in [Pooler::None, Pooler::Prepared] {
        let (directory, proxy) = counted(&world, pooler).await;
        // The first time statements get their names.
        log_in(&world, &directory, true).await;
        let before = proxy.n_flights();
        for _ in 0..10 {
            log_in(&world, &directory, true).await;
        }
        assert_eq!(proxy.n_flights() - before, 20);
    }
}

#[tokio::test]
async fn an_unknown_name_costs_what_a_known_one_does() {
    let world = World::new().await;
    let (directory, proxy) = counted(&world, Pooler::None).await;
    let unknown = crate::world::name("nobody@one.example");
    for name in [&world.one.name, &unknown, &world.one.name, &unknown] {
        directory.credentials(name).await.unwrap();
    }
    for name in [&world.one.name, &unknown] {
        let before = proxy.n_flights();
        directory.credentials(name).await.unwrap();
        assert_eq!(proxy.n_flights() - before, 1);
    }
}

#[tokio::test]
async fn a_roster_that_is_known_is_one_round_trip() {
    let world = World::new().await;
    let (directory, proxy) = counted(&world, Pooler::None).await;
    let known = directory.roster(None).await.unwrap().unwrap().revision;
    let before = proxy.n_flights();
    assert!(directory.roster(Some(known)).await.unwrap().is_none());
    assert_eq!(proxy.n_flights() - before, 1);
    world
        .directory
        .add_server_name("one", "pop.one.example")
        .await
        .unwrap();
    assert!(directory.roster(Some(known)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_thousand_live_sessions_are_asked_about_in_one_round_trip() {
    let world = World::new().await;
    let (directory, proxy) = counted(&world, Pooler::None).await;
    let live = restante_auth::LiveLogin {
        account: world.one.id,
        app_password: None,
    };
    assert_eq!(directory.standing(&[live]).await.unwrap().len(), 1);
    let before = proxy.n_flights();
    assert_eq!(directory.standing(&vec![live; 1_000]).await.unwrap().len(), 1_000);
    assert_eq!(proxy.n_flights() - before, 1);
}
