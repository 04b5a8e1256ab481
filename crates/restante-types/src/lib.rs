//! Words of the domain: values that cannot be wrong once they exist.
//!
//! This crate performs no I/O, depends on no runtime and knows no protocol. Every other crate speaks in these
//! words, so a size is never confused with a number and an identity is never a string from a client.

mod client;
mod clock;
mod fence;
mod identity;
mod message;
mod octets;
mod secret;

pub use client::ClientAddr;
pub use clock::{Clock, SystemClock};
pub use fence::{Fence, SessionId};
pub use identity::{AccountId, DomainId, MaildropId, TenantId};
pub use message::{MessageId, MessageNumber, UniqueId, UniqueIdError};
pub use octets::Octets;
pub use secret::Secret;
