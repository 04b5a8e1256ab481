use restante_lock::LockManager as _;
use restante_types::{Clock as _, SessionId, SystemClock};

use super::*;
use crate::scene::{NEW, OLD, Scene};
use crate::{
    BlobLedger as _, BlobStore as _, Collector, CollectorSettings, Fault, MailIndex as _, MemoryMailIndex,
};

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    moved: usize,
    there: usize,
    gone: usize,
    failed: Vec<StoreErrorKind>,
}

async fn run(scene: &Scene) -> Tally {
    let custody = Arc::clone(&scene.index) as Arc<dyn Custody>;
    let mover = Mover::new(custody, Arc::clone(&scene.stores), NEW);
    let mut tally = Tally::default();
    let mut tell = |event| match event {
        MoveEvent::Moved(_) => tally.moved += 1,
        MoveEvent::There(_) => tally.there += 1,
        MoveEvent::Gone(_) => tally.gone += 1,
        MoveEvent::Failed(_, error) => tally.failed.push(error.kind),
    };
    mover.run(scene.maildrop, &mut tell).await.unwrap();
    tally
}

async fn filled() -> Scene {
    let scene = Scene::new();
    for n in 0..6 {
        scene.deliver(&format!("Subject: {n}\r\n\r\nbody\r\n")).await;
    }
    scene
}

async fn bodies(scene: &Scene) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for message in scene.stored().await {
        bodies.push(scene.body(&message).await);
    }
    bodies
}

#[tokio::test]
async fn everything_is_moved_once_and_nothing_else_changes() {
    let scene = filled().await;
    scene.delete(2).await;
    let (before, read) = (scene.stored().await, bodies(&scene).await);
    let moved = Tally {
        moved: 6,
        ..Tally::default()
    };
    assert_eq!(run(&scene).await, moved);
    let after = scene.stored().await;
    assert!(after.iter().all(|message| message.body.storage == NEW));
    let unique_ids = |of: &[StoredMessage]| of.iter().map(|it| it.unique_id.clone()).collect::<Vec<_>>();
    assert_eq!(unique_ids(&after), unique_ids(&before));
    assert_eq!(bodies(&scene).await, read);
    let there = Tally {
        there: 6,
        ..Tally::default()
    };
    assert_eq!(run(&scene).await, there);
}

#[tokio::test]
async fn a_session_that_listed_before_reads_on_and_the_old_octets_go_later() {
    let scene = filled().await;
    let session = SessionId::from_octets([1; 16]);
    let fence = scene.locks.open(scene.maildrop, session).await.unwrap();
    let listing = scene.index.snapshot(&fence).await.unwrap();
    run(&scene).await;
    let collector = Collector::new(
        Arc::clone(&scene.index) as _,
        Arc::clone(&scene.stores),
        Arc::new(SystemClock),
        CollectorSettings::default(),
    );
    let now = SystemClock.wall();
    collector
        .collect_once(now + Duration::from_hours(12))
        .await
        .unwrap();
    for body in &listing.bodies {
        assert_eq!(body.storage, OLD);
        let whole = OctetRange::first(body.octets);
        assert!(scene.old.get(&body.blob, whole).await.is_ok());
    }
    collector
        .collect_once(now + Duration::from_hours(25))
        .await
        .unwrap();
    assert!(scene.old.is_empty());
    assert_eq!(scene.new.len(), 6);
}

#[tokio::test]
async fn whatever_call_fails_each_message_is_whole_in_one_place_and_a_second_run_ends_it() {
    for op in ["get", "put"] {
        for fault in [
            Fault::Before(StoreErrorKind::Unavailable),
            Fault::After(StoreErrorKind::Unknown),
        ] {
            for nth in 0..6 {
                let scene = filled().await;
                let read = bodies(&scene).await;
                scene.plan.once(Some(op), nth, fault);
                let tally = run(&scene).await;
                assert_eq!((tally.moved, tally.failed.len()), (5, 1), "{op} {nth} {fault:?}");
                assert_eq!(bodies(&scene).await, read);
                assert_eq!(run(&scene).await.moved, 1);
                assert_eq!(bodies(&scene).await, read);
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_damaged_on_its_way_is_not_moved() {
    for fault in [
        Fault::FlipAt(Octets(4)),
        Fault::CutAt(Octets(4)),
        Fault::Extend(1),
    ] {
        let scene = filled().await;
        scene.plan.once(Some("get"), 0, fault);
        let tally = run(&scene).await;
        assert_eq!(tally.failed, [StoreErrorKind::Damaged], "{fault:?}");
        assert_eq!(scene.new.len(), 5, "nothing of it is left");
        let stays = scene
            .stored()
            .await
            .into_iter()
            .filter(|it| it.body.storage == OLD);
        assert_eq!(stays.count(), 1);
    }
}

#[tokio::test]
async fn what_was_copied_for_nothing_is_left_to_the_collector() {
    let scene = filled().await;
    scene
        .plan
        .once(Some("put"), 0, Fault::After(StoreErrorKind::Unknown));
    assert_eq!(run(&scene).await.failed.len(), 1);
    assert_eq!(scene.new.len(), 6);
    let late = SystemClock.wall() + MemoryMailIndex::GRACE * 2;
    let condemned = scene.index.condemned(late, 100).await.unwrap();
    assert_eq!(condemned.iter().filter(|it| it.storage == NEW).count(), 1);
}
