//! Indexes that break one promise each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_conformance::mail_index_cases;
use restante_lock::{LockManager, LockTable, MemoryLockManager};
use restante_session::{DeleteSet, Snapshot};
use restante_store::{
    BlobKey, BlobLedger, BodyRef, Committed, Condemned, Delivered, Listing, ListingBuilder, MailIndex,
    MemoryMailIndex, NewMessage, Quota, StorageId, StoreError, StoreErrorKind, Usage,
};
use restante_types::{Fence, MaildropId, MessageId, MessageNumber, Octets, SessionId, TenantId, UniqueId};

use crate::assert_bitten;
use crate::fixture::MemoryIndex;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    NoFence,
    FenceComparedBefore,
    SnapshotUnfenced,
    RefreshAnswersTheKnown,
    RefreshBelievesTheCounters,
    RemovesOthers,
    RemovesHalf,
    RemovesNothing,
    RemovesNewMail,
    NotIdempotent,
    OutcomeGuessedNone,
    OutcomeGuessedDone,
    OutcomeLeavesTheFence,
    ListsShort,
    ListsAThousand,
    OrderLost,
    UniqueIdReused,
    SizesIn32Bits,
    DeliversNothing,
    DeliveryWaits,
    QuotaIgnored,
    ReservationNotNeeded,
    RepeatsDelivered,
    RepeatsUnasked,
    RepeatsForEver,
    RepeatsLookedForBefore,
    CondemnsTheLiving,
    CondemnsEarly,
    CondemnsNothing,
    CondemnsOnce,
}

/// A sound index that knows only its own locks, so that all comparing of fences is done here, well or badly.
#[derive(Debug)]
struct Broken {
    how: Break,
    inner: Arc<MemoryMailIndex>,
    own: MemoryLockManager,
    granted: Arc<LockTable>,
    delivered: Mutex<Vec<Condemned>>,
    condemned: Mutex<Vec<BlobKey>>,
    recent: Mutex<HashMap<(MaildropId, [u8; 32]), UniqueId>>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.how)
    }
}

fn fail<T>(kind: StoreErrorKind) -> Result<T, StoreError> {
    Err(StoreError::new(kind, "broken", "mutant"))
}

impl Broken {
    async fn own_fence(&self, maildrop: MaildropId, session: SessionId) -> Fence {
        self.own.supersede(maildrop).await.unwrap();
        self.own.open(maildrop, session).await.unwrap()
    }

    async fn listing(&self, maildrop: MaildropId) -> Result<Listing, StoreError> {
        let fence = self.own_fence(maildrop, SessionId::from_octets([255; 16])).await;
        self.inner.snapshot(&fence).await
    }

    /// Looks for what the message repeats in a step of its own.
    async fn deliver_unless_known(
        &self,
        maildrop: MaildropId,
        mut message: NewMessage,
    ) -> Result<Delivered, StoreError> {
        let key = (maildrop, message.measured.sha256);
        let known = self.recent.lock().unwrap().get(&key).cloned();
        if let Some(unique_id) = known {
            return Ok(Delivered {
                unique_id,
                is_repeat: true,
            });
        }
        tokio::task::yield_now().await;
        message.deduplicate = false;
        let delivered = self.inner.deliver(maildrop, message).await?;
        self.recent
            .lock()
            .unwrap()
            .insert(key, delivered.unique_id.clone());
        Ok(delivered)
    }

    /// What is removed instead of `deletes`.
    async fn twisted(&self, maildrop: MaildropId, deletes: &DeleteSet) -> Result<DeleteSet, StoreError> {
        let marked: Vec<MessageNumber> = deletes.iter().map(|entry| entry.number).collect();
        let keep = match self.how {
            Break::RemovesHalf => marked.len().div_ceil(2),
            Break::RemovesNothing => 0,
            _ => marked.len(),
        };
        if self.how == Break::RemovesOthers || (self.how == Break::RemovesNewMail && !marked.is_empty()) {
            let now = self.listing(maildrop).await?.snapshot;
            let n_seen = deletes.snapshot().len();
            let every = (0..now.len()).filter_map(MessageNumber::from_index);
            let new = |number: &MessageNumber| number.index() >= n_seen;
            let others: Vec<MessageNumber> = match self.how {
                Break::RemovesNewMail => every
                    .filter(|number| new(number) || deletes.contains(*number))
                    .collect(),
                _ => every.collect(),
            };
            return Ok(DeleteSet::of(now, others));
        }
        let snapshot: &Arc<Snapshot> = deletes.snapshot();
        Ok(DeleteSet::of(Arc::clone(snapshot), marked.into_iter().take(keep)))
    }

    fn compares(&self) -> bool {
        self.how != Break::NoFence
    }
}

