//! What storage in a plugin costs beside the server's own, and what a plugin that computes without end costs others.
//! Start at [`run`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use restante_object_store::LocalBlobStore;
use restante_plugin::{Grants, Limits, PluginBlobStore, PluginHost, PluginSlot, Setting, Tenants, World};
use restante_store::{
    BlobKey, BlobReader, BlobStore, BytesReader, MemoryKeyValueStore, OctetRange, StoreError,
};
use restante_testkit::{ALICE, Account, PASSWORD, Pop3Client, TestServer, component};
use restante_types::{Clock as _, Octets, Secret, SystemClock, TenantId};

const SMALL: usize = 14 * 1024;
const LARGE: usize = 25 * 1024 * 1024;
/// Messages that a session reads.
const READ: usize = 5;
/// Calls of the plugin that never ends, at the same time.
const SPINNING: usize = 16;

/// Measures all of it, `rounds` times by turns.
pub(crate) async fn run(rounds: usize) -> anyhow::Result<()> {
    ensure!(rounds > 0, "--rounds must be at least 1");
    let host = PluginHost::start()?;
    let folder = std::env::temp_dir().join(format!("restante-bench-{}", std::process::id()));
    std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let outcome = measure(&host, rounds, &folder).await;
    std::fs::remove_dir_all(&folder).ok();
    outcome
}

