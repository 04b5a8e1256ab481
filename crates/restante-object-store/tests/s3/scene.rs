//! A bucket of one's own, and the store over it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use restante_conformance::BlobStoreFixture;
use restante_object_store::{ObjectBlobStore, S3Limits, S3Options};
use restante_store::{BlobKey, BlobStore, BytesReader, OctetRange, StoreError, StoreErrorKind};
use restante_testkit::{S3, S3Call, S3Fault};
use restante_types::{Clock as _, Octets, SystemClock, TenantId};

pub(crate) struct Scene {
    s3: S3,
    store: Arc<ObjectBlobStore>,
    prefix: String,
    has_conditions: bool,
}

impl Scene {
    pub(crate) async fn open() -> Self {
        let s3 = S3::start().await;
        // A bucket elsewhere is shared by all tests, and keeps what they leave.
        let prefix = format!("restante-tests/{:032x}", fresh().number);
        let store = Arc::new(ObjectBlobStore::s3(&options(&s3, &prefix)).unwrap());
        let mut scene = Self {
            s3,
            store,
            prefix,
            has_conditions: true,
        };
        scene.learn().await;
        scene
    }

    /// A server does this at its start. The service of the tests needs no asking.
    async fn learn(&mut self) {
        if !self.s3.is_own() {
            self.has_conditions = self.store.probe().await.unwrap().conditional_writes;
        }
    }

    pub(crate) async fn without_conditions() -> Self {
        let scene = Self::open().await;
        scene.s3.set(S3Call::Put, 0, S3Fault::IgnoreConditions);
        let probed = scene.store.probe().await.unwrap();
        assert!(!scene.s3.is_own() || !probed.conditional_writes);
        scene
    }

    pub(crate) const fn s3(&self) -> &S3 {
        &self.s3
    }

    pub(crate) fn store(&self) -> &ObjectBlobStore {
        &self.store
    }

    pub(crate) fn options(&self) -> S3Options {
        options(&self.s3, &self.prefix)
    }

    /// Stores `octets` under a key of its own.
    pub(crate) async fn put(&self, octets: &Bytes) -> BlobKey {
        let key = fresh();
        self.try_put(&key, octets).await.unwrap();
        key
    }

    pub(crate) async fn try_put(&self, key: &BlobKey, octets: &Bytes) -> Result<(), StoreError> {
        let mut body = BytesReader::in_pieces(octets.clone(), 64 * 1024);
        self.store.put(key, Octets::of(octets), &mut body).await
    }

    /// All that comes of a blob of so many octets, and how it ends.
    pub(crate) async fn read(&self, key: &BlobKey, octets: usize) -> (Vec<u8>, Result<(), StoreErrorKind>) {
        let mut all = Vec::new();
        let whole = OctetRange::first(Octets(octets as u64));
        let reading = async {
            let mut reader = self.store.get(key, whole).await?;
            while let Some(piece) = reader.next().await? {
                all.extend_from_slice(&piece);
            }
            Ok(())
        };
        let end = reading.await.map_err(|error: StoreError| error.kind);
        (all, end)
    }
}

pub(crate) fn fresh() -> BlobKey {
    BlobKey::fresh(TenantId::new(7).unwrap(), SystemClock.wall()).unwrap()
}

fn options(s3: &S3, prefix: &str) -> S3Options {
    S3Options {
        bucket: s3.bucket().to_owned(),
        region: Some(s3.region().to_owned()),
        endpoint: Some(s3.endpoint()),
        prefix: prefix.to_owned(),
        credentials: Some((s3.credentials_file(), "default".to_owned())),
        // A test waits for some of them.
        limits: S3Limits {
            answer: Duration::from_secs(1),
            progress: Duration::from_secs(1),
            change: Duration::from_secs(3),
        },
        ..S3Options::default()
    }
}

#[async_trait]
impl BlobStoreFixture for Scene {
    fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store) as _
    }

    fn tells_who_was_first(&self) -> bool {
        self.has_conditions
    }

    async fn restart(&mut self) {
        self.store = Arc::new(ObjectBlobStore::s3(&self.options()).unwrap());
        self.learn().await;
    }
}
