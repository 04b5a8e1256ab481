//! Directories that survive a power cut before anything is put into them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Makes directories below a root, and knows which ones are durable.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    durable: Mutex<HashSet<PathBuf>>,
}

impl Directories {
    /// Makes `path` and what is missing between it and `root`, readable by this user alone; all of it is durable
    /// when this returns, whoever made it.
    pub(crate) fn ensure(&self, root: &Path, path: &Path) -> io::Result<()> {
        if path == root || self.is_durable(path) {
            return Ok(());
        }
        let parent = path
            .parent()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.ensure(root, parent)?;
        make(path)?;
        // Also when it was there before: another call may have made it a moment ago and not yet synced it.
        sync(parent)?;
        self.durable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned());
        Ok(())
    }

    fn is_durable(&self, path: &Path) -> bool {
        self.durable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(path)
    }

    /// Forgets `path`: somebody removed it behind our back.
    pub(crate) fn forget(&self, path: &Path) {
        self.durable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(path);
    }
}

/// Makes a directory that only this user reads. One that is there already is fine.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        answer => answer,
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
