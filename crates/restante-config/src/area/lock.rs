//! `[lock]`: how this frontend is known to the others. It locks nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How this frontend is known to the others that share its Postgres.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lock {
    /// The name of this frontend: the same over restarts, and no other's. When it starts, what an earlier process of
    /// this name held is free at once; what another frontend held that has died is free after 25 seconds. Left out:
    /// this host's name and the configuration file's.
    #[schemars(example = &"pop3-1.example.net", length(min = 1, max = 255))]
    pub node: Option<String>,
}
