//! Blobs as rows: parts of 256 KiB, streamed both ways.
//!
//! A call holds a connection for one statement, never while it waits for its caller: a slow client or a slow source
//! keeps nobody else waiting. Start at [`PgBlobStore`].

use std::fmt;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use restante_store::{BlobKey, BlobReader, BlobStore, ExactReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::Octets;

use crate::Pg;
use crate::error::{STORE, commit_failed, failed};
use crate::index::refusal;
use crate::sql::blobs as sql;
use crate::values::{
    Undecodable, blob_from_row, blob_to_row, count_from_row, count_to_row, octets_from_row, tenant_from_row,
};

/// Of a blob that is written now; each blob records its own.
const PART: usize = 256 * 1024;
/// Parts of one statement: what a put holds in memory at most, and how large a blob of one round trip is.
const BATCH: usize = 4;
/// Parts that one statement removes: each is some 130 rows beneath.
const REMOVED_AT_ONCE: i64 = 256;

/// Keeps blobs in the database of the index: one service is all that a small or middle cluster needs.
///
/// A blob of up to 1 MiB is put and read in one statement each. A reader holds 256 KiB.
#[derive(Clone, Debug)]
pub struct PgBlobStore {
    db: Pg,
}

impl PgBlobStore {
    /// The blobs of this database.
    pub fn new(db: &Pg) -> Self {
        Self { db: db.clone() }
    }
}

impl fmt::Display for PgBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl BlobStore for PgBlobStore {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let mut parts = Parts::new(ExactReader::new(body, octets, STORE));
        let mut upload = Upload::begin(&self.db, key, octets)?;
        loop {
            let batch = parts.batch().await?;
            if batch.is_last {
                return upload.finish(batch.octets).await;
            }
            upload.add(batch.octets).await?;
        }
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        if range.start > range.end {
            return Err(refusal(StoreErrorKind::Invalid, "get"));
        }
        let mut reader = PartReader {
            db: self.db.clone(),
            key: *key,
            at: range.start,
            end: range.end,
            ahead: None,
        };
        // With the first part comes whether there is such a blob, and how long it is.
        reader.ahead = reader.read("get").await?;
        Ok(Box::new(reader))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        const OP: &str = "delete";
        loop {
            let remove = sqlx::query(sql::REMOVE)
                .bind(key.tenant.get())
                .bind(blob_to_row(key))
                .bind(REMOVED_AT_ONCE);
            let removed = self.db.execute(remove).await.map_err(commit_failed(OP))?;
            if removed < REMOVED_AT_ONCE.unsigned_abs() {
                return Ok(());
            }
        }
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        const OP: &str = "list";
        let list = sqlx::query_as(sql::LIST)
            .bind(after.map_or(0, |key| key.tenant.get()))
            .bind(after.map_or_else(Vec::new, blob_to_row))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<(i64, Vec<u8>)> = self.db.all(list).await.map_err(failed(OP))?;
        rows.into_iter()
            .map(|(tenant, blob)| blob_from_row(tenant_from_row(tenant)?, &blob))
            .collect::<Result<_, _>>()
            .map_err(|error| failed(OP)(error.into()))
    }
}

/// Cuts a body into parts.
struct Parts<'a> {
    body: ExactReader<'a>,
    rest: BytesMut,
    has_ended: bool,
}

struct Batch {
    octets: Vec<Vec<u8>>,
    is_last: bool,
}

impl<'a> Parts<'a> {
    fn new(body: ExactReader<'a>) -> Self {
        Self {
            body,
            rest: BytesMut::new(),
            has_ended: false,
        }
    }

    /// The next parts, all of the full size unless the body ends with them.
    async fn batch(&mut self) -> Result<Batch, StoreError> {
        let mut octets = Vec::new();
        while octets.len() < BATCH {
            self.fill().await?;
            if self.rest.is_empty() {
                break;
            }
            let part = self.rest.split_to(PART.min(self.rest.len()));
            octets.push(part.to_vec());
        }
        // Also sees that nothing follows a body that ends with a batch.
        self.fill().await?;
        Ok(Batch {
            octets,
            is_last: self.rest.is_empty(),
        })
    }

    /// Reads until there is a part, or the end.
    async fn fill(&mut self) -> Result<(), StoreError> {
        while !self.has_ended && self.rest.len() < PART {
            match self.body.next().await? {
                Some(piece) => self.rest.extend_from_slice(&piece),
                None => self.has_ended = true,
            }
        }
        Ok(())
    }
}

/// One put under way. Its parts bear a number of their own, so that puts that race for a key do not mix.
struct Upload<'a> {
    db: &'a Pg,
    tenant: i64,
    blob: Vec<u8>,
    upload: Vec<u8>,
    octets: i64,
    n_parts: i32,
}

