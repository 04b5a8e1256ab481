//! After the message: one reply for each recipient, and `250` only for what is durable.

use restante_auth::AccountState;
use restante_store::{Fault, StoreErrorKind};

use crate::world::{World, octets_quota};

/// FAULTS X03, with the maildrop that fills between RCPT and the end of the message.
#[tokio::test]
async fn each_recipient_has_its_own_reply_in_order() {
    let world = World::new();
    world.add_with(
        1,
        3,
        "cat@a.example",
        AccountState::Active,
        octets_quota(5),
        "main",
    );
    let mut client = world.addressed(&["ann@a.example", "cat@a.example"]).await;
    client.command("RCPT TO:<nobody@a.example>", "550 5.1.1").await;
    client.command("RCPT TO:<bob@a.example>", "250").await;
    client.data("too long\r\n").await;
    client.expect("250 2.0.0").await;
    client.expect("452 4.2.2").await;
    client.expect("250 2.0.0").await;
    let summary = client.quit().await;
    assert_eq!((summary.n_delivered, summary.n_refused), (2, 1));
    assert_eq!(world.octets(1).await.len(), 1);
    assert_eq!(world.octets(2).await.len(), 1);
    assert_eq!(world.octets(3).await.len(), 0);
}

#[tokio::test]
async fn every_kind_of_trouble_has_its_code_and_delivers_nothing() {
    for (kind, code) in [
        (StoreErrorKind::OverQuota, "452 4.2.2"),
        (StoreErrorKind::Full, "452 4.3.1"),
        (StoreErrorKind::Unavailable, "451 4.3.0"),
        (StoreErrorKind::Timeout, "451 4.3.0"),
        (StoreErrorKind::Unknown, "451 4.3.0"),
        (StoreErrorKind::Throttled, "451 4.3.0"),
        (StoreErrorKind::Denied, "451 4.3.0"),
        (StoreErrorKind::NoSuchMaildrop, "451 4.3.0"),
        (StoreErrorKind::NotFound, "451 4.3.0"),
    ] {
        for op in ["reserve", "put", "deliver"] {
            let world = World::new();
            let mut client = world.addressed(&["ann@a.example"]).await;
            world.plan.once(Some(op), 1, Fault::Before(kind));
            client.data("x\r\n").await;
            client.expect(code).await;
            assert_eq!(world.octets(1).await.len(), 0, "{op} {kind}");
            client.address(&["ann@a.example"]).await;
            client.data("x\r\n").await;
            client.expect("250 2.0.0").await;
        }
    }
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_is_temporary_for_each_recipient() {
    let mut world = World::new();
    world.settings.spool_directory = "/nonexistent/spool".into();
    let mut client = world.addressed(&["ann@a.example", "bob@a.example"]).await;
    client.data("x".repeat(1 << 20) + "\r\n").await;
    client.expect("451 4.3.0").await;
    client.expect("451 4.3.0").await;
    client.command("NOOP", "250").await;
}

/// FAULTS X07.
#[tokio::test]
async fn a_maildrop_that_is_open_in_a_session_receives() {
    let world = World::new();
    let fence = world.lock(1).await;
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.data("x\r\n").await;
    client.expect("250 2.0.0").await;
    world.unlock(&fence).await;
    assert_eq!(world.octets(1).await, [b"x\r\n"]);
}

#[tokio::test]
async fn the_null_sender_and_two_messages_on_one_connection_are_ordinary() {
    let world = World::new();
    let mut client = world.greeted().await;
    for text in ["one\r\n", "two\r\n"] {
        client.command("MAIL FROM:<>", "250 2.1.0").await;
        client.command("RCPT TO:<ann@a.example>", "250").await;
        client.data(text).await;
        client.expect("250 2.0.0").await;
    }
    assert_eq!(world.octets(1).await, [b"one\r\n", b"two\r\n"]);
}

#[tokio::test]
async fn nothing_is_acknowledged_that_a_lost_answer_leaves_in_doubt() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    world
        .plan
        .once(Some("deliver"), 1, Fault::After(StoreErrorKind::Unknown));
    client.data("x\r\n").await;
    client.expect("451 4.3.0").await;
    // The sender tries again: a duplicate rather than a loss.
    assert_eq!(world.octets(1).await.len(), 1);
}

#[tokio::test]
async fn a_repeat_is_answered_250_and_adds_nothing_where_that_is_asked() {
    let queued = "Received: by mx.example with ESMTP id 4F2; today\r\nSubject: x\r\n\r\nhello\r\n";
    let other = queued.replace("4F2", "4F3");
    let unmarked = "Subject: x\r\n\r\nhello\r\n";
    for (deduplicate, expected) in [(false, 6), (true, 4)] {
        let mut world = World::new();
        world.settings.deduplicate = deduplicate;
        let mut client = world.greeted().await;
        for (message, repeats) in [
            (queued, false),
            (queued, true),
            (other.as_str(), false),
            (queued, true),
            (unmarked, false),
            (unmarked, false),
        ] {
            client.address(&["ann@a.example"]).await;
            client.data(message).await;
            let reply = if deduplicate && repeats {
                "250 2.0.0 delivered before"
            } else {
                "250 2.0.0 delivered\r\n"
            };
            client.expect(reply).await;
        }
        assert_eq!(client.quit().await.n_delivered, 6);
        assert_eq!(world.octets(1).await.len(), expected, "{deduplicate}");
    }
}

#[tokio::test]
async fn a_repeat_is_known_although_the_first_filled_the_maildrop() {
    let mut world = World::new();
    world.settings.deduplicate = true;
    let message = "Received: by b id 1; x\r\n\r\n";
    let quota = octets_quota(message.len() as u64 + 1);
    world.add_with(1, 3, "cat@a.example", AccountState::Active, quota, "main");
    let mut client = world.greeted().await;
    for reply in ["250 2.0.0 delivered\r\n", "250 2.0.0 delivered before"] {
        client.address(&["cat@a.example"]).await;
        client.data(message).await;
        client.expect(reply).await;
    }
    assert_eq!(world.octets(3).await.len(), 1);
}
