//! One session's trouble is nobody else's: panics, maildrops in use, clients that crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use restante_net::{AcceptEvent, BudgetLimits};
use restante_testkit::{ALICE, Account, PASSWORD, TestServer, eventually};

use crate::support::{Grenade, Held, letter};

const IN_USE: &str = "-ERR [IN-USE] Maildrop is locked by another session";

#[tokio::test]
async fn f30_a_panic_ends_its_own_session_and_no_other() {
    let armed = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&armed);
    let server = TestServer::builder()
        .wrap_blobs(move |inner| Arc::new(Grenade { inner, armed: switch }))
        .start()
        .await;
    for account in [Account::Alice, Account::Bob] {
        server.backends.deliver(account, b"hello\r\n").await;
    }
    let mut bob = server.bob().await;
    let mut alice = server.alice().await;
    alice.ok("DELE 1").await;
    alice.ok("RSET").await;
    armed.store(true, Ordering::SeqCst);
    alice.send(b"RETR 1\r\n").await;
    alice.expect_closed().await;
    assert_eq!(bob.message("RETR 1").await, b"hello\r\n");
    bob.quit().await;
    assert_eq!(
        server.backends.unique_ids(Account::Alice).await.len(),
        1,
        "free, and nothing lost"
    );
    let panics = server
        .events()
        .into_iter()
        .filter(|event| *event == AcceptEvent::HandlerPanicked);
    assert_eq!(panics.count(), 1);
    eventually("its place is free", || server.usage().open == 0).await;
    server.still_serves().await;
}

#[tokio::test]
async fn l13_a_second_login_is_refused_and_the_first_session_goes_on() {
    let server = TestServer::start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut first = server.alice().await;
    let mut second = server.tls_client().await;
    assert_eq!(second.try_login(ALICE, PASSWORD).await, IN_USE);
    assert_eq!(
        second.try_login(ALICE, "wrong").await,
        "-ERR [AUTH] Authentication failed"
    );
    assert_eq!(first.command("STAT").await, "+OK 1 3");
    first.quit().await;
    second.login(ALICE).await.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn l13_a_crashed_client_leaves_its_maildrop_free() {
    let server = TestServer::start().await;
    for _ in 0..20 {
        server.alice().await.into_socket().reset();
        server
            .backends
            .hold(Account::Alice)
            .await
            .release()
            .await
            .unwrap();
    }
    server.still_serves().await;
}

#[tokio::test]
async fn f02_a_client_that_crashes_inside_a_message_leaves_its_maildrop_free_and_whole() {
    let server = TestServer::start().await;
    server
        .backends
        .deliver(Account::Alice, &letter(4 << 20, false))
        .await;
    let before = server.backends.unique_ids(Account::Alice).await;
    for tls in [false, true] {
        let mut client = if tls {
            server.tls_client().await.login(ALICE).await
        } else {
            server.alice().await
        };
        client.ok("DELE 1").await;
        client.ok("RSET").await;
        client.ok("RETR 1").await;
        client.into_socket().reset();
        assert_eq!(
            server.backends.unique_ids(Account::Alice).await,
            before,
            "tls: {tls}"
        );
    }
    server.still_serves().await;
}

#[tokio::test]
async fn f30_a_panic_inside_the_commit_is_an_unknown_outcome_and_the_maildrop_is_free() {
    let held = Held::new();
    let gate = Arc::clone(&held);
    let server = TestServer::builder()
        .wrap_index(move |index| gate.index(index))
        .start()
        .await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    held.blow_up();
    assert_eq!(
        client.command("QUIT").await,
        "-ERR [SYS/TEMP] Outcome unknown, check again"
    );
    client.expect_closed().await;
    assert_eq!(
        server.backends.unique_ids(Account::Alice).await.len(),
        1,
        "all or none"
    );
    server.still_serves().await;
}

#[tokio::test]
async fn l15_a_silent_client_is_closed_without_update() {
    let server = TestServer::builder()
        .policy(|policy| policy.idle_timeout = Duration::from_millis(300))
        .start()
        .await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    assert_eq!(client.rest().await, b"-ERR [SYS/TEMP] Idle timeout\r\n");
    assert_eq!(server.backends.unique_ids(Account::Alice).await.len(), 1);
    server.still_serves().await;
}

#[tokio::test]
async fn l15_a_session_that_lasts_too_long_is_closed_without_update() {
    let server = TestServer::builder()
        .policy(|policy| policy.session_max = Duration::from_millis(300))
        .start()
        .await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    let mut last = String::new();
    while !last.starts_with("-ERR") {
        last = client.command("NOOP").await;
    }
    assert_eq!(last, "-ERR [SYS/TEMP] Session too long");
    drop(client);
    assert_eq!(server.backends.unique_ids(Account::Alice).await.len(), 1);
    server.still_serves().await;
}

#[tokio::test]
async fn f20_a_connection_beyond_the_limit_is_told_so_and_the_place_comes_back() {
    let limits = BudgetLimits {
        total: 2,
        per_client: 10,
        unauthenticated: 2,
    };
    let server = TestServer::builder().budget(limits).start().await;
    let (one, two) = (server.alice().await, server.client().await);
    let mut third = restante_testkit::Socket::connect(server.trusted()).await;
    assert_eq!(third.rest().await, b"-ERR [SYS/TEMP] Too many connections\r\n");
    one.quit().await;
    two.quit().await;
    eventually("the places are free", || server.usage().open == 0).await;
    server.still_serves().await;
}
