//! The audit is only ever appended to, and shortened in one documented way.

use restante_auth::{AuditAction, AuditFilter, AuditRecord, Directory, DirectoryAdmin};
use restante_types::SessionId;
use sqlx::{Connection, Executor};

use crate::world::World;

fn record(actor: &str) -> AuditRecord {
    AuditRecord {
        at: std::time::SystemTime::UNIX_EPOCH,
        actor: actor.to_owned(),
        action: AuditAction::Login,
        tenant: None,
        account: None,
        session: Some(SessionId::from_octets([7; 16])),
        client: Some("2001:db8::7".parse().unwrap()),
        detail: "user".to_owned(),
    }
}

async fn n_lines(world: &World) -> usize {
    let filter = AuditFilter {
        limit: 10_000,
        ..AuditFilter::default()
    };
    world.directory.audit(filter).await.unwrap().len()
}

#[tokio::test]
async fn no_statement_of_the_owner_changes_or_removes_a_line() {
    let world = World::new().await;
    let before = n_lines(&world).await;
    assert!(before > 0);
    let mut conn = world.database.connect().await;
    for statement in [
        "UPDATE audit SET detail = ''",
        "UPDATE audit SET detail = '' WHERE false",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "TRUNCATE audit, storage CASCADE",
    ] {
        let refused = conn.execute(statement).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(n_lines(&world).await, before);
}

#[tokio::test]
async fn pruning_removes_what_is_old_and_leaves_no_door_open() {
    let world = World::new().await;
    let before = n_lines(&world).await;
    world
        .directory
        .record(&[record("old"), record("old")])
        .await
        .unwrap();
    assert_eq!(n_lines(&world).await, before + 2);
    let mut conn = world.database.connect().await;
    let mut tx = conn.begin().await.unwrap();
    let pruned: i64 = sqlx::query_scalar("SELECT prune_audit(now() - interval '1 day')")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(pruned, 2);
    // In the same transaction the door is shut again.
    assert!(tx.execute("DELETE FROM audit").await.is_err());
    tx.rollback().await.unwrap();
    sqlx::query("SELECT prune_audit(now() - interval '1 day')")
        .execute(&mut conn)
        .await
        .unwrap();
    assert_eq!(n_lines(&world).await, before);
}

#[tokio::test]
async fn records_are_appended_all_or_none() {
    let world = World::new().await;
    let before = n_lines(&world).await;
    let batch: Vec<_> = (0..256).map(|n| record(&format!("client {n}"))).collect();
    world.directory.record(&batch).await.unwrap();
    world.directory.record(&[]).await.unwrap();
    assert_eq!(n_lines(&world).await, before + 256);
    let last = world
        .directory
        .audit(AuditFilter {
            limit: 1,
            ..AuditFilter::default()
        })
        .await
        .unwrap()
        .remove(0);
    assert_eq!(last.record, record("client 255"));
    let too_long = "x".repeat(1_001);
    let batch = [
        record("fine"),
        AuditRecord {
            detail: too_long,
            ..record("not")
        },
    ];
    assert!(world.directory.record(&batch).await.is_err());
    assert_eq!(n_lines(&world).await, before + 256);
}

#[tokio::test]
async fn an_act_that_fails_leaves_no_line() {
    let world = World::new().await;
    let before = n_lines(&world).await;
    assert!(world.directory.add_domain("two", "one.example").await.is_err());
    assert!(world.directory.remove_domain("one.example").await.is_err());
    assert!(
        world
            .directory
            .add_account(crate::world::user("ann@one.example"))
            .await
            .is_err()
    );
    assert_eq!(n_lines(&world).await, before);
}

#[tokio::test]
async fn a_replaced_hash_is_one_line_that_names_the_account() {
    let world = World::new().await;
    let version = world
        .directory
        .credentials(&world.one.name)
        .await
        .unwrap()
        .unwrap()
        .version;
    let upgrade = |hash| {
        world
            .directory
            .upgrade(world.one.id, version, crate::world::hashed(hash))
    };
    assert!(upgrade("stronger").await.unwrap());
    // The version is another by now.
    assert!(!upgrade("late").await.unwrap());
    let filter = AuditFilter {
        action: Some(AuditAction::PasswordRehashed),
        limit: 10,
        ..AuditFilter::default()
    };
    let lines = world.directory.audit(filter).await.unwrap();
    assert_eq!(lines.len(), 1);
    let line = &lines[0].record;
    assert_eq!(
        (line.account, line.detail.as_str()),
        (Some(world.one.id), "ann@one.example")
    );
}
