//! What a provider reads who set something wrong.

use restante_object_store::{ObjectBlobStore, S3Options, S3OptionsError};
use restante_store::StoreErrorKind;
use restante_testkit::{S3Call, S3Fault};

use crate::scene::Scene;

async fn said(options: &S3Options) -> (StoreErrorKind, String) {
    let error = ObjectBlobStore::s3(options).unwrap().probe().await.unwrap_err();
    (error.kind, error.to_string())
}

#[tokio::test]
async fn a_bucket_that_serves_is_left_as_it_was() {
    let scene = Scene::open().await;
    let probed = scene.store().probe().await.unwrap();
    if scene.s3().is_own() {
        assert!(probed.conditional_writes);
        let probes = scene.s3().objects().join(scene.options().prefix).join("probe");
        assert_eq!(std::fs::read_dir(probes).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let scene = Scene::open().await;
    let options = S3Options {
        bucket: "nowhere".to_owned(),
        ..scene.options()
    };
    if scene.s3().is_own() {
        // The service of the tests would say that something is wrong with itself.
        scene
            .s3()
            .set(S3Call::Put, 0, S3Fault::Refuse(404, "NoSuchBucket"));
    }
    let (kind, text) = said(&options).await;
    assert_eq!(kind, StoreErrorKind::Invalid);
    assert!(
        text.contains("there is no bucket \"nowhere\": create it"),
        "{text}"
    );
}

#[tokio::test]
async fn wrong_keys_are_told_by_where_they_come_from_and_not_repeated() {
    let scene = Scene::open().await;
    let file = scene.s3().credentials_file().with_extension("wrong");
    let keys = std::fs::read_to_string(scene.s3().credentials_file()).unwrap();
    let secret = "aws_secret_access_key = ";
    let at = keys.find(secret).unwrap() + secret.len();
    std::fs::write(&file, format!("{}canary-secret\n", keys.get(..at).unwrap())).unwrap();
    let options = S3Options {
        credentials: Some((file.clone(), "default".to_owned())),
        ..scene.options()
    };
    let takes_any_key = ObjectBlobStore::s3(&options).unwrap().probe().await.is_ok();
    if takes_any_key && !scene.s3().is_own() {
        return;
    }
    let (kind, text) = said(&options).await;
    assert_eq!(kind, StoreErrorKind::Denied);
    assert!(
        text.contains(&file.display().to_string()) && text.contains("[default]"),
        "{text}"
    );
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let scene = Scene::open().await;
    for (call, status, code, kind, advice) in [
        (
            S3Call::Put,
            403,
            "RequestTimeTooSkewed",
            StoreErrorKind::Denied,
            "clock differs",
        ),
        (
            S3Call::Put,
            403,
            "AccessDenied",
            StoreErrorKind::Denied,
            "do not permit s3:PutObject",
        ),
        (
            S3Call::Get,
            403,
            "AccessDenied",
            StoreErrorKind::Denied,
            "do not permit s3:GetObject",
        ),
        (
            S3Call::Delete,
            403,
            "AccessDenied",
            StoreErrorKind::Denied,
            "do not permit s3:DeleteObject",
        ),
        (
            S3Call::Head,
            403,
            "AccessDenied",
            StoreErrorKind::Denied,
            "s3:ListBucket",
        ),
        (
            S3Call::Put,
            403,
            "InvalidAccessKeyId",
            StoreErrorKind::Denied,
            "does not know the access key",
        ),
        (
            S3Call::Put,
            400,
            "ExpiredToken",
            StoreErrorKind::Invalid,
            "session token",
        ),
        (
            S3Call::Put,
            301,
            "PermanentRedirect",
            StoreErrorKind::Invalid,
            "another region",
        ),
        (
            S3Call::Put,
            503,
            "SlowDown",
            StoreErrorKind::Throttled,
            "fewer requests",
        ),
        (
            S3Call::Put,
            500,
            "InternalError",
            StoreErrorKind::Unavailable,
            "cannot be used now",
        ),
    ] {
        scene.s3().mend();
        scene.s3().set(call, 0, S3Fault::Refuse(status, code));
        let (said_kind, text) = said(&scene.options()).await;
        assert_eq!(said_kind, kind, "{code}");
        assert!(text.contains(advice), "{code}: {text}");
    }
}

#[tokio::test]
async fn a_service_that_is_none_is_told() {
    let scene = Scene::open().await;
    scene.s3().set(S3Call::Delete, 0, S3Fault::Pretend);
    let (kind, text) = said(&scene.options()).await;
    assert_eq!(kind, StoreErrorKind::Damaged);
    assert!(text.contains("still there"), "{text}");
    scene.s3().mend();
    scene.s3().set(S3Call::Get, 0, S3Fault::Flip(0));
    let (_, text) = said(&scene.options()).await;
    assert!(text.contains("other octets came back"), "{text}");
}

#[tokio::test]
async fn nobody_there_and_no_tls_there_are_told_apart() {
    let scene = Scene::open().await;
    let refusing = S3Options {
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        ..scene.options()
    };
    let (kind, text) = said(&refusing).await;
    assert_eq!(kind, StoreErrorKind::Unavailable);
    assert!(text.contains("refused"), "{text}");
    let plain = S3Options {
        endpoint: Some(scene.s3().endpoint().replace("http:", "https:")),
        ..scene.options()
    };
    let (kind, text) = said(&plain).await;
    assert_eq!(kind, StoreErrorKind::Unavailable);
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_before_anything_is_sent() {
    let scene = Scene::open().await;
    let far = S3Options {
        endpoint: Some("http://192.0.2.1:9000".to_owned()),
        ..scene.options()
    };
    assert!(matches!(
        ObjectBlobStore::s3(&far),
        Err(S3OptionsError::Plaintext)
    ));
    let absent = S3Options {
        credentials: Some(("/nonexistent/credentials".into(), "default".to_owned())),
        ..scene.options()
    };
    assert!(matches!(
        ObjectBlobStore::s3(&absent),
        Err(S3OptionsError::Credentials(_))
    ));
    let no_pem = S3Options {
        ca: Some(b"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n".to_vec()),
        ..scene.options()
    };
    assert!(ObjectBlobStore::s3(&no_pem).is_err());
}
