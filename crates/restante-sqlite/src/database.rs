//! One file, one connection that writes, several that read.
//!
//! Write-ahead log with `synchronous=FULL`: a transaction is on the disk when its COMMIT answers. SQLite syncs the
//! folder when it makes the log, which covers the log's name; [`Sqlite::migrate`] syncs it when it makes the
//! database. Knows no table but those of its queries for storages. Start at [`Sqlite::open`].

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use restante_store::{StorageId, StoreError};
use restante_telemetry::PoolLoad;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Transaction};
use tracing::warn;

use crate::error::{commit_failed, failed};
use crate::lock::ServiceLock;
use crate::readers::Readers;
use crate::schema::{self, Schema};
use crate::{SqliteError, sql};

/// A transaction of the writer; rolled back unless committed.
pub(crate) type Tx = Transaction<'static, sqlx::Sqlite>;

/// How to use the file.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Connections that read beside the one that writes, at least 1.
    pub readers: u32,
    /// How long a transaction waits for another process that is writing.
    pub busy_timeout: Duration,
    /// How long a call waits for a connection of this process.
    pub acquire_timeout: Duration,
}

impl Default for SqliteOptions {
    /// Four readers; five seconds for other processes, ten for this one.
    fn default() -> Self {
        Self {
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(10),
        }
    }
}

/// An open database, migrated to what this release expects. Clones share the connections.
///
/// Any number of processes may open one file on a local file system; one of them may serve sessions
/// ([`SqliteLockManager::start`](crate::SqliteLockManager::start)). Not for network file systems: the write-ahead
/// log needs shared memory.
#[derive(Clone, Debug)]
pub struct Sqlite {
    path: Arc<Path>,
    writer: SqlitePool,
    readers: Readers,
}

impl Sqlite {
    /// Opens a database that is there and migrated.
    ///
    /// # Errors
    /// [`SqliteError`] says what is wrong and what to do; a file is never made or changed.
    pub async fn open(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, SqliteError> {
        let path = path.as_ref();
        let schema = Self::schema(path, options).await?;
        if !schema.pending.is_empty() {
            return Err(SqliteError::NotMigrated {
                path: path.to_owned(),
                pending: schema.pending,
            });
        }
        let opening = |error| SqliteError::opening(path, error);
        // Connections to a file do not go stale, and a test before each use would lose the writer's only connection
        // whenever a caller is cancelled during it.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // SQLite itself rolls back when the disk is full or fails. The driver does not notice, believes the
            // connection to be in a transaction for ever and refuses every later one. The ping makes it process the
            // rollbacks that are due first.
            .after_release(|conn, _| {
                Box::pin(async move {
                    if conn.is_in_transaction() {
                        conn.ping().await?;
                    }
                    Ok(!conn.is_in_transaction())
                })
            })
            .connect_with(writing(path, options))
            .await
            .map_err(opening)?;
        let readers = Readers::open(reading(path, options), options.readers, options.acquire_timeout)
            .await
            .map_err(opening)?;
        Ok(Self {
            path: path.into(),
            writer,
            readers,
        })
    }

    /// What the pools of readers and of the one writer hold, for the metrics.
    pub fn load(&self) -> PoolLoad {
        let (readers_idle, readers, most_readers) = self.readers.load();
        let n_idle = readers_idle + self.writer.num_idle();
        let size = readers + self.writer.size() as usize;
        PoolLoad {
            n_idle,
            n_used: size.saturating_sub(n_idle),
            limit: most_readers + self.writer.options().get_max_connections() as usize,
        }
    }

    /// Applies what migrations are pending and answers their names. Makes the file (mode 0600) if it is not there,
    /// and its folder (mode 0700) if only that is missing.
    ///
    /// # Errors
    /// As [`Sqlite::open`]; `InService` if there is something to apply while a server runs on the file.
    pub async fn migrate(
        path: impl AsRef<Path>,
        options: &SqliteOptions,
    ) -> Result<Vec<String>, SqliteError> {
        let path = path.as_ref();
        make_file(path)?;
        let opening = |error| SqliteError::opening(path, error);
        let pending = Self::schema(path, options).await?.pending;
        if pending.is_empty() {
            return Ok(pending);
        }
        let _alone = ServiceLock::take(path)?;
        let mut conn = writing(path, options).connect().await.map_err(opening)?;
        // Asked again: another process may have migrated before the lock was ours.
        let pending = schema::read(&mut conn, path).await?.pending;
        schema::migrate(&mut conn, path).await?;
        conn.close().await.map_err(opening)?;
        Ok(pending)
    }

    /// Which migrations the file has had and lacks. Changes nothing; for checks before a start.
    ///
    /// # Errors
    /// As [`Sqlite::open`], except that a file that is not migrated is no error.
    pub async fn schema(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Schema, SqliteError> {
        let path = path.as_ref();
        check_file(path)?;
        let opening = |error| SqliteError::opening(path, error);
        let mut conn: SqliteConnection = reading(path, options).connect().await.map_err(opening)?;
        let schema = schema::read(&mut conn, path).await?;
        conn.close().await.map_err(opening)?;
        Ok(schema)
    }

    /// The key of the storage of that name; made if it is new. The key stands in every message, so that a tenant's
    /// choice can change while older messages stay where they are.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn storage_id(&self, name: &str) -> Result<StorageId, StoreError> {
        const OP: &str = "storage_id";
        let mut tx = self.begin().await.map_err(failed(OP))?;
        let id = storage_row(&mut tx, name).await.map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(id)
    }

    /// The name of a storage; `None` if no storage ever had this key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn storage_name(&self, storage: StorageId) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = self
            .readers
            .optional(sqlx::query_as(sql::STORAGE_NAME).bind(storage.0))
            .await
            .map_err(failed("storage_name"))?;
        Ok(row.map(|(name,)| name))
    }

