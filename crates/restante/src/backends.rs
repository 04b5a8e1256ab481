//! The registry: which technology stands behind which contract. A line per technology; nobody else names one.

mod node;
mod plugins;
mod storages;
mod watch;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use restante_auth::{Actor, DirectoryAdmin, FallbackLimiter, Limiter, MemoryLimiter};
use restante_config::{Config, DatabaseUrl, DirectoryKind, ServiceUrl, Storage};
use restante_lock::{LockDesk, LockManager};
use restante_plugin::{Plugins, digest};
use restante_postgres::{
    LeaseOptions, Pg, PgDirectory, PgLockDesk, PgLockManager, PgMailIndex, PgOptions, PgViewDirectory, Pooler,
};
use restante_redis::{RedisLimiter, RedisOptions};
use restante_sqlite::{Sqlite, SqliteDirectory, SqliteLockManager, SqliteMailIndex, SqliteOptions};
use restante_store::{
    BlobLedger, BlobStores, Custody, MailIndex, Metered, PluginRegistry, StorageId, Timeout,
};
use restante_telemetry::{Gauge, Telemetry};
use restante_types::{Clock as _, Secret, SystemClock};
use tokio::time::timeout;
use tracing::warn;

use crate::output::Failure;
use crate::password;

use node::Node;
pub(crate) use node::name as node_name;
use plugins::Slots;
pub(crate) use plugins::{COMPILE, grants, limits, temporary_cache, workshop};
pub(crate) use restante_object_store::Probed;
pub(crate) use storages::Buckets;
use storages::Storages;
pub(crate) use watch::{StorageWatch, configured};

/// How long a call to the index may take. A commit that takes longer is asked about until its outcome is known.
const INDEX_LIMIT: Duration = Duration::from_secs(10);

/// How long the end waits for connections that are still busy: what is committed is so without them.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What the configuration names, open.
pub(crate) struct Backends {
    pub(crate) directory: Arc<dyn DirectoryAdmin>,
    pub(crate) index: Arc<dyn MailIndex>,
    pub(crate) ledger: Arc<dyn BlobLedger>,
    pub(crate) blobs: Arc<BlobStores>,
    /// How the storages do.
    pub(crate) storages: StorageWatch,
    /// Those of the blobs' storages that are buckets of a service.
    pub(crate) buckets: Buckets,
    /// Where sessions are served; a tool beside a server has none.
    pub(crate) locks: Option<Arc<dyn LockManager>>,
    /// Which plugins are installed.
    pub(crate) registry: Arc<dyn PluginRegistry>,
    /// The plugins that are configured, loaded.
    pub(crate) plugins: Option<Arc<Plugins>>,
    /// The index as an operator's tools see it.
    pub(crate) custody: Arc<dyn Custody>,
    /// The locks of all frontends; none where one process keeps them in memory.
    pub(crate) desk: Option<Arc<dyn LockDesk>>,
    database: Database,
    /// Held while this process is a frontend among others.
    _node: Option<Node>,
}

/// What is opened a database for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose<'a> {
    /// A command beside servers that may be running.
    Tool,
    /// Sessions, as this file says if there is one.
    Serve(Option<&'a Path>),
}

/// An open database. Clones share the connections.
#[derive(Clone)]
enum Database {
    Sqlite(Sqlite),
    Postgres(Pg),
}

