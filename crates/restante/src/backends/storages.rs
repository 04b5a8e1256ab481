//! The storages of blobs that the configuration names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use restante_config::{Config, PluginStorage, S3, Storage, World};
use restante_object_store::{LocalBlobStore, ObjectBlobStore, Probed, S3Options};
use restante_plugin::{PluginBlobStore, PluginMaildrops};
use restante_postgres::PgBlobStore;
use restante_store::{BlobStore, BlobStores, Metered, StoreError, Timeout};
use tracing::warn;

use super::Database;
use super::plugins::Slots;
use super::watch::StorageWatch;
use crate::output::Failure;

/// Threads that wait for files at the same time, for one storage.
const FILE_THREADS: usize = 16;
/// How long the opening, a piece or the removal of a blob may take.
const BLOB_LIMIT: Duration = Duration::from_secs(30);
/// The same where the store has limits of its own for each attempt: past all of them together.
const BUCKET_LIMIT: Duration = Duration::from_mins(2);

/// All storages, open.
pub(super) struct Storages {
    pub(super) blobs: BlobStores,
    pub(super) buckets: Buckets,
}

/// The storages that are buckets of a service: what they can do is seen by trying.
#[derive(Default)]
pub(crate) struct Buckets(Vec<(String, Arc<ObjectBlobStore>)>);

impl Storages {
    pub(super) async fn open(
        config: &Config,
        db: &Database,
        slots: &Slots,
        watch: &StorageWatch,
    ) -> Result<Self, Failure> {
        let mut opening = Opening {
            config,
            db,
            slots,
            watch,
            buckets: Buckets::default(),
        };
        let mut blobs = BlobStores::new();
        for (name, storage) in &config.storage {
            // What is beneath a plugin is nobody else's to choose, to audit or to clear.
            if is_inner(config, name) {
                continue;
            }
            let id = db.storage_id(name).await?;
            match storage {
                Storage::Plugin(plugin) if plugin.world == World::Maildrop => {
                    let system = opening.maildrops(name, plugin)?;
                    blobs.add_foreign(id, name, system).map_err(Failure::setup)?;
                }
                _ => {
                    let store = opening.store(name, storage)?;
                    blobs.add(id, name, store).map_err(Failure::setup)?;
                }
            }
        }
        Ok(Self {
            blobs,
            buckets: opening.buckets,
        })
    }
}

/// What opening a storage takes.
struct Opening<'a> {
    config: &'a Config,
    db: &'a Database,
    slots: &'a Slots,
    watch: &'a StorageWatch,
    buckets: Buckets,
}

impl Opening<'_> {
    fn store(&mut self, name: &str, storage: &Storage) -> Result<Arc<dyn BlobStore>, Failure> {
        let store: Arc<dyn BlobStore> = match storage {
            Storage::File { path } => Arc::new(Timeout::new(local(name, path)?, BLOB_LIMIT)),
            Storage::Postgres {} => Arc::new(Timeout::new(rows(name, self.db)?, BLOB_LIMIT)),
            Storage::S3(s3) => {
                let bucket = bucket(name, s3)?;
                self.buckets.0.push((name.to_owned(), Arc::clone(&bucket)));
                Arc::new(Timeout::new(bucket, BUCKET_LIMIT))
            }
            // Its calls have limits of their own.
            Storage::Plugin(plugin) => {
                let inner = self.beneath(plugin)?;
                let (slot, setting) = self.slots.of(name, plugin, inner)?;
                Arc::new(PluginBlobStore::new(slot, setting))
            }
        };
        Ok(Arc::new(Metered::new(store, name, Arc::new(self.watch.clone()))))
    }

    fn maildrops(&mut self, name: &str, plugin: &PluginStorage) -> Result<Arc<PluginMaildrops>, Failure> {
        let inner = self.beneath(plugin)?;
        let (slot, setting) = self.slots.of(name, plugin, inner)?;
        Ok(Arc::new(PluginMaildrops::new(slot, setting)))
    }

    fn beneath(&mut self, plugin: &PluginStorage) -> Result<Option<Arc<dyn BlobStore>>, Failure> {
        let inner = plugin
            .inner
            .as_ref()
            .and_then(|inner| self.config.storage.get_key_value(inner));
        inner.map(|(name, storage)| self.store(name, storage)).transpose()
    }
}

fn is_inner(config: &Config, name: &str) -> bool {
    config
        .storage
        .values()
        .any(|storage| matches!(storage, Storage::Plugin(plugin) if plugin.inner.as_deref() == Some(name)))
}

impl Buckets {
    /// Tries out each of them; answers by name.
    pub(crate) async fn probe(&self) -> Vec<(&str, Result<Probed, StoreError>)> {
        let mut answers = Vec::new();
        for (name, bucket) in &self.0 {
            answers.push((name.as_str(), bucket.probe().await));
        }
        answers
    }

    /// Refuses to serve with a bucket that is set wrongly. One that cannot be reached now may serve later, and the
    /// others do: it is no reason not to start.
    pub(super) async fn refuse_wrong_ones(&self) -> Result<(), Failure> {
        for (name, answer) in self.probe().await {
            match answer {
                Ok(Probed {
                    conditional_writes: true,
                }) => {}
                Ok(Probed {
                    conditional_writes: false,
                }) => warn!(
                    storage = name,
                    "the service ignores conditional writes; nothing depends on them"
                ),
                Err(error) if error.kind.is_temporary() => {
                    warn!(storage = name, %error, "the storage cannot be used now; messages in it cannot be read");
                }
                Err(error) => return Err(Failure::setup(anyhow!("storage.{name}: {error}"))),
            }
        }
        Ok(())
    }
}

fn local(name: &str, path: &Path) -> Result<Arc<LocalBlobStore>, Failure> {
    let store = LocalBlobStore::open(path, FILE_THREADS)
        .with_context(|| format!("storage.{name}: {} cannot be opened", path.display()));
    store.map(Arc::new).map_err(Failure::setup)
}

fn rows(name: &str, db: &Database) -> Result<Arc<PgBlobStore>, Failure> {
    match db {
        Database::Postgres(db) => Ok(Arc::new(PgBlobStore::new(db))),
        // Found out when the configuration was read.
        Database::Sqlite(_) => Err(Failure::setup(anyhow!("storage.{name}.kind: needs postgres://"))),
    }
}

fn bucket(name: &str, s3: &S3) -> Result<Arc<ObjectBlobStore>, Failure> {
    let ca = s3.ca_file.as_deref().map(std::fs::read).transpose();
    let options = S3Options {
        bucket: s3.bucket.clone(),
        region: s3.region.clone(),
        endpoint: s3.endpoint.clone(),
        prefix: s3.prefix.clone(),
        path_style: s3.path_style,
        allow_http: s3.allow_http,
        ca: ca
            .with_context(|| format!("storage.{name}.ca_file"))
            .map_err(Failure::setup)?,
        credentials: s3.credentials_file.clone().map(|path| (path, s3.profile.clone())),
        put_memory: s3.put_memory_mib as usize * 1024 * 1024,
        ..S3Options::default()
    };
    ObjectBlobStore::s3(&options)
        .map(Arc::new)
        .map_err(|error| Failure::setup(anyhow!("storage.{name}: {error}")))
}
