//! What the session wants from whoever drives it, and what it gets.

use std::sync::Arc;
use std::time::Duration;

use restante_sasl::{Claim, Salting};
use restante_types::MessageNumber;
use restante_wire::Expire;

use crate::{DeleteSet, Receipts, Refusal, Snapshot};

/// What to do next. Output that has gathered is to be sent before waiting for anything.
#[derive(Debug)]
#[must_use = "a step that is not taken leaves the client waiting"]
pub enum Step<R: Receipts> {
    /// Send the output, then hand in more octets.
    NeedInput,
    /// Send the output, then ask again.
    Flush,
    /// Do this, hand in the answer, then ask again. At most one request is outstanding.
    Ask(Request<R>),
    /// Send the output and close.
    Close(CloseReason),
}

/// Something that only the outside can do.
#[derive(Debug)]
pub enum Request<R: Receipts> {
    /// Send the output, begin TLS, and build a new [`Session`](crate::Session) on it. There is no answer: this
    /// session is over, with everything the client sent in the clear.
    StartTls,
    /// Look up the salt of this name for a SCRAM exchange, or make one up. Answered by [`Answer::Salt`].
    Salt(Vec<u8>),
    /// Decide on credentials. Answered by [`Answer::Verdict`].
    Verify(Claim),
    /// Lock the maildrop and take its snapshot. Answered by [`Answer::Opened`].
    Open(R::Authenticated),
    /// Open a body. Answered by [`Answer::Body`].
    Body {
        /// Which message.
        message: MessageNumber,
        /// How much of it.
        cut: Cut,
    },
    /// Send the body that was opened, stuffed, behind the output. Answered by [`Answer::Sent`]; if that cannot be
    /// had, the connection is dropped after [`Session::abandon`](crate::Session::abandon).
    Send,
    /// Remove these messages, all or none. Answered by [`Answer::Committed`].
    Commit(DeleteSet),
    /// Give the maildrop back. Answered by [`Answer::Released`], also when it failed.
    Release,
}

/// How much of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it (RETR).
    Whole,
    /// The header section, the empty line, and so many lines of the body (TOP).
    Top {
        /// Lines of the body.
        lines: u64,
    },
}

/// The outcome of a [`Request`].
#[derive(Debug)]
pub enum Answer<R: Receipts> {
    /// Of [`Request::Salt`].
    Salt(Result<Salting, Refusal>),
    /// Of [`Request::Verify`].
    Verdict(Result<R::Authenticated, Refusal>),
    /// Of [`Request::Open`].
    Opened(Result<Opened, Refusal>),
    /// Of [`Request::Body`].
    Body(Result<(), Refusal>),
    /// Of [`Request::Send`].
    Sent(R::Verified),
    /// Of [`Request::Commit`].
    Committed(Result<R::Committed, Refusal>),
    /// Of [`Request::Release`].
    Released,
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Salt,
    Verify,
    Open,
    Body,
    Send,
    Commit,
    Release,
}

impl<R: Receipts> Request<R> {
    /// `None` if there is no answer to it.
    pub(crate) const fn question(&self) -> Option<Question> {
        match self {
            Self::StartTls => None,
            Self::Salt(_) => Some(Question::Salt),
            Self::Verify(_) => Some(Question::Verify),
            Self::Open(_) => Some(Question::Open),
            Self::Body { .. } => Some(Question::Body),
            Self::Send => Some(Question::Send),
            Self::Commit(_) => Some(Question::Commit),
            Self::Release => Some(Question::Release),
        }
    }
}

impl<R: Receipts> Answer<R> {
    pub(crate) const fn question(&self) -> Question {
        match self {
            Self::Salt(_) => Question::Salt,
            Self::Verdict(_) => Question::Verify,
            Self::Opened(_) => Question::Open,
            Self::Body(_) => Question::Body,
            Self::Sent(_) => Question::Send,
            Self::Committed(_) => Question::Commit,
            Self::Released => Question::Release,
        }
    }
}

/// A maildrop that this session holds now.
#[derive(Debug)]
pub struct Opened {
    /// Its messages.
    pub snapshot: Arc<Snapshot>,
    /// Whether the account may delete.
    pub may_delete: bool,
    /// This account's EXPIRE, where it differs from the listener's.
    pub expire: Option<Expire>,
    /// This account's LOGIN-DELAY, where it differs from the listener's; zero is none.
    pub login_delay: Option<Duration>,
}

/// An answer to a question that was not asked: a mistake of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session did not ask for this answer")]
pub struct UnexpectedAnswer;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The account was suspended or closed.
    AccountDisabled,
    /// A body could not be sent to its end.
    BodyFault,
    /// The client closed the connection.
    Disconnected,
    /// The client speaks another protocol.
    ForeignProtocol,
    /// Silent for too long.
    IdleTimeout,
    /// A line longer than the limit.
    LineTooLong,
    /// Not logged in in time.
    LoginTimeout,
    /// Octets came behind STLS in the clear.
    PipelinedBehindStls,
    /// QUIT.
    Quit,
    /// The session lasted too long.
    SessionTooLong,
    /// The server stops.
    ShuttingDown,
    /// The client reads too slowly, or the connection broke while writing.
    SlowReader,
    /// A later session holds the maildrop.
    Superseded,
    /// TLS could not be begun.
    TlsFailed,
    /// Too many bad commands.
    TooManyBadCommands,
    /// Too many refused logins.
    TooManyFailures,
}

impl CloseReason {
    /// The name in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountDisabled => "account_disabled",
            Self::BodyFault => "body_fault",
            Self::Disconnected => "disconnected",
            Self::ForeignProtocol => "foreign_protocol",
            Self::IdleTimeout => "idle_timeout",
            Self::LineTooLong => "line_too_long",
            Self::LoginTimeout => "login_timeout",
            Self::PipelinedBehindStls => "pipelined_behind_stls",
            Self::Quit => "quit",
            Self::SessionTooLong => "session_too_long",
            Self::ShuttingDown => "shutting_down",
            Self::SlowReader => "slow_reader",
            Self::Superseded => "superseded",
            Self::TlsFailed => "tls_failed",
            Self::TooManyBadCommands => "too_many_bad_commands",
            Self::TooManyFailures => "too_many_failures",
        }
    }
}
