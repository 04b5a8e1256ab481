//! A blob that is being written, out of sight until it is complete.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::warn;

/// Counts the files that this process has staged, over all stores.
static N_STAGED: AtomicU64 = AtomicU64::new(0);

/// A file in the staging directory. Dropped, it is removed.
///
/// It is locked as long as its writer lives, so that another process that opens the store, such as a tool beside the
/// server, tells it from what a crash left behind.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
}

impl Staged {
    /// Makes a new file that only this user reads.
    pub(crate) fn create(staging: &Path) -> io::Result<Self> {
        loop {
            let number = N_STAGED.fetch_add(1, Ordering::Relaxed);
            let path = staging.join(format!("{}-{number}", std::process::id()));
            let file = match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
            {
                Ok(file) => file,
                // Left by a crash of a process that had this number; removed when the store is opened next.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            // Whoever cleans up may have come between the making and the lock: then the file is gone.
            if try_lock(&file)? && file.metadata()?.nlink() > 0 {
                return Ok(Self { file, path });
            }
        }
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.write_all(octets)
    }

    /// Makes the octets durable, then the file visible as `target`; the caller makes that durable.
    ///
    /// A hard link is made in one step and never replaces a file, unlike a rename.
    pub(crate) fn publish(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::hard_link(&self.path, target)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            // It is removed when the store is opened next.
            warn!(%error, store = crate::fault::STORE, "staged file not removed");
        }
    }
}

/// Removes what writers that died left behind; answers how many files that were.
pub(crate) fn clean(staging: &Path) -> io::Result<usize> {
    let mut n_removed = 0;
    for entry in fs::read_dir(staging)? {
        let path = entry?.path();
        match File::open(&path) {
            Ok(file) if try_lock(&file)? => {
                fs::remove_file(&path)?;
                n_removed += 1;
            }
            // Being written, or gone meanwhile.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_removed)
}

/// Takes the lock of a file until it is closed; `false` if somebody else has it.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
