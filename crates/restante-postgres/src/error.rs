//! From SQLSTATEs to the kinds of the contracts. No text here holds a bound value, an address or a password: of what
//! the server says only the code and the first message are kept, because its details quote values.

use std::borrow::Cow;
use std::time::Duration;

use restante_auth::{DirectoryError, DirectoryErrorKind};
use restante_store::{StoreError, StoreErrorKind};

use crate::Pooler;
use crate::values::Undecodable;

/// How the technology names itself in errors, logs and metrics.
pub(crate) const STORE: &str = "postgres";

/// How long a caller should wait when the database is busy.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Why a database cannot be used. Each text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PgError {
    /// The provider's views are not as they are to be.
    #[error("database.directory = \"views\" needs {0}: see deploy/VIEWS.md")]
    Views(String),
    /// The URL cannot be read; it is not repeated, because it may hold a password.
    #[error("{setting} is not of the form postgres://user:password@host:port/database")]
    Url {
        /// Which setting.
        setting: &'static str,
    },
    /// Somebody else holds what a migration changes.
    #[error(
        "the migration waited too long for a lock and changed nothing ({0}): run it again when whatever holds the \
         tables is over (see pg_stat_activity)"
    )]
    Locked(#[source] Told),
    /// Nobody answers.
    #[error(
        "Postgres cannot be reached: {0}: check host and port of the database's URL, and that the server runs"
    )]
    Unreachable(#[source] Told),
    /// The server refuses the login.
    #[error("Postgres refuses the login ({0}): check user and password of the database's URL")]
    Login(#[source] Told),
    /// There is no such database.
    #[error("Postgres says: {0}: create it with `createdb`, or correct the database's URL")]
    NoDatabase(#[source] Told),
    /// The user may not do what is needed.
    #[error("Postgres denies: {0}: make the user of the URL the owner of the database's tables")]
    Denied(#[source] Told),
    /// The database has tables of these names that this program did not make.
    #[error(
        "the database holds tables of another program: give this server a database or a schema of its own"
    )]
    Foreign,
    /// A later release has migrated the database.
    #[error(
        "the database has migration {version}, which this release does not know: install a newer release"
    )]
    Newer {
        /// The first migration that is not known.
        version: i64,
    },
    /// A migration was applied in another form than the one known here.
    #[error(
        "migration {version} of the database differs from the one of this release: install the release that made it"
    )]
    Changed {
        /// The migration.
        version: i64,
    },
    /// There are migrations to apply.
    #[error("the database lacks {} migration(s), the first is {}: run `restante migrate`", pending.len(), First(pending))]
    NotMigrated {
        /// What is to be applied, in order.
        pending: Vec<String>,
    },
    /// Migrations go past the pooler.
    #[error(
        "database.direct_url is missing: migrations need a connection that does not go through the pooler"
    )]
    NoDirectUrl,
    /// The answers show that `database.pooler` does not say what stands between.
    #[error("database.pooler = \"{}\" is wrong here ({seen}): {advice}", set.as_str())]
    WrongPooler {
        /// What is set.
        set: Pooler,
        /// What the probe saw.
        seen: String,
        /// What to set instead.
        advice: &'static str,
    },
    /// A mail that was acknowledged could be lost.
    #[error(
        "synchronous_commit is {0}: set it to on for this user or database, otherwise mail that was acknowledged can be lost"
    )]
    NotDurable(String),
    /// High availability is asked for, and a takeover would lose what was acknowledged.
    #[error(
        "database.high_availability = true, but Postgres has no synchronous standby (synchronous_standby_names is empty, \
         or synchronous_commit is remote_write: it is {synchronous_commit}): set synchronous_standby_names = 'ANY 1 (*)' \
         and synchronous_commit = on, otherwise acknowledged mail is lost when a standby takes over"
    )]
    NoStandby {
        /// The setting of that name.
        synchronous_commit: String,
    },
    /// A standby, or a primary that was demoted.
    #[error("the server is a standby and takes no writes: connect to the primary")]
    Standby,
    /// Older than what is tested.
    #[error("the server is older than PostgreSQL 13: upgrade it")]
    TooOld,
    /// Text in another encoding would be stored differently than it was sent.
    #[error("the database's encoding is {0}: create it with ENCODING 'UTF8'")]
    Encoding(String),
    /// The thread that renews the lease cannot be started.
    #[error("the thread that renews this frontend's lease cannot be started: {0}")]
    NoThread(#[source] std::io::Error),
    /// Postgres fails for another reason.
    #[error("Postgres fails: {0}")]
    Failed(#[source] Told),
}

struct First<'a>(&'a [String]);

impl std::fmt::Display for First<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.first().map_or("none", String::as_str))
    }
}

/// What the driver or the server said, without the details that quote values.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Told {
    text: String,
}

impl Told {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }
}

impl From<sqlx::Error> for Told {
    fn from(error: sqlx::Error) -> Self {
        let text = match beneath(&error) {
            sqlx::Error::Database(said) => match said.code() {
                Some(code) => format!("{} (SQLSTATE {code})", said.message()),
                None => said.message().to_owned(),
            },
            sqlx::Error::PoolTimedOut => "no free connection in time".to_owned(),
            other => other.to_string(),
        };
        Self { text }
    }
}

