//! Another mail system, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use restante_types::{Fence, MaildropId, Octets, SessionId, UniqueId};

use crate::{
    BlobReader, BytesReader, ExactReader, ForeignEntry, ForeignMaildrops, Owner, StoreError, StoreErrorKind,
    fresh_unique_id,
};

const STORE: &str = "memory";

/// Keeps maildrops in memory as another mail system would: for tests, and to measure against.
#[derive(Debug, Default)]
pub struct MemoryForeignMaildrops {
    maildrops: Mutex<BTreeMap<MaildropId, Vec<Message>>>,
}

#[derive(Debug)]
struct Message {
    entry: ForeignEntry,
    octets: Bytes,
}

impl MemoryForeignMaildrops {
    /// No message in any maildrop.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MaildropId, Vec<Message>>> {
        // Each change is one call; a panic elsewhere leaves the maps whole.
        self.maildrops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for MemoryForeignMaildrops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl ForeignMaildrops for MemoryForeignMaildrops {
    async fn list(&self, owner: &Owner) -> Result<Vec<ForeignEntry>, StoreError> {
        let maildrops = self.lock();
        let messages = maildrops.get(&owner.maildrop).map_or(&[][..], Vec::as_slice);
        Ok(messages.iter().map(|message| message.entry.clone()).collect())
    }

    async fn open(
        &self,
        owner: &Owner,
        id: &str,
        octets: Option<Octets>,
    ) -> Result<Box<dyn BlobReader>, StoreError> {
        let maildrops = self.lock();
        let mut messages = maildrops.get(&owner.maildrop).into_iter().flatten();
        let message = messages.find(|message| message.entry.id == id);
        let message = message.ok_or_else(|| StoreError::new(StoreErrorKind::NotFound, "get", STORE))?;
        let most = octets.and_then(|octets| usize::try_from(octets.get()).ok());
        let end = most.unwrap_or(usize::MAX).min(message.octets.len());
        Ok(Box::new(BytesReader::from(message.octets.slice(..end))))
    }

    async fn remove(&self, owner: &Owner, _: &Fence, _: SessionId, ids: &[&str]) -> Result<(), StoreError> {
        if let Some(messages) = self.lock().get_mut(&owner.maildrop) {
            messages.retain(|message| !ids.contains(&message.entry.id.as_str()));
        }
        Ok(())
    }

    async fn append(
        &self,
        owner: &Owner,
        octets: Octets,
        body: &mut dyn BlobReader,
    ) -> Result<UniqueId, StoreError> {
        let mut body = ExactReader::new(body, octets, STORE);
        let mut all = BytesMut::new();
        while let Some(piece) = body.next().await? {
            all.extend_from_slice(&piece);
        }
        let unique_id = fresh_unique_id(SystemTime::UNIX_EPOCH)?;
        let message = Message {
            entry: ForeignEntry {
                id: unique_id.as_str().to_owned(),
                unique_id: unique_id.clone(),
                octets,
            },
            octets: all.freeze(),
        };
        self.lock().entry(owner.maildrop).or_default().push(message);
        Ok(unique_id)
    }
}
