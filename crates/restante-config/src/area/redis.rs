//! `[redis]`: limits that all frontends share. It connects to nothing.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ServiceUrl;

/// Limits that all frontends share: attempts to log in, places for sessions, octets read in a day. Left out, or while
/// Redis is lost, every frontend counts for itself. No mail and no lock depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// `redis://HOST:6379/0`, or `rediss://` for TLS. Left out: no Redis.
    #[schemars(with = "Option<String>")]
    pub url: Option<ServiceUrl>,
    /// File with the password, on its first line.
    pub password_file: Option<PathBuf>,
    /// Longest wait for an answer, in milliseconds; then a frontend counts for itself.
    #[schemars(range(min = 1, max = 1000))]
    pub timeout_millis: u64,
    /// Connections to Redis, for the whole process.
    #[schemars(range(min = 1, max = 1000))]
    pub connections: u32,
    /// What every key begins with, so that installations can share a Redis.
    pub prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            timeout_millis: 20,
            connections: 8,
            prefix: "restante:".to_owned(),
        }
    }
}
