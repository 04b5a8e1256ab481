//! `[database]`: where tenants, accounts, locks and the index of messages live. It opens no database.

use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where tenants, accounts, locks and the index of messages live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://` and the path of the database file. `restante migrate` makes it.
    #[schemars(extend("format" = FORMAT))]
    pub url: String,
    /// Longest wait for another writer of the database file, in seconds.
    #[schemars(range(min = 1, max = 60))]
    pub busy_timeout_secs: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "sqlite:///var/lib/restante/restante.db".to_owned(),
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
        self.url.parse()
    }
}

/// What a database URL means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// One SQLite file, and the process that holds it.
    Sqlite(PathBuf),
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
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Err("Postgres is not supported by this release; write \"sqlite://\" and a path");
        }
        Err("not a database URL; write \"sqlite:///var/lib/restante/restante.db\"")
    }
}
