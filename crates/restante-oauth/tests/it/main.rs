//! The verifier against issuers on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod bench;
mod fetching;
mod garbage;
mod provider;
mod secrecy;
mod signed;
mod signer;
mod tls;
