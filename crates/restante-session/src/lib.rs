//! The POP3 session (RFC 1939) as a state machine without I/O.
//!
//! Octets and time go in, octets and requests come out. This crate performs no I/O, reads no clock and knows no
//! store; whoever drives it does what a [`Request`] asks for and hands in the [`Answer`]. Start at [`Session`].

mod authorization;
mod command;
mod leaving;
mod policy;
mod receipts;
mod reply;
mod served;
mod session;
mod snapshot;
mod step;
mod summary;
mod transaction;

pub use policy::{Channel, LoginDelay, SessionPolicy, TlsFacts};
pub use receipts::{Access, Receipts, Removed};
pub use reply::Refusal;
pub use served::Served;
pub use session::Session;
pub use snapshot::{DeleteSet, Entry, Snapshot, SnapshotBuilder, SnapshotError};
pub use step::{Answer, CloseReason, Cut, Opened, Request, Step, UnexpectedAnswer};
pub use summary::SessionSummary;
