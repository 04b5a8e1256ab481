//! Compiled components on disk, so that a start takes milliseconds.
//!
//! Code that is run must be this program's own: the folder is its user's alone, and each file begins with the SHA-256 of
//! the rest, which finds what a disk has damaged.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use restante_store::ComponentDigest;
use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::engine::NativeCode;
use crate::error::InstallError;

/// Files that are kept: a provider's plugins in a few versions each.
const KEPT: usize = 64;

/// A folder of compiled components.
#[derive(Clone, Debug)]
pub struct NativeCache {
    folder: PathBuf,
}

impl NativeCache {
    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or others may write into it.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, InstallError> {
        let folder = folder.into();
        let refuse = |why: String| InstallError::Cache {
            path: folder.clone(),
            why,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| refuse(error.to_string()))?;
        let about = fs::symlink_metadata(&folder).map_err(|error| refuse(error.to_string()))?;
        if !about.is_dir() || about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o022 != 0
        {
            return Err(refuse(
                "compiled plugins are kept here: it must be a folder of the server's user that nobody else can write to"
                    .to_owned(),
            ));
        }
        Ok(Self { folder })
    }

    /// What was kept of a component for an engine. A file that cannot be used is as good as none.
    pub(crate) fn find(&self, component: &ComponentDigest, fingerprint: u64) -> Option<NativeCode> {
        let path = self.path(component, fingerprint);
        let octets = fs::read(&path).ok()?;
        let (digest, code) = octets.split_first_chunk::<32>()?;
        if *digest == <[u8; 32]>::from(Sha256::digest(code)) {
            return Some(NativeCode(code.to_vec()));
        }
        warn!(path = %path.display(), "a compiled plugin is damaged on disk; it is compiled again");
        None
    }

    /// Keeps compiled code, whole or not at all. Without it the next start compiles again.
    pub(crate) fn keep(&self, component: &ComponentDigest, fingerprint: u64, code: &NativeCode) {
        let path = self.path(component, fingerprint);
        if let Err(error) = write(&path, code).and_then(|()| self.prune()) {
            warn!(path = %path.display(), %error, "a compiled plugin is not kept");
        }
    }

    fn path(&self, component: &ComponentDigest, fingerprint: u64) -> PathBuf {
        let name = format!("{}-{fingerprint:016x}.native", hex(component));
        self.folder.join(name)
    }

    /// Removes the oldest files above the number that is kept.
    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "native") {
                files.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        files.sort();
        let n_surplus = files.len().saturating_sub(KEPT);
        files
            .iter()
            .take(n_surplus)
            .try_for_each(|(_, path)| fs::remove_file(path))
    }
}

fn write(path: &Path, code: &NativeCode) -> io::Result<()> {
    // Of two processes that write at the same time each has a file of its own.
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(&Sha256::digest(&code.0))?;
    file.write_all(&code.0)?;
    fs::rename(&part, path)
}

/// A digest as people see it.
pub fn hex(digest: &ComponentDigest) -> String {
    let digits = digest.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_kept_is_found_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = NativeCache::open(folder.path().join("cache")).unwrap();
        let (digest, code) = ([7; 32], NativeCode(b"code".to_vec()));
        assert!(cache.find(&digest, 1).is_none());
        cache.keep(&digest, 1, &code);
        assert_eq!(cache.find(&digest, 1).unwrap().0, b"code");
        assert!(cache.find(&digest, 2).is_none(), "of another engine");

        let path = cache.path(&digest, 1);
        let mut octets = fs::read(&path).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        fs::write(&path, octets).unwrap();
        assert!(cache.find(&digest, 1).is_none());
    }

    #[test]
    fn a_folder_that_others_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = NativeCache::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("nobody else can write to"), "{refused}");
    }

    #[test]
    fn the_oldest_of_too_many_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = NativeCache::open(folder.path().join("cache")).unwrap();
        for nth in 0..70 {
            cache.keep(&[nth; 32], 1, &NativeCode(vec![nth]));
        }
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), KEPT);
        assert!(cache.find(&[69; 32], 1).is_some());
    }
}
