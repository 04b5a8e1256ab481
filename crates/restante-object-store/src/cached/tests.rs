//! Blobs in memory are read without another thread, and the disk never holds the thread that asks.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails its test")]

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use restante_store::{BlobKey, BlobReader, BlobStore, BytesReader, OctetRange, StoreErrorKind};
use restante_types::{Octets, TenantId};
use rustix::fs::{CWD, FileType, Mode};
use rustix::io::{Errno, ReadWriteFlags};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::LocalBlobStore;

/// How long a call may take that needs nobody, on a machine that does something else.
const SOON: Duration = Duration::from_secs(20);
/// How long a call is watched that cannot end.
const A_WHILE: Duration = Duration::from_millis(100);

thread_local! {
    /// From where on nothing is in memory, as far as this thread knows. A disk may be so quick that it has answered
    /// before a read that does not wait returns; so tests say themselves what is not there.
    static FORGOTTEN_FROM: Cell<u64> = const { Cell::new(u64::MAX) };
    /// How often this thread read what is in memory.
    static N_READ: Cell<usize> = const { Cell::new(0) };
}

/// How many of `octets` from `offset` on may be in memory.
pub(super) fn remembered(octets: usize, offset: u64) -> usize {
    N_READ.set(N_READ.get() + 1);
    let most = FORGOTTEN_FROM.get().saturating_sub(offset);
    octets.min(usize::try_from(most).unwrap_or(usize::MAX))
}

fn forget_from(offset: u64) {
    FORGOTTEN_FROM.set(offset);
}

/// A store with one turn, in a process with one thread that may wait.
struct Scene {
    runtime: Runtime,
    directory: TempDir,
    store: LocalBlobStore,
}

/// Keeps the thread that may wait, until it is dropped.
struct Busy(#[expect(dead_code, reason = "dropped, it wakes the thread")] Sender<()>);

impl Scene {
    fn new() -> Self {
        // Not where files are made for a while: that may be memory, whose file system cannot tell what is in memory.
        let program = std::env::current_exe().unwrap();
        let directory = TempDir::new_in(program.parent().unwrap()).unwrap();
        let store = LocalBlobStore::open(directory.path().join("blobs"), 1).unwrap();
        let runtime = Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let scene = Self {
            runtime,
            directory,
            store,
        };
        let (key, _) = scene.put(1);
        assert_eq!(
            scene.in_memory(key, 0, 1),
            Ok(1),
            "the build directory must be on a file system that tells what is in memory: ext4, XFS or Btrfs"
        );
        scene
    }

    fn put(&self, octets: usize) -> (BlobKey, Bytes) {
        let key = BlobKey::fresh(TenantId::new(7).unwrap(), SystemTime::UNIX_EPOCH).unwrap();
        let body: Bytes = (0..octets).map(|n| (n % 251).to_le_bytes()[0]).collect();
        let mut reader = BytesReader::from(body.clone());
        let put = self.store.put(&key, Octets::of(&body), &mut reader);
        self.runtime.block_on(put).unwrap();
        (key, body)
    }

    fn path(&self, key: BlobKey) -> PathBuf {
        self.directory.path().join("blobs").join(key.path())
    }

    /// How many of `octets` from `offset` on the kernel has in memory without a gap.
    fn in_memory(&self, key: BlobKey, offset: u64, octets: usize) -> Result<usize, Errno> {
        let mut octets = vec![0; octets];
        let mut parts = [IoSliceMut::new(&mut octets)];
        let file = File::open(self.path(key)).unwrap();
        rustix::io::preadv2(&file, &mut parts, offset, ReadWriteFlags::NOWAIT)
    }

    fn block_the_thread(&self) -> Busy {
        let (keep, dropped): (_, Receiver<()>) = channel();
        self.runtime.spawn_blocking(move || dropped.recv());
        Busy(keep)
    }

    /// Waits for a call that needs nobody.
    fn soon<T>(&self, call: impl Future<Output = T>) -> T {
        let call = async { tokio::time::timeout(SOON, call).await };
        self.runtime.block_on(call).expect("it waits for the thread")
    }

    /// Whether a call waits for the thread.
    fn waits<T>(&self, call: impl Future<Output = T>) -> bool {
        let call = async { tokio::time::timeout(A_WHILE, call).await };
        self.runtime.block_on(call).is_err()
    }

    fn get(&self, key: BlobKey, range: OctetRange) -> Box<dyn BlobReader> {
        self.soon(self.store.get(&key, range)).unwrap()
    }

    fn read(&self, key: BlobKey, range: OctetRange) -> Vec<u8> {
        let mut reader = self.get(key, range);
        self.soon(async { rest(reader.as_mut()).await })
    }
}

async fn rest(reader: &mut dyn BlobReader) -> Vec<u8> {
    let mut octets = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        assert!(!piece.is_empty());
        octets.extend_from_slice(&piece);
    }
    octets
}

