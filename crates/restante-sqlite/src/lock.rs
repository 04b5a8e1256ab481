//! Who serves from the file, and which session holds which maildrop.
//!
//! One process at a time serves; inside it, sessions are a table in memory, whose tokens carry the number of this
//! start. Start at [`SqliteLockManager::start`].

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use restante_lock::{LockError, LockManager, LockTable, MemoryLockManager};
use restante_types::{Fence, MaildropId, SessionId};

use crate::{Sqlite, SqliteError, sql};

/// The exclusive lock on `<database>.lock`: the operating system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct ServiceLock {
    _file: File,
}

impl ServiceLock {
    pub(crate) fn take(database: &Path) -> Result<Self, SqliteError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| SqliteError::denied(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(SqliteError::InService(path)),
            Err(TryLockError::Error(error)) => Err(SqliteError::denied(&path, error)),
        }
    }
}

/// The sessions of the one process that serves, and the proof that it is the only one.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) table: Arc<LockTable>,
    _lock: ServiceLock,
}

/// The lock manager of the process that serves from the file.
#[derive(Clone, Debug)]
pub struct SqliteLockManager {
    service: Arc<Service>,
    locks: MemoryLockManager,
}

impl SqliteLockManager {
    /// Makes this process the one that serves, and counts its start durably: all tokens granted before are smaller.
    ///
    /// The process serves until this, its clones and all indexes made with it are dropped.
    ///
    /// # Errors
    /// `InService` if another process serves; otherwise the database cannot be written.
    pub async fn start(db: &Sqlite) -> Result<Self, SqliteError> {
        let lock = ServiceLock::take(db.path())?;
        let incarnation = next_incarnation(db)
            .await
            .map_err(|error| SqliteError::opening(db.path(), error))?;
        let incarnation = u64::try_from(incarnation).map_err(|_| SqliteError::Incarnations)?;
        let table = LockTable::new(incarnation).map_err(|_| SqliteError::Incarnations)?;
        let table = Arc::new(table);
        Ok(Self {
            locks: MemoryLockManager::new(Arc::clone(&table)),
            service: Arc::new(Service { table, _lock: lock }),
        })
    }

    /// Who holds which maildrop, for operators.
    pub fn table(&self) -> &Arc<LockTable> {
        &self.service.table
    }

    pub(crate) const fn service(&self) -> &Arc<Service> {
        &self.service
    }
}

async fn next_incarnation(db: &Sqlite) -> Result<i64, sqlx::Error> {
    let mut tx = db.begin().await?;
    let incarnation = sqlx::query_scalar(sql::NEXT_INCARNATION)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(incarnation)
}

impl fmt::Display for SqliteLockManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::error::STORE)
    }
}

#[async_trait]
impl LockManager for SqliteLockManager {
    async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
        self.locks.open(maildrop, session).await
    }

    async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError> {
        self.locks.probe(fences).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), LockError> {
        self.locks.release(fence).await
    }

    async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
        self.locks.supersede(maildrop).await
    }

    async fn heartbeat(&self) -> Result<(), LockError> {
        self.locks.heartbeat().await
    }
}
