//! SASL server mechanisms without I/O (RFC 4422), a file each.
//!
//! A mechanism turns the client's responses into a [`Claim`]: what the client says it is and how it wants to prove
//! it. Whether the claim is true is decided elsewhere. Start at [`Exchange`].

mod claim;
mod exchange;
mod login;
mod mechanism;
mod plain;

pub use claim::Claim;
pub use exchange::{Exchange, Turn};
pub use mechanism::{MECHANISMS, Mechanism, MechanismRow, SaslError, SaslStep};
