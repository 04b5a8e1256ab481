//! Maildrops that another mail system keeps. It lists, reads and removes; the host keeps snapshot, lock, fence and the
//! set of deleted messages, and believes nothing that contradicts itself. Start at [`ForeignMaildrops`].

use std::fmt::{Debug, Display};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use restante_session::{DeleteSet, Snapshot, SnapshotBuilder};
use restante_types::{Fence, MaildropId, MessageId, MessageNumber, Octets, SessionId, UniqueId};
use restante_wire::TopCutter;

use crate::{BlobReader, Committed, Spool, SpoolError, SpoolSettings, Spooled, StoreError, StoreErrorKind};

/// How much of a message is asked for when its top is.
const TOP: Octets = Octets(64 * 1024);

/// The largest message that is fetched: it waits on disk until it has come whole.
const LARGEST: Octets = Octets(1024 * 1024 * 1024);

/// Whose maildrop it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The maildrop.
    pub maildrop: MaildropId,
    /// `local-part@domain`, normalised: what the other system may know the account by.
    pub name: String,
}

/// A message as the other system lists it, checked for form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignEntry {
    /// That system's own name of it: 1 to 255 printable octets.
    pub id: String,
    /// What clients know it by.
    pub unique_id: UniqueId,
    /// Its octets with every line ended by CRLF.
    pub octets: Octets,
}

/// Another mail system.
///
/// `Display` names it in logs, without secrets.
#[async_trait]
pub trait ForeignMaildrops: Display + Debug + Send + Sync {
    /// All messages, oldest first. Never short.
    ///
    /// # Errors
    /// `NotFound` if the system has no such maildrop.
    async fn list(&self, owner: &Owner) -> Result<Vec<ForeignEntry>, StoreError>;

    /// A message, or its first octets if `octets` says how many suffice; more may come.
    ///
    /// # Errors
    /// `NotFound` if it is gone.
    async fn open(
        &self,
        owner: &Owner,
        id: &str,
        octets: Option<Octets>,
    ) -> Result<Box<dyn BlobReader>, StoreError>;

    /// Removes exactly these messages, durably; one that is gone counts as removed. The same call may come twice.
    ///
    /// # Errors
    /// `Timeout` or `Unknown`: some of them may be removed. Any other kind: none is.
    async fn remove(
        &self,
        owner: &Owner,
        fence: &Fence,
        session: SessionId,
        ids: &[&str],
    ) -> Result<(), StoreError>;

    /// Adds a message, durably, and answers its unique-id.
    ///
    /// # Errors
    /// `Unsupported` if nothing can be delivered into this system.
    async fn append(
        &self,
        owner: &Owner,
        octets: Octets,
        body: &mut dyn BlobReader,
    ) -> Result<UniqueId, StoreError>;
}

/// A maildrop of another system during one session: what was listed when it began stays what the session numbers.
#[derive(Debug)]
pub struct ForeignMaildrop {
    system: Arc<dyn ForeignMaildrops>,
    owner: Owner,
    entries: Vec<ForeignEntry>,
}

impl ForeignMaildrop {
    /// Lists the maildrop, and leaves out what is older than the newest `newest` messages.
    ///
    /// # Errors
    /// `Damaged` if two messages have the same id or unique-id; else as [`ForeignMaildrops::list`].
    pub async fn open(
        system: Arc<dyn ForeignMaildrops>,
        owner: Owner,
        newest: usize,
    ) -> Result<(Self, Snapshot), StoreError> {
        let mut entries = system.list(&owner).await?;
        check_distinct(&entries)?;
        entries.drain(..entries.len().saturating_sub(newest));
        let damaged = |error| foreign(StoreErrorKind::Damaged, "snapshot").because(error);
        let mut snapshot = SnapshotBuilder::with_capacity(entries.len());
        for (id, entry) in (1..).filter_map(MessageId::new).zip(&entries) {
            snapshot
                .push(id, entry.octets, &entry.unique_id, false)
                .map_err(damaged)?;
        }
        let maildrop = Self {
            system,
            owner,
            entries,
        };
        Ok((maildrop, snapshot.finish()))
    }

