//! The embedded default: index, lock and directory in one SQLite file.
//!
//! For one serving process; the command line's tools may use the file beside it. Decides nothing about octets and
//! knows no other technology. Start at [`Sqlite::open`], then [`SqliteLockManager::start`].

mod admin;
mod changes;
mod custody;
mod database;
mod directory;
mod error;
mod index;
mod ledger;
mod lock;
mod plugins;
mod readers;
mod rows;
mod schema;
mod sql;
mod values;

#[cfg(test)]
mod tests;

pub use database::{Sqlite, SqliteOptions};
pub use directory::SqliteDirectory;
pub use error::SqliteError;
pub use index::SqliteMailIndex;
pub use lock::SqliteLockManager;
pub use plugins::{SqliteKeyValueStore, SqlitePluginRegistry};
pub use schema::Schema;
