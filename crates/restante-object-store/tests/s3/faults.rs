//! FAULTS.md F14 to F17: a service that refuses, cuts, turns bits, forgets and lies.

use std::time::Duration;

use bytes::Bytes;
use restante_store::{BlobStore, StoreErrorKind};
use restante_testkit::{S3Call, S3Fault, eventually};
use tokio::time::{Instant, timeout};

use crate::scene::{Scene, fresh};

fn content(octets: usize) -> Bytes {
    (0..octets)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect::<Vec<u8>>()
        .into()
}

#[tokio::test]
async fn f14_each_refusal_of_a_read_has_its_kind_and_a_passing_one_passes() {
    let scene = Scene::open().await;
    let body = content(1_000);
    let key = scene.put(&body).await;
    for (status, code, kind) in [
        (301, "PermanentRedirect", StoreErrorKind::Invalid),
        (401, "Unauthorized", StoreErrorKind::Denied),
        (403, "AccessDenied", StoreErrorKind::Denied),
        (404, "NoSuchKey", StoreErrorKind::NotFound),
        (404, "NoSuchBucket", StoreErrorKind::Invalid),
        (416, "InvalidRange", StoreErrorKind::Damaged),
        (429, "TooManyRequests", StoreErrorKind::Throttled),
        (500, "InternalError", StoreErrorKind::Unavailable),
        (502, "", StoreErrorKind::Unavailable),
        (503, "SlowDown", StoreErrorKind::Throttled),
    ] {
        scene.s3().mend();
        scene.s3().set(S3Call::Get, 0, S3Fault::Refuse(status, code));
        assert_eq!(
            scene.read(&key, 1_000).await,
            (Vec::new(), Err(kind)),
            "{status} {code}"
        );
        let is_passing = kind.is_temporary();
        scene.s3().set_once(S3Call::Get, 0, S3Fault::Refuse(status, code));
        let (octets, end) = scene.read(&key, 1_000).await;
        assert_eq!(end.is_ok(), is_passing, "{status} {code}");
        assert_eq!(octets == body, is_passing, "{status} {code}");
    }
}

#[tokio::test]
async fn f14_rubbish_is_never_taken_for_a_message() {
    let scene = Scene::open().await;
    let key = scene.put(&content(1_000)).await;
    scene.s3().set(S3Call::Get, 0, S3Fault::Garbage);
    assert_eq!(
        scene.read(&key, 1_000).await,
        (Vec::new(), Err(StoreErrorKind::Unavailable))
    );
    scene.s3().set_once(S3Call::Get, 0, S3Fault::Garbage);
    assert_eq!(scene.read(&key, 1_000).await.1, Ok(()));
    // A success that is none.
    scene.s3().set(S3Call::Put, 0, S3Fault::Garbage);
    let refused = scene.try_put(&fresh(), &content(10)).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Unknown);
}

