//! What every back-end must do, as cases; one list per contract, one named test per case and back-end.
//!
//! A back-end implements the fixture of its contract and calls the suite's macro in `tests/conformance.rs`. The
//! crate knows no technology; `tests/mutants.rs` holds memory back-ends that break one promise each and must be
//! caught. Start at [`mail_index_suite!`](crate::mail_index_suite).
#![expect(clippy::unwrap_used, reason = "a case fails by panicking, like any test")]

pub mod blob_store;
pub mod directory;
mod fixture;
pub mod foreign_maildrops;
pub mod key_value;
pub mod lock_manager;
pub mod mail_index;
pub mod plugin_registry;
mod sample;
mod suite;

pub use fixture::{
    BlobStoreFixture, DirectoryFixture, ForeignMaildropsFixture, KeyValueFixture, LockManagerFixture,
    MailIndexFixture, PluginRegistryFixture,
};
pub use sample::mail;
pub use suite::{check_claims, claim};
