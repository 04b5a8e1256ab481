//! One file per area of the settings. Every field says what it is for; its unit, default and range stand beside it.
//!
//! Areas do not look at each other: contradictions between them are found in `check`.

mod admin;
mod auth;
mod collector;
mod database;
mod drain;
mod limits;
mod listener;
mod lmtp;
mod lock;
mod log;
mod plugin;
mod redis;
mod storage;
mod telemetry;
mod tls;

pub use admin::{Admin, AdminToken};
pub use auth::{Auth, Mechanism};
pub use collector::Collector;
pub use database::{Database, DatabaseUrl, DirectoryKind, Pooler};
pub use drain::Drain;
pub use limits::Limits;
pub use listener::{Listener, Protocol};
pub use lmtp::Lmtp;
pub use lock::Lock;
pub use log::{Level, Log, LogFormat};
pub use plugin::{Grant, Plugin, PluginHost, PluginStorage, World};
pub use redis::Redis;
pub use storage::{S3, Storage};
pub use telemetry::Telemetry;
pub use tls::{Certificate, OldestVersion, Tls, UnknownName};

pub(crate) use database::FORMAT as DATABASE_FORMAT;
pub(crate) use listener::NETWORK_FORMAT;
