//! Blobs as objects of a bucket: S3, or a service that speaks its protocol.
//!
//! Start at [`ObjectBlobStore`]. What the library `object_store` makes of an answer is put right in [`answer`]; what a
//! failure means is told in [`failure`]; attempts are counted in [`retry`].

mod answer;
mod bucket;
mod credentials;
mod failure;
mod list;
mod options;
mod probe;
mod reader;
mod retry;
mod upload;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use restante_store::{BlobKey, BlobReader, BlobStore, OctetRange, StoreError, StoreErrorKind};
use restante_types::Octets;
use tokio::sync::Semaphore;

use bucket::Bucket;
use failure::STORE;
use reader::ObjectReader;
use upload::{PART, Upload};

pub use options::{S3Limits, S3Options, S3OptionsError};
pub use probe::Probed;

/// Keeps each blob in an object below one prefix of a bucket: `<tenant>/<shard>/<key>`.
///
/// A blob of up to 8 MiB is written in one request with `If-None-Match: *` and its SHA-256, a larger one in parts of
/// 8 MiB; so much a put holds in memory, and no more than `put_memory` all together. An answer that breaks off is
/// resumed where it did. Each call is tried three times at most, all of them together within a budget.
///
/// The bucket should have a lifecycle rule that removes incomplete uploads after a day. On a bucket with versions a
/// removed blob is hidden and not gone until its versions expire.
pub struct ObjectBlobStore {
    bucket: Arc<Bucket>,
    name: String,
    credentials: String,
}

impl ObjectBlobStore {
    /// The blobs of a bucket. Reads files, and asks the service nothing: that is [`ObjectBlobStore::probe`].
    ///
    /// # Errors
    /// [`S3OptionsError`] names the setting.
    pub fn s3(options: &S3Options) -> Result<Self, S3OptionsError> {
        let kib = (options.put_memory.max(PART) / 1024).min(Semaphore::MAX_PERMITS);
        let prefix = options.prefix.trim_matches('/').to_owned();
        Ok(Self {
            bucket: Arc::new(Bucket::new(
                options::connect(options)?,
                prefix,
                options.limits,
                Semaphore::new(kib),
            )),
            name: options.bucket.clone(),
            credentials: options::source_of_credentials(options),
        })
    }

    /// Tries out whether the bucket serves: writes, reads and removes an object below `probe/`.
    ///
    /// # Errors
    /// The text says what is wrong and what to do about it. A kind that is temporary: the service may serve later.
    pub async fn probe(&self) -> Result<Probed, StoreError> {
        let probed = probe::run(&self.bucket, &self.name, &self.credentials).await?;
        self.bucket.note_conditions(!probed.conditional_writes);
        Ok(probed)
    }
}

impl fmt::Display for ObjectBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for ObjectBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectBlobStore({}/{})", self.name, self.bucket.prefix)
    }
}

#[async_trait]
impl BlobStore for ObjectBlobStore {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        Upload::new(&self.bucket, key)?.send(octets, body).await
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        const OP: &str = "get";
        if range.start > range.end {
            return Err(StoreError::new(StoreErrorKind::Invalid, OP, STORE));
        }
        let opening = ObjectReader::open(Arc::clone(&self.bucket), self.bucket.path(key), range);
        let reader = opening.await.map_err(|failure| failure.into_error(OP))?;
        Ok(Box::new(reader))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        let removing = self.bucket.remove(&self.bucket.path(key)).await;
        removing.map_err(|failure| failure.into_write_error("delete"))
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let listing = list::after(&self.bucket, after, limit).await;
        listing.map_err(|failure| failure.into_error("list"))
    }
}
