//! `[drain]`: how the server leaves after SIGTERM. Nothing is deleted by leaving: only QUIT deletes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the server leaves after SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// Time from SIGTERM until the listeners close, in seconds, while readiness already fails: what a balancer needs to
    /// notice.
    #[schemars(range(max = 600))]
    pub lame_duck_secs: u64,
    /// Time that an open maildrop has until its client sends QUIT, in seconds. A message being sent is finished.
    #[schemars(range(max = 600))]
    pub grace_secs: u64,
    /// Time until every connection is closed, at work or not, in seconds. Their mail stays as it was.
    #[schemars(range(min = 1, max = 3600))]
    pub deadline_secs: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            lame_duck_secs: 5,
            grace_secs: 30,
            deadline_secs: 600,
        }
    }
}
