//! What is installed, exchanged, disabled and put back while it is used.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its part of the support"
)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use restante_plugin::{
    Compiler, InstallError, Limits, NativeCache, PluginBlobStore, PluginSlot, Plugins, digest,
};
use restante_store::{
    BlobKey, BlobStore, BytesReader, MemoryKeyValueStore, MemoryPluginRegistry, OctetRange, PluginRegistry,
    StoreErrorKind,
};
use restante_types::{Octets, TenantId};

/// A program that compiles for its parent, as the server does.
fn compiler() -> Compiler {
    let mut program = std::env::current_exe().unwrap();
    program.pop();
    program.pop();
    Compiler::new(program.join("examples/compile-plugin"), [] as [&str; 0])
}

fn nobody() -> Compiler {
    Compiler::new("/bin/false", [] as [&str; 0])
}

struct Scene {
    registry: Arc<MemoryPluginRegistry>,
    slot: Arc<PluginSlot>,
    plugins: Plugins,
    store: PluginBlobStore,
    cache: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let registry = Arc::new(MemoryPluginRegistry::default());
        let slot = Arc::new(PluginSlot::new(
            "keeper",
            Limits::default(),
            support::key_value(),
            restante_telemetry::Telemetry::default(),
        ));
        let values = Arc::new(MemoryKeyValueStore::default());
        let store = PluginBlobStore::new(Arc::clone(&slot), support::setting(config, values));
        Self {
            plugins: plugins(compiler(), &cache, &registry, &slot),
            registry,
            slot,
            store,
            cache,
            _folder: folder,
        }
    }

    async fn install(&self, component: Vec<u8>) {
        let digest = digest(&component);
        self.registry
            .install("keeper", digest, component, SystemTime::UNIX_EPOCH)
            .await
            .unwrap();
        self.plugins.look().await.unwrap();
    }

    async fn put(&self, number: u128, body: &[u8]) -> Result<(), StoreErrorKind> {
        let mut reader = BytesReader::from(Bytes::copy_from_slice(body));
        let put = self.store.put(&key(number), Octets::of(body), &mut reader).await;
        put.map_err(|error| error.kind)
    }

    async fn refusal(&self) -> String {
        let range = OctetRange::first(Octets(1));
        let error = self.store.get(&key(1), range).await.err().unwrap();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
        error.to_string()
    }
}

fn plugins(
    compiler: Compiler,
    cache: &PathBuf,
    registry: &Arc<MemoryPluginRegistry>,
    slot: &Arc<PluginSlot>,
) -> Plugins {
    Plugins::new(
        support::host().clone(),
        compiler,
        NativeCache::open(cache).unwrap(),
        Arc::clone(registry) as _,
        [Arc::clone(slot)],
    )
}

fn key(number: u128) -> BlobKey {
    BlobKey {
        tenant: TenantId::new(1).unwrap(),
        number,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_can_be_called_from_its_installation_to_its_removal() {
    let scene = Scene::new("{}");
    assert!(scene.refusal().await.contains("not loaded yet"));
    scene.plugins.look().await.unwrap();
    assert!(scene.refusal().await.contains("restante plugin install"));
    scene.install(support::component("memory")).await;
    scene.put(1, b"one").await.unwrap();
    scene.registry.set_enabled("keeper", false).await.unwrap();
    scene.plugins.look().await.unwrap();
    assert!(scene.refusal().await.contains("disabled"));
    assert_eq!(scene.put(2, b"two").await, Err(StoreErrorKind::Unavailable));
    scene.registry.set_enabled("keeper", true).await.unwrap();
    scene.plugins.look().await.unwrap();
    scene.put(2, b"two").await.unwrap();
    scene.registry.remove("keeper").await.unwrap();
    scene.plugins.look().await.unwrap();
    assert!(scene.refusal().await.contains("not installed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_on_with_the_version_that_it_began_with() {
    let scene = Scene::new("{}");
    scene.install(support::component("memory")).await;
    let body: Vec<u8> = (0..=255).cycle().take(6_000_000).collect();
    scene.put(1, &body).await.unwrap();
    let mut reader = scene
        .store
        .get(&key(1), OctetRange::first(Octets::of(&body)))
        .await
        .unwrap();
    let mut all = reader.next().await.unwrap().unwrap().to_vec();
    // Of another format: it finds nothing of what the first has put.
    scene.install(support::component("hostile")).await;
    let error = scene
        .store
        .get(&key(1), OctetRange::first(Octets(1)))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, StoreErrorKind::NotFound);
    while let Some(piece) = reader.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    assert!(all == body);
    scene
        .registry
        .roll_back("keeper", SystemTime::UNIX_EPOCH)
        .await
        .unwrap();
    scene.plugins.look().await.unwrap();
    scene
        .store
        .get(&key(1), OctetRange::first(Octets(1)))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_take_over_leaves_the_version_before_in_force() {
    let scene = Scene::new(r#"{"misdeed":"unhealthy"}"#);
    scene.install(support::component("memory")).await;
    scene.put(1, b"one").await.unwrap();
    for wrong in [
        support::component("hostile"),
        support::component("seal"),
        support::component("shelf"),
        b"no component".to_vec(),
    ] {
        scene.install(wrong).await;
        scene
            .store
            .get(&key(1), OctetRange::first(Octets(3)))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiled_code_is_kept_and_a_damaged_file_is_compiled_again() {
    let scene = Scene::new("{}");
    let component = support::component("memory");
    scene.plugins.load(&component, &scene.slot).await.unwrap();
    let files: Vec<PathBuf> = std::fs::read_dir(&scene.cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);

    let without = plugins(nobody(), &scene.cache, &scene.registry, &scene.slot);
    without.load(&component, &scene.slot).await.unwrap();
    let mut octets = std::fs::read(&files[0]).unwrap();
    *octets.last_mut().unwrap() ^= 1;
    std::fs::write(&files[0], octets).unwrap();
    let error = without.load(&component, &scene.slot).await.unwrap_err();
    assert!(matches!(error, InstallError::Compiler(_)), "{error}");
    scene.plugins.load(&component, &scene.slot).await.unwrap();
    without.load(&component, &scene.slot).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p08_the_compiler_is_a_process_that_may_take_so_much() {
    let scene = Scene::new("{}");
    let too_large = vec![0; restante_plugin::LARGEST_COMPONENT + 1];
    for (component, is_expected) in [
        (
            &b"no component"[..],
            (|error| matches!(error, InstallError::NotAComponent(_))) as fn(&_) -> bool,
        ),
        (&too_large, |error| matches!(error, InstallError::TooLarge(_))),
    ] {
        let error = scene.plugins.load(component, &scene.slot).await.unwrap_err();
        assert!(is_expected(&error), "{error}");
    }
    assert!(
        std::fs::read_dir(&scene.cache).unwrap().next().is_none(),
        "nothing is kept"
    );
}