/// The same messages with their unique-ids and bodies the other way round, or only some of them.
fn rewritten(listing: &Listing, how: Break) -> Listing {
    let ids: Vec<MessageId> = listing.snapshot.iter().map(|entry| entry.id).collect();
    let mut rows: Vec<(UniqueId, bool, BodyRef)> = listing
        .snapshot
        .iter()
        .zip(&listing.bodies)
        .map(|(entry, body)| (UniqueId::new(entry.unique_id).unwrap(), entry.needs_utf8, *body))
        .collect();
    match how {
        Break::OrderLost => rows.reverse(),
        // A row that could not be read is passed over.
        Break::ListsShort => drop(rows.pop()),
        Break::ListsAThousand => rows.truncate(1_000),
        _ => {}
    }
    let mut builder = ListingBuilder::default();
    for (id, (unique_id, needs_utf8, body)) in ids.into_iter().zip(rows) {
        builder.push(id, &unique_id, needs_utf8, body).unwrap();
    }
    builder.finish()
}

#[async_trait]
impl MailIndex for Broken {
    async fn snapshot(&self, fence: &Fence) -> Result<Listing, StoreError> {
        if !self.granted.holds(fence) && self.compares() && self.how != Break::SnapshotUnfenced {
            return fail(StoreErrorKind::Fenced);
        }
        Ok(rewritten(&self.listing(fence.maildrop).await?, self.how))
    }

    async fn refresh(&self, fence: &Fence, known: &Arc<Listing>) -> Result<Arc<Listing>, StoreError> {
        let now = Arc::new(self.snapshot(fence).await?);
        let is_believed = match self.how {
            Break::RefreshAnswersTheKnown => true,
            Break::RefreshBelievesTheCounters => known.usage() == now.usage(),
            _ => false,
        };
        Ok(if is_believed { Arc::clone(known) } else { now })
    }

