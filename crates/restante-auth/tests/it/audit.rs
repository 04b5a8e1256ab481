//! The audit of logins: one record per verdict, no secret in any; and how records reach the directory.

use std::sync::Arc;
use std::time::Duration;

use restante_auth::{
    AuditAction, AuditFilter, AuditLog, AuditRecord, Directory, DirectoryAdmin, LoginContext, MemoryDirectory,
};
use restante_telemetry::Telemetry;
use restante_testkit::{DirectorySwitch, PATIENCE, SwitchedDirectory};
use restante_types::Clock;

use crate::world::{ALICE, CARL, PASSWORD, Probe, SESSION, World, bearer, claim, context, external};

#[tokio::test]
async fn every_verdict_has_one_record_with_its_mechanism_and_session() {
    let world = World::new().await;
    let certified = LoginContext {
        certificate_names: vec![ALICE.to_owned()],
        ..context()
    };
    let bound = world.on_the_connection_of("two").await;
    let (alice, two) = (world.id(ALICE).await, bound.scope.tenant);
    let one = Some(alice.tenant());
    world.log_in(ALICE, PASSWORD).await.unwrap();
    world.log_in(ALICE, b"wrong").await.unwrap_err();
    world.log_in("nobody@one.example", PASSWORD).await.unwrap_err();
    world.verify(bearer(Some(ALICE), ALICE)).await.unwrap();
    world.verify(bearer(Some(ALICE), CARL)).await.unwrap_err();
    world.verify_on(external(None), &certified).await.unwrap();
    world.verify_on(claim(ALICE, PASSWORD), &bound).await.unwrap_err();
    let (login, refused) = (AuditAction::Login, AuditAction::LoginRefused);
    let expected = [
        (login, Some(alice), one, "PLAIN"),
        (refused, Some(alice), one, "PLAIN"),
        (refused, None, None, "PLAIN"),
        (login, Some(alice), one, "OAUTHBEARER"),
        (refused, Some(alice), one, "OAUTHBEARER"),
        (login, Some(alice), one, "EXTERNAL"),
        (refused, None, two, "PLAIN"),
    ];
    let records = world.logins().await;
    assert_eq!(records.len(), expected.len());
    for (record, (action, account, tenant, mechanism)) in records.iter().zip(expected) {
        assert_eq!(
            (record.action, record.account, record.tenant),
            (action, account, tenant),
            "{record:?}"
        );
        assert!(
            record.detail.contains(&format!("mechanism={mechanism} ")),
            "{record:?}"
        );
        assert_eq!(record.session, Some(SESSION));
        assert_eq!(record.client, Some(context().client.ip()));
        assert_eq!((record.actor.as_str(), record.at), ("client", world.clock.wall()));
    }
}

#[tokio::test]
async fn no_record_has_a_password_a_token_or_a_name_that_nobody_has() {
    let world = World::new().await;
    world.log_in(ALICE, b"canary-password").await.unwrap_err();
    world.log_in("canary-name@one.example", b"x").await.unwrap_err();
    world.log_in("canary no name", b"x").await.unwrap_err();
    world
        .verify(bearer(Some(ALICE), "canary-token@one.example"))
        .await
        .unwrap_err();
    world
        .verify(bearer(None, "canary-token@one.example"))
        .await
        .unwrap_err();
    world
        .verify(external(Some("canary-name@one.example")))
        .await
        .unwrap_err();
    let granted = world.granted(ALICE, PASSWORD).await;
    let records = world.logins().await;
    assert_eq!(records.len(), 7);
    for shown in [
        format!("{records:?}"),
        format!("{granted:?}"),
        format!("{:?}", world.authenticator),
    ] {
        assert!(
            !shown.contains("canary") && !shown.contains("correct horse"),
            "{shown}"
        );
    }
}

struct Log {
    directory: Arc<MemoryDirectory>,
    probe: Arc<Probe>,
    switch: DirectorySwitch,
    log: AuditLog,
}

fn log() -> Log {
    let directory = Arc::new(MemoryDirectory::new());
    let (probe, switch) = (
        Arc::new(Probe::new(directory.clone())),
        DirectorySwitch::default(),
    );
    let switched: Arc<dyn Directory> = Arc::new(SwitchedDirectory::new(probe.clone(), switch.clone()));
    Log {
        directory,
        probe,
        switch,
        log: AuditLog::start(switched, Telemetry::default()),
    }
}

fn record(n: usize) -> AuditRecord {
    AuditRecord {
        at: std::time::SystemTime::UNIX_EPOCH,
        actor: "client".to_owned(),
        action: AuditAction::SessionEnded,
        tenant: None,
        account: None,
        session: None,
        client: None,
        detail: n.to_string(),
    }
}

impl Log {
    /// The details of what was written, oldest first.
    async fn written(&self) -> Vec<usize> {
        let filter = AuditFilter {
            limit: 100_000,
            ..AuditFilter::default()
        };
        let entries = self.directory.audit(filter).await.unwrap();
        let details = entries
            .iter()
            .rev()
            .map(|entry| entry.record.detail.parse().unwrap());
        details.collect()
    }
}

#[tokio::test(start_paused = true)]
async fn records_are_written_in_order_and_in_batches_soon_after_they_came() {
    let log = log();
    (0..2_600).for_each(|n| log.log.record(record(n)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(log.probe.batches(), [1_024, 1_024, 552]);
    assert!(log.written().await.into_iter().eq(0..2_600));
    log.log.record(record(2_600));
    log.log.flush(PATIENCE).await;
    assert_eq!(log.written().await.len(), 2_601);
}

#[tokio::test(start_paused = true)]
async fn records_wait_for_a_directory_that_is_down_and_a_flush_for_its_limit() {
    let log = log();
    log.switch.set_down(true);
    (0..300).for_each(|n| log.log.record(record(n)));
    let begun = tokio::time::Instant::now();
    log.log.flush(Duration::from_secs(7)).await;
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert!(log.written().await.is_empty());
    log.switch.set_down(false);
    log.log.flush(PATIENCE).await;
    assert!(log.written().await.into_iter().eq(0..300), "each once, in order");
    assert_eq!(log.log.dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn records_past_the_queue_are_dropped_and_counted_and_nobody_waits() {
    let log = log();
    log.switch.set_down(true);
    (0..8192 + 5).for_each(|n| log.log.record(record(n)));
    assert_eq!(log.log.dropped(), 5);
    log.switch.set_down(false);
    log.log.flush(PATIENCE).await;
    assert!(log.written().await.into_iter().eq(0..8192));
    log.log.clone().record(record(8192));
    log.log.flush(PATIENCE).await;
    assert_eq!(log.written().await.last(), Some(&8192), "it goes on afterwards");
}

#[tokio::test(start_paused = true)]
async fn records_that_the_directory_refuses_hold_up_no_others() {
    let log = log();
    log.probe.refuse_records(true);
    log.log.record(record(0));
    log.log.flush(PATIENCE).await;
    log.probe.refuse_records(false);
    log.log.record(record(1));
    log.log.flush(PATIENCE).await;
    assert_eq!(log.written().await, [1]);
}
