//! Reads an object, and goes on where an answer broke off.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use restante_store::{BlobReader, OctetRange, StoreError, StoreErrorKind};
use tokio::time::timeout;

use super::bucket::Bucket;
use super::failure::Failure;
use super::retry::{Attempts, within};

/// So many octets later, an answer that breaks off is a new trouble and no longer the old one.
const RECOVERED: u64 = 8 * 1024 * 1024;

/// A range of an object and what of it is still to come.
pub(super) struct ObjectReader {
    bucket: Arc<Bucket>,
    path: Path,
    at: u64,
    end: u64,
    /// Of the object that was opened: no other is read on.
    e_tag: Option<String>,
    answer: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    attempts: Attempts,
    broke_at: u64,
}

impl ObjectReader {
    /// Opens a range; the first octets are on their way when this returns.
    pub(super) async fn open(bucket: Arc<Bucket>, path: Path, range: OctetRange) -> Result<Self, Failure> {
        let mut reader = Self {
            bucket,
            path,
            at: range.start.get(),
            end: range.end.get(),
            e_tag: None,
            answer: None,
            attempts: Attempts::default(),
            broke_at: range.start.get(),
        };
        if range.is_empty() {
            // S3 knows no empty range.
            reader.check_end().await?;
            return Ok(reader);
        }
        while let Err(failure) = reader.ask().await {
            reader.attempts.next(&reader.bucket.budget, failure).await?;
        }
        Ok(reader)
    }

    async fn check_end(&mut self) -> Result<(), Failure> {
        match self.bucket.find(&self.path).await? {
            None => Err(Failure::absent()),
            Some(found) if found.octets < self.end => Err(too_short()),
            Some(_) => Ok(()),
        }
    }

    /// Asks for what is still to come.
    async fn ask(&mut self) -> Result<(), Failure> {
        let options = GetOptions::new()
            .with_range(Some(GetRange::Bounded(self.at..self.end)))
            .with_if_match(self.e_tag.clone());
        let answer = within(
            self.bucket.limits.answer,
            self.bucket.s3.get_opts(&self.path, options),
        )
        .await;
        let answer = answer.map_err(|failure| match failure.kind {
            StoreErrorKind::Conflict => Failure::damaged("the object was replaced by another"),
            _ => failure,
        })?;
        if answer.meta.size < self.end {
            return Err(too_short());
        }
        if self.e_tag.is_some() && answer.meta.e_tag != self.e_tag {
            return Err(Failure::damaged("the object was replaced by another"));
        }
        self.e_tag.clone_from(&answer.meta.e_tag);
        self.answer = Some(answer.into_stream());
        Ok(())
    }

    async fn piece(&mut self) -> Result<Bytes, Failure> {
        loop {
            let Some(answer) = &mut self.answer else {
                self.ask().await?;
                continue;
            };
            let piece = match timeout(self.bucket.limits.progress, answer.next()).await {
                Err(_) => return Err(Failure::timeout()),
                Ok(None) => return Err(Failure::cut_short()),
                Ok(Some(piece)) => piece?,
            };
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }

    async fn again(&mut self, failure: Failure) -> Result<(), Failure> {
        self.answer = None;
        if self.at - self.broke_at >= RECOVERED {
            self.attempts = Attempts::default();
        }
        self.broke_at = self.at;
        self.attempts.next(&self.bucket.budget, failure).await
    }
}

fn too_short() -> Failure {
    Failure::damaged("the object is shorter than was recorded")
}

#[async_trait]
impl BlobReader for ObjectReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        const OP: &str = "read";
        if self.at == self.end {
            return Ok(None);
        }
        let piece = loop {
            match self.piece().await {
                Ok(piece) => break piece,
                Err(failure) => self
                    .again(failure)
                    .await
                    .map_err(|failure| failure.into_error(OP))?,
            }
        };
        self.at = match self.at.checked_add(piece.len() as u64) {
            Some(at) if at <= self.end => at,
            _ => return Err(Failure::damaged("more octets than were asked for").into_error(OP)),
        };
        if self.at == self.end {
            self.bucket.budget.succeeded();
        }
        Ok(Some(piece))
    }
}
