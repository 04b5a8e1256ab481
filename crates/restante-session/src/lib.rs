//! The POP3 session as a state machine without I/O.
pub mod snapshot;
pub use snapshot::{DeleteSet, Entry, Snapshot, SnapshotBuilder, SnapshotError};