fn range(start: u64, end: u64) -> OctetRange {
    OctetRange {
        start: Octets(start),
        end: Octets(end),
    }
}

#[test]
fn what_is_in_memory_is_read_without_another_thread() {
    let scene = Scene::new();
    let blobs = [1, 2_000, 65_536, 65_537, 1_000_000].map(|octets| scene.put(octets));
    let _busy = scene.block_the_thread();
    assert!(
        scene.waits(scene.store.list(None, 1)),
        "the scene has a thread left"
    );
    for (key, body) in blobs {
        let octets = Octets::of(&body).get();
        assert_eq!(scene.read(key, range(0, octets)), body, "{octets}");
        assert_eq!(scene.read(key, range(octets / 3, octets)), body[body.len() / 3..]);
        assert_eq!(scene.read(key, range(octets, octets)), b"");
    }
}

#[test]
fn what_is_not_in_memory_is_read_from_the_disk() {
    let scene = Scene::new();
    for octets in [2_000, 65_537, 1_000_000] {
        let (key, body) = scene.put(octets);
        forget_from(0);
        assert_eq!(scene.read(key, range(1, Octets::of(&body).get())), body[1..]);
    }
}

#[test]
fn a_piece_half_in_memory_is_read_whole() {
    let scene = Scene::new();
    let (key, body) = scene.put(60_000);
    forget_from(4_096);
    assert_eq!(scene.read(key, range(10, 60_000)), body[10..]);
}

#[test]
fn the_disk_holds_the_thread_that_may_wait_and_no_other() {
    let scene = Scene::new();
    let (cold, cold_body) = scene.put(100_000);
    forget_from(0);
    let busy = scene.block_the_thread();
    let mut reader = scene.get(cold, range(0, 100_000));
    let mut first = reader.next();
    assert!(scene.waits(&mut first));
    drop(busy);
    let first = scene.soon(first).unwrap().unwrap();
    assert_eq!(first, cold_body[..first.len()]);
    assert_eq!(scene.soon(rest(reader.as_mut())), cold_body[first.len()..]);
}

#[test]
fn a_disk_that_hangs_is_not_started_without_end() {
    let scene = Scene::new();
    let ([cold, colder], (warm, warm_body)) = ([100_000; 2].map(|octets| scene.put(octets).0), scene.put(10));
    forget_from(0);
    let busy = scene.block_the_thread();
    let [mut reader, mut other] = [cold, colder].map(|key| scene.get(key, range(0, 100_000)));
    let (mut first, mut second) = (reader.next(), other.next());
    assert!(scene.waits(&mut first));
    assert!(scene.waits(&mut second));
    assert_eq!(N_READ.get(), 1, "the disk was started again");
    forget_from(u64::MAX);
    let mut hot = scene.get(warm, range(0, 10));
    let mut third = hot.next();
    assert!(scene.waits(&mut third), "it might have started the disk");
    drop(busy);
    scene.soon(first).unwrap();
    scene.soon(second).unwrap();
    assert_eq!(scene.soon(third).unwrap().unwrap(), warm_body);
    // What the misses took was given back.
    let _busy = scene.block_the_thread();
    assert_eq!(scene.read(warm, range(0, 10)), warm_body);
}