impl Backends {
    /// Opens everything for a tool, which may work beside a running server.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let mut backends = Self::over(config, Purpose::Tool, &Telemetry::default()).await?;
        backends.directory = backends.directory.acting(operator());
        Ok(backends)
    }

    /// Opens everything for a process that serves the database: the only one, if it is a file.
    pub(crate) async fn open_to_serve(
        config: &Config,
        file: Option<&Path>,
        telemetry: &Telemetry,
    ) -> Result<Self, Failure> {
        let backends = Self::over(config, Purpose::Serve(file), telemetry).await?;
        backends.buckets.refuse_wrong_ones().await?;
        Ok(backends)
    }

    /// Ends the connections to the database, where they end in time. A file of SQLite is whole without its log from then
    /// on.
    pub(crate) async fn close(&self) {
        let closing = async {
            match &self.database {
                Database::Sqlite(db) => db.close().await,
                Database::Postgres(db) => db.close().await,
            }
        };
        if timeout(CLOSE_LIMIT, closing).await.is_err() {
            warn!("connections to the database not closed in time; they end with the process");
        }
    }

    /// Installs a component and opens nothing else.
    pub(crate) async fn install_only(config: &Config, name: &str, component: &[u8]) -> Result<(), Failure> {
        let registry = plugins::registry(&Database::open(config).await?);
        registry
            .install(name, digest(component), component.to_vec(), SystemClock.wall())
            .await
            .map_err(Failure::setup)
    }

    async fn over(config: &Config, purpose: Purpose<'_>, telemetry: &Telemetry) -> Result<Self, Failure> {
        match Database::open(config).await? {
            Database::Sqlite(db) => {
                let watched = db.clone();
                telemetry.watch_database(move || watched.load());
                Self::over_sqlite(config, db, purpose, telemetry).await
            }
            Database::Postgres(db) => {
                let watched = db.clone();
                telemetry.watch_database(move || watched.load());
                Self::over_postgres(config, db, purpose, telemetry).await
            }
        }
    }

    async fn over_sqlite(
        config: &Config,
        db: Sqlite,
        purpose: Purpose<'_>,
        telemetry: &Telemetry,
    ) -> Result<Self, Failure> {
        let clock = Arc::new(SystemClock);
        let (directory, index, locks): (_, _, Option<Arc<dyn LockManager>>) = match purpose {
            Purpose::Tool => (
                SqliteDirectory::new(&db, clock.clone()),
                SqliteMailIndex::for_delivery(&db, clock),
                None,
            ),
            Purpose::Serve(_) => {
                let locks = SqliteLockManager::start(&db).await.map_err(Failure::setup)?;
                let index = SqliteMailIndex::new(&db, &locks, clock.clone());
                (
                    SqliteDirectory::watching(&db, clock),
                    index,
                    Some(Arc::new(locks)),
                )
            }
        };
        let index = Arc::new(index);
        let directory: Arc<dyn DirectoryAdmin> = Arc::new(directory);
        let database = Database::Sqlite(db);
        let stores = Stores::open(config, &database, &directory, telemetry).await?;
        Ok(Self {
            directory,
            custody: Arc::clone(&index) as Arc<dyn Custody>,
            desk: None,
            database,
            _node: None,
            ledger: Arc::new(metered(&index, telemetry)),
            index: Arc::new(metered(&Arc::new(Timeout::new(index, INDEX_LIMIT)), telemetry)),
            blobs: Arc::new(stores.storages.blobs),
            storages: stores.watch,
            buckets: stores.storages.buckets,
            registry: stores.registry,
            plugins: stores.plugins,
            locks,
        })
    }

    async fn over_postgres(
        config: &Config,
        db: Pg,
        purpose: Purpose<'_>,
        telemetry: &Telemetry,
    ) -> Result<Self, Failure> {
        let index = Arc::new(PgMailIndex::new(&db, Arc::new(SystemClock)));
        let node = match purpose {
            Purpose::Tool => None,
            Purpose::Serve(file) => Some(Node::claim(config, file)?),
        };
        let locks: Option<Arc<dyn LockManager>> = match &node {
            None => None,
            Some(node) => {
                let locks = PgLockManager::start(&db, node.name(), LeaseOptions::default());
                Some(Arc::new(locks.await.map_err(Failure::setup)?.observed(telemetry)))
            }
        };
        let directory: Arc<dyn DirectoryAdmin> = match (config.database.directory, purpose) {
            (DirectoryKind::Own, Purpose::Tool) => Arc::new(PgDirectory::new(&db)),
            (DirectoryKind::Own, Purpose::Serve(_)) => Arc::new(PgDirectory::watching(&db)),
            (DirectoryKind::Views, _) => Arc::new(PgViewDirectory::open(&db).await.map_err(Failure::setup)?),
        };
        let desk = Arc::new(PgLockDesk::new(&db));
        let database = Database::Postgres(db);
        let stores = Stores::open(config, &database, &directory, telemetry).await?;
        Ok(Self {
            directory,
            custody: Arc::clone(&index) as Arc<dyn Custody>,
            desk: Some(desk),
            database,
            _node: node,
            ledger: Arc::new(metered(&index, telemetry)),
            index: Arc::new(metered(&Arc::new(Timeout::new(index, INDEX_LIMIT)), telemetry)),
            blobs: Arc::new(stores.storages.blobs),
            storages: stores.watch,
            buckets: stores.storages.buckets,
            registry: stores.registry,
            plugins: stores.plugins,
            locks,
        })
    }
}

/// Reports calls to the index.
fn metered<S>(index: &Arc<S>, telemetry: &Telemetry) -> Metered<S> {
    Metered::new(Arc::clone(index), "index", Arc::new(telemetry.clone()))
}

/// The storages, and the plugins behind some of them.
struct Stores {
    storages: Storages,
    watch: StorageWatch,
    registry: Arc<dyn PluginRegistry>,
    plugins: Option<Arc<Plugins>>,
}

impl Stores {
    async fn open(
        config: &Config,
        db: &Database,
        directory: &Arc<dyn DirectoryAdmin>,
        telemetry: &Telemetry,
    ) -> Result<Self, Failure> {
        let registry = plugins::registry(db);
        let slots = Slots::open(config, db, Arc::clone(directory), telemetry)?;
        let watch = StorageWatch::new(config, telemetry);
        let storages = Storages::open(config, db, &slots, &watch).await?;
        let plugins = slots.follow(config, Arc::clone(&registry))?;
        if let Some(plugins) = &plugins {
            plugins.look().await.map_err(Failure::setup)?;
        }
        Ok(Self {
            storages,
            watch,
            registry,
            plugins,
        })
    }
}