impl PgError {
    pub(crate) fn opening(error: sqlx::Error) -> Self {
        match code(&error).as_deref() {
            Some("3D000") => Self::NoDatabase(error.into()),
            Some("28000" | "28P01") => Self::Login(error.into()),
            Some("42501") => Self::Denied(error.into()),
            None if is_broken(&error) => Self::Unreachable(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl PgError {
    /// Why a migration failed.
    pub(crate) fn migrating(error: sqlx::Error) -> Self {
        match code(&error).as_deref() {
            Some("55P03") => Self::Locked(error.into()),
            _ => Self::opening(error),
        }
    }
}

impl From<Undecodable> for sqlx::Error {
    fn from(error: Undecodable) -> Self {
        Self::Decode(Box::new(error))
    }
}

/// No connection was to be had, so nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("no connection to the database: {0}")]
struct NotConnected(sqlx::Error);

/// Marks a failure that came before anything was sent.
pub(crate) fn not_connected(error: sqlx::Error) -> sqlx::Error {
    sqlx::Error::AnyDriverError(Box::new(NotConnected(error)))
}

/// The error that is meant, whether or not it came before anything was sent.
fn beneath(error: &sqlx::Error) -> &sqlx::Error {
    match error {
        sqlx::Error::AnyDriverError(inner) => inner
            .downcast_ref::<NotConnected>()
            .map_or(error, |NotConnected(inner)| inner),
        _ => error,
    }
}

fn was_not_connected(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::AnyDriverError(_))
}

pub(crate) fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    beneath(error).as_database_error()?.code()
}

/// Whether the stream of answers cannot be relied on any more.
fn is_broken(error: &sqlx::Error) -> bool {
    !matches!(
        beneath(error),
        sqlx::Error::Database(_) | sqlx::Error::RowNotFound | sqlx::Error::Encode(_)
    )
}

/// Whether the connection may serve another call after this error. Not when the stream is broken; not when the server
/// is going away or has become a standby; not when it has forgotten our prepared statements or their results have
/// changed their types.
pub(crate) fn spares_connection(error: &sqlx::Error) -> bool {
    match code(error).as_deref() {
        Some("25006" | "25P03" | "26000" | "42P05" | "0A000") => false,
        Some(code) => !code.starts_with("08") && !code.starts_with("57P"),
        None => !is_broken(error),
    }
}

/// Whether the same call, made again at once, may succeed, and nothing of it has happened.
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    match code(error).as_deref() {
        Some("40001" | "40P01" | "55P03") => true,
        Some(code) => code.starts_with("57P"),
        None => was_not_connected(error),
    }
}

/// What a failed statement means when the transaction that it stood in is rolled back.
pub(crate) fn kind(error: &sqlx::Error) -> StoreErrorKind {
    if let Some(code) = code(error) {
        return match &*code {
            "23505" => StoreErrorKind::Conflict,
            "53100" => StoreErrorKind::Full,
            "42501" => StoreErrorKind::Denied,
            // Checksums, indexes and files of the server that do not agree.
            "XX001" | "XX002" => StoreErrorKind::Damaged,
            _ if code.starts_with("28") => StoreErrorKind::Denied,
            _ if code.starts_with("22") || code.starts_with("23") || code.starts_with("42") => {
                StoreErrorKind::Invalid
            }
            _ => StoreErrorKind::Unavailable,
        };
    }
    match beneath(error) {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
            StoreErrorKind::Damaged
        }
        _ => StoreErrorKind::Unavailable,
    }
}

/// A failed read, or a failed statement of a transaction that is rolled back, for `map_err`.
pub(crate) fn failed(op: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| {
        let kind = kind(&error);
        let wait = kind == StoreErrorKind::Unavailable;
        let failed = StoreError::new(kind, op, STORE).because(Told::from(error));
        if wait {
            failed.retry_after(RETRY_AFTER)
        } else {
            failed
        }
    }
}

/// A failed COMMIT, or a failed write outside a transaction, for `map_err`. When the connection is lost after the
/// statement was sent, it may have happened all the same.
pub(crate) fn commit_failed(op: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| {
        if may_have_happened(&error) {
            StoreError::new(StoreErrorKind::Unknown, op, STORE).because(Told::from(error))
        } else {
            failed(op)(error)
        }
    }
}

/// Whether a write whose statement failed so may have been done all the same: it was sent, and nobody said no.
pub(crate) fn may_have_happened(error: &sqlx::Error) -> bool {
    let answered = code(error).is_some_and(|code| !code.starts_with("08"));
    !answered && !was_not_connected(error)
}

/// A failed statement of the directory, for `map_err`.
pub(crate) fn directory_failed(error: sqlx::Error) -> DirectoryError {
    let kind = kind(&error);
    let told = Told::from(error);
    match kind {
        StoreErrorKind::Damaged => DirectoryError::new(
            DirectoryErrorKind::Invalid,
            format!("the directory's data is damaged, restore the database from a backup: {told}"),
        ),
        StoreErrorKind::Full => DirectoryError::new(
            DirectoryErrorKind::Unavailable,
            "the directory cannot be written because the disk is full: make room and try again",
        ),
        StoreErrorKind::Denied => DirectoryError::new(
            DirectoryErrorKind::Unavailable,
            format!("the directory may not be used, check the rights of the database's user: {told}"),
        ),
        _ => DirectoryError::new(
            DirectoryErrorKind::Unavailable,
            format!("the directory cannot be asked now, try again: {told}"),
        ),
    }
    .because(told)
}

/// Whether a name is taken.
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
