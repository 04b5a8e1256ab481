//! Cases of the blobs: whole or not at all, exact ranges, no end that is not the end.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use restante_store::{BlobKey, BlobReader, BlobStore, BytesReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::Octets;

use crate::BlobStoreFixture;
use crate::sample::{blob_key, content};

/// The only list of these cases.
#[doc(hidden)]
#[macro_export]
macro_rules! blob_store_cases {
    ($then:ident { $($arg:tt)* }) => { $crate::$then! { { $($arg)* } blob_store:
        an_empty_blob_comes_back,
        a_blob_of_one_octet_comes_back,
        blobs_around_256_kib_come_back,
        five_mib_in_odd_pieces_come_back,
        no_piece_is_empty,
        ranges_are_exact,
        a_range_past_the_end_is_damaged,
        an_absent_blob_is_not_found,
        a_second_put_is_a_conflict_and_the_first_stays,
        one_of_sixteen_racing_puts_wins,
        a_body_that_ends_early_is_damaged_and_leaves_nothing,
        a_body_that_runs_on_is_damaged_and_leaves_nothing,
        a_body_that_fails_leaves_nothing,
        a_cancelled_put_leaves_nothing_visible,
        a_blob_is_invisible_while_it_is_put,
        a_failed_put_can_be_tried_again,
        delete_removes,
        delete_of_an_absent_blob_succeeds,
        delete_leaves_other_blobs_alone,
        a_deleted_key_can_be_put_again,
        get_during_delete_is_whole_or_an_error,
        keys_of_other_tenants_are_other_blobs,
        keys_that_differ_in_one_bit_are_other_blobs,
        many_readers_read_at_once,
        a_restart_keeps_blobs,
        a_list_holds_each_blob_once,
        a_list_leaves_out_what_was_deleted,
    } };
}

const KEY: u128 = 0x0199_8F2D_0000_0000_0000_0000_0000_00A7;

fn key() -> BlobKey {
    blob_key(1, KEY)
}

async fn put(store: &dyn BlobStore, key: &BlobKey, body: &Bytes) {
    put_in_pieces(store, key, body, 64 * 1024).await;
}

async fn put_in_pieces(store: &dyn BlobStore, key: &BlobKey, body: &Bytes, piece: usize) {
    let mut reader = BytesReader::in_pieces(body.clone(), piece);
    store.put(key, Octets::of(body), &mut reader).await.unwrap();
}

async fn read(store: &dyn BlobStore, key: &BlobKey, range: OctetRange) -> Result<Vec<u8>, StoreErrorKind> {
    let collected = async {
        let mut reader = store.get(key, range).await?;
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    };
    collected.await.map_err(|error: StoreError| error.kind)
}

fn range(start: usize, end: usize) -> OctetRange {
    OctetRange {
        start: Octets(start as u64),
        end: Octets(end as u64),
    }
}

/// Compares without printing megabytes.
async fn assert_holds(store: &dyn BlobStore, key: &BlobKey, body: &Bytes) {
    let whole = read(store, key, OctetRange::first(Octets::of(body)))
        .await
        .unwrap();
    assert_eq!(whole.len(), body.len());
    assert!(whole == *body, "octets differ");
}

async fn assert_absent(store: &dyn BlobStore, key: &BlobKey) {
    for end in [0, 1] {
        let answer = read(store, key, range(0, end)).await;
        assert_eq!(answer, Err(StoreErrorKind::NotFound));
    }
}

pub async fn an_empty_blob_comes_back(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    put(&*store, &key(), &Bytes::new()).await;
    assert_eq!(read(&*store, &key(), range(0, 0)).await, Ok(Vec::new()));
    assert_eq!(
        read(&*store, &key(), range(0, 1)).await,
        Err(StoreErrorKind::Damaged)
    );
}

pub async fn a_blob_of_one_octet_comes_back(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    put(&*store, &key(), &Bytes::from_static(b"\0")).await;
    assert_eq!(read(&*store, &key(), range(0, 1)).await, Ok(vec![0]));
}

pub async fn blobs_around_256_kib_come_back(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    for (number, octets) in [(1, 262_143), (2, 262_144), (3, 262_145), (4, 524_288)] {
        let (key, body) = (blob_key(1, number), content(octets));
        put_in_pieces(&*store, &key, &body, octets).await;
        assert_holds(&*store, &key, &body).await;
    }
}

