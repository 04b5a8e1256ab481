//! Blobs in a bucket, over HTTP: the cases of every blob store, and what happens when the service does not do as it
//! should. With `RESTANTE_S3_URL` against the service that it names.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod probe;
mod scene;

use restante_conformance::blob_store_suite;
use scene::Scene;

blob_store_suite!(Scene::open);

/// A service that ignores `If-None-Match` (FAULTS.md F32): what is written is never mixed up, and only puts that race
/// for one key, which the server never makes, both succeed.
mod without_conditions {
    use super::*;

    blob_store_suite!(Scene::without_conditions, except {
        one_of_sixteen_racing_puts_wins => "the service gives no means to tell who was first; keys are used once",
    });
}

/// Everything in parts, as for blobs of more than 8 MiB.
mod behind_faults {
    use super::*;
    use restante_testkit::{S3Call, S3Fault};

    /// Of all calls of a kind the second fails, is cut or is lost.
    async fn each_second(call: S3Call, fault: S3Fault) -> Scene {
        let scene = Scene::open().await;
        scene.s3().set_once(call, 1, fault);
        scene
    }

    mod put_is_lost {
        use super::*;
        async fn open() -> Scene {
            each_second(S3Call::Put, S3Fault::LoseAnswer).await
        }
        blob_store_suite!(open);
    }

    mod get_is_cut {
        use super::*;
        async fn open() -> Scene {
            each_second(S3Call::Get, S3Fault::Cut(1)).await
        }
        blob_store_suite!(open);
    }

    mod delete_is_refused_after {
        use super::*;
        async fn open() -> Scene {
            each_second(S3Call::Delete, S3Fault::RefuseAfter(500, "InternalError")).await
        }
        blob_store_suite!(open);
    }
}
