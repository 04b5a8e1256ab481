//! `[storage.NAME]`: where the octets of messages live. Which messages exist is told by `[database]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the octets of messages live. The name is letters a-z, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(inline)]
pub enum Storage {
    /// Files in a local folder.
    File {
        /// The folder. It is created when it does not exist.
        path: PathBuf,
    },
}
