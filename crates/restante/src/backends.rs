//! The registry: which technology stands behind which contract. A line per technology; nobody else names one.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use restante_auth::DirectoryAdmin;
use restante_config::{Config, DatabaseUrl, Storage};
use restante_lock::LockManager;
use restante_object_store::LocalBlobStore;
use restante_sqlite::{Sqlite, SqliteDirectory, SqliteLockManager, SqliteMailIndex, SqliteOptions};
use restante_store::{BlobLedger, BlobStore, BlobStores, MailIndex, Timeout};
use restante_types::SystemClock;

use crate::output::Failure;

/// Threads that wait for files at the same time, for one storage.
const FILE_THREADS: usize = 16;

/// How long a call to the index may take. A commit that takes longer is asked about until its outcome is known.
const INDEX_LIMIT: Duration = Duration::from_secs(10);
/// How long the opening, a piece or the removal of a blob may take.
const BLOB_LIMIT: Duration = Duration::from_secs(30);

/// What the configuration names, open.
pub(crate) struct Backends {
    pub(crate) directory: Arc<dyn DirectoryAdmin>,
    pub(crate) index: Arc<dyn MailIndex>,
    pub(crate) ledger: Arc<dyn BlobLedger>,
    pub(crate) blobs: Arc<BlobStores>,
    /// Where sessions are served; a tool beside a server has none.
    pub(crate) locks: Option<Arc<dyn LockManager>>,
}

impl Backends {
    /// Opens everything for a tool, which may work beside a running server.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let db = database(config).await?;
        let index = Arc::new(SqliteMailIndex::for_delivery(&db, Arc::new(SystemClock)));
        Self::over(config, &db, index, None).await
    }

    /// Opens everything for the one process that serves the database.
    pub(crate) async fn open_to_serve(config: &Config) -> Result<Self, Failure> {
        let db = database(config).await?;
        let locks = SqliteLockManager::start(&db).await.map_err(Failure::setup)?;
        let index = Arc::new(SqliteMailIndex::new(&db, &locks, Arc::new(SystemClock)));
        Self::over(config, &db, index, Some(Arc::new(locks))).await
    }

    async fn over(
        config: &Config,
        db: &Sqlite,
        index: Arc<SqliteMailIndex>,
        locks: Option<Arc<dyn LockManager>>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            directory: Arc::new(SqliteDirectory::new(db, Arc::new(SystemClock))),
            ledger: Arc::clone(&index) as Arc<dyn BlobLedger>,
            index: Arc::new(Timeout::new(index, INDEX_LIMIT)),
            blobs: Arc::new(storages(config, db).await?),
            locks,
        })
    }
}

/// Brings the database to the shape that this release needs; answers what was applied.
pub(crate) async fn migrate(config: &Config) -> Result<Vec<String>, Failure> {
    match target(config)? {
        DatabaseUrl::Sqlite(path) => Sqlite::migrate(path, &options(config))
            .await
            .map_err(Failure::setup),
    }
}

/// Where a message waits while it is taken in: as configured, else beside the default storage.
pub(crate) fn spool_directory(config: &Config) -> anyhow::Result<PathBuf> {
    let directory = match (
        &config.lmtp.spool_path,
        config.storage.get(&config.default_storage),
    ) {
        (Some(path), _) => path.clone(),
        (None, Some(Storage::File { path })) => path.with_extension("spool"),
        (None, None) => std::env::temp_dir(),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .with_context(|| format!("lmtp.spool_path: cannot make {}", directory.display()))?;
    Ok(directory)
}

async fn database(config: &Config) -> Result<Sqlite, Failure> {
    match target(config)? {
        DatabaseUrl::Sqlite(path) => Sqlite::open(path, &options(config)).await.map_err(Failure::setup),
    }
}

fn target(config: &Config) -> Result<DatabaseUrl, Failure> {
    config
        .database
        .target()
        .map_err(|why| Failure::setup_text(format!("database.url: {why}")))
}

fn options(config: &Config) -> SqliteOptions {
    SqliteOptions {
        busy_timeout: Duration::from_secs(config.database.busy_timeout_secs),
        ..SqliteOptions::default()
    }
}

async fn storages(config: &Config, db: &Sqlite) -> Result<BlobStores, Failure> {
    let mut stores = BlobStores::new();
    for (name, storage) in &config.storage {
        let store: Arc<dyn BlobStore> = match storage {
            Storage::File { path } => Arc::new(
                LocalBlobStore::open(path, FILE_THREADS)
                    .with_context(|| format!("storage.{name}: {} cannot be opened", path.display()))
                    .map_err(Failure::setup)?,
            ),
        };
        let id = db.storage_id(name).await.map_err(Failure::setup)?;
        stores
            .add(id, name, Arc::new(Timeout::new(store, BLOB_LIMIT)))
            .map_err(Failure::setup)?;
    }
    Ok(stores)
}
