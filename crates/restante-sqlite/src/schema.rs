//! Which migrations a file has had, and which it lacks.

use std::path::Path;

use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;

use crate::SqliteError;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

const HAS_TABLE: &str = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
const HAS_ANYTHING: &str = "SELECT count(*) FROM sqlite_schema";
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

/// The state of a file's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The last migration applied; `None` for an empty file.
    pub version: Option<i64>,
    /// The migrations that this release would apply, in order.
    pub pending: Vec<String>,
}

/// Reads the state of a schema.
///
/// # Errors
/// A migration that this release does not know, or knows differently; tables of another program.
pub(crate) async fn read(conn: &mut SqliteConnection, path: &Path) -> Result<Schema, SqliteError> {
    let applied = applied(conn, path).await?;
    for (version, checksum) in &applied {
        let known = MIGRATOR.iter().find(|migration| migration.version == *version);
        let path = path.to_owned();
        match known {
            None => {
                return Err(SqliteError::Newer {
                    path,
                    version: *version,
                });
            }
            Some(known) if *known.checksum != **checksum => {
                return Err(SqliteError::Changed {
                    path,
                    version: *version,
                });
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

async fn applied(conn: &mut SqliteConnection, path: &Path) -> Result<Vec<(i64, Vec<u8>)>, SqliteError> {
    let failed = |error| SqliteError::opening(path, error);
    let has_table: i64 = sqlx::query_scalar(HAS_TABLE)
        .fetch_one(&mut *conn)
        .await
        .map_err(failed)?;
    if has_table == 1 {
        return sqlx::query_as(APPLIED).fetch_all(conn).await.map_err(failed);
    }
    let has_anything: i64 = sqlx::query_scalar(HAS_ANYTHING)
        .fetch_one(conn)
        .await
        .map_err(failed)?;
    if has_anything > 0 {
        return Err(SqliteError::Foreign(path.to_owned()));
    }
    Ok(Vec::new())
}

/// Applies what is pending; each migration is one transaction.
pub(crate) async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), SqliteError> {
    // Not `run`: its bounds make the futures of all callers not provably `Send`.
    let applied = MIGRATOR.run_direct(None, conn, false).await;
    applied.map_err(|error| SqliteError::Failed {
        path: path.to_owned(),
        source: error.into(),
    })
}
