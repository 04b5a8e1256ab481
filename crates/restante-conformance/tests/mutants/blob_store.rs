//! Blob stores that break one promise each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use restante_conformance::blob_store_cases;
use restante_store::{BlobKey, BlobReader, BlobStore, BytesReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::{Octets, TenantId};

use crate::assert_bitten;
use crate::fixture::MemoryBlobs;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    PartVisible,
    WrongLengthAccepted,
    Overwrites,
    ConflictOverwrites,
    ChecksBeforeOnly,
    ShortReadAsEnd,
    RangeOffByOne,
    RangeIgnored,
    EmptyPieces,
    AbsentIsEmpty,
    DeleteOfAbsentFails,
    DeleteDoesNothing,
    KeysWithoutTenant,
    ShortKeys,
    ListRepeats,
    ListSkips,
    ListKeepsDeleted,
}

#[derive(Debug)]
struct Broken {
    how: Break,
    blobs: Mutex<HashMap<BlobKey, Vec<u8>>>,
    removed: Mutex<Vec<BlobKey>>,
}

impl Broken {
    fn key(&self, key: &BlobKey) -> BlobKey {
        match self.how {
            Break::KeysWithoutTenant => BlobKey {
                tenant: TenantId::new(1).unwrap(),
                ..*key
            },
            Break::ShortKeys => BlobKey {
                number: key.number & u128::from(u64::MAX),
                ..*key
            },
            _ => *key,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.how)
    }
}

fn fail<T>(kind: StoreErrorKind) -> Result<T, StoreError> {
    Err(StoreError::new(kind, "broken", "mutant"))
}

#[async_trait]
impl BlobStore for Broken {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let key = self.key(key);
        let taken = |store: &Self| store.blobs.lock().unwrap().contains_key(&key);
        if taken(self) && !matches!(self.how, Break::Overwrites | Break::ConflictOverwrites) {
            return fail(StoreErrorKind::Conflict);
        }
        let mut whole = Vec::new();
        while let Some(piece) = body.next().await? {
            whole.extend_from_slice(&piece);
            if self.how == Break::PartVisible {
                self.blobs.lock().unwrap().insert(key, whole.clone());
            }
        }
        if Octets::of(&whole) != octets && self.how != Break::WrongLengthAccepted {
            return fail(StoreErrorKind::Damaged);
        }
        let loses = taken(self) && !matches!(self.how, Break::PartVisible | Break::ChecksBeforeOnly);
        if loses && self.how != Break::ConflictOverwrites && self.how != Break::Overwrites {
            return fail(StoreErrorKind::Conflict);
        }
        self.blobs.lock().unwrap().insert(key, whole);
        if loses && self.how == Break::ConflictOverwrites {
            return fail(StoreErrorKind::Conflict);
        }
        Ok(())
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let Some(whole) = self.blobs.lock().unwrap().get(&self.key(key)).cloned() else {
            return match self.how {
                Break::AbsentIsEmpty => Ok(Box::new(BytesReader::default())),
                _ => fail(StoreErrorKind::NotFound),
            };
        };
        let whole = Bytes::from(whole);
        let start = usize::try_from(range.start.get()).unwrap();
        let end = usize::try_from(range.end.get()).unwrap();
        let part = match self.how {
            Break::RangeIgnored => whole,
            Break::ShortReadAsEnd => whole.slice(start.min(whole.len())..end.min(whole.len())),
            _ if end > whole.len() => return fail(StoreErrorKind::Damaged),
            Break::RangeOffByOne => whole.slice(start..(end + 1).min(whole.len())),
            _ => whole.slice(start..end),
        };
        if self.how == Break::EmptyPieces {
            return Ok(Box::new(Gasping(BytesReader::in_pieces(part, 1 << 18), false)));
        }
        Ok(Box::new(BytesReader::in_pieces(part, 1 << 18)))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        let key = self.key(key);
        match self.how {
            Break::DeleteDoesNothing => Ok(()),
            Break::DeleteOfAbsentFails if !self.blobs.lock().unwrap().contains_key(&key) => {
                fail(StoreErrorKind::NotFound)
            }
            _ => {
                self.blobs.lock().unwrap().remove(&key);
                self.removed.lock().unwrap().push(key);
                Ok(())
            }
        }
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let mut keys: Vec<BlobKey> = self.blobs.lock().unwrap().keys().copied().collect();
        if self.how == Break::ListKeepsDeleted {
            keys.extend(self.removed.lock().unwrap().iter());
        }
        keys.sort_unstable();
        keys.dedup();
        let first = match after {
            None => 0,
            Some(after) if self.how == Break::ListRepeats => {
                keys.partition_point(|key| key < after).min(keys.len() - 1)
            }
            Some(after) if self.how == Break::ListSkips => keys.partition_point(|key| key <= after) + 1,
            Some(after) => keys.partition_point(|key| key <= after),
        };
        // One that repeats its last key for ever ends by itself.
        let is_over = self.how == Break::ListRepeats && after == keys.last();
        let keys = keys.into_iter().skip(first).take(if is_over { 0 } else { limit });
        Ok(keys.collect())
    }
}

