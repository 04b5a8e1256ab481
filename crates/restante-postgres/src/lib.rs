//! Index, blobs, lock and directory in Postgres, for any number of frontends.
//!
//! Knows no other technology. Works directly and behind PgBouncer in transaction
//! mode. Start at [`Pg::open`], then [`PgLockManager::start`].

mod admin;
mod blobs;
mod certificates;
mod connections;
mod custody;
mod database;
mod directory;
mod error;
mod index;
mod ledger;
mod lock;
mod plugins;
mod pooler;
mod schema;
mod sql;
mod values;
mod views;

#[cfg(test)]
mod tests;

pub use blobs::PgBlobStore;
pub use database::{Pg, PgOptions};
pub use directory::PgDirectory;
pub use error::{PgError, Told};
pub use index::PgMailIndex;
pub use lock::{LeaseOptions, NodeName, PgLockDesk, PgLockManager};
pub use plugins::{PgKeyValueStore, PgPluginRegistry};
pub use pooler::Pooler;
pub use schema::Schema;
pub use views::PgViewDirectory;