async fn measure(host: &PluginHost, rounds: usize, folder: &Path) -> anyhow::Result<()> {
    let memory = |name| plugin(host, name, "{}", None);
    sessions(rounds, memory("memory")?).await?;
    large(
        rounds.div_ceil(20),
        "memory",
        memory("memory")?,
        &folder.join("a"),
    )
    .await?;
    let beneath: Arc<dyn BlobStore> = Arc::new(LocalBlobStore::open(folder.join("sealed"), 16)?);
    let seal = plugin(host, "seal", r#"{"key":"key"}"#, Some(beneath))?;
    large(
        rounds.div_ceil(20),
        "seal over a directory",
        seal,
        &folder.join("b"),
    )
    .await?;
    neighbours(host, rounds * 10).await
}

/// A storage over a plugin, with values in memory.
fn plugin(
    host: &PluginHost,
    name: &str,
    config: &str,
    inner: Option<Arc<dyn BlobStore>>,
) -> anyhow::Result<Arc<PluginBlobStore>> {
    let grants = Grants {
        key_value: true,
        inner: true,
        secrets: [("key".to_owned(), Secret::new(vec![7; 32]))].into(),
        http: None,
    };
    let component = std::fs::read(component(name)).context("cargo xtask plugins")?;
    let loaded = host.compile(&component, &grants)?;
    let slot = PluginSlot::new(
        name,
        Limits::default(),
        grants,
        restante_telemetry::Telemetry::default(),
    );
    slot.set(loaded);
    let setting = Setting {
        storage: name.into(),
        world: World::BlobStore,
        config: config.into(),
        values: Arc::new(MemoryKeyValueStore::default()),
        inner,
        tenants: Arc::new(NoTenants),
    };
    Ok(Arc::new(PluginBlobStore::new(Arc::new(slot), setting)))
}

#[derive(Debug)]
struct NoTenants;

#[async_trait]
impl Tenants for NoTenants {
    async fn from(&self, _: TenantId) -> Result<Vec<TenantId>, StoreError> {
        Ok(Vec::new())
    }
}

/// Whole sessions, the octets in memory or in the plugin.
async fn sessions(rounds: usize, store: Arc<PluginBlobStore>) -> anyhow::Result<()> {
    let own = TestServer::start().await;
    let behind = TestServer::builder()
        .wrap_blobs(move |_| store as Arc<dyn BlobStore>)
        .start()
        .await;
    for server in [&own, &behind] {
        for nth in 0..READ {
            server
                .backends
                .deliver(Account::Alice, &message(nth, SMALL))
                .await;
        }
    }
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..rounds + 10 {
        for (nth, server) in [&own, &behind].into_iter().enumerate() {
            let begun = SystemClock.now();
            session(server).await;
            // The first ones make instances and connections.
            if round >= 10 {
                took[nth].push(begun.elapsed());
            }
        }
    }
    let [own, behind] = took.map(median);
    println!(
        "whole session, {READ} RETR of {} KiB: memory {own:?}, plugin memory {behind:?}, ratio {:.2}",
        SMALL / 1024,
        ratio(behind, own)
    );
    Ok(())
}

async fn session(server: &TestServer) {
    let mut client: Pop3Client = server.tls_client().await;
    client.ok(&format!("USER {ALICE}")).await;
    client.ok(&format!("PASS {PASSWORD}")).await;
    client.ok("STAT").await;
    client.listing("UIDL").await;
    for nth in 1..=READ {
        client.message(&format!("RETR {nth}")).await;
    }
    client.quit().await;
}

/// One large blob, read from a directory or from the plugin.
async fn large(rounds: usize, name: &str, store: Arc<PluginBlobStore>, folder: &Path) -> anyhow::Result<()> {
    let stores: [Arc<dyn BlobStore>; 2] = [Arc::new(LocalBlobStore::open(folder, 16)?), store];
    let key = key(1, 1)?;
    let body = Bytes::from(message(0, LARGE));
    for store in &stores {
        put(&**store, &key, &body).await?;
    }
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..rounds.max(5) {
        for (nth, store) in stores.iter().enumerate() {
            let begun = SystemClock.now();
            read(&**store, &key, body.len()).await?;
            took[nth].push(begun.elapsed());
        }
    }
    let [own, behind] = took.map(median);
    println!(
        "25 MB read: directory {own:?}, plugin {name} {behind:?}, throughput {:.2} of the directory's",
        ratio(own, behind)
    );
    Ok(())
}

/// What a tenant's reads take while another tenant's plugin computes without end.
async fn neighbours(host: &PluginHost, reads: usize) -> anyhow::Result<()> {
    let good = plugin(host, "memory", "{}", None)?;
    let body = Bytes::from(message(0, SMALL));
    put(&*good, &key(2, 1)?, &body).await?;
    let mut took = [Vec::new(), Vec::new()];
    for turn in 0..6 {
        let is_disturbed = turn % 2 == 1;
        // A fresh one each time: after some faults nobody calls it any more.
        let bad = plugin(host, "hostile", r#"{"misdeed":"spin"}"#, None)?;
        for number in 1..=SPINNING {
            put(&*bad, &key(1, number as u128)?, &body).await?;
        }
        let stop = Arc::new(AtomicBool::new(!is_disturbed));
        let spinning: Vec<_> = (1..=SPINNING).map(|number| spin(&bad, &stop, number)).collect();
        took[usize::from(is_disturbed)].extend(asked(&good, body.len(), reads / 3).await?);
        stop.store(true, Ordering::Relaxed);
        for task in spinning {
            task.await?;
        }
    }
    for times in &mut took {
        times.sort_unstable();
    }
    for (what, part) in [("median", 50), ("p99", 99)] {
        let [quiet, disturbed] = [0, 1].map(|nth| took[nth][took[nth].len() * part / 100]);
        println!(
            "a neighbour's reads, {what}: {quiet:?} alone, {disturbed:?} beside {SPINNING} calls that never end, ratio {:.2}",
            ratio(disturbed, quiet)
        );
    }
    Ok(())
}

/// Times of reads as a client sees them: from a thread of its own to a task that reads, and back.
async fn asked(store: &Arc<PluginBlobStore>, octets: usize, n: usize) -> anyhow::Result<Vec<Duration>> {
    let (ask, mut questions) = tokio::sync::mpsc::channel::<()>(1);
    let (answer, answers) = std::sync::mpsc::channel::<()>();
    let (store, key) = (Arc::clone(store), key(2, 1)?);
    let serving = tokio::spawn(async move {
        while questions.recv().await.is_some() {
            read(&*store, &key, octets).await?;
            answer.send(())?;
        }
        anyhow::Ok(())
    });
    let asking = tokio::task::spawn_blocking(move || {
        let mut times = Vec::with_capacity(n);
        for _ in 0..n {
            let begun = SystemClock.now();
            ask.blocking_send(())?;
            answers.recv()?;
            times.push(begun.elapsed());
            std::thread::sleep(Duration::from_micros(200));
        }
        anyhow::Ok(times)
    });
    let times = asking.await??;
    serving.await??;
    Ok(times)
}

/// Calls again and again what never ends.
fn spin(store: &Arc<PluginBlobStore>, stop: &Arc<AtomicBool>, number: usize) -> tokio::task::JoinHandle<()> {
    let (store, stop) = (Arc::clone(store), Arc::clone(stop));
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            let Ok(key) = key(1, number as u128) else { return };
            if store.get(&key, OctetRange::first(Octets(1))).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    })
}

fn key(tenant: i64, number: u128) -> anyhow::Result<BlobKey> {
    let tenant = TenantId::new(tenant).context("a tenant's number")?;
    Ok(BlobKey { tenant, number })
}

async fn put(store: &dyn BlobStore, key: &BlobKey, body: &Bytes) -> anyhow::Result<()> {
    let mut reader = BytesReader::in_pieces(body.clone(), 64 * 1024);
    Ok(store.put(key, Octets::of(body), &mut reader).await?)
}

async fn read(store: &dyn BlobStore, key: &BlobKey, octets: usize) -> anyhow::Result<()> {
    let mut reader: Box<dyn BlobReader> = store.get(key, OctetRange::first(Octets(octets as u64))).await?;
    let mut n = 0;
    while let Some(piece) = reader.next().await? {
        n += piece.len();
    }
    ensure!(n == octets, "{n} octets came of {octets}");
    Ok(())
}

fn message(nth: usize, octets: usize) -> Vec<u8> {
    restante_conformance::mail(nth, octets).to_vec()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
