//! Fixtures for tests over real sockets: a server under test, clients that say exactly what they are told, programs
//! and memory of this host.
//!
//! For development only; nothing that is shipped depends on it. A fixture that cannot do its work panics. Start at
//! [`TestServer`].

mod backends;
mod certificate;
mod lmtp;
pub mod memory;
mod pop3;
pub mod require;
mod server;
mod socket;

pub use backends::{ALICE, Account, BOB, Backends, PASSWORD};
pub use certificate::{TestCertificate, TlsOptions};
pub use lmtp::LmtpClient;
pub use pop3::{Pop3Client, unstuffed};
pub use server::{TestServer, TestServerBuilder};
pub use socket::Socket;

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
