//! `[collector]`: removal of octets that no message refers to any more. When messages are deleted is not decided here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Removal of octets that no message refers to any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Collector {
    /// Whether octets are removed at all. `false` keeps everything on disk, for instance while a fault is looked into.
    pub enabled: bool,
    /// Time between two rounds, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub interval_secs: u64,
    /// A round that removes so many is logged as an error: more than ever should be, and time to look why.
    /// `restante collector stop` ends removals on all frontends at once.
    #[schemars(range(min = 1, max = 10_000))]
    pub alarm: u32,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_secs: 60,
            alarm: 5_000,
        }
    }
}
