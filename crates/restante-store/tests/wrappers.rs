//! What each wrapper adds: reports, limits of time and of calls, faults.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails its test")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use restante_lock::{LockManager, LockTable, MemoryLockManager};
use restante_message::Measured;
use restante_session::DeleteSet;
use restante_store::{
    BlobKey, BlobReader, BlobStore, BytesReader, CallResult, Fault, FaultPlan, Faulty, Limit, MailIndex,
    MemoryBlobStore, MemoryMailIndex, Metered, NewMessage, OctetRange, Quota, StorageId, StoreCall,
    StoreError, StoreErrorKind, StoreObserver, Timeout, commit_allowance,
};

use restante_types::{MaildropId, MessageNumber, Octets, SessionId, SystemClock, TenantId};

const LIMIT: Duration = Duration::from_secs(5);

fn key() -> BlobKey {
    BlobKey::fresh(TenantId::new(1).unwrap(), SystemTime::UNIX_EPOCH).unwrap()
}

fn message(blob: BlobKey) -> NewMessage {
    NewMessage {
        storage: StorageId(1),
        blob,
        measured: Measured {
            octets: Octets(10),
            header_octets: Octets(5),
            has_dot_lines: false,
            header_is_8bit: false,
            crc64: 0,
            header_crc64: 0,
            sha256: [0; 32],
        },
        unique_id: None,
        received: SystemTime::UNIX_EPOCH,
        needs_utf8: false,
        deduplicate: false,
    }
}

/// A store with one blob of 600,000 octets.
async fn filled() -> (Arc<MemoryBlobStore>, BlobKey) {
    let (store, key) = (Arc::new(MemoryBlobStore::new()), key());
    let mut body = BytesReader::from(Bytes::from(vec![b'm'; 600_000]));
    store.put(&key, Octets(600_000), &mut body).await.unwrap();
    (store, key)
}

/// Reads a blob of which 600,000 octets are expected.
async fn read(store: &dyn BlobStore, key: &BlobKey) -> Result<Vec<u8>, StoreErrorKind> {
    let all = async {
        let mut reader = store.get(key, OctetRange::first(Octets(600_000))).await?;
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    };
    all.await.map_err(|error: StoreError| error.kind)
}

/// Gives pieces of 100,000 octets, waiting before each.
struct Slow {
    wait: Duration,
    n_pieces: u32,
}

#[async_trait]
impl BlobReader for Slow {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(left) = self.n_pieces.checked_sub(1) else {
            return Ok(None);
        };
        self.n_pieces = left;
        tokio::time::sleep(self.wait).await;
        Ok(Some(Bytes::from(vec![b's'; 100_000])))
    }
}

/// A store whose every step takes a while.
#[derive(Debug)]
struct SlowStore {
    inner: MemoryBlobStore,
    wait: Duration,
}

impl std::fmt::Display for SlowStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("slow")
    }
}

struct SlowReader(Box<dyn BlobReader>, Duration);

#[async_trait]
impl BlobReader for SlowReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        tokio::time::sleep(self.1).await;
        self.0.next().await
    }
}

#[async_trait]
impl BlobStore for SlowStore {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        self.inner.put(key, octets, body).await?;
        tokio::time::sleep(self.wait).await;
        Ok(())
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        tokio::time::sleep(self.wait).await;
        let reader = self.inner.get(key, range).await?;
        Ok(Box::new(SlowReader(reader, self.wait)))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        tokio::time::sleep(self.wait).await;
        self.inner.delete(key).await
    }
}

async fn slow_store(wait: Duration) -> (Arc<SlowStore>, BlobKey) {
    let (inner, key) = (MemoryBlobStore::new(), key());
    let mut body = BytesReader::from(Bytes::from(vec![b'm'; 600_000]));
    inner.put(&key, Octets(600_000), &mut body).await.unwrap();
    (Arc::new(SlowStore { inner, wait }), key)
}