    async fn commit(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError> {
        let own = self.own_fence(fence.maildrop, session).await;
        if self.how != Break::NotIdempotent
            && let Some(first) = self.inner.outcome(&own, session).await?
        {
            return Ok(first);
        }
        let pin = self.granted.begin_commit(fence);
        if pin.is_none() && self.compares() {
            return fail(StoreErrorKind::Fenced);
        }
        if self.how == Break::FenceComparedBefore {
            drop(pin);
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        let session = match self.how {
            Break::NotIdempotent => SessionId::from_octets(fresh_octets()),
            _ => session,
        };
        let twisted = self.twisted(fence.maildrop, deletes).await?;
        let own = self.own_fence(fence.maildrop, session).await;
        self.inner.commit(&own, session, &twisted).await
    }

    async fn outcome(&self, fence: &Fence, session: SessionId) -> Result<Option<Committed>, StoreError> {
        match self.how {
            Break::OutcomeGuessedNone => {
                self.granted.end(fence).unwrap();
                return Ok(None);
            }
            Break::OutcomeGuessedDone => return Ok(Some(Committed::attest(2))),
            Break::OutcomeLeavesTheFence => {}
            _ => self.granted.end(fence).unwrap(),
        }
        let own = self.own_fence(fence.maildrop, session).await;
        self.inner.outcome(&own, session).await
    }

    async fn reserve(&self, maildrop: MaildropId, storage: StorageId) -> Result<BlobKey, StoreError> {
        self.inner.reserve(maildrop, storage).await
    }

    async fn deliver(&self, maildrop: MaildropId, mut message: NewMessage) -> Result<Delivered, StoreError> {
        match self.how {
            Break::DeliversNothing => {
                return Ok(Delivered {
                    unique_id: UniqueId::new("x").unwrap(),
                    is_repeat: false,
                });
            }
            Break::SizesIn32Bits => {
                message.measured.octets = Octets(message.measured.octets.get() & u64::from(u32::MAX));
            }
            Break::DeliveryWaits => {
                while self.granted.holder(maildrop).is_some() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Break::RepeatsDelivered => message.deduplicate = false,
            Break::RepeatsUnasked => message.deduplicate = true,
            Break::RepeatsForEver => message.received = SystemTime::UNIX_EPOCH,
            Break::RepeatsLookedForBefore if message.deduplicate => {
                return self.deliver_unless_known(maildrop, message).await;
            }
            _ => {}
        }
        let answer = match self.inner.deliver(maildrop, message.clone()).await {
            Err(error)
                if error.kind == StoreErrorKind::NotFound && self.how == Break::ReservationNotNeeded =>
            {
                message.blob = self.inner.reserve(maildrop, message.storage).await?;
                self.inner.deliver(maildrop, message.clone()).await
            }
            Err(error) if error.kind == StoreErrorKind::Conflict && self.how == Break::UniqueIdReused => {
                let given = message.unique_id.take().unwrap();
                let listing = self.listing(maildrop).await?;
                if listing
                    .snapshot
                    .iter()
                    .any(|entry| entry.unique_id == given.as_str())
                {
                    return Err(error);
                }
                self.inner.deliver(maildrop, message.clone()).await
            }
            answer => answer,
        };
        self.delivered.lock().unwrap().push(Condemned {
            storage: message.storage,
            blob: message.blob,
        });
        answer
    }

    async fn usage(&self, maildrop: MaildropId) -> Result<(Usage, Quota), StoreError> {
        self.inner.usage(maildrop).await
    }
}

fn fresh_octets() -> [u8; 16] {
    static LAST: Mutex<u128> = Mutex::new(1 << 100);
    let mut last = LAST.lock().unwrap();
    *last += 1;
    last.to_be_bytes()
}

#[async_trait]
impl BlobLedger for Broken {
    async fn condemned(&self, now: SystemTime, limit: usize) -> Result<Vec<Condemned>, StoreError> {
        const YEARS: Duration = Duration::from_hours(10 * 365 * 24);
        match self.how {
            Break::CondemnsNothing => Ok(Vec::new()),
            Break::CondemnsTheLiving => Ok(self.delivered.lock().unwrap().clone()),
            Break::CondemnsEarly => self.inner.condemned(now + YEARS, limit).await,
            Break::CondemnsOnce => {
                let listed = self.inner.condemned(now, limit).await?;
                let mut before = self.condemned.lock().unwrap();
                let (_, new): (Vec<_>, Vec<_>) =
                    listed.into_iter().partition(|one| before.contains(&one.blob));
                before.extend(new.iter().map(|one| one.blob));
                Ok(new)
            }
            _ => self.inner.condemned(now, limit).await,
        }
    }

    async fn expire(&self, tenant: TenantId, before: SystemTime, limit: usize) -> Result<usize, StoreError> {
        self.inner.expire(tenant, before, limit).await
    }

    async fn collected(&self, blobs: &[Condemned]) -> Result<(), StoreError> {
        self.inner.collected(blobs).await
    }
}

fn broken(how: Break) -> MemoryIndex {
    let granted = Arc::new(LockTable::new(1).unwrap());
    let own = Arc::new(LockTable::new(1).unwrap());
    let mut fixture = MemoryIndex::with_tables(Arc::clone(&granted), Arc::clone(&own));
    fixture.quotas_kept = how != Break::QuotaIgnored;
    fixture.behind(|inner| Broken {
        how,
        inner,
        own: MemoryLockManager::new(own),
        granted,
        delivered: Mutex::default(),
        condemned: Mutex::default(),
        recent: Mutex::default(),
    })
}

/// The cases that notice it. One function for all mutants: to compile all cases for each takes minutes.
async fn bitten(how: Break) -> Vec<&'static str> {
    let open = move || async move { broken(how) };
    mail_index_cases! { emit_bites { open } }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_bitten(&bitten(Break::$how).await, &[$($case),+]);
        }
    };
}