pub async fn five_mib_in_odd_pieces_come_back(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let body = content(5 * 1024 * 1024 + 1);
    let mut rest = body.clone();
    let mut parts = Vec::new();
    for piece in [1, 65_537, 7, 300_001].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        parts.push(rest.split_to(piece.min(rest.len())));
    }
    store
        .put(&key(), Octets::of(&body), &mut BytesReader::new(parts))
        .await
        .unwrap();
    assert_holds(&*store, &key(), &body).await;
}

pub async fn no_piece_is_empty(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let body = content(600_000);
    put(&*store, &key(), &body).await;
    for end in [0, 1, 262_144, 600_000] {
        let mut reader = store.get(&key(), range(0, end)).await.unwrap();
        let mut octets = 0;
        while let Some(piece) = reader.next().await.unwrap() {
            assert!(!piece.is_empty());
            octets += piece.len();
        }
        assert_eq!(octets, end);
        assert!(reader.next().await.unwrap().is_none(), "the end stays the end");
    }
}

pub async fn ranges_are_exact(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let body = content(700_000);
    put(&*store, &key(), &body).await;
    let edges = [
        0, 1, 2, 65_535, 65_536, 262_143, 262_144, 262_145, 524_288, 699_999, 700_000,
    ];
    for (first, start) in edges.into_iter().enumerate() {
        for end in edges.into_iter().skip(first) {
            let part = read(&*store, &key(), range(start, end)).await.unwrap();
            assert!(
                part == body[start..end],
                "{start}..{end} gave {} octets",
                part.len()
            );
        }
    }
}

pub async fn a_range_past_the_end_is_damaged(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    put(&*store, &key(), &content(1_000)).await;
    for (start, end) in [
        (0, 1_001),
        (999, 1_001),
        (1_000, 1_001),
        (2_000, 3_000),
        (0, 1 << 40),
    ] {
        let answer = read(&*store, &key(), range(start, end)).await;
        assert_eq!(answer, Err(StoreErrorKind::Damaged), "{start}..{end}");
    }
}

pub async fn an_absent_blob_is_not_found(fixture: &mut impl BlobStoreFixture) {
    assert_absent(&*fixture.store(), &key()).await;
}

pub async fn a_second_put_is_a_conflict_and_the_first_stays(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let first = content(100_000);
    put(&*store, &key(), &first).await;
    for second in [first.slice(1..), first.clone(), Bytes::new()] {
        let mut body = BytesReader::from(second.clone());
        let answer = store.put(&key(), Octets::of(&second), &mut body).await;
        assert_eq!(answer.unwrap_err().kind, StoreErrorKind::Conflict);
    }
    assert_holds(&*store, &key(), &first).await;
}

pub async fn one_of_sixteen_racing_puts_wins(fixture: &mut impl BlobStoreFixture) {
    if !fixture.tells_who_was_first() {
        return;
    }
    let store = fixture.store();
    let racers: Vec<_> = (0..16_u8)
        .map(|n| {
            let store = Arc::clone(&store);
            let body = Bytes::from(vec![n; 200_000]);
            tokio::spawn(async move {
                let mut reader = YieldingReader(BytesReader::in_pieces(body.clone(), 10_000));
                (n, store.put(&key(), Octets::of(&body), &mut reader).await)
            })
        })
        .collect();
    let mut winner = None;
    for racer in racers {
        match racer.await.unwrap() {
            (n, Ok(())) => assert_eq!(winner.replace(n), None, "two puts of one key succeeded"),
            (_, Err(error)) => assert_eq!(error.kind, StoreErrorKind::Conflict),
        }
    }
    let expected = Bytes::from(vec![winner.unwrap(); 200_000]);
    assert_holds(&*store, &key(), &expected).await;
}

/// Lets others run between pieces.
struct YieldingReader(BytesReader);

#[async_trait]
impl BlobReader for YieldingReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        tokio::task::yield_now().await;
        self.0.next().await
    }
}

