//! The async driver of POP3: a session, a stream and the contracts.
//!
//! Does what the pure session asks for: TLS, verdicts, locks, snapshots, bodies, commits. Decides nothing about the
//! protocol and names no technology. Start at [`Pop3Service`].

mod body;
mod drive;
mod entry;
mod expiry;
mod fault;
mod hold;
mod oversight;
mod ports;
mod service;
mod sessions;
mod suspects;
mod update;
mod window;

pub use entry::Entry;
pub use expiry::Expiry;
pub use oversight::{LastSeen, OnRoster, Oversight};
pub use ports::Ports;
pub use service::{Pop3Service, Pop3Settings, refusal_line};
pub use sessions::{LiveSession, SessionRegistry};
