//! Writes an object: small ones in one conditional request, large ones in parts.
//!
//! Each upload marks its object, so that after a lost answer it can be seen whether the object is this upload's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, MultipartId, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use restante_store::{BlobKey, BlobReader, ExactReader, StoreError, StoreErrorKind};
use restante_types::Octets;
use tokio::runtime::Handle;
use tracing::debug;

use super::bucket::{Bucket, MARK, fresh_name};
use super::failure::{Failure, STORE};
use super::retry::{Attempts, within};

/// A larger blob is sent in parts of this size, of which S3 takes 10,000 and none below 5 MiB but the last. It is also
/// what a put holds in memory at most.
pub(super) const PART: usize = 8 * 1024 * 1024;
/// The slowest upload that is waited for, in octets per second.
const SLOWEST: usize = 512 * 1024;

/// One put.
pub(super) struct Upload {
    bucket: Arc<Bucket>,
    path: Path,
    mark: String,
}

impl Upload {
    pub(super) fn new(bucket: &Arc<Bucket>, key: &BlobKey) -> Result<Self, StoreError> {
        Ok(Self {
            bucket: Arc::clone(bucket),
            path: bucket.path(key),
            mark: fresh_name()?,
        })
    }

    /// Sends `octets` octets of `body`.
    pub(super) async fn send(self, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let held = usize::try_from(octets.get()).unwrap_or(PART).min(PART);
        let kib = u32::try_from(held.div_ceil(1024)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.bucket);
        // Waits for its turn before it reads anything. The semaphore is never closed.
        let _turn = memory
            .memory
            .acquire_many(kib.max(1))
            .await
            .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, "put", STORE).because(error))?;
        let mut pieces = Pieces {
            body: ExactReader::new(body, octets, STORE),
            rest: Bytes::new(),
        };
        if octets.get() <= PART as u64 {
            let whole = pieces.take(PART + 1).await?;
            return self
                .send_whole(whole)
                .await
                .map_err(|failure| failure.into_write_error("put"));
        }
        self.send_parts(&mut pieces).await
    }

    async fn send_whole(&self, whole: PutPayload) -> Result<(), Failure> {
        if self.bucket.ignores_conditions() {
            self.refuse_taken_key().await?;
        }
        let limit = time_for(whole.content_length(), &self.bucket);
        let mut attempts = Attempts::default();
        loop {
            let options = PutOptions {
                mode: PutMode::Create,
                attributes: self.attributes(),
                ..PutOptions::default()
            };
            let put = self.bucket.s3.put_opts(&self.path, whole.clone(), options);
            match within(limit, put).await {
                Ok(_) => {
                    self.bucket.budget.succeeded();
                    return Ok(());
                }
                Err(failure) if failure.kind == StoreErrorKind::Conflict => {
                    // An earlier attempt whose answer was lost, or somebody else.
                    return if self.is_there().await? {
                        Ok(())
                    } else {
                        Err(failure)
                    };
                }
                Err(failure) => attempts.next(&self.bucket.budget, failure).await?,
            }
        }
    }

    async fn send_parts(&self, pieces: &mut Pieces<'_>) -> Result<(), StoreError> {
        let told = |failure: Failure| failure.into_write_error("put");
        // An upload in parts replaces what is there.
        self.refuse_taken_key().await.map_err(told)?;
        let mut parts = PartsOfObject::begin(self).await.map_err(told)?;
        loop {
            let part = pieces.take(PART).await?;
            if part.content_length() == 0 {
                break;
            }
            parts.add(part).await.map_err(told)?;
        }
        parts.join(self).await.map_err(told)
    }

    async fn refuse_taken_key(&self) -> Result<(), Failure> {
        match self.bucket.find(&self.path).await? {
            Some(_) => Err(Failure::taken()),
            None => Ok(()),
        }
    }

    /// Whether the object is there, and this upload's.
    async fn is_there(&self) -> Result<bool, Failure> {
        let found = self.bucket.find(&self.path).await?;
        Ok(found.and_then(|found| found.mark).as_ref() == Some(&self.mark))
    }

    fn attributes(&self) -> Attributes {
        Attributes::from_iter([
            (Attribute::Metadata(MARK.into()), self.mark.clone()),
            (Attribute::ContentType, "message/rfc822".to_owned()),
        ])
    }
}

fn time_for(octets: usize, bucket: &Bucket) -> Duration {
    bucket.limits.change + Duration::from_secs((octets / SLOWEST) as u64)
}

/// Cuts a body.
struct Pieces<'a> {
    body: ExactReader<'a>,
    rest: Bytes,
}

impl Pieces<'_> {
    /// The next octets, at most `most`; fewer only at the end of the body, which is then seen to be one.
    async fn take(&mut self, most: usize) -> Result<PutPayload, StoreError> {
        let mut taken = Vec::new();
        let mut left = most;
        while left > 0 {
            if self.rest.is_empty() {
                match self.body.next().await? {
                    Some(piece) => self.rest = piece,
                    None => break,
                }
            }
            let piece = self.rest.split_to(left.min(self.rest.len()));
            left -= piece.len();
            taken.push(piece);
        }
        Ok(taken.into_iter().collect())
    }
}

/// The parts of an object that is not there yet. Dropped before they are joined, they are given up; what an end of the
/// process leaves is for a lifecycle rule of the bucket.
struct PartsOfObject {
    bucket: Arc<Bucket>,
    path: Path,
    id: Option<MultipartId>,
    parts: Vec<PartId>,
}

impl PartsOfObject {
    async fn begin(upload: &Upload) -> Result<Self, Failure> {
        let (bucket, path) = (Arc::clone(&upload.bucket), upload.path.clone());
        let create = || {
            let options = PutMultipartOptions {
                attributes: upload.attributes(),
                ..PutMultipartOptions::default()
            };
            bucket.s3.create_multipart_opts(&path, options)
        };
        let id = bucket.budget.spend(bucket.limits.change, create).await?;
        Ok(Self {
            bucket,
            path,
            id: Some(id),
            parts: Vec::new(),
        })
    }

    fn id(&self) -> MultipartId {
        self.id.clone().unwrap_or_default()
    }

    async fn add(&mut self, part: PutPayload) -> Result<(), Failure> {
        let (id, number) = (self.id(), self.parts.len());
        let put = || self.bucket.s3.put_part(&self.path, &id, number, part.clone());
        let limit = time_for(part.content_length(), &self.bucket);
        let part = self.bucket.budget.spend(limit, put).await?;
        self.parts.push(part);
        Ok(())
    }

    async fn join(mut self, upload: &Upload) -> Result<(), Failure> {
        let id = self.id();
        let mut attempts = Attempts::default();
        loop {
            let complete = self
                .bucket
                .s3
                .complete_multipart(&self.path, &id, self.parts.clone());
            let Err(failure) = within(self.bucket.limits.change, complete).await else {
                break;
            };
            // A lost answer; then the upload is no more, because it has become the object.
            if (failure.may_have_happened || failure.code == "NoSuchUpload") && upload.is_there().await? {
                break;
            }
            attempts.next(&self.bucket.budget, failure).await?;
        }
        self.id = None;
        Ok(())
    }
}

impl Drop for PartsOfObject {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else {
            return;
        };
        let (bucket, path) = (Arc::clone(&self.bucket), self.path.clone());
        runtime.spawn(async move {
            let abort = within(bucket.limits.change, bucket.s3.abort_multipart(&path, &id));
            if let Err(failure) = abort.await {
                debug!(?failure, "parts of an upload that was given up stay behind");
            }
        });
    }
}
