//! The auditor: compares what the index says with what the storages hold, and changes nothing.
//!
//! Sessions, deliveries, moves and the collector go on meanwhile: what does not fit is looked at once more before it
//! is told. Start at [`Auditor::check_messages`] and [`Auditor::check_blobs`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream;
use restante_message::FullCheck;
use restante_types::{MaildropId, MessageId, Octets};

use crate::{
    BlobKey, BlobStore, BlobStores, Custody, OctetRange, StorageId, StoreError, StoreErrorKind, StoredMessage,
};

/// How an audit is made.
#[derive(Clone, Copy, Debug)]
pub struct AuditSettings {
    /// Whether bodies are read and their digests compared, or only asked for.
    pub read_bodies: bool,
    /// How many messages are looked at at once.
    pub concurrency: usize,
    /// How many rows and blobs are asked for at once.
    pub batch: usize,
    /// Younger blobs may belong to deliveries under way on a host whose clock is behind.
    pub youngest: Duration,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            read_bodies: true,
            concurrency: 8,
            batch: 1_000,
            youngest: Duration::from_hours(1),
        }
    }
}

/// What an audit tells while it goes on.
#[derive(Debug)]
pub enum AuditEvent {
    /// A message has been looked at; so many octets.
    Checked(Octets),
    /// So many blobs have been looked at.
    Listed(usize),
    /// Something does not fit.
    Found(Box<Finding>),
}

/// What does not fit.
#[derive(Debug)]
pub enum Finding {
    /// A message has no blob.
    Missing(StoredMessage),
    /// Its blob is not what was delivered.
    Damaged(StoredMessage),
    /// Whether it fits is not known.
    Unread(StoredMessage, StoreError),
    /// A blob that nothing in the index names.
    Orphan(StorageId, BlobKey),
    /// A storage that does not say what it holds.
    Unlisted(StorageId, StoreError),
}

/// Looks through an index and its storages.
#[derive(Clone, Debug)]
pub struct Auditor {
    custody: Arc<dyn Custody>,
    stores: Arc<BlobStores>,
    settings: AuditSettings,
}

impl Auditor {
    /// Compares `custody` with `stores`.
    pub const fn new(custody: Arc<dyn Custody>, stores: Arc<BlobStores>, settings: AuditSettings) -> Self {
        Self {
            custody,
            stores,
            settings,
        }
    }

    /// Looks whether each message, of one maildrop or of all, has its octets.
    ///
    /// # Errors
    /// The index cannot be read. What a storage fails with is a finding.
    pub async fn check_messages(
        &self,
        maildrop: Option<MaildropId>,
        tell: &mut (dyn FnMut(AuditEvent) + Send),
    ) -> Result<(), StoreError> {
        let mut last = None;
        loop {
            let page = self.custody.stored(maildrop, last, self.settings.batch).await?;
            let Some(end) = page.last() else {
                return Ok(());
            };
            last = Some(end.id);
            let checks: Vec<_> = page.into_iter().map(|message| self.check(message)).collect();
            let mut outcomes = stream::iter(checks).buffer_unordered(self.settings.concurrency.max(1));
            while let Some(outcome) = outcomes.next().await {
                let (octets, finding) = outcome?;
                tell(AuditEvent::Checked(octets));
                if let Some(finding) = finding {
                    tell(AuditEvent::Found(Box::new(finding)));
                }
            }
        }
    }

    /// Looks whether each blob of each storage is named by something in the index, as of `now`.
    ///
    /// # Errors
    /// As [`Auditor::check_messages`].
    pub async fn check_blobs(
        &self,
        now: SystemTime,
        tell: &mut (dyn FnMut(AuditEvent) + Send),
    ) -> Result<(), StoreError> {
        for (storage, store) in self.stores.iter() {
            let mut last = None;
            loop {
                let page = match store.list(last.as_ref(), self.settings.batch).await {
                    Ok(page) => page,
                    Err(error) => {
                        tell(AuditEvent::Found(Box::new(Finding::Unlisted(storage, error))));
                        break;
                    }
                };
                tell(AuditEvent::Listed(page.len()));
                let Some(end) = page.last().copied() else {
                    break;
                };
                for orphan in self.orphans(now, storage, &**store, last, &page).await? {
                    tell(AuditEvent::Found(Box::new(Finding::Orphan(storage, orphan))));
                }
                last = Some(end);
            }
        }
        Ok(())
    }

    async fn check(&self, message: StoredMessage) -> Result<(Octets, Option<Finding>), StoreError> {
        let octets = message.body.octets;
        let finding = match self.read(&message).await {
            Ok(true) => return Ok((octets, None)),
            Ok(false) => Finding::Damaged(message.clone()),
            Err(error) if error.kind == StoreErrorKind::NotFound => Finding::Missing(message.clone()),
            Err(error) if error.kind == StoreErrorKind::Damaged => Finding::Damaged(message.clone()),
            Err(error) => Finding::Unread(message.clone(), error),
        };
        // Moved or collected while it was read?
        let before = MessageId::new(message.id.get() - 1);
        let now = self.custody.stored(Some(message.maildrop), before, 1).await?;
        let is_still_there = now
            .iter()
            .any(|it| it.id == message.id && it.body == message.body);
        Ok((octets, is_still_there.then_some(finding)))
    }

    /// Whether the octets are those that were delivered.
    async fn read(&self, message: &StoredMessage) -> Result<bool, StoreError> {
        let (body, store) = (&message.body, self.stores.get(message.body.storage)?);
        let end = OctetRange {
            start: body.octets,
            end: body.octets,
        };
        if !self.settings.read_bodies {
            store.get(&body.blob, end).await?;
            return Ok(true);
        }
        let mut reader = store.get(&body.blob, OctetRange::first(body.octets)).await?;
        let mut check = FullCheck::new();
        while let Some(piece) = reader.next().await? {
            check.update(&piece);
        }
        Ok(check.is(body.octets, body.crc64, &message.sha256))
    }

    /// Those of a page of blobs, which follows `before`, that nothing names.
    async fn orphans(
        &self,
        now: SystemTime,
        storage: StorageId,
        store: &dyn BlobStore,
        before: Option<BlobKey>,
        page: &[BlobKey],
    ) -> Result<Vec<BlobKey>, StoreError> {
        let is_old = |key: &&BlobKey| {
            let age = now.duration_since(key.made_at());
            age.is_ok_and(|age| age >= self.settings.youngest)
        };
        let old: Vec<BlobKey> = page.iter().filter(is_old).copied().collect();
        let mut orphans = Vec::new();
        for orphan in self.custody.unnamed(storage, &old).await? {
            // One that was removed since it was listed is none.
            let place = page.iter().position(|key| *key == orphan).unwrap_or_default();
            let previous = place
                .checked_sub(1)
                .and_then(|place| page.get(place))
                .or(before.as_ref());
            if store.list(previous, 1).await?.contains(&orphan) {
                orphans.push(orphan);
            }
        }
        Ok(orphans)
    }
}

#[cfg(test)]
mod tests;
