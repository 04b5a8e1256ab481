//! Fixtures for tests over real sockets: a server under test, clients that say exactly what they are told, programs
//! and memory of this host.
//!
//! For development only; nothing that is shipped depends on it. A fixture that cannot do its work panics. Start at
//! [`TestServer`].

mod backends;
mod certificate;
pub mod cluster;
mod components;
mod directory;
mod fault_proxy;
mod identity_provider;
mod jmap;
mod lmtp;
pub mod memory;
mod namespace;
mod no_limits;
mod pgbouncer;
mod pop3;
mod postgres;
mod redis;
pub mod require;
mod s3;
mod server;
mod service;
mod socket;
mod token_signer;

pub use backends::{ALICE, Account, BOB, Backends, PASSWORD, TENANT, quick_rule};
pub use certificate::{TestCertificate, TlsOptions};
pub use components::component;
pub use directory::{DirectorySwitch, SwitchedDirectory};
pub use fault_proxy::{Direction, Fault, FaultProxy, ProxyCounts};
pub use identity_provider::{IdentityProvider, Manner};
pub use jmap::{JmapCall, JmapEmail, JmapFault, JmapServer};
pub use lmtp::LmtpClient;
pub use namespace::{Cable, Namespace, SmallDisk};
pub use no_limits::NoLimits;
pub use pgbouncer::PgBouncer;
pub use pop3::{Pop3Client, unstuffed};
pub use postgres::{Cramped, PgDatabase, Postgres, PostgresOptions};
pub use redis::Redis;
pub use s3::{S3, S3Call, S3Fault};
pub use server::{TestServer, TestServerBuilder};
pub use service::free_port;
pub use socket::Socket;
pub use token_signer::{Signature, TokenSigner};

/// For [`knows_recipients!`].
#[doc(hidden)]
pub use restante_auth as auth;
/// For [`knows_recipients!`].
#[doc(hidden)]
pub use restante_types as types;

use std::time::Duration;

/// How long a fixture waits for what must come: long enough for a busy machine, short enough to fail.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not hold within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
