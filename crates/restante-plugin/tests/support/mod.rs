//! Plugins built from source, over values in memory.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use restante_plugin::{
    Grants, Limits, Plugin, PluginBlobStore, PluginHost, PluginSlot, Setting, Tenants, World,
};
use restante_store::{KeyValueStore, MemoryKeyValueStore, StoreError};
use restante_telemetry::Telemetry;
use restante_types::TenantId;

/// The component of a plugin, as `cargo xtask plugins` built it.
pub fn component(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let file = target.join("plugins").join(format!("{name}.wasm"));
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", file.display()))
}

/// One engine for all tests of a process.
pub fn host() -> &'static PluginHost {
    static HOST: OnceLock<PluginHost> = OnceLock::new();
    HOST.get_or_init(|| PluginHost::start().unwrap())
}

pub fn key_value() -> Grants {
    Grants {
        key_value: true,
        ..Grants::default()
    }
}

pub fn plugin(name: &'static str) -> Plugin {
    host().compile(&component(name), &key_value()).unwrap()
}

/// Tenants 1 to 19, a few at a time.
#[derive(Debug)]
pub struct FewTenants;

#[async_trait]
impl Tenants for FewTenants {
    async fn from(&self, from: TenantId) -> Result<Vec<TenantId>, StoreError> {
        Ok((from.get()..20).filter_map(TenantId::new).take(4).collect())
    }
}

pub fn slot(plugin: Plugin, limits: Limits) -> Arc<PluginSlot> {
    slot_observed(plugin, limits, Telemetry::default())
}

pub fn slot_observed(plugin: Plugin, limits: Limits, telemetry: Telemetry) -> Arc<PluginSlot> {
    let slot = PluginSlot::new("under-test", limits, key_value(), telemetry);
    slot.set(plugin);
    Arc::new(slot)
}

pub fn setting(config: &str, values: Arc<dyn KeyValueStore>) -> Setting {
    Setting {
        storage: "under-test".into(),
        world: World::BlobStore,
        config: config.into(),
        values,
        inner: None,
        tenants: Arc::new(FewTenants),
    }
}

pub fn store_over(
    plugin: Plugin,
    config: &str,
    limits: Limits,
    values: Arc<dyn KeyValueStore>,
) -> PluginBlobStore {
    PluginBlobStore::new(slot(plugin, limits), setting(config, values))
}

pub fn store(plugin: Plugin, config: &str, limits: Limits) -> PluginBlobStore {
    store_over(plugin, config, limits, Arc::new(MemoryKeyValueStore::default()))
}