impl Database {
    async fn open(config: &Config) -> Result<Self, Failure> {
        match target(config)? {
            DatabaseUrl::Sqlite(path) => Sqlite::open(path, &sqlite_options(config))
                .await
                .map(Self::Sqlite)
                .map_err(Failure::setup),
            DatabaseUrl::Postgres(url) => Pg::open(&postgres_options(config, &url)?)
                .await
                .map(Self::Postgres)
                .map_err(Failure::setup),
        }
    }

    async fn storage_id(&self, name: &str) -> Result<StorageId, Failure> {
        match self {
            Self::Sqlite(db) => db.storage_id(name).await,
            Self::Postgres(db) => db.storage_id(name).await,
        }
        .map_err(Failure::setup)
    }
}

/// Brings the database to the shape that this release needs; answers what was applied.
pub(crate) async fn migrate(config: &Config) -> Result<Vec<String>, Failure> {
    match target(config)? {
        DatabaseUrl::Sqlite(path) => Sqlite::migrate(path, &sqlite_options(config))
            .await
            .map_err(Failure::setup),
        DatabaseUrl::Postgres(url) => Pg::migrate(&postgres_options(config, &url)?)
            .await
            .map_err(Failure::setup),
    }
}

/// Limits of attempts and usage: shared by all frontends through Redis, with this process's own as the net beneath.
pub(crate) fn limiter(config: &Config, telemetry: &Telemetry) -> Result<Arc<dyn Limiter>, Failure> {
    let local = Arc::new(MemoryLimiter::new());
    let Some(url) = &config.redis.url else {
        return Ok(local);
    };
    let options = RedisOptions {
        url: with_password(url, config.redis.password_file.as_deref(), "redis.url")?,
        pool_size: config.redis.connections as usize,
        timeout: Duration::from_millis(config.redis.timeout_millis),
        prefix: config.redis.prefix.clone(),
    };
    let shared = RedisLimiter::connect(options)
        .context("redis.url")
        .map_err(Failure::setup)?;
    let limiter = Arc::new(FallbackLimiter::new(Arc::new(shared), local));
    let watched = Arc::clone(&limiter);
    telemetry.before_scrape(move |metrics| {
        let is_lost = f64::from(u8::from(watched.is_lost()));
        metrics.set(Gauge::SharedLimitsLost, &[], is_lost);
    });
    Ok(limiter)
}

/// Where a message waits while it is taken in: as configured, else beside the default storage.
pub(crate) fn spool_directory(config: &Config) -> anyhow::Result<PathBuf> {
    let directory = match (
        &config.lmtp.spool_path,
        config.storage.get(&config.default_storage),
    ) {
        (Some(path), _) => path.clone(),
        (None, Some(Storage::File { path })) => path.with_extension("spool"),
        (None, _) => std::env::temp_dir(),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .with_context(|| format!("lmtp.spool_path: cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Who changes the directory from the command line: the user of this host.
pub(crate) fn operator() -> Actor {
    let uid = rustix::process::getuid();
    Actor {
        name: format!("operator:uid={}", uid.as_raw()),
        tenant: None,
    }
}

fn target(config: &Config) -> Result<DatabaseUrl, Failure> {
    config
        .database
        .target()
        .map_err(|why| Failure::setup_text(format!("database.url: {why}")))
}

fn sqlite_options(config: &Config) -> SqliteOptions {
    SqliteOptions {
        busy_timeout: Duration::from_secs(config.database.busy_timeout_secs),
        ..SqliteOptions::default()
    }
}

fn postgres_options(config: &Config, url: &ServiceUrl) -> Result<PgOptions, Failure> {
    let database = &config.database;
    let password_file = database.password_file.as_deref();
    let mut options = PgOptions::new(with_password(url, password_file, "database.url")?);
    options.direct_url = database
        .direct_url
        .as_ref()
        .map(|url| with_password(url, password_file, "database.direct_url"))
        .transpose()?;
    options.pooler = match database.pooler {
        restante_config::Pooler::None => Pooler::None,
        restante_config::Pooler::Prepared => Pooler::Prepared,
        restante_config::Pooler::Transaction => Pooler::Transaction,
    };
    options.max_connections = database.connections;
    options.needs_standby = database.high_availability;
    Ok(options)
}

/// A URL with the password of a file in it.
fn with_password(
    url: &ServiceUrl,
    file: Option<&Path>,
    setting: &'static str,
) -> Result<Secret<String>, Failure> {
    let Some(file) = file else {
        return Ok(Secret::new(url.expose().to_owned()));
    };
    let secret = password::first_line_of(file).map_err(Failure::setup)?;
    let text = str::from_utf8(secret.expose()).context("the password is not text");
    let text = text.map_err(Failure::setup)?;
    let mut whole = url::Url::parse(url.expose())
        .map_err(|error| Failure::setup(anyhow!("{setting}: not a URL: {error}")))?;
    whole
        .set_password(Some(text))
        .map_err(|()| Failure::setup(anyhow!("{setting}: no password fits into it")))?;
    Ok(Secret::new(whole.into()))
}