#[tokio::test]
async fn f14_each_refusal_of_a_write_has_its_kind_and_nothing_is_written_twice() {
    let scene = Scene::open().await;
    for (status, code, kind) in [
        (403, "AccessDenied", StoreErrorKind::Denied),
        (404, "NoSuchBucket", StoreErrorKind::Invalid),
        (409, "ConditionalRequestConflict", StoreErrorKind::Unavailable),
        (412, "PreconditionFailed", StoreErrorKind::Conflict),
        (500, "InternalError", StoreErrorKind::Unknown),
        (503, "SlowDown", StoreErrorKind::Throttled),
        (507, "InsufficientStorage", StoreErrorKind::Full),
    ] {
        scene.s3().mend();
        scene.s3().set(S3Call::Put, 0, S3Fault::Refuse(status, code));
        let refused = scene.try_put(&fresh(), &content(10)).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{status} {code}: {refused}");
        scene.s3().set_once(S3Call::Put, 0, S3Fault::Refuse(status, code));
        let answer = scene.try_put(&fresh(), &content(10)).await;
        // A disk that is full does not become empty within a call.
        let is_tried_again = kind.is_temporary() && kind != StoreErrorKind::Full;
        assert_eq!(answer.is_ok(), is_tried_again, "{status} {code}");
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_found_to_be_done() {
    let scene = Scene::open().await;
    // 3 octets in one request, 9 MiB in two parts.
    for octets in [3, 9 * 1024 * 1024] {
        let body = content(octets);
        for call in [S3Call::Put, S3Call::Post] {
            for nth in 0..2 {
                for fault in [S3Fault::LoseAnswer, S3Fault::RefuseAfter(500, "InternalError")] {
                    scene.s3().set_once(call, nth, fault);
                    let key = scene.put(&body).await;
                    scene.s3().mend();
                    let (read, end) = scene.read(&key, octets).await;
                    assert_eq!(end, Ok(()));
                    assert!(read == body);
                    let again = scene.try_put(&key, &body).await.unwrap_err();
                    assert_eq!(
                        again.kind,
                        StoreErrorKind::Conflict,
                        "another upload is not this one"
                    );
                    scene.store().delete(&key).await.unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn f15_a_body_that_is_cut_anywhere_is_read_on_where_it_broke_off() {
    let scene = Scene::open().await;
    let body = content(100_000);
    let key = scene.put(&body).await;
    for after in [0, 1, 50_000, 99_999] {
        for fault in [S3Fault::Cut(after), S3Fault::Stall(after)] {
            scene.s3().set_once(S3Call::Get, 0, fault);
            let (read, end) = scene.read(&key, body.len()).await;
            assert_eq!(end, Ok(()), "{after}");
            assert!(read == body, "{after}");
        }
    }
}

#[tokio::test]
async fn f15_a_body_that_is_always_cut_ends_in_an_error_and_not_in_an_end() {
    let scene = Scene::open().await;
    let body = content(100_000);
    let key = scene.put(&body).await;
    for after in [0, 1, 100] {
        scene.s3().set(S3Call::Get, 0, S3Fault::Cut(after));
        let (read, end) = scene.read(&key, body.len()).await;
        assert_eq!(end, Err(StoreErrorKind::Unavailable), "{after}");
        assert!(read.len() < body.len() && body.starts_with(&read), "{after}");
    }
}

#[tokio::test]
async fn f15_a_longer_body_gives_no_octet_too_many() {
    let scene = Scene::open().await;
    let body = content(10_000);
    let key = scene.put(&body).await;
    scene.s3().set(S3Call::Get, 0, S3Fault::Longer(1));
    let (read, _) = scene.read(&key, body.len()).await;
    assert!(read.len() <= body.len() && body.starts_with(&read));
}

#[tokio::test]
async fn f16_the_rest_of_another_object_is_not_read() {
    let scene = Scene::open().await;
    let body = content(100_000);
    let key = scene.put(&body).await;
    // The object is another when it is asked for again.
    scene.s3().set_once(S3Call::Get, 0, S3Fault::Cut(500));
    let whole = restante_store::OctetRange::first(restante_types::Octets(100_000));
    let mut reader = scene.store().get(&key, whole).await.unwrap();
    let first = reader.next().await.unwrap().unwrap();
    assert!(body.starts_with(&first));
    scene.s3().set(S3Call::Get, 0, S3Fault::OtherTag);
    let end = loop {
        match reader.next().await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error.kind),
        }
    };
    assert_eq!(end, Some(StoreErrorKind::Damaged));
}

#[tokio::test]
async fn f17_a_removal_that_is_refused_after_it_was_done_is_done() {
    let scene = Scene::open().await;
    let key = scene.put(&content(10)).await;
    scene
        .s3()
        .set(S3Call::Delete, 0, S3Fault::RefuseAfter(500, "InternalError"));
    let refused = scene.store().delete(&key).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Unknown);
    scene.s3().mend();
    scene.store().delete(&key).await.unwrap();
    assert_eq!(scene.read(&key, 10).await.1, Err(StoreErrorKind::NotFound));
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_no_reason_to_forget_a_blob() {
    let scene = Scene::open().await;
    let key = scene.put(&content(10)).await;
    for (status, code) in [(404, "NoSuchBucket"), (404, ""), (403, "AccessDenied")] {
        scene.s3().set(S3Call::Delete, 0, S3Fault::Refuse(status, code));
        let refused = scene.store().delete(&key).await.unwrap_err();
        assert!(refused.kind != StoreErrorKind::NotFound, "{code}: {refused}");
    }
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up_in_time() {
    let scene = Scene::open().await;
    let key = scene.put(&content(10)).await;
    for call in [S3Call::Get, S3Call::Put, S3Call::Head] {
        scene.s3().set(call, 0, S3Fault::Silent);
    }
    let start = Instant::now();
    let (read, end) = scene.read(&key, 10).await;
    assert_eq!((read.len(), end), (0, Err(StoreErrorKind::Timeout)));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let (key, body) = (fresh(), content(10));
    let put = timeout(Duration::from_mins(1), scene.try_put(&key, &body));
    assert_eq!(put.await.unwrap().unwrap_err().kind, StoreErrorKind::Timeout);
}

#[tokio::test]
async fn while_a_service_is_down_calls_do_not_add_to_its_load() {
    let scene = Scene::open().await;
    let key = scene.put(&content(10)).await;
    scene
        .s3()
        .set(S3Call::Get, 0, S3Fault::Refuse(500, "InternalError"));
    let before = scene.s3().count(S3Call::Get);
    let readers = (0..200).map(|_| scene.read(&key, 10));
    futures_util::future::join_all(readers).await;
    // 200 calls and the budget's 100 further attempts, where three for each would be 600.
    assert_eq!(scene.s3().count(S3Call::Get) - before, 300);
}

#[tokio::test]
async fn an_upload_in_parts_that_is_given_up_leaves_nothing() {
    let scene = Scene::open().await;
    let key = fresh();
    let mut short = restante_store::BytesReader::in_pieces(content(9 * 1024 * 1024), 1 << 20);
    let told = restante_types::Octets(20 * 1024 * 1024);
    let refused = scene.store().put(&key, told, &mut short).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Damaged);
    // The parts are given up on their own time.
    eventually("the upload is given up", || scene.s3().count(S3Call::Delete) == 1).await;
    assert_eq!(scene.read(&key, 10).await.1, Err(StoreErrorKind::NotFound));
}
