use restante_types::{Clock as _, SystemClock};

use super::*;
use crate::scene::{OLD, Scene};
use crate::{BytesReader, Fault};

/// What an audit finds, and how many messages and blobs it looked at.
async fn audit(scene: &Scene, settings: AuditSettings) -> (Vec<Finding>, usize, usize) {
    let custody = Arc::clone(&scene.index) as Arc<dyn Custody>;
    let auditor = Auditor::new(custody, Arc::clone(&scene.stores), settings);
    let (mut found, mut n_checked, mut n_listed) = (Vec::new(), 0, 0);
    let mut tell = |event| match event {
        AuditEvent::Checked(_) => n_checked += 1,
        AuditEvent::Listed(n) => n_listed += n,
        AuditEvent::Found(finding) => found.push(*finding),
    };
    auditor.check_messages(None, &mut tell).await.unwrap();
    auditor.check_blobs(SystemClock.wall(), &mut tell).await.unwrap();
    (found, n_checked, n_listed)
}

fn small() -> AuditSettings {
    AuditSettings {
        batch: 2,
        ..AuditSettings::default()
    }
}

async fn five() -> Scene {
    let scene = Scene::new();
    for n in 0..5 {
        scene.deliver(&format!("Subject: {n}\r\n\r\nbody\r\n")).await;
    }
    scene
}

#[tokio::test]
async fn what_fits_is_all_looked_at_and_nothing_is_found() {
    let scene = five().await;
    scene.delete(2).await;
    let (found, n_checked, n_listed) = audit(&scene, small()).await;
    assert!(found.is_empty(), "{found:?}");
    assert_eq!((n_checked, n_listed), (5, 5));
}

#[tokio::test]
async fn a_missing_and_a_damaged_body_are_told_by_their_message() {
    let scene = five().await;
    let stored = scene.stored().await;
    scene.old.delete(&stored[1].body.blob).await.unwrap();
    let other = vec![b'x'; usize::try_from(stored[3].body.octets.get()).unwrap()];
    scene.old.delete(&stored[3].body.blob).await.unwrap();
    let mut body = BytesReader::from(bytes::Bytes::from(other));
    scene
        .old
        .put(&stored[3].body.blob, stored[3].body.octets, &mut body)
        .await
        .unwrap();
    let (found, n_checked, _) = audit(&scene, small()).await;
    assert_eq!(n_checked, 5);
    let [Finding::Missing(missing), Finding::Damaged(damaged)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((missing.id, damaged.id), (stored[1].id, stored[3].id));
    // Without reading, the length is all that is seen.
    let quick = AuditSettings {
        read_bodies: false,
        ..small()
    };
    let (found, ..) = audit(&scene, quick).await;
    assert!(matches!(found.as_slice(), [Finding::Missing(_)]), "{found:?}");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_now_is_neither_good_nor_lost() {
    let scene = five().await;
    scene
        .plan
        .once(Some("get"), 2, Fault::Before(StoreErrorKind::Unavailable));
    let (found, ..) = audit(&scene, small()).await;
    let [Finding::Unread(_, error)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_short_or_changed_body_is_damaged() {
    for fault in [
        Fault::CutAt(Octets(3)),
        Fault::FlipAt(Octets(0)),
        Fault::Extend(1),
    ] {
        let scene = five().await;
        scene.plan.once(Some("get"), 0, fault);
        let (found, ..) = audit(&scene, small()).await;
        assert!(
            matches!(found.as_slice(), [Finding::Damaged(_)]),
            "{fault:?}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_blob_that_nothing_names_is_told_once_it_is_old_enough() {
    let scene = five().await;
    scene.stray(Duration::from_mins(30)).await;
    let stray = scene.stray(Duration::from_hours(2)).await;
    let (found, _, n_listed) = audit(&scene, small()).await;
    assert_eq!(n_listed, 7);
    assert!(
        matches!(found.as_slice(), [Finding::Orphan(OLD, orphan)] if *orphan == stray),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_storage_that_cannot_be_listed_is_told_and_the_others_are_looked_at() {
    let scene = five().await;
    scene
        .plan
        .once(Some("list"), 0, Fault::Before(StoreErrorKind::Unsupported));
    scene.stray(Duration::from_hours(2)).await;
    let (found, n_checked, _) = audit(&scene, small()).await;
    assert_eq!(n_checked, 5);
    assert!(
        matches!(found.as_slice(), [Finding::Unlisted(OLD, _)]),
        "{found:?}"
    );
}