impl<'a> Upload<'a> {
    fn begin(db: &'a Pg, key: &BlobKey, octets: Octets) -> Result<Self, StoreError> {
        let octets = count_to_row(octets.get())
            .ok_or_else(|| refusal(StoreErrorKind::Invalid, "put").because("the blob is too large"))?;
        let upload = BlobKey::fresh(key.tenant, key.made_at())?;
        Ok(Self {
            db,
            tenant: key.tenant.get(),
            blob: blob_to_row(key),
            upload: blob_to_row(&upload),
            octets,
            n_parts: 0,
        })
    }

    async fn add(&mut self, parts: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let numbers = self.numbers(parts.len())?;
        let add = sqlx::query(sql::ADD_PARTS)
            .bind(self.tenant)
            .bind(&self.blob)
            .bind(&self.upload)
            .bind(numbers)
            .bind(parts);
        self.db.execute(add).await.map_err(commit_failed("put"))?;
        Ok(())
    }

    /// Adds the last parts and the blob itself.
    async fn finish(mut self, parts: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let numbers = self.numbers(parts.len())?;
        let part_octets =
            i32::try_from(PART).map_err(|error| refusal(StoreErrorKind::Invalid, "put").because(error))?;
        let add = sqlx::query_as(sql::ADD_WHOLE)
            .bind(self.tenant)
            .bind(&self.blob)
            .bind(&self.upload)
            .bind(self.octets)
            .bind(part_octets)
            .bind(numbers)
            .bind(parts);
        let (added,): (i64,) = self.db.one(add).await.map_err(commit_failed("put"))?;
        if added == 1 {
            return Ok(());
        }
        let remove = sqlx::query(sql::REMOVE_UPLOAD)
            .bind(self.tenant)
            .bind(&self.blob)
            .bind(&self.upload);
        self.db.execute(remove).await.map_err(commit_failed("put"))?;
        Err(refusal(StoreErrorKind::Conflict, "put"))
    }

    fn numbers(&mut self, parts: usize) -> Result<Vec<i32>, StoreError> {
        let first = self.n_parts;
        let next = i32::try_from(parts)
            .ok()
            .and_then(|parts| first.checked_add(parts));
        self.n_parts = next
            .ok_or_else(|| refusal(StoreErrorKind::Invalid, "put").because("the blob has too many parts"))?;
        Ok((first..self.n_parts).collect())
    }
}

type PartRow = (i64, Vec<u8>, i64, i32, Option<Vec<u8>>);

/// Reads a blob part by part.
struct PartReader {
    db: Pg,
    key: BlobKey,
    at: Octets,
    end: Octets,
    ahead: Option<Bytes>,
}

impl PartReader {
    /// The octets from `at` to the end of their part, or of the range; `None` for an empty range.
    async fn read(&mut self, op: &'static str) -> Result<Option<Bytes>, StoreError> {
        // No octet of a blob has a larger number than fits; one past every end finds the blob and no part.
        let at = count_to_row(self.at.get()).unwrap_or(i64::MAX);
        let find = sqlx::query_as(sql::FIND)
            .bind(self.key.tenant.get())
            .bind(blob_to_row(&self.key))
            .bind(at);
        let row: Option<PartRow> = self.db.optional(find).await.map_err(failed(op))?;
        let (tenant, blob, octets, part_octets, part) =
            row.ok_or_else(|| refusal(StoreErrorKind::NotFound, op))?;
        let undecodable = |error: Undecodable| failed(op)(error.into());
        if tenant != self.key.tenant.get() || blob != blob_to_row(&self.key) {
            return Err(undecodable(Undecodable("the answer is another blob's")));
        }
        let octets = octets_from_row(octets).map_err(undecodable)?;
        let part_octets = count_from_row(part_octets.into()).map_err(undecodable)?;
        let damaged = |how: &'static str| refusal(StoreErrorKind::Damaged, op).because(how);
        if self.end > octets {
            return Err(damaged("the blob is shorter than was recorded"));
        }
        if self.at == self.end {
            return Ok(None);
        }
        let within = self.at.get() % part_octets;
        let expected = part_octets.min((octets - (self.at - Octets(within))).get());
        let part = Bytes::from(part.ok_or_else(|| damaged("a part of the blob is missing"))?);
        if Octets::of(&part).get() != expected {
            return Err(damaged("a part of the blob has another length"));
        }
        let last = expected.min(within + (self.end - self.at).get());
        let (Ok(first), Ok(last)) = (usize::try_from(within), usize::try_from(last)) else {
            return Err(damaged("a part of the blob is too large"));
        };
        let piece = part.slice(first..last);
        self.at += Octets::of(&piece);
        Ok(Some(piece))
    }
}

#[async_trait]
impl BlobReader for PartReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self.ahead.take() {
            Some(piece) => Ok(Some(piece)),
            None if self.at == self.end => Ok(None),
            None => self.read("read").await,
        }
    }
}
