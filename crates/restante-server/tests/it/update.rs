//! QUIT: all marked messages or none, an answer that is true, and a free maildrop before it.

use std::sync::Arc;
use std::time::Duration;

use restante_store::{Fault, FaultPlan, StoreErrorKind};
use restante_testkit::{ALICE, Account, PASSWORD, Pop3Client, TestServer, eventually};

use crate::support::{Held, SlowRelease, faulty};

const NOT_DELETED: &str = "-ERR [SYS/TEMP] Messages not deleted";

/// A server with three messages, and a client that has marked the first and the last.
async fn two_of_three() -> (TestServer, Arc<FaultPlan>, Pop3Client, Vec<String>) {
    let (builder, plan) = faulty();
    let server = builder.start().await;
    let (client, before) = marked(&server).await;
    (server, plan, client, before)
}

async fn marked(server: &TestServer) -> (Pop3Client, Vec<String>) {
    for message in [&b"one\r\n"[..], b"two\r\n", b"three\r\n"] {
        server.backends.deliver(Account::Alice, message).await;
    }
    let before = server.backends.unique_ids(Account::Alice).await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    client.ok("DELE 3").await;
    (client, before)
}

/// QUIT, its answer, and the end of the connection.
async fn quit(mut client: Pop3Client) -> String {
    let reply = client.command("QUIT").await;
    client.expect_closed().await;
    reply
}

#[tokio::test]
async fn f06_a_commit_that_fails_deletes_nothing_and_says_so() {
    for kind in [
        StoreErrorKind::Unavailable,
        StoreErrorKind::Full,
        StoreErrorKind::Throttled,
        StoreErrorKind::Denied,
        StoreErrorKind::Invalid,
    ] {
        let (server, plan, client, before) = two_of_three().await;
        plan.once(Some("commit"), 1, Fault::Before(kind));
        assert_eq!(quit(client).await, NOT_DELETED, "{kind}");
        assert_eq!(server.backends.unique_ids(Account::Alice).await, before, "{kind}");
        server.still_serves().await;
    }
}

#[tokio::test]
async fn f08_a_commit_whose_answer_was_lost_is_found_done() {
    for kind in [StoreErrorKind::Timeout, StoreErrorKind::Unknown] {
        let (server, plan, client, before) = two_of_three().await;
        plan.once(Some("commit"), 1, Fault::After(kind));
        // The question for the outcome may fail, too.
        plan.once(Some("outcome"), 1, Fault::Before(StoreErrorKind::Unavailable));
        assert_eq!(quit(client).await, "+OK 2 messages deleted", "{kind}");
        assert_eq!(
            server.backends.unique_ids(Account::Alice).await,
            before[1..2],
            "{kind}"
        );
        server.still_serves().await;
    }
}

#[tokio::test]
async fn f08_a_commit_that_was_lost_on_its_way_is_found_not_done() {
    for kind in [StoreErrorKind::Timeout, StoreErrorKind::Unknown] {
        let (server, plan, client, before) = two_of_three().await;
        plan.once(Some("commit"), 1, Fault::Before(kind));
        assert_eq!(quit(client).await, NOT_DELETED, "{kind}");
        assert_eq!(server.backends.unique_ids(Account::Alice).await, before, "{kind}");
        server.still_serves().await;
    }
}

#[tokio::test]
async fn f08_an_outcome_that_stays_unknown_is_called_unknown() {
    let (server, plan, mut client, before) = two_of_three().await;
    plan.once(Some("commit"), 1, Fault::After(StoreErrorKind::Timeout));
    plan.from(Some("outcome"), 1, Fault::Before(StoreErrorKind::Unavailable));
    tokio::time::pause();
    client.send(b"QUIT\r\n").await;
    assert_eq!(
        client.reply().await,
        "-ERR [SYS/TEMP] Outcome unknown, check again"
    );
    tokio::time::resume();
    client.expect_closed().await;
    plan.clear();
    let left = server.backends.unique_ids(Account::Alice).await;
    assert_eq!(left, before[1..2], "all or none, and this time it was all");
    server.still_serves().await;
}

