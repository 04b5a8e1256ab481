//! What the local directory promises beyond the contract: leftovers, damage, modes.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use restante_object_store::LocalBlobStore;
use restante_store::{BlobKey, BlobReader, BlobStore, BytesReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::{Octets, TenantId};
use tempfile::TempDir;

struct Scene {
    directory: TempDir,
    store: LocalBlobStore,
    key: BlobKey,
}

impl Scene {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = LocalBlobStore::open(directory.path().join("blobs"), 2).unwrap();
        let key = BlobKey::fresh(TenantId::new(7).unwrap(), SystemTime::UNIX_EPOCH).unwrap();
        Self {
            directory,
            store,
            key,
        }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("blobs")
    }

    fn file(&self) -> PathBuf {
        self.root().join(self.key.path())
    }

    async fn put(&self, octets: usize) -> Result<(), StoreErrorKind> {
        let mut body = BytesReader::from(Bytes::from(vec![b'm'; octets]));
        let put = self.store.put(&self.key, Octets(octets as u64), &mut body).await;
        put.map_err(|error| error.kind)
    }

    async fn get(&self, octets: u64) -> Result<Box<dyn BlobReader>, StoreErrorKind> {
        let get = self.store.get(&self.key, OctetRange::first(Octets(octets))).await;
        get.map_err(|error| error.kind)
    }
}

/// Waits until the staging directory is empty: a dropped writer cleans up on a thread of its own.
async fn staging_is_empty(root: &Path) -> bool {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while fs::read_dir(root.join("staging")).unwrap().next().is_some() {
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

#[tokio::test]
async fn a_blob_lies_where_its_key_says() {
    let scene = Scene::new();
    scene.put(1_000).await.unwrap();
    assert_eq!(fs::read(scene.file()).unwrap(), vec![b'm'; 1_000]);
}

#[tokio::test]
async fn nobody_else_may_read() {
    let scene = Scene::new();
    scene.put(10).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = scene.file();
    assert_eq!(mode(&file), 0o600);
    for directory in file.ancestors().skip(1).take(3) {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    assert_eq!(mode(&scene.root().join("staging")), 0o700);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_removed_when_the_store_opens() {
    let scene = Scene::new();
    scene.put(10).await.unwrap();
    let leftover = scene.root().join("staging/0");
    fs::write(&leftover, "half a mess").unwrap();
    LocalBlobStore::open(scene.root(), 2).unwrap();
    assert!(!leftover.exists());
    assert!(scene.file().exists(), "only leftovers are removed");
}

#[tokio::test]
async fn a_store_that_opens_leaves_alone_what_another_is_writing() {
    let scene = Scene::new();
    let mut body = Stalled(false);
    let put = scene.store.put(&scene.key, Octets(600_000), &mut body);
    let mut put = std::pin::pin!(put);
    let staging = scene.root().join("staging");
    while fs::read_dir(&staging).unwrap().next().is_none() {
        let progress = tokio::time::timeout(Duration::from_millis(1), &mut put).await;
        assert!(progress.is_err(), "the body never ends");
    }
    LocalBlobStore::open(scene.root(), 2).unwrap();
    assert!(fs::read_dir(&staging).unwrap().next().is_some());
}

#[tokio::test]
async fn a_successful_put_leaves_nothing_in_staging() {
    let scene = Scene::new();
    scene.put(600_000).await.unwrap();
    assert!(staging_is_empty(&scene.root()).await);
}

#[tokio::test]
async fn a_failed_put_leaves_nothing_in_staging() {
    let scene = Scene::new();
    let mut body = BytesReader::from(Bytes::from_static(b"short"));
    let put = scene.store.put(&scene.key, Octets(600_000), &mut body).await;
    assert_eq!(put.unwrap_err().kind, StoreErrorKind::Damaged);
    assert_eq!(scene.put(5).await, Ok(()));
    assert_eq!(scene.put(5).await, Err(StoreErrorKind::Conflict));
    assert!(staging_is_empty(&scene.root()).await);
}

/// Gives one piece, then waits for ever.
struct Stalled(bool);

#[async_trait]
impl BlobReader for Stalled {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if std::mem::replace(&mut self.0, true) {
            std::future::pending::<()>().await;
        }
        Ok(Some(Bytes::from(vec![b'm'; 300_000])))
    }
}

#[tokio::test]
async fn a_cancelled_put_leaves_nothing_in_staging() {
    let scene = Scene::new();
    let mut body = Stalled(false);
    let put = scene.store.put(&scene.key, Octets(600_000), &mut body);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), put)
            .await
            .is_err()
    );
    assert!(staging_is_empty(&scene.root()).await);
    assert!(!scene.file().exists());
}

#[tokio::test]
async fn a_truncated_file_is_damaged() {
    let scene = Scene::new();
    scene.put(1_000).await.unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(scene.file())
        .unwrap()
        .set_len(999)
        .unwrap();
    assert_eq!(scene.get(1_000).await.err(), Some(StoreErrorKind::Damaged));
}

#[tokio::test]
async fn a_file_truncated_while_it_is_read_is_damaged() {
    let scene = Scene::new();
    scene.put(1_000_000).await.unwrap();
    let mut reader = scene.get(1_000_000).await.unwrap();
    reader.next().await.unwrap().unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(scene.file())
        .unwrap()
        .set_len(300_000)
        .unwrap();
    let end = loop {
        match reader.next().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end.unwrap_err().kind, StoreErrorKind::Damaged);
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_found() {
    let scene = Scene::new();
    scene.put(10).await.unwrap();
    fs::remove_file(scene.file()).unwrap();
    assert_eq!(scene.get(10).await.err(), Some(StoreErrorKind::NotFound));
}

#[tokio::test]
async fn directories_removed_behind_our_back_are_made_again() {
    let scene = Scene::new();
    scene.put(10).await.unwrap();
    fs::remove_dir_all(scene.file().parent().unwrap()).unwrap();
    assert_eq!(scene.put(10).await, Err(StoreErrorKind::Unavailable));
    assert_eq!(scene.put(10).await, Ok(()));
    assert!(scene.get(10).await.is_ok());
}

#[tokio::test]
async fn a_disk_that_is_not_mounted_is_unavailable_and_not_empty() {
    let scene = Scene::new();
    scene.put(10).await.unwrap();
    fs::rename(scene.root(), scene.directory.path().join("elsewhere")).unwrap();
    fs::create_dir(scene.root()).unwrap();
    assert_eq!(scene.get(10).await.err(), Some(StoreErrorKind::Unavailable));
    assert_eq!(scene.put(10).await, Err(StoreErrorKind::Unavailable));
    let deleted = scene.store.delete(&scene.key).await;
    assert_eq!(deleted.unwrap_err().kind, StoreErrorKind::Unavailable);
}
