//! Logins that cannot be decided, maildrops that cannot be opened.

use std::sync::Arc;
use std::time::Duration;

use restante_store::{Fault, StoreErrorKind};
use restante_testkit::{ALICE, Account, DirectorySwitch, PASSWORD, SwitchedDirectory, TestServer};

use crate::support::faulty;

const UNAVAILABLE: &str = "-ERR [SYS/TEMP] Service temporarily unavailable";
const REFUSED: &str = "-ERR [AUTH] Authentication failed";

#[tokio::test]
async fn f09_without_a_directory_no_login_is_judged_and_no_password_hashed() {
    let switch = DirectorySwitch::default();
    let handle = switch.clone();
    let server = TestServer::builder()
        // Hashing would find the gate closed and be answered in another way.
        .auth(|auth| {
            auth.gate.permits = 0;
            auth.gate.queue = 0;
            auth.gate.wait = Duration::ZERO;
        })
        .wrap_directory(move |inner| Arc::new(SwitchedDirectory::new(inner, handle)))
        .start()
        .await;
    switch.set_down(true);
    let mut client = server.client().await;
    for (name, password) in [(ALICE, PASSWORD), (ALICE, "wrong")] {
        assert_eq!(client.try_login(name, password).await, UNAVAILABLE);
    }
    switch.set_down(false);
    let mut client = server.client().await;
    let reply = client.try_login(ALICE, PASSWORD).await;
    assert_eq!(
        reply, "-ERR [SYS/TEMP] Too many attempts, try later",
        "the gate is closed indeed"
    );
}

#[tokio::test]
async fn f09_a_directory_that_comes_back_serves_the_same_connection() {
    let switch = DirectorySwitch::default();
    let handle = switch.clone();
    let server = TestServer::builder()
        .wrap_directory(move |inner| Arc::new(SwitchedDirectory::new(inner, handle)))
        .start()
        .await;
    switch.set_down(true);
    let mut client = server.client().await;
    assert_eq!(client.try_login(ALICE, PASSWORD).await, UNAVAILABLE);
    switch.set_down(false);
    client.login(ALICE).await.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn f09_a_maildrop_that_cannot_be_listed_is_not_shown_empty_and_is_free_again() {
    let (builder, plan) = faulty();
    let server = builder.start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    for kind in [
        StoreErrorKind::Unavailable,
        StoreErrorKind::Timeout,
        StoreErrorKind::Invalid,
    ] {
        let mut client = server.client().await;
        plan.once(Some("snapshot"), 1, Fault::Before(kind));
        assert_eq!(client.try_login(ALICE, PASSWORD).await, UNAVAILABLE, "{kind}");
        // The refusal was sent after the release: no waiting.
        assert!(
            server
                .backends
                .try_hold(Account::Alice)
                .await
                .unwrap()
                .release()
                .await
                .is_ok()
        );
        let mut client = client.login(ALICE).await;
        assert_eq!(client.command("STAT").await, "+OK 1 3");
        client.quit().await;
    }
    server.still_serves().await;
}

#[tokio::test]
async fn a01_pass_needs_user_the_last_user_counts_and_auth_forgets_it() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    assert_eq!(client.command("PASS x").await, "-ERR USER first");
    client.ok("USER nobody@example.test").await;
    let mut client = client.login(ALICE).await;
    client.ok("NOOP").await;
    client.quit().await;
    let mut client = server.client().await;
    client.ok(&format!("USER {ALICE}")).await;
    assert!(client.command("AUTH PLAIN").await.starts_with("+ "));
    assert!(client.command("*").await.starts_with("-ERR"));
    assert_eq!(
        client.command(&format!("PASS {PASSWORD}")).await,
        "-ERR USER first"
    );
    server.still_serves().await;
}

#[tokio::test]
async fn a02_unknown_names_and_wrong_passwords_read_the_same_and_the_third_closes() {
    let server = TestServer::start().await;
    for (name, password) in [
        (ALICE, "wrong"),
        ("nobody@example.test", PASSWORD),
        ("no name", "x"),
    ] {
        let mut client = server.client().await;
        for _ in 0..3 {
            assert_eq!(client.try_login(name, password).await, REFUSED, "{name}");
        }
        client.expect_closed().await;
    }
    server.still_serves().await;
}
