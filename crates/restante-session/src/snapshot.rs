//! What a session sees of its maildrop, fixed when it was opened.
//!
//! Packed: unique-ids lie in one run of octets, so that a maildrop of 100,000 messages costs a few megabytes and
//! a handful of allocations. Knows nothing about bodies; start at [`SnapshotBuilder`].

use std::fmt;
use std::sync::Arc;

use restante_types::{MessageId, MessageNumber, Octets, UniqueId};

/// The messages of a maildrop in POP3 order, as they were when the session opened it.
///
/// Message numbers are positions in this list and never change during the session (RFC 1939 section 5).
#[derive(Default, PartialEq, Eq)]
pub struct Snapshot {
    entries: Vec<Packed>,
    unique_ids: Vec<u8>,
    octets: Octets,
}

#[derive(Clone, PartialEq, Eq)]
struct Packed {
    id: MessageId,
    octets: Octets,
    unique_id_end: u32,
    needs_utf8: bool,
}

/// One message of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number in this session.
    pub number: MessageNumber,
    /// The store's key.
    pub id: MessageId,
    /// Exact octets of RETR before dot-stuffing, the terminator not counted.
    pub octets: Octets,
    /// What UIDL answers.
    pub unique_id: &'a str,
    /// Delivered with SMTPUTF8 and octets above 0x7F in its header: only for clients in UTF-8 mode where that is
    /// announced (RFC 6856 section 2.1).
    pub needs_utf8: bool,
}

impl Snapshot {
    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The octets of all messages together.
    pub fn octets(&self) -> Octets {
        self.octets
    }

    /// Memory that it takes.
    pub fn octets_in_memory(&self) -> usize {
        self.entries.capacity() * size_of::<Packed>() + self.unique_ids.capacity()
    }

    /// The message of that number, if there is one.
    pub fn entry(&self, number: MessageNumber) -> Option<Entry<'_>> {
        let index = number.index();
        let packed = self.entries.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.entries[before].unique_id_end as usize,
            None => 0,
        };
        let unique_id = str::from_utf8(&self.unique_ids[start..packed.unique_id_end as usize])
            .expect("a UniqueId is ASCII");
        Some(Entry {
            number,
            id: packed.id,
            octets: packed.octets,
            unique_id,
            needs_utf8: packed.needs_utf8,
        })
    }

    /// All messages in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.entries.len()).filter_map(|index| self.entry(MessageNumber::from_index(index)?))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} messages, {} octets)", self.len(), self.octets)
    }
}

/// Collects a [`Snapshot`] in order.
#[derive(Debug, Default)]
pub struct SnapshotBuilder(Snapshot);

/// Why a store's list of messages cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The keys do not grow from message to message.
    #[error("messages are out of order")]
    Order,
    /// More than 2^32 - 1 messages, or more than 4 GiB of unique-ids.
    #[error("more messages than a session can number")]
    TooMany,
}

impl SnapshotBuilder {
    /// An empty list with room for `messages`.
    pub fn with_capacity(messages: usize) -> Self {
        Self(Snapshot {
            entries: Vec::with_capacity(messages),
            unique_ids: Vec::with_capacity(messages.saturating_mul(26)),
            octets: Octets::ZERO,
        })
    }

    /// The first `n` messages of another list, with room for `more`.
    pub fn first_of(snapshot: &Snapshot, n: usize, more: usize) -> Self {
        let n = n.min(snapshot.entries.len());
        let end = n
            .checked_sub(1)
            .map_or(0, |last| snapshot.entries[last].unique_id_end);
        let mut builder = Self::with_capacity(n.saturating_add(more));
        let Snapshot {
            entries,
            unique_ids,
            octets,
        } = &mut builder.0;
        entries.extend_from_slice(&snapshot.entries[..n]);
        unique_ids.extend_from_slice(&snapshot.unique_ids[..end as usize]);
        *octets = entries.iter().map(|entry| entry.octets).sum();
        builder
    }

    /// Adds the next message.
    ///
    /// # Errors
    /// [`SnapshotError::Order`] unless `id` is larger than the one before; [`SnapshotError::TooMany`] past the
    /// largest message number.
    pub fn push(
        &mut self,
        id: MessageId,
        octets: Octets,
        unique_id: &UniqueId,
        needs_utf8: bool,
    ) -> Result<(), SnapshotError> {
        let snapshot = &mut self.0;
        if snapshot.entries.last().is_some_and(|last| last.id >= id) {
            return Err(SnapshotError::Order);
        }
        MessageNumber::from_index(snapshot.entries.len()).ok_or(SnapshotError::TooMany)?;
        let end = snapshot.unique_ids.len() + unique_id.as_str().len();
        let unique_id_end = u32::try_from(end).map_err(|_| SnapshotError::TooMany)?;
        snapshot
            .unique_ids
            .extend_from_slice(unique_id.as_str().as_bytes());
        snapshot.entries.push(Packed {
            id,
            octets,
            unique_id_end,
            needs_utf8,
        });
        snapshot.octets += octets;
        Ok(())
    }

