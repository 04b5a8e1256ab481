//! The storage plugins that the configuration names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use restante_auth::{DirectoryAdmin, Page};
use restante_config::{Config, Grant, Plugin, PluginStorage, Storage, World};
use restante_plugin::{
    Compiler, Grants, HttpGate, Limits, NativeCache, PluginHost, PluginSlot, Plugins, Setting, Tenants,
};
use restante_postgres::{PgKeyValueStore, PgPluginRegistry};
use restante_sqlite::{SqliteKeyValueStore, SqlitePluginRegistry};
use restante_store::{BlobStore, KeyValueStore, PluginRegistry, StoreError, StoreErrorKind};
use restante_telemetry::Telemetry;
use restante_types::{Secret, TenantId};

use super::Database;
use crate::output::Failure;

/// How this program is called to compile a plugin. It is looked for before anything else is done.
pub(crate) const COMPILE: &str = "compile-plugin";
/// Tenants that one call of the directory answers at most.
const PAGE: u32 = 1_000;
/// Largest secret, in octets.
const SECRET: u64 = 64 * 1024;

/// The plugins of the configuration, each in its slot.
pub(super) struct Slots {
    by_name: BTreeMap<String, Arc<PluginSlot>>,
    values: Arc<dyn KeyValueStore>,
    tenants: Arc<dyn Tenants>,
}

impl Slots {
    pub(super) fn open(
        config: &Config,
        db: &Database,
        directory: Arc<dyn DirectoryAdmin>,
        telemetry: &Telemetry,
    ) -> Result<Self, Failure> {
        let mut by_name = BTreeMap::new();
        for (name, plugin) in &config.plugin {
            let slot = PluginSlot::new(name, limits(plugin), grants(name, plugin)?, telemetry.clone());
            by_name.insert(name.clone(), Arc::new(slot));
        }
        Ok(Self {
            by_name,
            values: match db {
                Database::Sqlite(db) => Arc::new(SqliteKeyValueStore::new(db)),
                Database::Postgres(db) => Arc::new(PgKeyValueStore::new(db)),
            },
            tenants: Arc::new(TenantsOf(directory)),
        })
    }

    /// The slot of a storage's plugin, and what the storage gives it.
    pub(super) fn of(
        &self,
        name: &str,
        storage: &PluginStorage,
        inner: Option<Arc<dyn BlobStore>>,
    ) -> Result<(Arc<PluginSlot>, Setting), Failure> {
        let slot = self.by_name.get(&storage.plugin);
        // Found out when the configuration was read.
        let slot =
            slot.ok_or_else(|| anyhow!("storage.{name}.plugin: there is no [plugin.{}]", storage.plugin));
        let setting = Setting {
            storage: name.into(),
            world: match storage.world {
                World::BlobStore => restante_plugin::World::BlobStore,
                World::Maildrop => restante_plugin::World::Maildrop,
            },
            config: serde_json::to_string(&storage.config)?.into(),
            values: Arc::clone(&self.values),
            inner,
            tenants: Arc::clone(&self.tenants),
        };
        Ok((Arc::clone(slot.map_err(Failure::setup)?), setting))
    }

    /// What loads them and follows the registry; none where no plugin is configured.
    pub(super) fn follow(
        &self,
        config: &Config,
        registry: Arc<dyn PluginRegistry>,
    ) -> Result<Option<Arc<Plugins>>, Failure> {
        if self.by_name.is_empty() {
            return Ok(None);
        }
        let plugins = workshop(&cache_path(config), registry, self.by_name.values().cloned())?;
        Ok(Some(Arc::new(plugins)))
    }
}

/// Compiles and loads plugins, for the slots of a server or for a tool's own.
pub(crate) fn workshop(
    cache: &Path,
    registry: Arc<dyn PluginRegistry>,
    slots: impl IntoIterator<Item = Arc<PluginSlot>>,
) -> Result<Plugins, Failure> {
    let host = PluginHost::start().map_err(Failure::setup)?;
    let cache = NativeCache::open(cache)
        .context("plugin_host.cache_path")
        .map_err(Failure::setup)?;
    // The file may have been replaced by a newer one since this process began.
    let compiler = Compiler::new("/proc/self/exe", [COMPILE]);
    Ok(Plugins::new(host, compiler, cache, registry, slots))
}