mutant!(a_commit_without_a_fence_is_noticed: NoFence, [
    "commit_of_a_superseded_session_removes_nothing", "commit_of_a_released_session_removes_nothing",
    "commit_of_an_ended_session_removes_nothing_when_nobody_followed",
    "commit_with_a_token_of_the_future_removes_nothing", "outcome_none_ends_the_fence",
]);
mutant!(a_fence_compared_before_the_step_is_noticed: FenceComparedBefore, [
    "of_a_commit_and_a_takeover_one_wins",
]);
mutant!(a_snapshot_without_a_fence_is_noticed: SnapshotUnfenced, [
    "a_released_fence_sees_nothing", "a_superseded_fence_sees_nothing",
    "a_refresh_of_a_superseded_fence_sees_nothing",
]);
mutant!(a_refresh_that_sees_no_change_is_noticed: RefreshAnswersTheKnown, [
    "a_refresh_after_deliveries_and_deletions_is_a_snapshot", "a_refresh_sees_what_others_change",
]);
mutant!(a_refresh_that_believes_the_counters_is_noticed: RefreshBelievesTheCounters, [
    "a_refresh_after_deliveries_and_deletions_is_a_snapshot", "a_refresh_sees_what_others_change",
    "a_listing_of_another_past_is_not_gone_on_with",
]);
mutant!(a_commit_that_removes_others_is_noticed: RemovesOthers, [
    "commit_removes_exactly_the_marked", "commit_of_nothing_removes_nothing",
]);
mutant!(a_partial_commit_is_noticed: RemovesHalf, [
    "commit_removes_exactly_the_marked", "commit_of_all_empties_the_maildrop",
]);
mutant!(a_commit_that_removes_nothing_is_noticed: RemovesNothing, [
    "commit_removes_exactly_the_marked", "usage_is_exact_after_commit", "deleted_messages_make_room",
]);
mutant!(a_commit_that_removes_new_mail_is_noticed: RemovesNewMail, [
    "commit_keeps_mail_that_arrived_meanwhile",
]);
mutant!(a_commit_that_counts_again_is_noticed: NotIdempotent, [
    "commit_twice_answers_the_first_receipt", "commit_twice_answers_the_first_receipt_after_release",
    "racing_commits_of_one_session_remove_once",
]);
mutant!(an_outcome_guessed_as_none_is_noticed: OutcomeGuessedNone, [
    "outcome_of_a_commit_is_its_receipt", "outcome_of_a_dropped_commit_is_all_or_nothing",
    "outcome_after_a_takeover_is_the_receipt",
]);
mutant!(an_outcome_guessed_as_done_is_noticed: OutcomeGuessedDone, [
    "outcome_without_a_commit_is_none", "outcome_of_another_sessions_commit_is_none",
]);
mutant!(an_outcome_that_leaves_the_fence_is_noticed: OutcomeLeavesTheFence, ["outcome_none_ends_the_fence"]);
mutant!(a_list_that_is_short_is_noticed: ListsShort, [
    "a_message_comes_back_as_it_was_measured", "messages_come_in_the_order_of_delivery",
    "a_hundred_thousand_messages_come_in_order_with_their_sizes",
]);
mutant!(a_list_cut_at_a_thousand_is_noticed: ListsAThousand, [
    "a_hundred_thousand_messages_come_in_order_with_their_sizes", "commit_of_all_empties_the_maildrop",
]);
mutant!(a_lost_order_is_noticed: OrderLost, [
    "messages_come_in_the_order_of_delivery", "a_hundred_thousand_messages_come_in_order_with_their_sizes",
]);
mutant!(a_unique_id_used_again_is_noticed: UniqueIdReused, [
    "a_unique_id_of_a_deleted_message_is_a_conflict", "a_unique_id_of_a_collected_message_is_a_conflict",
]);
mutant!(sizes_cut_to_32_bits_are_noticed: SizesIn32Bits, ["a_message_comes_back_as_it_was_measured"]);
mutant!(a_delivery_that_adds_nothing_is_noticed: DeliversNothing, [
    "a_snapshot_stays_while_mail_arrives", "fresh_unique_ids_are_never_alike", "usage_counts_what_is_there",
]);
mutant!(a_delivery_that_waits_for_the_session_is_noticed: DeliveryWaits, [
    "delivery_does_not_wait_for_the_session",
]);
mutant!(an_ignored_quota_is_noticed: QuotaIgnored, [
    "quota_of_messages_is_kept", "quota_of_octets_is_kept_to_the_octet", "racing_deliveries_keep_the_quota",
    "usage_tells_the_quota",
]);
mutant!(a_delivery_without_a_reservation_is_noticed: ReservationNotNeeded, [
    "delivery_without_a_reservation_is_refused", "delivery_takes_the_reservation_once",
    "a_condemned_reservation_cannot_be_delivered", "a_delivery_and_the_collector_never_both_get_a_blob",
]);
mutant!(a_repeat_that_is_delivered_is_noticed: RepeatsDelivered, [
    "a_repeat_adds_nothing_and_is_answered_as_the_first", "a_repeat_needs_no_room",
    "a_repeat_of_a_message_that_was_fetched_and_deleted_adds_nothing", "of_racing_repeats_one_is_delivered",
]);
mutant!(identical_mails_taken_for_one_are_noticed: RepeatsUnasked, [
    "only_what_came_to_be_deduplicated_is_or_has_a_repeat", "fresh_unique_ids_are_never_alike",
]);
mutant!(a_message_remembered_for_ever_is_noticed: RepeatsForEver, ["after_a_day_it_is_a_message_again"]);
mutant!(a_repeat_looked_for_before_the_step_is_noticed: RepeatsLookedForBefore, [
    "of_racing_repeats_one_is_delivered",
]);
mutant!(a_live_blob_condemned_is_noticed: CondemnsTheLiving, ["a_live_message_is_never_condemned"]);
mutant!(a_blob_condemned_early_is_noticed: CondemnsEarly, [
    "a_deleted_message_is_condemned_after_its_retention", "a_reservation_is_condemned_after_the_grace_time",
    "retention_is_the_tenants_own",
]);
mutant!(a_collector_without_work_is_noticed: CondemnsNothing, [
    "a_deleted_message_is_condemned_after_its_retention", "the_limit_of_the_condemned_is_kept",
]);
mutant!(a_blob_listed_only_once_is_noticed: CondemnsOnce, ["the_condemned_are_listed_until_collected"]);
