//! What a mechanism is, and which there are.

use std::fmt::Debug;

use crate::bearer::Bearer;
use crate::external::External;
use crate::login::Login;
use crate::oauthbearer::OAUTHBEARER;
use crate::plain::Plain;
use crate::scram::Scram;
use crate::xoauth2::XOAUTH2;
use crate::{ChannelBinding, Claim, LoginMechanism};

/// Longest name that a mechanism with a syntax of its own for names accepts, in octets after decoding.
pub(crate) const NAME_OCTETS: usize = 1024;

/// One authentication exchange by one mechanism. Octets in, octets out; base64 is not its concern.
pub trait Mechanism: Debug + Send {
    /// Begins the exchange, with the client's initial response if it sent one (RFC 5034 section 4).
    ///
    /// This one is for mechanisms in which the client speaks first: without an initial response it asks for it by an
    /// empty challenge.
    fn begin(&mut self, initial: Option<&[u8]>) -> SaslStep {
        match initial {
            Some(response) => self.respond(response),
            None => SaslStep::Challenge(Vec::new()),
        }
    }

    /// Takes the client's answer to the last challenge.
    fn respond(&mut self, response: &[u8]) -> SaslStep;

    /// Takes what [`SaslStep::Salt`] asked for. Only SCRAM asks.
    fn salted(&mut self, _salting: &Salting) -> SaslStep {
        SaslStep::Fail(SaslError::Refused)
    }

    /// The claim was granted: a last challenge, which the client answers with an empty response, if the mechanism has
    /// one. `server_signature` is what SCRAM's says, see [`scram::server_signature`](crate::scram::server_signature).
    fn granted(&mut self, _server_signature: Option<&[u8]>) -> Option<Vec<u8>> {
        None
    }

    /// The claim was refused: a last challenge, whose answer does not matter, if the mechanism has one.
    fn refused(&mut self) -> Option<Vec<u8>> {
        None
    }
}

/// What a mechanism wants next.
#[derive(Debug)]
pub enum SaslStep {
    /// Send this challenge and hand in the answer.
    Challenge(Vec<u8>),
    /// Hand in the [`Salting`] of this account. One that does not exist needs one too, always the same, or the answer
    /// tells who exists.
    Salt {
        /// The name exactly as the client means it, decoded but not normalised: UTF-8, at most 1024 octets.
        name: Vec<u8>,
    },
    /// Decide on this claim; then only [`Mechanism::granted`] or [`Mechanism::refused`] may follow.
    Verify(Claim),
    /// The client broke the mechanism's rules; the exchange is over.
    Fail(SaslError),
}

/// What SCRAM tells a client before it proves itself.
#[derive(Clone, Debug)]
pub struct Salting {
    /// The salt of the account's keys; not empty.
    pub salt: Vec<u8>,
    /// How often the account's password was hashed; not zero.
    pub iterations: u32,
    /// The server's part of the nonce: printable ASCII without comma, never the same twice.
    pub nonce: String,
}

/// Why an exchange ended without a claim. Nothing was verified.
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
    /// The response is well formed, and what it says cannot be accepted: another channel, another nonce, no proof, an
    /// extension that the client insists on.
    #[error("authentication refused")]
    Refused,
}

/// A mechanism that the server knows.
#[derive(Clone, Copy, Debug)]
pub struct MechanismRow {
    /// Which it is.
    pub mechanism: LoginMechanism,
    /// Begins an exchange on a connection that offers this to bind to.
    pub start: fn(&ChannelBinding) -> Box<dyn Mechanism>,
}

/// The registry, strongest first. A new mechanism is a file and a row.
pub const MECHANISMS: &[MechanismRow] = &[
    MechanismRow {
        mechanism: LoginMechanism::External,
        start: |_| Box::new(External),
    },
    MechanismRow {
        mechanism: LoginMechanism::ScramSha256Plus,
        start: |binding| Box::new(Scram::bound(binding)),
    },
    MechanismRow {
        mechanism: LoginMechanism::ScramSha256,
        start: |binding| Box::new(Scram::unbound(binding)),
    },
    MechanismRow {
        mechanism: LoginMechanism::OauthBearer,
        start: |_| Box::new(Bearer::new(&OAUTHBEARER)),
    },
    MechanismRow {
        mechanism: LoginMechanism::Xoauth2,
        start: |_| Box::new(Bearer::new(&XOAUTH2)),
    },
    MechanismRow {
        mechanism: LoginMechanism::Plain,
        start: |_| Box::new(Plain),
    },
    MechanismRow {
        mechanism: LoginMechanism::Login,
        start: |_| Box::new(Login::default()),
    },
];