/// Gives an empty piece before each real one.
struct Gasping(BytesReader, bool);

#[async_trait]
impl BlobReader for Gasping {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.1 = !self.1;
        if self.1 {
            return Ok(Some(Bytes::new()));
        }
        self.0.next().await
    }
}

/// The cases that notice it. One function for all mutants: to compile all cases for each takes minutes.
async fn bitten(how: Break) -> Vec<&'static str> {
    let open = move || async move {
        MemoryBlobs(Arc::new(Broken {
            how,
            blobs: Mutex::default(),
            removed: Mutex::default(),
        }))
    };
    blob_store_cases! { emit_bites { open } }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_bitten(&bitten(Break::$how).await, &[$($case),+]);
        }
    };
}

mutant!(a_part_that_is_visible_is_noticed: PartVisible, [
    "a_blob_is_invisible_while_it_is_put", "a_cancelled_put_leaves_nothing_visible",
    "a_body_that_fails_leaves_nothing", "a_body_that_ends_early_is_damaged_and_leaves_nothing",
]);
mutant!(a_wrong_length_accepted_is_noticed: WrongLengthAccepted, [
    "a_body_that_ends_early_is_damaged_and_leaves_nothing",
    "a_body_that_runs_on_is_damaged_and_leaves_nothing", "a_failed_put_can_be_tried_again",
]);
mutant!(overwriting_is_noticed: Overwrites, [
    "a_second_put_is_a_conflict_and_the_first_stays", "one_of_sixteen_racing_puts_wins",
]);
mutant!(a_conflict_that_overwrites_is_noticed: ConflictOverwrites, [
    "a_second_put_is_a_conflict_and_the_first_stays",
]);
mutant!(a_key_checked_only_before_the_body_is_noticed: ChecksBeforeOnly, ["one_of_sixteen_racing_puts_wins"]);
mutant!(a_short_read_taken_for_the_end_is_noticed: ShortReadAsEnd, [
    "a_range_past_the_end_is_damaged", "an_empty_blob_comes_back",
]);
mutant!(a_range_off_by_one_is_noticed: RangeOffByOne, ["ranges_are_exact", "no_piece_is_empty"]);
mutant!(a_range_ignored_is_noticed: RangeIgnored, ["ranges_are_exact", "a_range_past_the_end_is_damaged"]);
mutant!(empty_pieces_are_noticed: EmptyPieces, ["no_piece_is_empty"]);
mutant!(an_absent_blob_taken_for_an_empty_one_is_noticed: AbsentIsEmpty, [
    "an_absent_blob_is_not_found", "delete_removes",
]);
mutant!(a_delete_that_fails_on_absence_is_noticed: DeleteOfAbsentFails, ["delete_of_an_absent_blob_succeeds"]);
mutant!(a_delete_that_does_nothing_is_noticed: DeleteDoesNothing, [
    "delete_removes", "a_deleted_key_can_be_put_again",
]);
mutant!(keys_without_their_tenant_are_noticed: KeysWithoutTenant, ["keys_of_other_tenants_are_other_blobs"]);
mutant!(keys_cut_short_are_noticed: ShortKeys, ["keys_that_differ_in_one_bit_are_other_blobs"]);
mutant!(a_list_that_repeats_is_noticed: ListRepeats, ["a_list_holds_each_blob_once"]);
mutant!(a_list_that_skips_is_noticed: ListSkips, [
    "a_list_holds_each_blob_once", "a_list_leaves_out_what_was_deleted",
]);
mutant!(a_list_of_what_was_deleted_is_noticed: ListKeepsDeleted, ["a_list_leaves_out_what_was_deleted"]);