    /// The finished list.
    pub fn finish(mut self) -> Snapshot {
        self.0.entries.shrink_to_fit();
        self.0.unique_ids.shrink_to_fit();
        self.0
    }
}

/// The messages that a session marked with DELE: what UPDATE removes, exactly these or none.
///
/// Only messages of the session's own snapshot can be in it.
#[derive(Clone, Debug)]
pub struct DeleteSet {
    snapshot: Arc<Snapshot>,
    marks: Vec<u64>,
    len: usize,
    octets: Octets,
}

impl DeleteSet {
    /// Nothing marked yet.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            marks: Vec::new(),
            len: 0,
            octets: Octets::ZERO,
        }
    }

    /// Marks every message of `numbers`; those that do not exist are passed over. For tests and tools.
    pub fn of(snapshot: Arc<Snapshot>, numbers: impl IntoIterator<Item = MessageNumber>) -> Self {
        let mut set = Self::new(snapshot);
        for number in numbers {
            set.mark(number);
        }
        set
    }

    /// Marks a message. `false` if there is no such message or it is marked already.
    pub fn mark(&mut self, number: MessageNumber) -> bool {
        let Some(entry) = self.snapshot.entry(number) else {
            return false;
        };
        let octets = entry.octets;
        if self.contains(number) {
            return false;
        }
        if self.marks.is_empty() {
            self.marks = vec![0; self.snapshot.len().div_ceil(64)];
        }
        self.marks[number.index() / 64] |= 1 << (number.index() % 64);
        self.len += 1;
        self.octets += octets;
        true
    }

    /// Whether that message is marked.
    pub fn contains(&self, number: MessageNumber) -> bool {
        self.marks
            .get(number.index() / 64)
            .is_some_and(|word| word & (1 << (number.index() % 64)) != 0)
    }

    /// Takes all marks away (RSET).
    pub fn clear(&mut self) {
        *self = Self::new(Arc::clone(&self.snapshot));
    }

    /// How many messages are marked.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is marked.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The octets of the marked messages together.
    pub fn octets(&self) -> Octets {
        self.octets
    }

    /// The list that the marks refer to.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The marked messages in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.snapshot.iter().filter(|entry| self.contains(entry.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(sizes: &[u64]) -> Arc<Snapshot> {
        let mut builder = SnapshotBuilder::with_capacity(sizes.len());
        for (index, size) in sizes.iter().enumerate() {
            let id = MessageId::new(i64::try_from(index).unwrap() * 3 + 1).unwrap();
            let unique_id = UniqueId::new(format!("uid-{index}")).unwrap();
            builder.push(id, Octets(*size), &unique_id, false).unwrap();
        }
        Arc::new(builder.finish())
    }

    fn number(n: u32) -> MessageNumber {
        MessageNumber::new(n).unwrap()
    }

    #[test]
    fn entries_come_back_as_they_went_in() {
        let snapshot = snapshot(&[10, 20, 30]);
        assert_eq!((snapshot.len(), snapshot.octets()), (3, Octets(60)));
        let second = snapshot.entry(number(2)).unwrap();
        assert_eq!(
            (second.id.get(), second.octets, second.unique_id),
            (4, Octets(20), "uid-1")
        );
        assert!(snapshot.entry(number(4)).is_none());
        assert_eq!(
            snapshot.iter().map(|e| e.number.get()).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    #[test]
    fn messages_out_of_order_are_refused() {
        let mut builder = SnapshotBuilder::default();
        let id = MessageId::new(5).unwrap();
        let unique_id = UniqueId::new("a").unwrap();
        builder.push(id, Octets(1), &unique_id, false).unwrap();
        assert_eq!(
            builder.push(id, Octets(1), &unique_id, false),
            Err(SnapshotError::Order)
        );
    }

    #[test]
    fn totals_pass_4_gib() {
        assert_eq!(
            snapshot(&[u64::from(u32::MAX); 3]).octets(),
            Octets(3 * u64::from(u32::MAX))
        );
    }

    #[test]
    fn marks_count_once_and_can_be_taken_back() {
        let mut deletes = DeleteSet::new(snapshot(&[10; 200]));
        assert!(deletes.mark(number(1)) && deletes.mark(number(200)));
        assert!(!deletes.mark(number(200)), "already marked");
        assert!(!deletes.mark(number(201)), "no such message");
        assert_eq!((deletes.len(), deletes.octets()), (2, Octets(20)));
        assert_eq!(
            deletes.iter().map(|e| e.number.get()).collect::<Vec<_>>(),
            [1, 200]
        );
        deletes.clear();
        assert!(deletes.is_empty() && !deletes.contains(number(1)));
    }
}
