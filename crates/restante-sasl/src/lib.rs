//! SASL server mechanisms without I/O (RFC 4422), a file each.
//!
//! A mechanism turns the client's responses into a [`Claim`]: what the client says it is and how it wants to prove
//! it. Whether the claim is true is decided elsewhere, and whoever decides brings what a mechanism needs of the
//! outside: the salt of an account, a fresh nonce, the octets that a TLS connection is bound by. Start at
//! [`Exchange`]; a new mechanism is a file and a row of [`MECHANISMS`].

mod bearer;
mod binding;
mod claim;
mod exchange;
mod external;
mod gs2;
mod login;
mod login_mechanism;
mod mechanism;
mod oauthbearer;
mod plain;
pub mod scram;
mod xoauth2;

pub use binding::ChannelBinding;
pub use claim::Claim;
pub use exchange::{Exchange, Turn};
pub use login_mechanism::LoginMechanism;
pub use mechanism::{MECHANISMS, Mechanism, MechanismRow, Salting, SaslError, SaslStep};
