//! From SQLite's codes to the kinds of the contracts. No text here holds a bound value: SQLite's messages name
//! tables and columns only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use restante_auth::{DirectoryError, DirectoryErrorKind};
use restante_store::{StoreError, StoreErrorKind};

use crate::values::Undecodable;

/// How the technology names itself in errors, logs and metrics.
pub(crate) const STORE: &str = "sqlite";

/// How long a caller should wait when another process is writing.
const RETRY_AFTER: Duration = Duration::from_millis(500);

// Primary result codes (https://www.sqlite.org/rescode.html); the low 8 bits of the extended ones.
const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const AUTH: i32 = 23;
const NOTADB: i32 = 26;

/// Why a database cannot be used. Each text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The folder of the file is not there.
    #[error("there is no folder {}: create it, or correct the path of the database", .0.display())]
    NoFolder(PathBuf),
    /// The file is not there.
    #[error("there is no database {}: make it with `restante migrate`, or correct the path", .0.display())]
    NoFile(PathBuf),
    /// The file or its folder cannot be made, read or written.
    #[error("{} cannot be used: {source}", path.display())]
    Denied {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{} is not an SQLite database: correct the path, or restore the file from a backup", .0.display())]
    NotADatabase(PathBuf),
    /// The file is a database of another program.
    #[error("{} is a database of another program: give this server a file of its own", .0.display())]
    Foreign(PathBuf),
    /// SQLite says that the file is damaged.
    #[error("{} is damaged ({detail}): restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// A later release has migrated the file.
    #[error("{} has migration {version}, which this release does not know: install a newer release", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The first migration that is not known.
        version: i64,
    },
    /// A migration was applied in another form than the one known here.
    #[error("migration {version} of {} differs from the one of this release: install the release that made it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The migration.
        version: i64,
    },
    /// There are migrations to apply.
    #[error("{} lacks {} migration(s), the first is {}: run `restante migrate`", path.display(), pending.len(), First(pending))]
    NotMigrated {
        /// The file.
        path: PathBuf,
        /// What is to be applied, in order.
        pending: Vec<String>,
    },
    /// Another process serves from the file.
    #[error("another server is running on this database (it holds {}): stop it first", .0.display())]
    InService(PathBuf),
    /// All fencing tokens are used up.
    #[error("the database has counted more starts of the server than it can number")]
    Incarnations,
    /// SQLite fails for another reason.
    #[error("{}: {source}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
}

struct First<'a>(&'a [String]);

impl std::fmt::Display for First<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.first().map_or("none", String::as_str))
    }
}

impl SqliteError {
    pub(crate) fn opening(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match primary_code(&source) {
            Some(NOTADB) => Self::NotADatabase(path),
            Some(CORRUPT) => Self::Damaged {
                path,
                detail: source.to_string(),
            },
            Some(READONLY | PERM | CANTOPEN | AUTH) => Self::Denied {
                path,
                source: std::io::Error::new(std::io::ErrorKind::PermissionDenied, source),
            },
            _ => Self::Failed { path, source },
        }
    }

    pub(crate) fn denied(path: &Path, source: std::io::Error) -> Self {
        Self::Denied {
            path: path.to_owned(),
            source,
        }
    }
}

impl From<Undecodable> for sqlx::Error {
    fn from(error: Undecodable) -> Self {
        Self::Decode(Box::new(error))
    }
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// What a failed statement means when the transaction that it stood in is rolled back.
pub(crate) fn kind(error: &sqlx::Error) -> StoreErrorKind {
    if error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    {
        return StoreErrorKind::Conflict;
    }
    match (primary_code(error), error) {
        (Some(FULL), _) => StoreErrorKind::Full,
        (Some(CORRUPT | NOTADB), _) => StoreErrorKind::Damaged,
        (Some(READONLY | PERM | CANTOPEN | AUTH), _) => StoreErrorKind::Denied,
        (Some(CONSTRAINT), _) => StoreErrorKind::Invalid,
        (_, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound) => {
            StoreErrorKind::Damaged
        }
        _ => StoreErrorKind::Unavailable,
    }
}

/// A failed statement, for `map_err`.
pub(crate) fn failed(op: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| {
        let wait =
            matches!(primary_code(&error), Some(BUSY | LOCKED)) || matches!(error, sqlx::Error::PoolTimedOut);
        let failed = StoreError::new(kind(&error), op, STORE).because(error);
        if wait {
            failed.retry_after(RETRY_AFTER)
        } else {
            failed
        }
    }
}

/// A failed COMMIT, for `map_err`. When the sync of the log fails, or the connection is lost, its last page may be
/// on the disk all the same.
pub(crate) fn commit_failed(op: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| match primary_code(&error) {
        Some(code) if code != IOERR => failed(op)(error),
        _ => StoreError::new(StoreErrorKind::Unknown, op, STORE).because(error),
    }
}

/// A failed statement of the directory, for `map_err`.
pub(crate) fn directory_failed(error: sqlx::Error) -> DirectoryError {
    match kind(&error) {
        StoreErrorKind::Damaged => DirectoryError::new(
            DirectoryErrorKind::Invalid,
            format!("the directory's data is damaged, restore the database from a backup: {error}"),
        ),
        StoreErrorKind::Full => DirectoryError::new(
            DirectoryErrorKind::Unavailable,
            "the directory cannot be written because the disk is full: make room and try again",
        ),
        StoreErrorKind::Denied => DirectoryError::new(
            DirectoryErrorKind::Unavailable,
            format!("the directory's file may not be used, check its owner and mode: {error}"),
        ),
        _ => DirectoryError::new(
            DirectoryErrorKind::Unavailable,
            format!("the directory cannot be asked now, try again: {error}"),
        ),
    }
    .because(error)
}