/// Puts a body of 100,000 octets as if it had `octets`.
async fn put_wrong(store: &dyn BlobStore, octets: u64) {
    let mut body = BytesReader::in_pieces(content(100_000), 30_000);
    let answer = store.put(&key(), Octets(octets), &mut body).await;
    assert_eq!(answer.unwrap_err().kind, StoreErrorKind::Damaged, "{octets}");
    assert_absent(store, &key()).await;
}

pub async fn a_body_that_ends_early_is_damaged_and_leaves_nothing(fixture: &mut impl BlobStoreFixture) {
    put_wrong(&*fixture.store(), 100_001).await;
    put_wrong(&*fixture.store(), 1 << 33).await;
}

pub async fn a_body_that_runs_on_is_damaged_and_leaves_nothing(fixture: &mut impl BlobStoreFixture) {
    for octets in [0, 30_000, 90_000, 99_999] {
        put_wrong(&*fixture.store(), octets).await;
    }
}

/// Gives out some octets, then fails, or waits for ever.
struct BrokenReader {
    good: BytesReader,
    then: Option<StoreErrorKind>,
}

impl BrokenReader {
    fn new(good: usize, then: Option<StoreErrorKind>) -> Self {
        Self {
            good: BytesReader::in_pieces(content(good), 64 * 1024),
            then,
        }
    }
}

#[async_trait]
impl BlobReader for BrokenReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match (self.good.next().await?, self.then) {
            (Some(piece), _) => Ok(Some(piece)),
            (None, Some(kind)) => Err(StoreError::new(kind, "read", "source")),
            (None, None) => std::future::pending().await,
        }
    }
}

pub async fn a_body_that_fails_leaves_nothing(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    for good in [0, 1, 300_000] {
        let mut body = BrokenReader::new(good, Some(StoreErrorKind::Denied));
        let answer = store.put(&key(), Octets(400_000), &mut body).await;
        assert_eq!(
            answer.unwrap_err().kind,
            StoreErrorKind::Denied,
            "after {good} octets"
        );
        assert_absent(&*store, &key()).await;
    }
}

pub async fn a_cancelled_put_leaves_nothing_visible(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    for good in [0, 300_000] {
        let mut body = BrokenReader::new(good, None);
        let key = key();
        let put = store.put(&key, Octets(400_000), &mut body);
        let cancelled = tokio::time::timeout(Duration::from_millis(50), put).await;
        assert!(cancelled.is_err(), "the body has not ended");
        assert_absent(&*store, &key).await;
    }
    store.delete(&key()).await.unwrap();
    put(&*store, &key(), &content(10)).await;
}

pub async fn a_blob_is_invisible_while_it_is_put(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let mut body = LookingReader {
        store: Arc::clone(&store),
        rest: BytesReader::in_pieces(content(400_000), 100_000),
        n_looks: 0,
    };
    store.put(&key(), Octets(400_000), &mut body).await.unwrap();
    assert!(body.n_looks >= 4);
    assert_holds(&*store, &key(), &content(400_000)).await;
}

/// Looks, before each piece, whether the blob that it becomes is visible already.
struct LookingReader {
    store: Arc<dyn BlobStore>,
    rest: BytesReader,
    n_looks: u32,
}

#[async_trait]
impl BlobReader for LookingReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        assert_absent(&*self.store, &key()).await;
        self.n_looks += 1;
        self.rest.next().await
    }
}

pub async fn a_failed_put_can_be_tried_again(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    put_wrong(&*store, 99_999).await;
    let body = content(100_000);
    put(&*store, &key(), &body).await;
    assert_holds(&*store, &key(), &body).await;
}

pub async fn delete_removes(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    put(&*store, &key(), &content(300_000)).await;
    store.delete(&key()).await.unwrap();
    assert_absent(&*store, &key()).await;
}

pub async fn delete_of_an_absent_blob_succeeds(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    store.delete(&key()).await.unwrap();
    put(&*store, &key(), &content(10)).await;
    store.delete(&key()).await.unwrap();
    store.delete(&key()).await.unwrap();
}

pub async fn delete_leaves_other_blobs_alone(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let (other, body) = (blob_key(1, KEY + 256), content(1_000));
    assert_eq!(key().path().get(..4), other.path().get(..4), "the same shard");
    put(&*store, &key(), &body).await;
    put(&*store, &other, &body).await;
    store.delete(&key()).await.unwrap();
    assert_holds(&*store, &other, &body).await;
}

