//! Blobs as objects of a local directory.
//!
//! Decides nothing about which messages exist. Start at [`LocalBlobStore`].
//!
//! The `object_store` crate's own local store is not used: read at version 0.14, its streaming upload replaces an
//! object that is there, its delete is not made durable, a directory made by one upload may not be durable when
//! another that needs it returns, and a file that got shorter while it was read gives empty pieces without end.
//! Each of these breaks a promise of [`BlobStore`](restante_store::BlobStore).

mod directories;
mod fault;
mod gate;
mod local;
mod read;
mod staged;

pub use local::LocalBlobStore;
