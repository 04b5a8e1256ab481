//! `[auth]`: how passwords are hashed, and how many at a time. Who has which password is data, not a setting.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How passwords are hashed, and how many at a time.
///
/// Hashing is dear on purpose. It runs behind a bounded gate, so that a flood of logins cannot take all processors or
/// all memory: at most `verify_permits` times `argon2_memory_kib` is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Ways to log in that are announced where the tenant is not known before the name: on a listener without
    /// `tenant`, to a client that asks for no tenant's server name. Elsewhere the tenant's policy says it. Whatever is
    /// announced, the policy of the user's tenant decides.
    pub mechanisms: Vec<Mechanism>,
    /// File with the server's keys: lines `ID:HEX` of 1 to 255 and 32 octets, the last one current, mode 0600. They
    /// pepper passwords and seal the private keys and client secrets in the database; the same on all frontends. A
    /// key is removed only when nothing was made with it any more. Left out: no pepper, and nothing can be sealed.
    pub keys_file: Option<PathBuf>,
    /// PEM file with authorities that sign the certificates of token issuers, besides those of the system.
    pub token_authority_file: Option<PathBuf>,
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
            mechanisms: vec![Mechanism::Plain, Mechanism::Login, Mechanism::User],
            keys_file: None,
            token_authority_file: None,
            argon2_memory_kib: 19456,
            argon2_iterations: 2,
            argon2_parallelism: 1,
            verify_permits: 0,
            verify_queue: 64,
            verify_wait_secs: 3,
        }
    }
}

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Mechanism {
    /// A client certificate; needs `tls.client_authority_file`.
    #[serde(rename = "EXTERNAL")]
    External,
    /// SCRAM bound to the TLS connection.
    #[serde(rename = "SCRAM-SHA-256-PLUS")]
    ScramSha256Plus,
    /// SCRAM.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// An access token.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
    /// An access token, for older clients.
    #[serde(rename = "XOAUTH2")]
    Xoauth2,
    /// Name and password at once.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Name and password, for older clients.
    #[serde(rename = "LOGIN")]
    Login,
    /// USER and PASS.
    #[serde(rename = "USER")]
    User,
}
