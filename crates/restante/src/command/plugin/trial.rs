//! A component on the author's machine: granted what the command line says, with nothing behind it but memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use clap::Args;
use restante_config::{Grant, PluginStorage, World};
use restante_plugin::{Plugin, PluginSlot, Setting, Tenants};
use restante_store::{
    BlobStore, KeyValueStore, MemoryBlobStore, MemoryKeyValueStore, MemoryPluginRegistry, StoreError,
};
use restante_types::TenantId;
use tokio::time::Instant;

use crate::backends::{grants, limits, temporary_cache, workshop};
use crate::output::Failure;

/// The name of the plugin, and of its storage, on trial.
pub(super) const NAME: &str = "main";

#[derive(Args, Clone, Debug)]
pub(crate) struct TrialArgs {
    /// The component
    pub(super) file: PathBuf,
    /// What it may import beside log, clock and random: key-value, inner
    #[arg(long, value_name = "INTERFACE", value_parser = grant)]
    grant: Vec<Grant>,
    /// A secret that it may read, from a file
    #[arg(long, value_name = "NAME=FILE", value_parser = secret)]
    secret: Vec<(String, PathBuf)>,
    /// Where it may send HTTP requests: https://host:port, or http:// with a loopback address
    #[arg(long, value_name = "ORIGIN")]
    http: Vec<String>,
    /// What it is configured with: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = settings)]
    settings: serde_json::Map<String, serde_json::Value>,
    /// Memory of one instance, in MiB
    #[arg(long, value_name = "MIB", default_value_t = restante_config::Plugin::default().memory_mib)]
    memory: u32,
}

fn grant(text: &str) -> Result<Grant, String> {
    match text {
        "key-value" => Ok(Grant::KeyValue),
        "inner" => Ok(Grant::Inner),
        "http" => Err("HTTP is granted with --http ORIGIN".to_owned()),
        "secrets" => Err("secrets are granted with --secret NAME=FILE".to_owned()),
        _ => Err("key-value or inner".to_owned()),
    }
}

fn secret(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("NAME=FILE".to_owned()),
    }
}

fn settings(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

impl TrialArgs {
    /// As `[plugin.NAME]` would say it.
    pub(super) fn plugin(&self) -> restante_config::Plugin {
        restante_config::Plugin {
            grants: self.grant.clone(),
            http: self.http.clone(),
            secrets: self.secret.iter().cloned().collect(),
            memory_mib: self.memory,
            ..restante_config::Plugin::default()
        }
    }

    /// As `[storage.NAME]` would say it; the storage beneath, if it is granted, is `inner`.
    pub(super) fn storage(&self, world: restante_plugin::World, inner: &str) -> PluginStorage {
        PluginStorage {
            plugin: NAME.to_owned(),
            world: match world {
                restante_plugin::World::BlobStore => World::BlobStore,
                restante_plugin::World::Maildrop => World::Maildrop,
            },
            inner: self.grant.contains(&Grant::Inner).then(|| inner.to_owned()),
            config: self.settings.clone().into_iter().collect::<BTreeMap<_, _>>(),
        }
    }

    /// Compiles the component and checks what it imports.
    pub(super) async fn load(&self) -> Result<Trial, Failure> {
        let component = super::component(&self.file).map_err(Failure::setup)?;
        let plugin = self.plugin();
        let grants = grants(NAME, &plugin)?;
        let slot = Arc::new(PluginSlot::new(
            NAME,
            limits(&plugin),
            grants,
            restante_telemetry::Telemetry::default(),
        ));
        let registry = Arc::new(MemoryPluginRegistry::default());
        let workshop = workshop(&temporary_cache(), registry, [Arc::clone(&slot)])?;
        let begun = Instant::now();
        let plugin = workshop.load(&component, &slot).await;
        let plugin = plugin.with_context(|| self.file.display().to_string())?;
        slot.set(plugin.clone());
        Ok(Trial {
            component,
            plugin,
            slot,
            loading: begun.elapsed(),
            settings: serde_json::to_string(&self.settings)
                .map_err(|error| anyhow!("--settings: {error}"))?
                .into(),
            has_inner: self.grant.contains(&Grant::Inner),
        })
    }
}

/// A component that could be loaded.
pub(super) struct Trial {
    pub(super) component: Vec<u8>,
    pub(super) plugin: Plugin,
    pub(super) slot: Arc<PluginSlot>,
    pub(super) loading: Duration,
    settings: Arc<str>,
    has_inner: bool,
}

impl Trial {
    /// Empty memory for a storage of the component.
    pub(super) fn ground(&self) -> Ground {
        Ground {
            values: Arc::new(MemoryKeyValueStore::default()),
            inner: self
                .has_inner
                .then(|| Arc::new(MemoryBlobStore::new()) as Arc<dyn BlobStore>),
        }
    }

    /// What a storage over it gives the component.
    pub(super) fn setting(&self, ground: &Ground) -> Setting {
        Setting {
            storage: NAME.into(),
            world: self.plugin.world(),
            config: Arc::clone(&self.settings),
            values: Arc::clone(&ground.values),
            inner: ground.inner.clone(),
            tenants: Arc::new(FewTenants),
        }
    }
}

/// What lies beneath a storage on trial.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    values: Arc<dyn KeyValueStore>,
    inner: Option<Arc<dyn BlobStore>>,
}

/// The tenants of the cases.
#[derive(Debug)]
struct FewTenants;

#[async_trait]
impl Tenants for FewTenants {
    async fn from(&self, from: TenantId) -> Result<Vec<TenantId>, StoreError> {
        Ok((from.get()..20).filter_map(TenantId::new).collect())
    }
}
