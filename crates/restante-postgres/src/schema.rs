//! Which migrations a database has had, and which it lacks.

use sqlx::PgConnection;
use sqlx::migrate::{MigrateError, Migrator};
use tracing::warn;

use crate::PgError;
use crate::error::Told;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

const HAS_TABLE: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
/// Tables of names that this release uses, in a database that it has never migrated.
const HAS_ANYTHING: &str = "SELECT to_regclass('maildrop') IS NOT NULL OR to_regclass('tenant') IS NOT NULL
    OR to_regclass('account') IS NOT NULL OR to_regclass('message') IS NOT NULL";
const NEEDED: &str = "SELECT needs_migration FROM installation";
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

/// The state of a database's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The last migration applied; `None` for an empty database.
    pub version: Option<i64>,
    /// The migrations that this release would apply, in order.
    pub pending: Vec<String>,
}

/// Reads the state of a schema; inside a transaction, so that a pooler keeps to one connection.
///
/// # Errors
/// A migration that this release does not know and cannot work with, or knows differently; tables of another program.
pub(crate) async fn read(conn: &mut PgConnection) -> Result<Schema, PgError> {
    let applied = applied(conn).await?;
    let last_known = MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default();
    for (version, checksum) in &applied {
        let known = MIGRATOR.iter().find(|migration| migration.version == *version);
        match known {
            None if *version > last_known && needed(conn).await? <= last_known => {
                warn!(
                    version,
                    "a newer release has migrated the database; this one can work with it, and should be replaced"
                );
            }
            None => return Err(PgError::Newer { version: *version }),
            Some(known) if *known.checksum != **checksum => {
                return Err(PgError::Changed { version: *version });
            }
            Some(_) => {}
        }
    }
    Ok(Schema {
        version: applied.last().map(|(version, _)| *version),
        pending: MIGRATOR
            .iter()
            .filter(|migration| applied.iter().all(|(version, _)| *version != migration.version))
            .map(|migration| format!("{:04} {}", migration.version, migration.description))
            .collect(),
    })
}

/// The oldest schema that a release must know to work with the one of the database.
async fn needed(conn: &mut PgConnection) -> Result<i64, PgError> {
    sqlx::query_scalar(NEEDED)
        .persistent(false)
        .fetch_one(conn)
        .await
        .map_err(PgError::opening)
}

async fn applied(conn: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, PgError> {
    let has_table: bool = sqlx::query_scalar(HAS_TABLE)
        .persistent(false)
        .fetch_one(&mut *conn)
        .await
        .map_err(PgError::opening)?;
    if has_table {
        return sqlx::query_as(APPLIED)
            .persistent(false)
            .fetch_all(conn)
            .await
            .map_err(PgError::opening);
    }
    let has_anything: bool = sqlx::query_scalar(HAS_ANYTHING)
        .persistent(false)
        .fetch_one(conn)
        .await
        .map_err(PgError::opening)?;
    if has_anything {
        return Err(PgError::Foreign);
    }
    Ok(Vec::new())
}

/// Applies what is pending; each migration is one transaction. Holds an advisory lock of the session meanwhile,
/// which is why the connection must be a direct one.
pub(crate) async fn migrate(conn: &mut PgConnection) -> Result<(), PgError> {
    // Not `run`: its bounds make the futures of all callers not provably `Send`.
    let applied = MIGRATOR.run_direct(None, conn, false).await;
    applied.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => PgError::migrating(error),
        error => PgError::Failed(Told::new(&error.to_string())),
    })
}
