//! `[database]`: where tenants, accounts, locks and the index of messages live. It opens no database.

use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ServiceUrl;

/// Where tenants, accounts, locks and the index of messages live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://` and the path of a file, for one host; or `postgres://USER@HOST/NAME`, for any number of frontends.
    /// `restante migrate` makes the tables, and the file.
    #[schemars(with = "String", extend("format" = FORMAT))]
    pub url: ServiceUrl,
    /// File with the password for `postgres://`, on its first line. The URL's own password is better left to the
    /// environment.
    pub password_file: Option<PathBuf>,
    /// What stands between the server and Postgres. A wrong answer is found out at the start and refused.
    pub pooler: Pooler,
    /// Where Postgres itself is reached when `url` leads to a pooler: for migrations, to be told of changes, and for
    /// the locks' heartbeat. Left out with a pooler: `restante migrate` needs it, and `restante serve` asks for changes
    /// every 20 seconds instead of being told.
    #[schemars(with = "Option<String>")]
    pub direct_url: Option<ServiceUrl>,
    /// Connections to Postgres, for the whole process. Sessions hold none while they wait for their clients.
    #[schemars(range(min = 2, max = 1000))]
    pub connections: u32,
    /// Whether Postgres must have a synchronous standby. Without one, mail that was acknowledged and messages that were
    /// deleted can come undone when a standby takes over; with `true` a server that has none configured is refused.
    pub high_availability: bool,
    /// Whose tables tenants and accounts are read from, in Postgres.
    pub directory: DirectoryKind,
    /// Longest wait for another writer of an SQLite file, in seconds.
    #[schemars(range(min = 1, max = 60))]
    pub busy_timeout_secs: u64,
}

/// What stands between the server and Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Pooler {
    /// Nothing, or a pooler in session mode.
    #[default]
    None,
    /// PgBouncer 1.21 or later in transaction mode with `max_prepared_statements`.
    Prepared,
    /// An older pooler in transaction mode: every statement gets a transaction of its own.
    Transaction,
}

/// Whose tables tenants and accounts are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum DirectoryKind {
    /// The tables of this server; `restante tenant`, `account` and so on change them.
    #[default]
    Own,
    /// Views over the provider's own tables (`deploy/VIEWS.md`), which this server only reads.
    Views,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: ServiceUrl::new("sqlite:///var/lib/restante/restante.db"),
            password_file: None,
            pooler: Pooler::None,
            direct_url: None,
            connections: 16,
            high_availability: false,
            directory: DirectoryKind::Own,
            busy_timeout_secs: 5,
        }
    }
}

impl Database {
    /// What the URL means.
    ///
    /// # Errors
    /// What is wrong with it, as a text for a person. Never after [`Config::check`](crate::Config::check).
    pub fn target(&self) -> Result<DatabaseUrl, &'static str> {
        self.url.expose().parse()
    }
}

/// What a database URL means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// One SQLite file, and the process that holds it.
    Sqlite(PathBuf),
    /// A Postgres database, and any number of frontends.
    Postgres(ServiceUrl),
}

/// The `format` of the schema.
pub(crate) const FORMAT: &str = "database-url";

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" | "/" => Err("no file is named; write \"sqlite:///var/lib/restante/restante.db\""),
                _ if path.contains('?') => Err("parameters are not supported; use the keys of [database]"),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"));
        match rest {
            Some("" | "/") => {
                Err("no database is named; write \"postgres://restante@db.example.org/restante\"")
            }
            Some(_) => Ok(Self::Postgres(ServiceUrl::new(text))),
            None => Err(
                "not a database URL; write \"postgres://USER@HOST/NAME\" or \"sqlite:///var/lib/restante/restante.db\"",
            ),
        }
    }
}
