//! `[auth]`: how passwords are hashed, and how many at a time. Who has which password is data, not a setting.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How passwords are hashed, and how many at a time.
///
/// Hashing is dear on purpose. It runs behind a bounded gate, so that a flood of logins cannot take all processors or
/// all memory: at most `verify_permits` times `argon2_memory_kib` is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Memory of one argon2id hash, in KiB. New passwords are hashed with it; stored ones keep theirs.
    #[schemars(range(min = 8192, max = 65536))]
    pub argon2_memory_kib: u32,
    /// Passes of argon2id over its memory.
    #[schemars(range(min = 1, max = 4))]
    pub argon2_iterations: u32,
    /// Lanes of argon2id.
    #[schemars(range(min = 1, max = 4))]
    pub argon2_parallelism: u32,
    /// Hashes computed at the same time. 0 means one less than the processors, and at least 1.
    #[schemars(range(max = 1024))]
    pub verify_permits: u32,
    /// Logins that may wait for a free place. One more is told to try again (`-ERR [SYS/TEMP]`).
    #[schemars(range(max = 100_000))]
    pub verify_queue: u32,
    /// Longest wait for a free place, in seconds. Then the client is told to try again.
    #[schemars(range(min = 1, max = 30))]
    pub verify_wait_secs: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            argon2_memory_kib: 19456,
            argon2_iterations: 2,
            argon2_parallelism: 1,
            verify_permits: 0,
            verify_queue: 64,
            verify_wait_secs: 3,
        }
    }
}
