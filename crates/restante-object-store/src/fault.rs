//! From the operating system's errors to kinds of trouble.

use std::io;

use restante_store::{StoreError, StoreErrorKind};

/// The name of this store in errors and logs.
pub(crate) const STORE: &str = "file";

/// An error of the file system. Its text names no path: the key is in the caller's log line.
pub(crate) fn from_io(error: io::Error, op: &'static str) -> StoreError {
    StoreError::new(kind(&error), op, STORE).because(error)
}

fn kind(error: &io::Error) -> StoreErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => StoreErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => StoreErrorKind::Conflict,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreErrorKind::Full
        }
        io::ErrorKind::UnexpectedEof => StoreErrorKind::Damaged,
        io::ErrorKind::TimedOut => StoreErrorKind::Timeout,
        _ => StoreErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_full_and_a_closed_door_is_denied() {
        const ENOSPC: i32 = 28;
        const EDQUOT: i32 = 122;
        const EACCES: i32 = 13;
        const EROFS: i32 = 30;
        const EIO: i32 = 5;
        let kinds =
            [ENOSPC, EDQUOT, EACCES, EROFS, EIO].map(|code| kind(&io::Error::from_raw_os_error(code)));
        let (full, denied) = (StoreErrorKind::Full, StoreErrorKind::Denied);
        assert_eq!(kinds, [full, full, denied, denied, StoreErrorKind::Unavailable]);
    }
}