pub async fn a_deleted_key_can_be_put_again(fixture: &mut impl BlobStoreFixture) {
    // Never done by the server; a store that remembers deleted keys for ever would grow without end.
    let store = fixture.store();
    put(&*store, &key(), &content(10)).await;
    store.delete(&key()).await.unwrap();
    put(&*store, &key(), &content(20)).await;
    assert_holds(&*store, &key(), &content(20)).await;
}

pub async fn get_during_delete_is_whole_or_an_error(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let body = content(1_500_000);
    for n in 0..8 {
        let key = blob_key(1, n);
        put(&*store, &key, &body).await;
        let mut reader = store
            .get(&key, OctetRange::first(Octets::of(&body)))
            .await
            .unwrap();
        let mut all = Vec::new();
        let mut pieces = 0;
        let ended = loop {
            if pieces == n {
                store.delete(&key).await.unwrap();
            }
            pieces += 1;
            match reader.next().await {
                Ok(Some(piece)) => all.extend_from_slice(&piece),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        assert!(
            !ended || all == body,
            "the reader ended after {} octets",
            all.len()
        );
        store.delete(&key).await.unwrap();
    }
}

pub async fn keys_of_other_tenants_are_other_blobs(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let (mine, theirs) = (blob_key(1, KEY), blob_key(12, KEY));
    put(&*store, &mine, &content(100)).await;
    assert_absent(&*store, &theirs).await;
    put(&*store, &theirs, &content(200)).await;
    store.delete(&mine).await.unwrap();
    assert_holds(&*store, &theirs, &content(200)).await;
}

pub async fn keys_that_differ_in_one_bit_are_other_blobs(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    for bit in 0..128 {
        put(&*store, &blob_key(1, KEY ^ (1 << bit)), &content(bit)).await;
    }
    assert_absent(&*store, &key()).await;
    for bit in 0..128 {
        assert_holds(&*store, &blob_key(1, KEY ^ (1 << bit)), &content(bit)).await;
    }
}

pub async fn many_readers_read_at_once(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let body = content(1_000_000);
    put(&*store, &key(), &body).await;
    // All are opened before any is read: a reader that nobody reads must not stop the others.
    let mut readers = Vec::new();
    for _ in 0..64 {
        let whole = OctetRange::first(Octets::of(&body));
        readers.push(store.get(&key(), whole).await.unwrap());
    }
    for mut reader in readers.into_iter().rev() {
        let mut octets = 0;
        while let Some(piece) = reader.next().await.unwrap() {
            octets += piece.len();
        }
        assert_eq!(octets, body.len());
    }
}

pub async fn a_restart_keeps_blobs(fixture: &mut impl BlobStoreFixture) {
    let body = content(300_000);
    put(&*fixture.store(), &key(), &body).await;
    fixture.restart().await;
    assert_holds(&*fixture.store(), &key(), &body).await;
}

/// All that a store lists, a few at a time.
async fn listed(store: &dyn BlobStore) -> Vec<BlobKey> {
    let mut keys = Vec::new();
    loop {
        let page = store.list(keys.last(), 7).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            return keys;
        }
        keys.extend(page);
    }
}

pub async fn a_list_holds_each_blob_once(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    assert_eq!(listed(&*store).await, []);
    let mut keys = Vec::new();
    for tenant in [1, 2, 12] {
        for bit in [0, 1, 7, 8, 63, 64, 119, 127] {
            keys.push(blob_key(tenant, KEY ^ (1 << bit)));
        }
    }
    for key in &keys {
        put(&*store, key, &content(3)).await;
    }
    let mut found = listed(&*store).await;
    found.sort_unstable();
    keys.sort_unstable();
    assert_eq!(found, keys);
}

pub async fn a_list_leaves_out_what_was_deleted(fixture: &mut impl BlobStoreFixture) {
    let store = fixture.store();
    let keys: Vec<BlobKey> = (0..20).map(|n| blob_key(1, KEY + n)).collect();
    for key in &keys {
        put(&*store, key, &content(3)).await;
    }
    let (kept, removed) = keys.split_at(9);
    for key in removed {
        store.delete(key).await.unwrap();
    }
    let mut found = listed(&*store).await;
    found.sort_unstable();
    assert_eq!(found, kept);
}
