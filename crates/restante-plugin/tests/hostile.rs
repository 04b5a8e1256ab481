//! A plugin that lies, loops, grabs or dies harms its own tenant's call and nothing else.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its part of the support"
)]

mod support;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use restante_plugin::{Grants, InstallError, Limits, Plugin, PluginBlobStore, Setting};
use restante_store::{
    BlobKey, BlobStore, BlobStores, Body, BodyRef, BytesReader, KeySpace, KeyValueStore, MemoryKeyValueStore,
    OctetRange, Spool, SpoolSettings, StorageId, StoreError, StoreErrorKind,
};
use restante_telemetry::{Counter, Telemetry};
use restante_types::{Octets, TenantId};

const BODY: &[u8] = b"Subject: hello\r\n\r\nbody\r\n";

fn hostile() -> Plugin {
    static HOSTILE: OnceLock<Plugin> = OnceLock::new();
    HOSTILE.get_or_init(|| support::plugin("hostile")).clone()
}

fn strict() -> Limits {
    Limits {
        call: Duration::from_secs(2),
        computing: Duration::from_millis(100),
        ..Limits::default()
    }
}

fn doing(misdeed: &str) -> PluginBlobStore {
    support::store(hostile(), &format!(r#"{{"misdeed":"{misdeed}"}}"#), strict())
}

fn key(tenant: i64, number: u128) -> BlobKey {
    BlobKey {
        tenant: TenantId::new(tenant).unwrap(),
        number,
    }
}

async fn put(store: &PluginBlobStore, key: &BlobKey) -> Result<(), StoreErrorKind> {
    let mut body = BytesReader::from(Bytes::from_static(BODY));
    let octets = Octets(BODY.len() as u64);
    store
        .put(key, octets, &mut body)
        .await
        .map_err(|error| error.kind)
}

async fn read(store: &PluginBlobStore, key: &BlobKey) -> Result<Vec<u8>, StoreErrorKind> {
    let range = OctetRange::first(Octets(BODY.len() as u64));
    let mut reader = store.get(key, range).await.map_err(|error| error.kind)?;
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await.map_err(|error| error.kind)? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// Puts and reads a blob under a misdeed that shows when it is read.
async fn read_back(misdeed: &str) -> Result<Vec<u8>, StoreErrorKind> {
    let store = doing(misdeed);
    put(&store, &key(1, 7)).await.unwrap();
    read(&store, &key(1, 7)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_configuration_works() {
    assert_eq!(read_back("none").await.unwrap(), BODY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p01_a_loop_ends_by_its_computing_limit() {
    assert_eq!(read_back("spin").await, Err(StoreErrorKind::Unavailable));
    assert_eq!(
        put(&doing("spin-configure"), &key(1, 7)).await,
        Err(StoreErrorKind::Unavailable)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p01_traps_recursion_and_memory_end_the_call_alone() {
    for misdeed in ["trap", "recurse", "grow"] {
        let store = doing(misdeed);
        put(&store, &key(1, 7)).await.unwrap();
        assert_eq!(
            read(&store, &key(1, 7)).await,
            Err(StoreErrorKind::Unavailable),
            "{misdeed}"
        );
        put(&store, &key(1, 8)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p02_p03_a_reader_of_another_length_is_damaged() {
    for misdeed in ["short", "long", "endless", "big-piece"] {
        assert_eq!(
            read_back(misdeed).await,
            Err(StoreErrorKind::Damaged),
            "{misdeed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p06_a_flood_of_calls_to_the_host_ends_by_the_limits() {
    let answer = read_back("call-flood").await;
    assert!(
        matches!(answer, Err(StoreErrorKind::Unavailable | StoreErrorKind::Timeout)),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p07_a_leak_costs_an_instance_and_no_call() {
    let store = doing("leak");
    put(&store, &key(1, 7)).await.unwrap();
    for _ in 0..200 {
        assert_eq!(read(&store, &key(1, 7)).await.unwrap(), BODY);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p09_a_call_that_is_dropped_costs_its_instance_alone() {
    let store = Arc::new(doing("spin"));
    put(&store, &key(1, 7)).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(30), read(&store, &key(1, 7))).await;
    assert!(dropped.is_err(), "it computes for longer");
    put(&store, &key(1, 8)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_a_flood_of_log_lines_does_not_stop_the_call() {
    // A hundred thousand lines take longer than the other tests allow.
    let telemetry = Telemetry::default();
    let slot = support::slot_observed(hostile(), Limits::default(), telemetry.clone());
    let values = Arc::new(MemoryKeyValueStore::default());
    let store = PluginBlobStore::new(slot, support::setting(r#"{"misdeed":"log-flood"}"#, values));
    put(&store, &key(1, 7)).await.unwrap();
    assert_eq!(read(&store, &key(1, 7)).await.unwrap(), BODY);
    let n_dropped = telemetry.counter(Counter::PluginLogLinesDropped, &["under-test"]);
    assert!((90_000..100_001).contains(&n_dropped), "{n_dropped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_repeat_or_name_no_keys_are_damaged() {
    for misdeed in ["endless-list", "bad-list"] {
        let store = doing(misdeed);
        let mut after = None;
        let mut kind = None;
        for _ in 0..5 {
            match store.list(after.as_ref(), 1000).await {
                Ok(keys) => after = keys.last().copied(),
                Err(error) => kind = Some(error.kind),
            }
        }
        assert_eq!(kind, Some(StoreErrorKind::Damaged), "{misdeed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_not_well_says_so() {
    for (misdeed, is_well) in [("none", true), ("unhealthy", false), ("spin-configure", false)] {
        let slot = support::slot(hostile(), strict());
        let config = format!(r#"{{"misdeed":"{misdeed}"}}"#);
        let values = Arc::new(MemoryKeyValueStore::default());
        let _store = PluginBlobStore::new(Arc::clone(&slot), support::setting(&config, values));
        assert_eq!(slot.try_out(&hostile()).await.is_ok(), is_well, "{misdeed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_after_five_faults_the_tenants_circuit_opens_and_no_others() {
    let store = doing("trap");
    for tenant in [1, 2] {
        put(&store, &key(tenant, 7)).await.unwrap();
    }
    for _ in 0..5 {
        read(&store, &key(1, 7)).await.unwrap_err();
    }
    let refused = store.get(&key(1, 7), OctetRange::first(Octets(1))).await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.kind, StoreErrorKind::Unavailable);
    assert!(refused.retry_after.is_some(), "{refused}");
    put(&store, &key(2, 8)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_cut_and_hold_no_control_characters() {
    let store = doing("error-flood");
    let error = store.delete(&key(1, 7)).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    assert!(
        text.len() < 1_200 && !text.contains(char::is_control),
        "{} octets",
        text.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p10_deleting_twice_and_what_is_not_there_succeeds_and_putting_twice_does_not() {
    let store = doing("none");
    store.delete(&key(1, 7)).await.unwrap();
    put(&store, &key(1, 7)).await.unwrap();
    assert_eq!(put(&store, &key(1, 7)).await, Err(StoreErrorKind::Conflict));
    for _ in 0..2 {
        store.delete(&key(1, 7)).await.unwrap();
    }
    assert_eq!(read(&store, &key(1, 7)).await, Err(StoreErrorKind::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p04_p05_octets_of_the_right_length_that_were_not_delivered_are_never_verified() {
    let mut spool = Spool::new(SpoolSettings {
        directory: std::env::temp_dir(),
        max_octets: Octets(1 << 20),
    });
    spool.write(BODY).await;
    let measured = *spool.finish().await.unwrap().measured();
    for (misdeed, is_good) in [("none", true), ("wrong", false)] {
        let store = Arc::new(doing(misdeed));
        put(&store, &key(1, 7)).await.unwrap();
        let mut stores = BlobStores::new();
        stores.add(StorageId(1), "main", store).unwrap();
        let reference = BodyRef {
            storage: StorageId(1),
            blob: key(1, 7),
            octets: measured.octets,
            header_octets: measured.header_octets,
            crc64: measured.crc64,
            header_crc64: measured.header_crc64,
            has_dot_lines: measured.has_dot_lines,
        };
        let mut body = Body::whole(&stores, &reference).await.unwrap();
        while body.next().await.unwrap().is_some() {}
        assert_eq!(body.finish().is_ok(), is_good, "{misdeed}");
    }
}

/// How many calls the instance that answers has had, of `n` calls in a row.
async fn calls_of_the_last_instance(limits: Limits, n: usize) -> usize {
    let store = support::store(hostile(), r#"{"misdeed":"count"}"#, limits);
    let mut said = String::new();
    for _ in 0..n {
        said = store.delete(&key(1, 7)).await.unwrap_err().to_string();
    }
    let digits: String = said.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_replaced_after_its_uses_and_its_age() {
    let generous = Limits::default();
    assert_eq!(calls_of_the_last_instance(generous, 7).await, 7);
    let few = Limits { uses: 3, ..generous };
    assert_eq!(calls_of_the_last_instance(few, 7).await, 1);
    let young = Limits {
        age: Duration::ZERO,
        ..generous
    };
    assert_eq!(calls_of_the_last_instance(young, 7).await, 1);
    // What it holds is more than half of what it may.
    let tight = Limits {
        memory: 4 * 1024 * 1024,
        ..generous
    };
    assert_eq!(calls_of_the_last_instance(tight, 7).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_replaced_after_the_octets_it_moved() {
    let store = support::store(
        hostile(),
        r#"{"misdeed":"count"}"#,
        Limits {
            octets: BODY.len() as u64 * 3,
            ..Limits::default()
        },
    );
    let mut counts = Vec::new();
    for number in 1..=4 {
        put(&store, &key(1, number)).await.unwrap();
        let said = store.delete(&key(1, 7)).await.unwrap_err().to_string();
        let digits: String = said.chars().filter(char::is_ascii_digit).collect();
        counts.push(digits.parse::<usize>().unwrap());
    }
    assert_eq!(counts, [1, 2, 1, 2], "the third message was one too many");
}

/// Values that take their time.
#[derive(Debug, Default)]
struct SlowValues(MemoryKeyValueStore);

#[async_trait]
impl KeyValueStore for SlowValues {
    async fn get(&self, space: &KeySpace, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.0.get(space, key).await
    }

    async fn set(&self, space: &KeySpace, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.0.set(space, key, value).await
    }

    async fn compare_and_set(
        &self,
        space: &KeySpace,
        key: &str,
        old: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        self.0.compare_and_set(space, key, old, value).await
    }

    async fn delete(&self, space: &KeySpace, key: &str) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.0.delete(space, key).await
    }

    async fn keys(
        &self,
        space: &KeySpace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.0.keys(space, prefix, after, limit).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_the_host_is_not_computing() {
    // Twenty parts, each removed by a call to the host within one call: 600 ms of waiting.
    let plugin = support::plugin("memory");
    let store = support::store_over(plugin, "{}", strict(), Arc::new(SlowValues::default()));
    let body = vec![0; 20 * 256 * 1024];
    let mut reader = BytesReader::from(Bytes::from(body.clone()));
    store
        .put(&key(1, 7), Octets::of(&body), &mut reader)
        .await
        .unwrap();
    store.delete(&key(1, 7)).await.unwrap();
}

#[test]
fn p08_what_is_no_plugin_is_refused() {
    let host = support::host();
    for octets in [&b""[..], b"not wasm", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"] {
        let error = host.compile(octets, &Grants::default()).unwrap_err();
        assert!(
            matches!(
                error,
                InstallError::NotAComponent(_) | InstallError::MissingExport(_)
            ),
            "{error}"
        );
    }
    let mut cut = support::component("memory");
    cut.truncate(cut.len() / 2);
    assert!(matches!(
        host.compile(&cut, &support::key_value()),
        Err(InstallError::NotAComponent(_))
    ));
}

#[test]
fn an_import_without_a_grant_is_refused_by_name() {
    let error = support::host()
        .compile(&support::component("memory"), &Grants::default())
        .unwrap_err();
    assert!(matches!(error, InstallError::NotGranted(_)), "{error}");
    assert!(
        error.to_string().contains("restante:storage/key-value@1"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_and_storages_do_not_see_each_others_values() {
    let values = Arc::new(MemoryKeyValueStore::default());
    let one = support::store_over(hostile(), "{}", strict(), values.clone());
    put(&one, &key(1, 7)).await.unwrap();
    assert_eq!(read(&one, &key(2, 7)).await, Err(StoreErrorKind::NotFound));
    let other = Setting {
        storage: "other".into(),
        ..support::setting("{}", values)
    };
    let other = PluginBlobStore::new(support::slot(hostile(), strict()), other);
    assert_eq!(read(&other, &key(1, 7)).await, Err(StoreErrorKind::NotFound));
}
