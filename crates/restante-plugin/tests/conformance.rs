//! The plugin `memory` keeps every promise of a blob store.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]
#![allow(clippy::unused_async, reason = "a suite opens its fixtures asynchronously")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its part of the support"
)]

mod support;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use restante_conformance::{BlobStoreFixture, blob_store_suite};
use restante_plugin::{Limits, Plugin, PluginBlobStore};
use restante_store::{BlobStore, KeyValueStore, MemoryKeyValueStore};

fn memory() -> Plugin {
    static MEMORY: OnceLock<Plugin> = OnceLock::new();
    MEMORY.get_or_init(|| support::plugin("memory")).clone()
}

struct Fixture {
    values: Arc<dyn KeyValueStore>,
    store: Arc<PluginBlobStore>,
}

impl Fixture {
    async fn open() -> Self {
        Self::over(Arc::new(MemoryKeyValueStore::default()))
    }

    fn over(values: Arc<dyn KeyValueStore>) -> Self {
        let store = support::store_over(memory(), "{}", Limits::default(), Arc::clone(&values));
        Self {
            values,
            store: Arc::new(store),
        }
    }
}

#[async_trait]
impl BlobStoreFixture for Fixture {
    fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store) as _
    }

    async fn restart(&mut self) {
        *self = Self::over(Arc::clone(&self.values));
    }
}

blob_store_suite!(Fixture::open);
