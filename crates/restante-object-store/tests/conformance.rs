//! The local directory keeps every promise of a blob store.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]
#![allow(clippy::unused_async, reason = "a suite opens its fixtures asynchronously")]

use std::sync::Arc;

use async_trait::async_trait;
use restante_conformance::{BlobStoreFixture, blob_store_suite};
use restante_object_store::LocalBlobStore;
use restante_store::BlobStore;
use tempfile::TempDir;

struct Local {
    directory: TempDir,
    store: Arc<LocalBlobStore>,
}

impl Local {
    async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(LocalBlobStore::open(directory.path().join("blobs"), 4).unwrap());
        Self { directory, store }
    }
}

#[async_trait]
impl BlobStoreFixture for Local {
    fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store) as _
    }

    async fn restart(&mut self) {
        let root = self.directory.path().join("blobs");
        self.store = Arc::new(LocalBlobStore::open(root, 4).unwrap());
    }
}

blob_store_suite!(Local::open);