#[test]
fn whoever_waits_for_the_opening_does_not_wait_again_for_the_first_piece() {
    let scene = Scene::new();
    let (key, body) = scene.put(100_000);
    // A path by way of an open file: the kernel does not follow such links from memory alone.
    let directory = File::open(scene.directory.path()).unwrap();
    let root = PathBuf::from(format!("/proc/self/fd/{}/blobs", directory.as_raw_fd()));
    let store = LocalBlobStore::open(root, 1).unwrap();
    let busy = scene.block_the_thread();
    let mut get = store.get(&key, range(10, 100_000));
    assert!(scene.waits(&mut get), "it was opened from memory");
    drop(busy);
    let mut reader = scene.soon(get).unwrap();
    // The file holds nothing now: what comes was read before.
    let file = OpenOptions::new().write(true).open(scene.path(key)).unwrap();
    file.set_len(0).unwrap();
    let busy = scene.block_the_thread();
    let first = scene.soon(reader.next()).unwrap().unwrap();
    assert_eq!(first, body[10..10 + 65_536]);
    drop(busy);
    let end = scene.soon(reader.next()).unwrap_err();
    assert_eq!(end.kind, StoreErrorKind::Damaged);
    let mut nothing = scene.soon(store.get(&key, range(0, 0))).unwrap();
    assert_eq!(scene.soon(nothing.next()).unwrap(), None);
}

#[test]
fn a_pipe_in_the_place_of_a_blob_does_not_hold_the_caller() {
    let scene = Scene::new();
    let (key, _) = scene.put(10);
    fs::remove_file(scene.path(key)).unwrap();
    rustix::fs::mknodat(CWD, scene.path(key), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let busy = scene.block_the_thread();
    let mut get = scene.store.get(&key, range(0, 10));
    assert!(scene.waits(&mut get));
    // With somebody at its other end a pipe holds nobody.
    let _end = OpenOptions::new()
        .read(true)
        .write(true)
        .open(scene.path(key))
        .unwrap();
    drop(busy);
    assert_eq!(scene.soon(get).err().unwrap().kind, StoreErrorKind::Damaged);
}

#[test]
fn a_blob_that_is_not_there_is_told_from_a_disk_that_is_not_there() {
    let scene = Scene::new();
    let (key, _) = scene.put(10);
    fs::remove_file(scene.path(key)).unwrap();
    let get = || {
        scene
            .soon(scene.store.get(&key, range(0, 10)))
            .err()
            .map(|error| error.kind)
    };
    assert_eq!(get(), Some(StoreErrorKind::NotFound));
    fs::remove_dir_all(scene.directory.path().join("blobs")).unwrap();
    assert_eq!(get(), Some(StoreErrorKind::Unavailable));
}

#[test]
fn a_file_shorter_than_recorded_is_damaged_when_it_is_opened_and_when_it_is_read() {
    let scene = Scene::new();
    let (key, _) = scene.put(100_000);
    let mut reader = scene.get(key, range(0, 100_000));
    let file = OpenOptions::new().write(true).open(scene.path(key)).unwrap();
    file.set_len(99_999).unwrap();
    let get = scene.soon(scene.store.get(&key, range(0, 100_000)));
    assert_eq!(get.err().unwrap().kind, StoreErrorKind::Damaged);
    assert_eq!(scene.soon(reader.next()).unwrap().unwrap().len(), 65_536);
    let end = scene.soon(reader.next()).unwrap_err();
    assert_eq!(end.kind, StoreErrorKind::Damaged);
    let after = scene.soon(reader.next()).unwrap_err();
    assert_eq!(after.kind, StoreErrorKind::Invalid, "the reader is used up");
}

#[test]
fn a_long_blob_in_memory_lets_other_tasks_run() {
    let scene = Scene::new();
    let (key, body) = scene.put(20_000_000);
    let octets = Octets::of(&body).get();
    let mut reader = scene.get(key, range(0, octets));
    let has_run = Arc::new(AtomicBool::new(false));
    let other = Arc::clone(&has_run);
    let n_before = scene.soon(async {
        tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
        let mut n_before = 0;
        while let Some(piece) = reader.next().await.unwrap() {
            if !has_run.load(Ordering::Relaxed) {
                n_before += piece.len();
            }
        }
        n_before
    });
    assert!(n_before < body.len(), "{n_before}");
}
