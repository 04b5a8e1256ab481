//! Blobs as files of a local directory.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use restante_store::{BlobKey, BlobReader, BlobStore, ExactReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::Octets;
use tracing::info;

use crate::directories::{self, Directories};
use crate::fault::{STORE, from_io};
use crate::gate::Gate;
use crate::list;
use crate::read::{self, FileReader};
use crate::staged::{self, Staged};

/// Where blobs are written before they are complete. No tenant has this name: theirs are numbers.
const STAGING: &str = "staging";

/// How much is collected before a write, so that small pieces do not each cost a change of threads.
const BATCH: usize = 256 * 1024;

/// Keeps each blob in a file below one directory: `<tenant>/<shard>/<key>`.
///
/// A blob is written to `staging/`, synced, and linked into its place in one step, then the directories are synced:
/// after a power cut it is there whole or not at all. Files are readable by this user alone. Several processes may use
/// one directory, which must be one local file system that knows hard links and locks. Runs on Unix only.
#[derive(Debug)]
pub struct LocalBlobStore {
    place: Arc<Place>,
    gate: Gate,
}

#[derive(Debug)]
struct Place {
    root: PathBuf,
    staging: PathBuf,
    directories: Directories,
}

impl LocalBlobStore {
    /// Opens the store below `root`, which is made if it is missing (its parent must exist). What an earlier
    /// process left half-written is removed. At most `blocking` calls of the file system run at once.
    ///
    /// Blocks: call it before the server listens.
    ///
    /// # Errors
    /// The directory cannot be made, read or written.
    pub fn open(root: impl Into<PathBuf>, blocking: usize) -> Result<Self, StoreError> {
        let root = root.into();
        let staging = root.join(STAGING);
        prepare(&root, &staging).map_err(|error| from_io(error, "open"))?;
        Ok(Self {
            place: Arc::new(Place {
                root,
                staging,
                directories: Directories::default(),
            }),
            gate: Gate::new(blocking.max(1)),
        })
    }

    /// Writes the batch of octets, if there are any.
    async fn write(&self, staged: Staged, batch: &mut BytesMut) -> Result<Staged, StoreError> {
        let octets = batch.split().freeze();
        if octets.is_empty() {
            return Ok(staged);
        }
        self.gate.run("put", move || write(staged, &octets)).await
    }
}

fn prepare(root: &Path, staging: &Path) -> io::Result<()> {
    directories::make(root)?;
    if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        directories::sync(parent)?;
    }
    directories::make(staging)?;
    let n_removed = staged::clean(staging)?;
    if n_removed > 0 {
        info!(
            store = STORE,
            n_removed, "removed half-written blobs of an earlier run"
        );
    }
    directories::sync(root)
}

fn write(mut staged: Staged, octets: &Bytes) -> Result<Staged, StoreError> {
    staged.write(octets).map_err(|error| from_io(error, "put"))?;
    Ok(staged)
}

impl Place {
    /// Refuses a taken key early; [`Place::publish`] decides.
    fn stage(&self, target: &Path) -> Result<Staged, StoreError> {
        let io = |error| from_io(error, "put");
        if target.try_exists().map_err(io)? {
            return Err(StoreError::new(StoreErrorKind::Conflict, "put", STORE));
        }
        Staged::create(&self.staging).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                StoreError::new(StoreErrorKind::Unavailable, "put", STORE).because(error)
            }
            _ => io(error),
        })
    }

    fn publish(&self, staged: Staged, target: &Path) -> Result<(), StoreError> {
        let directory = target.parent().unwrap_or(&self.root);
        let published = self
            .directories
            .ensure(&self.root, directory)
            .and_then(|()| staged.publish(target));
        published.map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                // A directory was removed behind our back; the next put makes it again.
                for path in directory.ancestors().take_while(|path| *path != self.root) {
                    self.directories.forget(path);
                }
                return StoreError::new(StoreErrorKind::Unavailable, "put", STORE).because(error);
            }
            from_io(error, "put")
        })?;
        directories::sync(directory).map_err(|error| not_durable(error, "put"))
    }

    fn delete(&self, target: &Path) -> Result<(), StoreError> {
        match fs::remove_file(target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.check_mounted("delete")?,
            Err(error) => return Err(from_io(error, "delete")),
        }
        // Also when it was gone: an earlier call may have removed it and failed to make that durable.
        match target.parent().map(directories::sync) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(not_durable(error, "delete")),
            _ => Ok(()),
        }
    }

    fn open(&self, target: &Path, range: OctetRange, gate: Gate) -> Result<FileReader, StoreError> {
        let opened = read::open(target, range, gate);
        if matches!(&opened, Err(error) if error.kind == StoreErrorKind::NotFound) {
            self.check_mounted("get")?;
        }
        opened
    }

    /// Tells a blob that is not there from a disk that is not there.
    fn check_mounted(&self, op: &'static str) -> Result<(), StoreError> {
        match self.staging.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::new(StoreErrorKind::Unavailable, op, STORE)
                .because("the directory of the blobs is gone; is its file system mounted?")),
            Err(error) => Err(from_io(error, op)),
        }
    }
}

/// The change is made, but a power cut may take it back.
fn not_durable(error: io::Error, op: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unknown, op, STORE).because(error)
}

impl fmt::Display for LocalBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl BlobStore for LocalBlobStore {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let target = self.place.root.join(key.path());
        let (place, path) = (Arc::clone(&self.place), target.clone());
        let mut staged = self.gate.run("put", move || place.stage(&path)).await?;
        let mut body = ExactReader::new(body, octets, STORE);
        let mut batch = BytesMut::new();
        while let Some(piece) = body.next().await? {
            batch.extend_from_slice(&piece);
            if batch.len() >= BATCH {
                staged = self.write(staged, &mut batch).await?;
            }
        }
        let staged = self.write(staged, &mut batch).await?;
        let place = Arc::clone(&self.place);
        self.gate.run("put", move || place.publish(staged, &target)).await
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        if range.start > range.end {
            return Err(StoreError::new(StoreErrorKind::Invalid, "get", STORE));
        }
        let target = self.place.root.join(key.path());
        if let Some(reader) = read::open_cached(&target, range, &self.gate) {
            return Ok(Box::new(reader));
        }
        let (place, gate) = (Arc::clone(&self.place), self.gate.clone());
        let reader = self
            .gate
            .run("get", move || place.open(&target, range, gate))
            .await?;
        Ok(Box::new(reader))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        let target = self.place.root.join(key.path());
        let place = Arc::clone(&self.place);
        self.gate.run("delete", move || place.delete(&target)).await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let (place, after) = (Arc::clone(&self.place), after.map(BlobKey::path));
        let listing = move || {
            place.check_mounted("list")?;
            list::after(&place.root, after.as_deref(), limit).map_err(|error| from_io(error, "list"))
        };
        self.gate.run("list", listing).await
    }
}