    /// Closes all connections and folds the write-ahead log into the file. Calls after it fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a writing transaction; no other one, here or in another process, begins before it ends.
    pub(crate) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        self.writer.begin_with(sql::BEGIN).await
    }

    /// Connections that see what was committed when their statement or transaction began.
    pub(crate) const fn readers(&self) -> &Readers {
        &self.readers
    }
}

/// The key of the storage of that name; made if it is new.
pub(crate) async fn storage_row(tx: &mut Tx, name: &str) -> Result<StorageId, sqlx::Error> {
    sqlx::query(sql::ADD_STORAGE)
        .bind(name)
        .execute(&mut **tx)
        .await?;
    let id = sqlx::query_scalar(sql::STORAGE_ID)
        .bind(name)
        .fetch_one(&mut **tx)
        .await?;
    Ok(StorageId(id))
}

fn connecting(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .pragma("cell_size_check", "ON")
        // The log would hold the SQL of every login; errors are reported by those who get them.
        .disable_statement_logging()
}

fn writing(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    connecting(path, options)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // After one very large transaction the log goes back to 64 MiB.
        .pragma("journal_size_limit", "67108864")
}

fn reading(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    connecting(path, options).read_only(true).row_buffer_size(512)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn check_file(path: &Path) -> Result<(), SqliteError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(SqliteError::NoFolder(folder));
    }
    let about = match std::fs::metadata(path) {
        Ok(about) if about.is_file() => about,
        Ok(_) => return Err(SqliteError::NotADatabase(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SqliteError::NoFile(path.to_owned()));
        }
        Err(error) => return Err(SqliteError::denied(path, error)),
    };
    if about.mode() & 0o077 != 0 {
        warn!(path = %path.display(), "other users may read the database: `chmod 600` it");
    }
    Ok(())
}

/// Makes an empty file that only its owner may use, and sees to it that its name survives a loss of power.
fn make_file(path: &Path) -> Result<(), SqliteError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        let above = folder_of(&folder);
        if !above.is_dir() {
            return Err(SqliteError::NoFolder(above));
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| SqliteError::denied(&folder, error))?;
        sync_folder(&above)?;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => sync_folder(&folder),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(SqliteError::denied(path, error)),
    }
}

fn sync_folder(folder: &Path) -> Result<(), SqliteError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| SqliteError::denied(folder, error))
}