/// Where compiled plugins are: as configured, else beside the default storage, else this user's own temporary folder.
fn cache_path(config: &Config) -> PathBuf {
    match (
        &config.plugin_host.cache_path,
        config.storage.get(&config.default_storage),
    ) {
        (Some(path), _) => path.clone(),
        (None, Some(Storage::File { path })) => path.with_extension("plugins"),
        (None, _) => temporary_cache(),
    }
}

/// A cache of this user's.
pub(crate) fn temporary_cache() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("restante-plugins-{uid}"))
}

pub(super) fn registry(db: &Database) -> Arc<dyn PluginRegistry> {
    match db {
        Database::Sqlite(db) => Arc::new(SqlitePluginRegistry::new(db)),
        Database::Postgres(db) => Arc::new(PgPluginRegistry::new(db)),
    }
}

pub(crate) fn limits(plugin: &Plugin) -> Limits {
    const MIB: u64 = 1024 * 1024;
    Limits {
        memory: plugin.memory_mib as usize * 1024 * 1024,
        instances: plugin.instances as usize,
        wait: Duration::from_secs(plugin.wait_secs),
        call: Duration::from_secs(plugin.call_secs),
        computing: Duration::from_millis(plugin.computing_millis),
        uses: plugin.max_uses,
        age: Duration::from_secs(plugin.max_age_secs),
        octets: plugin.max_moved_mib.saturating_mul(MIB),
        ..Limits::default()
    }
}

/// What `[plugin.NAME]` lets the plugin have.
pub(crate) fn grants(name: &str, plugin: &Plugin) -> Result<Grants, Failure> {
    let of = |key: &str| format!("plugin.{name}.{key}");
    let mut secrets = BTreeMap::new();
    for (secret, path) in &plugin.secrets {
        let octets = secret_of(path).with_context(|| of(&format!("secrets.{secret}")));
        secrets.insert(secret.clone(), octets.map_err(Failure::setup)?);
    }
    let roots = plugin.http_ca_file.as_deref().map(std::fs::read).transpose();
    let roots = roots
        .with_context(|| of("http_ca_file"))
        .map_err(Failure::setup)?;
    let http = match plugin.http.as_slice() {
        [] => None,
        origins => Some(
            HttpGate::new(origins, plugin.http_private, roots.as_deref())
                .with_context(|| of("http"))
                .map_err(Failure::setup)?,
        ),
    };
    Ok(Grants {
        key_value: plugin.grants.contains(&Grant::KeyValue),
        inner: plugin.grants.contains(&Grant::Inner),
        secrets,
        http,
    })
}

fn secret_of(path: &Path) -> anyhow::Result<Secret<Vec<u8>>> {
    use std::io::Read as _;
    let at = || path.display().to_string();
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).with_context(at)?;
    file.take(SECRET + 1).read_to_end(&mut octets).with_context(at)?;
    if octets.len() as u64 > SECRET {
        return Err(anyhow!(
            "{}: a secret has at most {SECRET} octets",
            path.display()
        ));
    }
    Ok(Secret::new(octets))
}

/// The tenants of the directory, by number.
#[derive(Debug)]
struct TenantsOf(Arc<dyn DirectoryAdmin>);

#[async_trait]
impl Tenants for TenantsOf {
    async fn from(&self, from: TenantId) -> Result<Vec<TenantId>, StoreError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .0
                .tenants(Page { after, limit: PAGE })
                .await
                .map_err(|error| {
                    StoreError::new(StoreErrorKind::Unavailable, "list", "directory").because(error)
                })?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            found.extend(page.into_iter().map(|tenant| tenant.id).filter(|id| *id >= from));
        }
        found.sort_unstable();
        Ok(found)
    }
}