#[tokio::test]
async fn f03_a_session_that_lost_its_maildrop_deletes_nothing() {
    let (server, _, client, before) = two_of_three().await;
    let maildrop = server.backends.id(Account::Alice).maildrop();
    assert!(server.backends.locks.supersede(maildrop).await.unwrap());
    let mut later = server.alice().await;
    assert_eq!(
        quit(client).await,
        "-ERR [SYS/TEMP] Session expired, messages not deleted"
    );
    // The loser's release must not free what the later session holds.
    assert!(server.backends.try_hold(Account::Alice).await.is_none());
    later.ok("DELE 2").await;
    assert_eq!(later.quit().await, "+OK 1 message deleted");
    let left = server.backends.unique_ids(Account::Alice).await;
    assert_eq!(left, [before[0].clone(), before[2].clone()]);
    server.still_serves().await;
}

#[tokio::test]
async fn i3_the_maildrop_is_free_when_the_farewell_is_read() {
    let server = TestServer::builder()
        .wrap_locks(|inner| {
            let wait = Duration::from_millis(5);
            Arc::new(SlowRelease { inner, wait })
        })
        .start()
        .await;
    for round in 0..200 {
        let deletes = round % 10 == 0;
        if deletes {
            server.backends.deliver(Account::Alice, b"x\r\n").await;
        }
        let mut client = server.client().await;
        let reply = client.try_login(ALICE, PASSWORD).await;
        assert!(reply.starts_with("+OK"), "round {round}: {reply}");
        if deletes {
            client.ok("DELE 1").await;
        }
        // Not to the end of the connection: the next login begins as soon as the answer is read.
        client.ok("QUIT").await;
    }
    server.still_serves().await;
}

#[tokio::test]
async fn f01_a_client_that_vanishes_during_the_commit_leaves_it_decided_and_the_maildrop_free() {
    let held = Held::new();
    let gate = Arc::clone(&held);
    let server = TestServer::builder()
        .wrap_index(move |index| gate.index(index))
        .start()
        .await;
    for how in 0..3 {
        let (mut client, before) = marked(&server).await;
        client.send(b"QUIT\r\n").await;
        eventually("the commit has begun", || held.n_begun() == 2 * how + 1).await;
        assert!(
            server.backends.try_hold(Account::Alice).await.is_none(),
            "held while it is open"
        );
        match how {
            0 => client.into_socket().reset(),
            1 => drop(client),
            _ => client.finish().await,
        }
        held.let_one_through();
        let left = server.backends.unique_ids(Account::Alice).await;
        assert_eq!(
            left,
            before[1..before.len() - 1],
            "the first and the third are gone"
        );
        // For the next round: an empty maildrop.
        let mut client = server.alice().await;
        for number in 1..=left.len() {
            client.ok(&format!("DELE {number}")).await;
        }
        held.let_one_through();
        client.ok("QUIT").await;
        break_even(&held);
    }
    server.still_serves().await;
}

/// Every commit that began has ended.
fn break_even(held: &Held) {
    assert_eq!(held.n_begun(), held.n_ended());
}

#[tokio::test]
async fn f01_a_connection_that_is_cut_during_the_commit_leaves_it_decided_and_the_maildrop_free() {
    let held = Held::new();
    let gate = Arc::clone(&held);
    let server = TestServer::builder()
        .wrap_index(move |index| gate.index(index))
        .start()
        .await;
    let (mut client, before) = marked(&server).await;
    client.send(b"QUIT\r\n").await;
    eventually("the commit has begun", || held.n_begun() == 1).await;
    let report = server.drained(Duration::ZERO).await;
    assert_eq!(report.n_cut, 1);
    client.expect_closed().await;
    assert!(
        server.backends.try_hold(Account::Alice).await.is_none(),
        "held while it is open"
    );
    held.let_one_through();
    assert_eq!(server.backends.unique_ids(Account::Alice).await, before[1..2]);
}

#[tokio::test]
async fn i2_quit_deletes_what_was_marked_and_nothing_else() {
    let (server, _, client, before) = two_of_three().await;
    assert_eq!(quit(client).await, "+OK 2 messages deleted");
    assert_eq!(server.backends.unique_ids(Account::Alice).await, before[1..2]);
    let mut client = server.alice().await;
    assert_eq!(client.message("RETR 1").await, b"two\r\n");
    client.quit().await;
    server.still_serves().await;
}
