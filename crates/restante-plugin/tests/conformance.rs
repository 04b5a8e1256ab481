//! The plugins keep every promise that the server's own storages keep. Those in C and JavaScript are checked by
//! `cargo xtask author`, as their authors would.
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
use restante_conformance::{
    BlobStoreFixture, ForeignMaildropsFixture, blob_store_suite, foreign_maildrops_suite,
};
use restante_plugin::{
    Grants, HttpGate, Limits, Plugin, PluginBlobStore, PluginMaildrops, PluginSlot, Setting, World,
};
use restante_store::{BlobStore, ForeignMaildrops, KeyValueStore, MemoryBlobStore, MemoryKeyValueStore};
use restante_testkit::JmapServer;
use restante_types::Secret;

/// An empty storage of a plugin.
struct Blobs {
    slot: Arc<PluginSlot>,
    config: &'static str,
    values: Arc<dyn KeyValueStore>,
    inner: Option<Arc<dyn BlobStore>>,
    store: Arc<PluginBlobStore>,
}

impl Blobs {
    fn over(
        slot: Arc<PluginSlot>,
        config: &'static str,
        values: Arc<dyn KeyValueStore>,
        inner: Option<Arc<dyn BlobStore>>,
    ) -> Self {
        let setting = Setting {
            inner: inner.clone(),
            ..support::setting(config, Arc::clone(&values))
        };
        let store = Arc::new(PluginBlobStore::new(Arc::clone(&slot), setting));
        Self {
            slot,
            config,
            values,
            inner,
            store,
        }
    }
}

#[async_trait]
impl BlobStoreFixture for Blobs {
    fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store) as _
    }

    async fn restart(&mut self) {
        let (values, inner) = (Arc::clone(&self.values), self.inner.clone());
        *self = Self::over(Arc::clone(&self.slot), self.config, values, inner);
    }
}

fn memory() -> Plugin {
    static MEMORY: OnceLock<Plugin> = OnceLock::new();
    MEMORY.get_or_init(|| support::plugin("memory")).clone()
}

async fn open_memory() -> Blobs {
    let slot = support::slot(memory(), Limits::default());
    Blobs::over(slot, "{}", Arc::new(MemoryKeyValueStore::default()), None)
}

fn seal(inner: Arc<dyn BlobStore>) -> Blobs {
    static SEAL: OnceLock<Plugin> = OnceLock::new();
    let grants = || Grants {
        inner: true,
        secrets: [("key".to_owned(), Secret::new(vec![7; 32]))].into(),
        ..Grants::default()
    };
    let plugin = SEAL.get_or_init(|| {
        let component = support::component("seal");
        support::host().compile(&component, &grants()).unwrap()
    });
    let slot = PluginSlot::new(
        "seal",
        Limits::default(),
        grants(),
        restante_telemetry::Telemetry::default(),
    );
    slot.set(plugin.clone());
    let values = Arc::new(MemoryKeyValueStore::default());
    Blobs::over(Arc::new(slot), r#"{"key":"key"}"#, values, Some(inner))
}

async fn open_sealed_memory() -> Blobs {
    seal(Arc::new(MemoryBlobStore::new()))
}

async fn open_sealed_plugin() -> Blobs {
    seal(open_memory().await.store())
}

blob_store_suite!(open_memory);

mod sealed {
    use super::*;

    blob_store_suite!(open_sealed_memory);
}

mod a_plugin_over_a_plugin {
    use super::*;

    blob_store_suite!(open_sealed_plugin);
}

/// Empty maildrops of a plugin.
struct Maildrops {
    slot: Arc<PluginSlot>,
    config: String,
    values: Arc<dyn KeyValueStore>,
    system: Arc<PluginMaildrops>,
    /// Behind the plugin, if it needs one; held as long as the plugin.
    jmap: Option<JmapServer>,
}

impl Maildrops {
    fn over(
        slot: Arc<PluginSlot>,
        config: String,
        values: Arc<dyn KeyValueStore>,
        jmap: Option<JmapServer>,
    ) -> Self {
        let setting = Setting {
            world: World::Maildrop,
            ..support::setting(&config, Arc::clone(&values))
        };
        let system = Arc::new(PluginMaildrops::new(Arc::clone(&slot), setting));
        Self {
            slot,
            config,
            values,
            system,
            jmap,
        }
    }
}

#[async_trait]
impl ForeignMaildropsFixture for Maildrops {
    fn system(&self) -> Arc<dyn ForeignMaildrops> {
        Arc::clone(&self.system) as _
    }

    async fn restart(&mut self) {
        let (slot, values, jmap) = (Arc::clone(&self.slot), Arc::clone(&self.values), self.jmap.take());
        *self = Self::over(slot, self.config.clone(), values, jmap);
    }
}

async fn open_shelf() -> Maildrops {
    static SHELF: OnceLock<Plugin> = OnceLock::new();
    let plugin = SHELF.get_or_init(|| support::plugin("shelf")).clone();
    let slot = support::slot(plugin, Limits::default());
    let values = Arc::new(MemoryKeyValueStore::default());
    Maildrops::over(slot, "{}".to_owned(), values, None)
}

async fn open_jmap() -> Maildrops {
    static JMAP: OnceLock<Plugin> = OnceLock::new();
    let server = JmapServer::start().await;
    for name in ["user7@tenant1.test", "user8@tenant1.test", "user7@tenant2.test"] {
        server.add_account(name);
    }
    let origin = format!("http://{}", server.address());
    let grants = Grants {
        key_value: true,
        secrets: [("token".to_owned(), Secret::new(server.token().into()))].into(),
        http: Some(HttpGate::new(&[origin], false, None).unwrap()),
        ..Grants::default()
    };
    let plugin = JMAP.get_or_init(|| {
        let component = support::component("jmap");
        support::host().compile(&component, &grants).unwrap()
    });
    let slot = PluginSlot::new(
        "jmap",
        Limits::default(),
        grants,
        restante_telemetry::Telemetry::default(),
    );
    slot.set(plugin.clone());
    let config = format!(r#"{{"session_url":"{}","token":"token"}}"#, server.url());
    let values = Arc::new(MemoryKeyValueStore::default());
    Maildrops::over(Arc::new(slot), config, values, Some(server))
}

mod shelf {
    use super::*;

    foreign_maildrops_suite!(open_shelf);
}

mod jmap {
    use super::*;

    foreign_maildrops_suite!(open_jmap);
}
