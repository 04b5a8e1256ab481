//! What of the files is in memory, told without a wait for the disk, so that no other thread is needed to wait.
//!
//! Only Linux tells. Elsewhere, on older kernels and on file systems that do not know how (tmpfs, overlays), nothing is
//! in memory: the caller waits as if this were not here.

#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
#[cfg(target_os = "linux")]
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

/// Opens `path` if that takes nothing from the disk. An error says that it was not opened, and never why: only who
/// waits for the disk knows.
#[cfg(target_os = "linux")]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // What is no file after all, such as a pipe without a writer, must not hold the caller either.
    let flags = READING | OFlags::NONBLOCK;
    let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED)?;
    Ok(file.into())
}

/// Reads up to `octets` from `offset` on into `piece`, as far as they are in memory without a gap; perhaps none. What
/// was in `piece` is lost.
///
/// Linux starts the disk for the missing ones, and does not wait for them.
///
/// # Errors
/// The file system does not know how, or the octets cannot be read at all: it is no use to try again.
#[cfg(target_os = "linux")]
pub(crate) fn read(file: &File, mut piece: Vec<u8>, octets: usize, offset: u64) -> io::Result<Vec<u8>> {
    #[cfg(test)]
    let octets = tests::remembered(octets, offset);
    piece.resize(octets, 0);
    let mut parts = [io::IoSliceMut::new(&mut piece)];
    let n_read = match rustix::io::preadv2(file, &mut parts, offset, ReadWriteFlags::NOWAIT) {
        Ok(n_read) => n_read,
        Err(Errno::AGAIN | Errno::INTR) => 0,
        Err(error) => return Err(error.into()),
    };
    piece.truncate(n_read);
    Ok(piece)
}

/// Opens `path`, however long the disk takes.
#[cfg(target_os = "linux")]
pub(crate) fn open_waiting(path: &Path) -> io::Result<File> {
    match retry_on_intr(|| rustix::fs::open(path, READING, Mode::empty())) {
        Ok(file) => Ok(file.into()),
        // Another user's file, which this one may read.
        Err(Errno::PERM) => File::open(path),
        Err(error) => Err(error.into()),
    }
}

/// Without a note of the time of access: making it can wait for the disk, also when the octets are in memory.
#[cfg(target_os = "linux")]
const READING: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOATIME);

#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_path: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn read(_file: &File, _piece: Vec<u8>, _octets: usize, _offset: u64) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn open_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}
