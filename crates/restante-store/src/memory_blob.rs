//! Blobs in memory. Complete, but forgotten when the process ends.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use restante_types::Octets;

use crate::{
    BlobKey, BlobReader, BlobStore, BytesReader, ExactReader, OctetRange, StoreError, StoreErrorKind,
};

const STORE: &str = "memory";
const PIECE: usize = 256 * 1024;

/// Keeps blobs in memory: for tests, and for a demonstration that may forget.
#[derive(Default)]
pub struct MemoryBlobStore {
    blobs: Mutex<HashMap<BlobKey, Bytes>>,
}

impl MemoryBlobStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many blobs there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlobKey, Bytes>> {
        // Each change is one insertion or removal, so a panic leaves the map whole.
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for MemoryBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for MemoryBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBlobStore({} blobs)", self.len())
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let taken = || StoreError::new(StoreErrorKind::Conflict, "put", STORE);
        if self.lock().contains_key(key) {
            return Err(taken());
        }
        let mut whole = BytesMut::new();
        let mut body = ExactReader::new(body, octets, STORE);
        while let Some(piece) = body.next().await? {
            whole.extend_from_slice(&piece);
        }
        match self.lock().entry(*key) {
            Entry::Occupied(_) => Err(taken()),
            Entry::Vacant(vacant) => {
                vacant.insert(whole.freeze());
                Ok(())
            }
        }
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let fail = |kind| StoreError::new(kind, "get", STORE);
        let whole = self
            .lock()
            .get(key)
            .cloned()
            .ok_or_else(|| fail(StoreErrorKind::NotFound))?;
        let part = match (
            usize::try_from(range.start.get()),
            usize::try_from(range.end.get()),
        ) {
            _ if range.start > range.end => return Err(fail(StoreErrorKind::Invalid)),
            (Ok(start), Ok(end)) if end <= whole.len() => whole.slice(start..end),
            _ => return Err(fail(StoreErrorKind::Damaged).because("the blob is shorter than was recorded")),
        };
        Ok(Box::new(BytesReader::in_pieces(part, PIECE)))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.lock().remove(key);
        Ok(())
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let mut keys: Vec<BlobKey> = self.lock().keys().copied().collect();
        keys.retain(|key| after.is_none_or(|after| key > after));
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }
}
