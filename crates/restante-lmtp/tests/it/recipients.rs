//! RCPT: who is taken and who is not.

use std::sync::atomic::Ordering;

use restante_auth::AccountState;
use restante_store::{Fault, StoreErrorKind};
use restante_types::TenantId;
use tokio::io::AsyncWriteExt;

use crate::world::{Client, World, octets_quota};

#[tokio::test]
async fn every_account_state_has_its_code() {
    let world = World::new();
    let mut client = world.addressed(&[]).await;
    for (state, code) in [
        (AccountState::Active, "250 2.1.5"),
        (AccountState::LoginSuspended, "250 2.1.5"),
        (AccountState::ReceiveSuspended, "450 4.2.1"),
        (AccountState::ReadOnly, "450 4.2.1"),
        (AccountState::Closed, "550 5.2.1"),
    ] {
        world.add(3, "cat@a.example", state);
        client.command("RCPT TO:<cat@a.example>", code).await;
    }
}

#[tokio::test]
async fn addresses_find_their_account_in_every_form_and_no_other() {
    let world = World::new();
    world.add(3, "jürgen@bücher.example", AccountState::Active);
    let mut client = world.greeted().await;
    client
        .command("MAIL FROM:<ü@s.example> SMTPUTF8", "250 2.1.0")
        .await;
    for (path, code) in [
        ("<Ann@A.EXAMPLE>", "250 2.1.5"),
        (r#"<"ann"@a.example>"#, "250 2.1.5"),
        ("<@relay.example:ann@a.example>", "250 2.1.5"),
        ("<jürgen@bücher.example>", "250 2.1.5"),
        ("<jürgen@xn--bcher-kva.example>", "250 2.1.5"),
        ("<nobody@a.example>", "550 5.1.1"),
        (r#"<""@a.example>"#, "550 5.1.1"),
        (r#"<"ann@a.example"@b.example>"#, "550 5.1.1"),
        ("<ann@[127.0.0.1]>", "550 5.1.1"),
        ("<ann+tag@a.example>", "550 5.1.1"),
        ("<Postmaster>", "550 5.1.1"),
        ("<ann>", "501 5.1.3"),
        ("<>", "501 5.1.3"),
        ("ann@a.example", "501 5.1.3"),
        ("<ann@a.example> NOTIFY=NEVER", "555 5.5.4"),
    ] {
        client.command(&format!("RCPT TO:{path}"), code).await;
    }
}

#[tokio::test]
async fn eight_bit_addresses_need_smtputf8() {
    let world = World::new();
    let mut client = world.greeted().await;
    client.command("MAIL FROM:<ü@s.example>", "553 5.6.7").await;
    client.command("MAIL FROM:<u@s.example>", "250 2.1.0").await;
    client.command("RCPT TO:<jürgen@a.example>", "553 5.6.7").await;
    client.send(b"RCPT TO:<j\xFCrgen@a.example>\r\n").await;
    client.expect("553 5.6.7").await;
}

#[tokio::test]
async fn users_of_other_tenants_are_unknown_to_a_bound_listener() {
    let mut world = World::new();
    world.add_with(
        2,
        9,
        "eve@b.example",
        AccountState::Active,
        octets_quota(1000),
        "main",
    );
    world.add_with(
        2,
        10,
        "shut@b.example",
        AccountState::Closed,
        octets_quota(1000),
        "main",
    );
    world.tenant = TenantId::new(1);
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.command("RCPT TO:<eve@b.example>", "550 5.1.1").await;
    client.command("RCPT TO:<shut@b.example>", "550 5.1.1").await;
    world.tenant = None;
    world.addressed(&["ann@a.example", "eve@b.example"]).await;
}

#[tokio::test]
async fn a_maildrop_without_room_is_refused_at_rcpt() {
    let world = World::new();
    world.add_with(
        1,
        3,
        "cat@a.example",
        AccountState::Active,
        octets_quota(100),
        "main",
    );
    world.add_with(
        1,
        4,
        "full@a.example",
        AccountState::Active,
        octets_quota(0),
        "main",
    );
    let mut client = world.addressed(&["cat@a.example"]).await;
    client.command("RCPT TO:<full@a.example>", "452 4.2.2").await;
    client.command("RSET", "250").await;
    client.command("MAIL FROM:<> SIZE=101", "250").await;
    client.command("RCPT TO:<cat@a.example>", "452 4.2.2").await;
}

#[tokio::test]
async fn trouble_is_temporary_and_names_nobody_unknown() {
    let world = World::new();
    world.add_with(
        1,
        3,
        "cat@a.example",
        AccountState::Active,
        octets_quota(100),
        "gone",
    );
    world.confuse("dan@a.example", "ann@a.example");
    let mut client = world.addressed(&[]).await;
    client.command("RCPT TO:<cat@a.example>", "451 4.3.0").await;
    client.command("RCPT TO:<dan@a.example>", "451 4.3.0").await;
    world
        .plan
        .once(Some("usage"), 1, Fault::Before(StoreErrorKind::Timeout));
    client.command("RCPT TO:<ann@a.example>", "451 4.3.0").await;
    world.phonebook.broken.store(true, Ordering::SeqCst);
    client.command("RCPT TO:<ann@a.example>", "451 4.3.0").await;
    client.command("RCPT TO:<nobody@a.example>", "451 4.3.0").await;
    world.phonebook.broken.store(false, Ordering::SeqCst);
    client.command("RCPT TO:<ann@a.example>", "250 2.1.5").await;
}

#[tokio::test]
async fn recipient_1001_is_too_many_and_the_1000_get_their_message() {
    let world = World::new();
    let mut client = world.addressed(&[]).await;
    let Client { replies, writer, .. } = &mut client;
    let send = async {
        for n in 0..=1000 {
            let name = if n % 2 == 0 { "ann" } else { "bob" };
            writer
                .write_all(format!("RCPT TO:<{name}@a.example>\r\n").as_bytes())
                .await
                .unwrap();
        }
    };
    let read = async {
        for _ in 0..1000 {
            replies.expect("250 2.1.5").await;
        }
        replies.expect("452 4.5.3").await;
    };
    tokio::join!(send, read);
    client.data("x\r\n").await;
    for _ in 0..1000 {
        client.expect("250 2.0.0").await;
    }
    assert_eq!(client.quit().await.n_delivered, 1000);
    assert_eq!(world.octets(1).await.len(), 500);
}
