//! Blobs as objects: files of a local directory, or objects of a bucket.
//!
//! Decides nothing about which messages exist. Start at [`LocalBlobStore`] and [`ObjectBlobStore`].
//!
//! For the local directory the `object_store` crate's own local store is not used: read at version 0.14, its streaming upload replaces an
//! object that is there, its delete is not made durable, a directory made by one upload may not be durable when
//! another that needs it returns, and a file that got shorter while it was read gives empty pieces without end.
//! Each of these breaks a promise of [`BlobStore`](restante_store::BlobStore).

mod cached;
mod directories;
mod fault;
mod gate;
mod list;
mod local;
mod read;
mod s3;
mod staged;

pub use local::LocalBlobStore;
pub use s3::{ObjectBlobStore, Probed, S3Limits, S3Options, S3OptionsError};