    /// Fetches a message whole into a spool in `directory`, and compares it with what was listed.
    ///
    /// # Errors
    /// `Damaged` if its octets are not those that were listed, or a line does not end with CRLF, or it is larger than a
    /// gibibyte.
    pub async fn fetch(&self, message: MessageNumber, directory: &Path) -> Result<Spooled, StoreError> {
        let entry = self.entry(message)?;
        if entry.octets > LARGEST {
            return Err(damaged("it lists more octets than a message may have"));
        }
        let mut body = self.system.open(&self.owner, &entry.id, None).await?;
        let (spooled, octets) = spool(&mut *body, directory, entry.octets).await?;
        if octets != entry.octets {
            return Err(damaged("it gave fewer octets than it listed"));
        }
        if spooled.measured().octets != octets {
            return Err(damaged("a line does not end with CRLF"));
        }
        Ok(spooled)
    }

    /// Fetches as much of a message as has its header section and `lines` lines of its body; perhaps more.
    ///
    /// # Errors
    /// As [`ForeignMaildrop::fetch`].
    pub async fn fetch_top(
        &self,
        message: MessageNumber,
        lines: u64,
        directory: &Path,
    ) -> Result<Spooled, StoreError> {
        let entry = self.entry(message)?;
        if entry.octets > TOP {
            let mut body = self.system.open(&self.owner, &entry.id, Some(TOP)).await?;
            let (start, octets) = spool(&mut *body, directory, entry.octets).await?;
            // Where a line was cut, the spool has ended it.
            let is_as_it_came = start.measured().octets <= octets + Octets(2);
            if is_as_it_came && has_top(&start, lines, octets).await? {
                return Ok(start);
            }
        }
        self.fetch(message, directory).await
    }

    /// Removes the marked messages.
    ///
    /// # Errors
    /// As [`ForeignMaildrops::remove`].
    pub async fn remove(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError> {
        let mut ids = Vec::with_capacity(deletes.len());
        for marked in deletes.iter() {
            ids.push(self.entry(marked.number)?.id.as_str());
        }
        if !ids.is_empty() {
            self.system.remove(&self.owner, fence, session, &ids).await?;
        }
        Ok(Committed::attest(ids.len()))
    }

    fn entry(&self, message: MessageNumber) -> Result<&ForeignEntry, StoreError> {
        self.entries
            .get(message.index())
            .ok_or_else(|| foreign(StoreErrorKind::NotFound, "get"))
    }
}

/// A client that sees two messages under one unique-id never fetches the second.
fn check_distinct(entries: &[ForeignEntry]) -> Result<(), StoreError> {
    let mut ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let mut unique_ids: Vec<&str> = entries.iter().map(|entry| entry.unique_id.as_str()).collect();
    ids.sort_unstable();
    unique_ids.sort_unstable();
    if ids.is_sorted_by(|a, b| a < b) && unique_ids.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    let why = "it listed two messages with the same id or unique-id";
    Err(foreign(StoreErrorKind::Damaged, "snapshot").because(why))
}

/// Reads a message to its end, or until it is longer than it may be. Answers how many octets came.
async fn spool(
    body: &mut dyn BlobReader,
    directory: &Path,
    most: Octets,
) -> Result<(Spooled, Octets), StoreError> {
    let mut spool = Spool::new(SpoolSettings {
        directory: directory.to_owned(),
        // A CRLF for each octet, at worst: found out when the message is measured.
        max_octets: Octets(most.get().saturating_mul(2).saturating_add(2)),
    });
    let mut octets = Octets::ZERO;
    while let Some(piece) = body.next().await? {
        octets += Octets::of(&piece);
        if octets > most {
            return Err(damaged("it gave more octets than it listed"));
        }
        spool.write(&piece).await;
    }
    match spool.finish().await {
        Ok(spooled) => Ok((spooled, octets)),
        Err(SpoolError::Store(error)) => Err(error),
        Err(SpoolError::TooLarge) => Err(damaged("a line does not end with CRLF")),
    }
}

/// Whether the header section and so many lines end within the first `octets` octets.
async fn has_top(start: &Spooled, lines: u64, octets: Octets) -> Result<bool, StoreError> {
    let mut cutter = TopCutter::new(lines);
    let mut reader = start.reader();
    let mut cut = 0;
    while let Some(piece) = reader.next().await? {
        cut += cutter.cut(&piece) as u64;
    }
    Ok(cutter.is_done() && Octets(cut) <= octets)
}

fn damaged(why: &'static str) -> StoreError {
    foreign(StoreErrorKind::Damaged, "get").because(why)
}

fn foreign(kind: StoreErrorKind, op: &'static str) -> StoreError {
    StoreError::new(kind, op, "foreign")
}

#[cfg(test)]
mod tests;