type Note = (&'static str, String, CallResult, Duration, u64);

#[derive(Debug, Default)]
struct Notes(Mutex<Vec<Note>>);

impl StoreObserver for Notes {
    fn called(&self, call: &StoreCall<'_>) {
        let note = (
            call.op,
            call.store.to_owned(),
            call.result,
            call.elapsed,
            call.octets.get(),
        );
        self.0.lock().unwrap().push(note);
    }
}

impl Notes {
    fn take(&self) -> Vec<Note> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn metered_reports_each_call_with_time_and_octets() {
    let second = Duration::from_secs(1);
    let (store, key) = slow_store(second).await;
    let notes = Arc::new(Notes::default());
    let metered = Metered::new(store, "slow", Arc::clone(&notes) as _);
    read(&metered, &key).await.unwrap();
    metered.delete(&key).await.unwrap();
    let slow = || "slow".to_owned();
    assert_eq!(
        notes.take(),
        [
            ("get", slow(), CallResult::Done, second, 0),
            // Three pieces and the end.
            ("read", slow(), CallResult::Done, second * 4, 600_000),
            ("delete", slow(), CallResult::Done, second, 0),
        ]
    );
    let gone = read(&metered, &key).await;
    assert_eq!(gone, Err(StoreErrorKind::NotFound));
    let failed = CallResult::Failed(StoreErrorKind::NotFound);
    assert_eq!(notes.take(), [("get", slow(), failed, second, 0)]);
}

#[tokio::test(start_paused = true)]
async fn metered_reports_what_nobody_waited_for() {
    let (store, key) = slow_store(Duration::from_secs(10)).await;
    let notes = Arc::new(Notes::default());
    let metered = Metered::new(store, "slow", Arc::clone(&notes) as _);
    let cancelled = tokio::time::timeout(Duration::from_secs(1), metered.delete(&key)).await;
    assert!(cancelled.is_err());
    let mut reader = metered
        .get(&key, OctetRange::first(Octets(600_000)))
        .await
        .unwrap();
    reader.next().await.unwrap().unwrap();
    drop(reader);
    let results: Vec<_> = notes
        .take()
        .into_iter()
        .map(|note| (note.0, note.2, note.4))
        .collect();
    assert_eq!(
        results,
        [
            ("delete", CallResult::Dropped, 0),
            ("get", CallResult::Done, 0),
            ("read", CallResult::Dropped, 262_144),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn timeout_ends_a_call_that_takes_too_long() {
    let (store, key) = slow_store(LIMIT * 2).await;
    let timeout = Timeout::new(store, LIMIT);
    let start = tokio::time::Instant::now();
    assert_eq!(read(&timeout, &key).await, Err(StoreErrorKind::Timeout));
    let deleted = timeout.delete(&key).await;
    assert_eq!(deleted.unwrap_err().kind, StoreErrorKind::Timeout);
    assert_eq!(start.elapsed(), LIMIT * 2);
}

/// Of so many messages so many are deleted, which takes so long.
async fn slow_commit(n_messages: u32, n_deletes: u32, wait: Duration) -> Result<usize, StoreErrorKind> {
    let table = Arc::new(LockTable::new(1).unwrap());
    let index = Arc::new(MemoryMailIndex::new(Arc::clone(&table), Arc::new(SystemClock)));
    let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
    index.add_maildrop(maildrop, Quota::default(), Duration::ZERO);
    for _ in 0..n_messages {
        let blob = index.reserve(maildrop, StorageId(1)).await.unwrap();
        index.deliver(maildrop, message(blob)).await.unwrap();
    }
    let plan = Arc::new(FaultPlan::new());
    plan.once(Some("commit"), 1, Fault::Delay(wait));
    let timeout = Timeout::new(Arc::new(Faulty::new(index, plan)), LIMIT);
    let session = SessionId::from_octets([1; 16]);
    let locks = MemoryLockManager::new(table);
    let fence = locks.open(maildrop, session).await.unwrap();
    let snapshot = timeout.snapshot(&fence).await.unwrap().snapshot;
    let deletes = DeleteSet::of(snapshot, (1..=n_deletes).filter_map(MessageNumber::new));
    let committed = timeout.commit(&fence, session, &deletes).await;
    committed
        .map(|receipt| receipt.n_deleted())
        .map_err(|error| error.kind)
}

#[tokio::test(start_paused = true)]
async fn timeout_gives_a_commit_more_time_for_more_messages() {
    const N: u32 = 20_000;
    let wait = LIMIT + commit_allowance(N as usize) / 2;
    assert_eq!(slow_commit(N, N, wait).await, Ok(N as usize));
    assert_eq!(slow_commit(N, 1, wait).await, Err(StoreErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn timeout_holds_for_each_piece_and_not_for_the_whole_body() {
    let (store, key) = slow_store(LIMIT / 2).await;
    let timeout = Timeout::new(store, LIMIT);
    let start = tokio::time::Instant::now();
    assert_eq!(read(&timeout, &key).await.unwrap().len(), 600_000);
    assert!(start.elapsed() > LIMIT * 2);
}

#[tokio::test(start_paused = true)]
async fn timeout_of_a_put_does_not_count_its_source() {
    let timeout = Timeout::new(Arc::new(MemoryBlobStore::new()), LIMIT);
    let mut body = Slow {
        wait: LIMIT * 3,
        n_pieces: 4,
    };
    timeout.put(&key(), Octets(400_000), &mut body).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn timeout_of_a_put_counts_the_store() {
    let (store, _) = slow_store(LIMIT * 2).await;
    let timeout = Timeout::new(store, LIMIT);
    let mut body = Slow {
        wait: LIMIT * 3,
        n_pieces: 2,
    };
    let start = tokio::time::Instant::now();
    let put = timeout.put(&key(), Octets(200_000), &mut body).await;
    assert_eq!(put.unwrap_err().kind, StoreErrorKind::Timeout);
    assert_eq!(start.elapsed(), LIMIT * 7);
}

#[tokio::test(start_paused = true)]
async fn limit_refuses_a_call_whose_turn_does_not_come() {
    let (store, key) = slow_store(LIMIT * 2).await;
    let limit = Arc::new(Limit::new(store, 1, LIMIT));
    let first = tokio::spawn({
        let limit = Arc::clone(&limit);
        async move { limit.delete(&key).await }
    });
    tokio::task::yield_now().await;
    let start = tokio::time::Instant::now();
    assert_eq!(
        limit.delete(&key).await.unwrap_err().kind,
        StoreErrorKind::Throttled
    );
    assert_eq!(start.elapsed(), LIMIT);
    first.await.unwrap().unwrap();
    limit.delete(&key).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limit_holds_no_turn_for_a_reader_that_nobody_reads() {
    let (store, key) = filled().await;
    let limit = Limit::new(store, 1, LIMIT);
    let mut idle = limit.get(&key, OctetRange::first(Octets(600_000))).await.unwrap();
    idle.next().await.unwrap();
    assert_eq!(read(&limit, &key).await.unwrap().len(), 600_000);
    limit.delete(&key).await.unwrap();
}

#[tokio::test]
async fn faulty_cuts_flips_and_extends_a_body() {
    let (store, key) = filled().await;
    let plan = Arc::new(FaultPlan::new());
    let faulty = Faulty::new(store, Arc::clone(&plan));
    for cut in [0, 1, 262_143, 262_144, 262_145, 599_999, 600_000] {
        plan.once(Some("get"), 1, Fault::CutAt(Octets(cut)));
        assert_eq!(read(&faulty, &key).await.unwrap().len() as u64, cut);
    }
    for place in [0, 262_143, 262_144, 599_999] {
        plan.once(Some("get"), 1, Fault::FlipAt(Octets(place)));
        let all = read(&faulty, &key).await.unwrap();
        let flipped: Vec<usize> = (0..all.len()).filter(|index| all[*index] != b'm').collect();
        assert_eq!(flipped, [usize::try_from(place).unwrap()]);
    }
    plan.once(Some("get"), 1, Fault::Extend(3));
    assert_eq!(read(&faulty, &key).await.unwrap().len(), 600_003);
    assert_eq!(read(&faulty, &key).await.unwrap(), vec![b'm'; 600_000]);
}

#[tokio::test]
async fn faulty_bites_the_nth_call_once_or_from_then_on() {
    let (store, key) = filled().await;
    let plan = Arc::new(FaultPlan::new());
    let faulty = Faulty::new(store, Arc::clone(&plan));
    plan.once(None, 2, Fault::Before(StoreErrorKind::Unavailable));
    assert!(read(&faulty, &key).await.is_ok());
    assert_eq!(read(&faulty, &key).await, Err(StoreErrorKind::Unavailable));
    assert!(read(&faulty, &key).await.is_ok());
    plan.from(Some("get"), 2, Fault::Before(StoreErrorKind::Denied));
    assert!(read(&faulty, &key).await.is_ok());
    assert_eq!(read(&faulty, &key).await, Err(StoreErrorKind::Denied));
    assert_eq!(read(&faulty, &key).await, Err(StoreErrorKind::Denied));
    plan.clear();
    assert!(read(&faulty, &key).await.is_ok());
    assert_eq!(plan.calls(), 7);
}

#[tokio::test]
async fn faulty_with_a_seed_plays_the_same_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (store, key) = filled().await;
        let plan = FaultPlan::seeded(42, 3, Fault::Before(StoreErrorKind::Unavailable));
        let faulty = Faulty::new(store, Arc::new(plan));
        let mut failed = Vec::new();
        for n in 0..30 {
            if read(&faulty, &key).await.is_err() {
                failed.push(n);
            }
        }
        runs.push(failed);
    }
    assert_eq!(runs[0], runs[1]);
    assert!((1..29).contains(&runs[0].len()));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_by_its_outcome() {
    let table = Arc::new(LockTable::new(1).unwrap());
    let index = MemoryMailIndex::new(Arc::clone(&table), Arc::new(SystemClock));
    let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
    index.add_maildrop(maildrop, Quota::default(), Duration::ZERO);
    let plan = Arc::new(FaultPlan::new());
    let faulty = Faulty::new(Arc::new(index), Arc::clone(&plan));
    let session = SessionId::from_octets([1; 16]);
    let fence = MemoryLockManager::new(table)
        .open(maildrop, session)
        .await
        .unwrap();
    let listing = faulty.snapshot(&fence).await.unwrap();
    let deletes = DeleteSet::new(listing.snapshot);
    plan.once(Some("commit"), 1, Fault::After(StoreErrorKind::Unknown));
    let lost = faulty.commit(&fence, session, &deletes).await.unwrap_err();
    assert!(lost.kind.outcome_unknown());
    let outcome = faulty.outcome(&fence, session).await.unwrap();
    assert_eq!(outcome.unwrap().n_deleted(), 0);
}
