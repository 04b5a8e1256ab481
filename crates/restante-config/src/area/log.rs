//! `[log]`: what is written to standard error, and how. There are no log files: the service manager keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is written to standard error, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The form of a record.
    pub format: LogFormat,
    /// The least important record that is written.
    pub level: Level,
    /// Whether every record of the audit is written, too, as a record with the target `audit`: logins with their
    /// address, refused ones among them, and what administrators do.
    pub audit: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: Level::default(),
            audit: true,
        }
    }
}

/// The form of a log record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogFormat {
    /// `pretty` on a terminal, otherwise `json`.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// How important a log record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Level {
    /// A person is needed.
    Error,
    /// A promise was at risk.
    Warn,
    /// Start, stop, and one record per session.
    #[default]
    Info,
    /// Also what helps to find a fault: clients that go away, calls that were tried again.
    Debug,
    /// Everything.
    Trace,
}
