//! The part of a bucket that is this store's, and what all calls to it share.

use std::sync::atomic::{AtomicBool, Ordering};

use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Attribute, GetOptions, GetResult, ObjectStore, ObjectStoreExt};
use restante_store::{BlobKey, StoreError, StoreErrorKind};
use tokio::sync::Semaphore;

use super::failure::Failure;
use super::options::S3Limits;
use super::retry::Budget;

/// Under which name an upload marks its object.
pub(super) const MARK: &str = "restante-upload";

/// A name that is never used twice.
pub(super) fn fresh_name() -> Result<String, StoreError> {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance).map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, "random", "system").because(error.to_string())
    })?;
    Ok(format!("{:032x}", u128::from_ne_bytes(chance)))
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) s3: AmazonS3,
    pub(super) prefix: String,
    pub(super) limits: S3Limits,
    pub(super) budget: Budget,
    /// KiB of bodies that may be in memory at once.
    pub(super) memory: Semaphore,
    /// Whether the service is known to ignore `If-None-Match`.
    ignores_conditions: AtomicBool,
}

/// What is known of an object without reading it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) octets: u64,
    /// Which upload made it.
    pub(super) mark: Option<String>,
}

impl Bucket {
    pub(super) const fn new(s3: AmazonS3, prefix: String, limits: S3Limits, memory: Semaphore) -> Self {
        Self {
            s3,
            prefix,
            limits,
            budget: Budget::new(),
            memory,
            ignores_conditions: AtomicBool::new(false),
        }
    }

    /// Where a blob is.
    pub(super) fn path(&self, key: &BlobKey) -> Path {
        self.below(&key.path())
    }

    /// The blob that is there; `None` if it is no blob.
    pub(super) fn key(&self, path: &Path) -> Option<BlobKey> {
        let path = path.as_ref();
        if self.prefix.is_empty() {
            return BlobKey::from_path(path);
        }
        BlobKey::from_path(path.strip_prefix(&self.prefix)?.strip_prefix('/')?)
    }

    pub(super) fn below(&self, path: &str) -> Path {
        if self.prefix.is_empty() {
            Path::from(path)
        } else {
            Path::from(format!("{}/{path}", self.prefix))
        }
    }

    pub(super) fn ignores_conditions(&self) -> bool {
        self.ignores_conditions.load(Ordering::Relaxed)
    }

    pub(super) fn note_conditions(&self, are_ignored: bool) {
        self.ignores_conditions.store(are_ignored, Ordering::Relaxed);
    }

    /// Asks for an object's size and mark; `None` if it is not there.
    pub(super) async fn find(&self, path: &Path) -> Result<Option<Found>, Failure> {
        let head = GetOptions::new().with_head(true);
        let asking = self
            .budget
            .spend(self.limits.answer, || self.s3.get_opts(path, head.clone()));
        match asking.await {
            Ok(answer) => Ok(Some(Found::of(&answer))),
            Err(failure) if failure.kind == StoreErrorKind::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Removes an object; one that is not there is removed.
    pub(super) async fn remove(&self, path: &Path) -> Result<(), Failure> {
        match self
            .budget
            .spend(self.limits.change, || self.s3.delete(path))
            .await
        {
            Err(failure) if failure.kind == StoreErrorKind::NotFound => Ok(()),
            answer => answer,
        }
    }
}

impl Found {
    fn of(answer: &GetResult) -> Self {
        let mark = answer.attributes.get(&Attribute::Metadata(MARK.into()));
        Self {
            octets: answer.meta.size,
            mark: mark.map(|mark| mark.as_ref().to_owned()),
        }
    }
}
