//! What a mechanism is, and which there are.

use std::fmt::Debug;

use crate::Claim;
use crate::login::Login;
use crate::plain::Plain;

/// One authentication exchange by one mechanism. Octets in, octets out; base64 is not its concern.
pub trait Mechanism: Debug + Send {
    /// Begins the exchange, with the client's initial response if it sent one (RFC 5034 section 4).
    fn begin(&mut self, initial: Option<&[u8]>) -> SaslStep;

    /// Takes the client's answer to the last challenge.
    fn respond(&mut self, response: &[u8]) -> SaslStep;
}

/// What a mechanism wants next.
#[derive(Debug)]
pub enum SaslStep {
    /// Send this challenge and hand in the answer.
    Challenge(Vec<u8>),
    /// Decide on this claim; the exchange is over.
    Verify(Claim),
    /// The client broke the mechanism's rules; the exchange is over.
    Fail(SaslError),
}

/// How a client broke the rules. Nothing was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The client sent `*` (RFC 5034 section 4).
    #[error("authentication cancelled")]
    Cancelled,
    /// The response is not base64, or not what the mechanism prescribes.
    #[error("malformed authentication response")]
    Malformed,
    /// The client wants to act as somebody else than it authenticates as.
    #[error("acting for another identity is not permitted")]
    Authorization,
}

/// A mechanism that the server knows.
#[derive(Clone, Copy, Debug)]
pub struct MechanismRow {
    /// Its registered name (RFC 4422 section 3.1).
    pub name: &'static str,
    /// Begins an exchange.
    pub start: fn() -> Box<dyn Mechanism>,
}

/// The registry, strongest first. A new mechanism is a file and a row.
pub const MECHANISMS: &[MechanismRow] = &[
    MechanismRow {
        name: "PLAIN",
        start: || Box::new(Plain),
    },
    MechanismRow {
        name: "LOGIN",
        start: || Box::new(Login::default()),
    },
];
