//! Every refusal a client can read: one table from what happened to response code and text.

use restante_wire::{RespCode, response};

/// Why a command is refused or a connection ended.
///
/// Texts are fixed: nothing a client sent is ever repeated to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    // The line itself.
    /// No such command.
    UnknownCommand,
    /// The command's arguments are malformed.
    Syntax,
    /// The command belongs to another state.
    WrongState,
    /// A line longer than the limit.
    LineTooLong,
    /// Too many bad commands.
    TooManyBadCommands,

    // AUTHORIZATION.
    /// Credentials, or STLS, without TLS where it is needed.
    TlsRequired,
    /// STLS inside TLS, or where there is no TLS.
    StlsNotAvailable,
    /// PASS without USER.
    NameFirst,
    /// No such SASL mechanism here.
    UnknownMechanism,
    /// The SASL exchange was cancelled by the client.
    Cancelled,
    /// The SASL response is malformed.
    MalformedResponse,
    /// The credentials were evaluated and refused. The same for unknown, disabled and wrong.
    Credentials,
    /// Too many attempts: not evaluated.
    TooManyAttempts,
    /// A service that is needed for a verdict or for the maildrop does not answer.
    Unavailable,
    /// Another session holds the maildrop.
    InUse,
    /// The last login was too short a while ago; the credentials were right.
    LoginDelay,
    /// The tenant has as many sessions open as it may.
    TooManySessions,
    /// The client took too long to log in.
    LoginTimeout,
    /// No such language.
    UnknownLanguage,

    // TRANSACTION.
    /// No message of that number, or it is marked as deleted.
    NoSuchMessage,
    /// The account may not delete.
    ReadOnly,
    /// The message needs UTF-8 mode (RFC 6856 section 5).
    NeedsUtf8,
    /// The account has read as much in a day as it may.
    ReadLimit,
    /// The body cannot be had now.
    BodyUnavailable,
    /// The body is not there, or its storage does not let us: an operator has to mend it.
    BodyMissing,
    /// The body is not what was delivered.
    BodyDamaged,
    /// The client was silent for too long.
    IdleTimeout,
    /// The session lasted too long.
    SessionTooLong,
    /// A later session holds the maildrop.
    Superseded,
    /// The account was suspended or closed meanwhile.
    AccountDisabled,

    // UPDATE.
    /// Nothing was deleted.
    NotDeleted,
    /// A later session holds the maildrop; nothing was deleted.
    Expired,
    /// It cannot be known whether messages were deleted: all of them or none.
    OutcomeUnknown,

    // The server.
    /// It is about to stop.
    ShuttingDown,
    /// It serves as many connections as it can.
    TooManyConnections,
}

impl Refusal {
    /// Response code and text (RFC 2449 section 8, RFC 3206, RFC 6856 section 5).
    ///
    /// The only place that says `[AUTH]`: after an evaluation, never before one (RFC 3206 section 5).
    pub const fn code_and_text(self) -> (Option<RespCode>, &'static str) {
        use RespCode::{Auth, InUse, LoginDelay, SysPerm, SysTemp, Utf8};
        match self {
            Self::UnknownCommand => (None, "Unknown command"),
            Self::Syntax => (None, "Malformed arguments"),
            Self::WrongState => (None, "Command not valid in this state"),
            Self::LineTooLong => (None, "Line too long"),
            Self::TooManyBadCommands => (None, "Too many bad commands"),
            Self::TlsRequired => (Some(SysPerm), "TLS required, use STLS or port 995"),
            Self::StlsNotAvailable => (None, "STLS not available"),
            Self::NameFirst => (None, "USER first"),
            Self::UnknownMechanism => (None, "Unknown mechanism"),
            Self::Cancelled => (None, "Authentication cancelled"),
            Self::MalformedResponse => (None, "Malformed authentication response"),
            Self::Credentials => (Some(Auth), "Authentication failed"),
            Self::TooManyAttempts => (Some(SysTemp), "Too many attempts, try later"),
            Self::Unavailable => (Some(SysTemp), "Service temporarily unavailable"),
            Self::InUse => (Some(InUse), "Maildrop is locked by another session"),
            Self::LoginDelay => (Some(LoginDelay), "Minimum time between logins not over"),
            Self::TooManySessions => (Some(SysTemp), "Too many sessions, try later"),
            Self::LoginTimeout => (Some(SysTemp), "Login timeout"),
            Self::UnknownLanguage => (None, "Unknown language"),
            Self::NoSuchMessage => (None, "No such message"),
            Self::ReadOnly => (Some(SysPerm), "Maildrop is read-only"),
            Self::NeedsUtf8 => (Some(Utf8), "Message needs UTF-8 mode"),
            Self::ReadLimit => (Some(SysTemp), "Daily download limit reached, try later"),
            Self::BodyUnavailable => (Some(SysTemp), "Message temporarily unavailable"),
            Self::BodyMissing => (Some(SysPerm), "Message body unavailable"),
            Self::BodyDamaged => (Some(SysPerm), "Message damaged, contact support"),
            Self::IdleTimeout => (Some(SysTemp), "Idle timeout"),
            Self::SessionTooLong => (Some(SysTemp), "Session too long"),
            Self::Superseded => (Some(SysTemp), "Session superseded"),
            Self::AccountDisabled => (Some(SysPerm), "Account disabled"),
            Self::NotDeleted => (Some(SysTemp), "Messages not deleted"),
            Self::Expired => (Some(SysTemp), "Session expired, messages not deleted"),
            Self::OutcomeUnknown => (Some(SysTemp), "Outcome unknown, check again"),
            Self::ShuttingDown => (Some(SysTemp), "Server shutting down"),
            Self::TooManyConnections => (Some(SysTemp), "Too many connections"),
        }
    }

    /// The name in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCommand => "unknown_command",
            Self::Syntax => "syntax",
            Self::WrongState => "wrong_state",
            Self::LineTooLong => "line_too_long",
            Self::TooManyBadCommands => "too_many_bad_commands",
            Self::TlsRequired => "tls_required",
            Self::StlsNotAvailable => "stls_not_available",
            Self::NameFirst => "name_first",
            Self::UnknownMechanism => "unknown_mechanism",
            Self::Cancelled => "cancelled",
            Self::MalformedResponse => "malformed_response",
            Self::Credentials => "credentials",
            Self::TooManyAttempts => "too_many_attempts",
            Self::Unavailable => "unavailable",
            Self::InUse => "in_use",
            Self::LoginDelay => "login_delay",
            Self::TooManySessions => "too_many_sessions",
            Self::LoginTimeout => "login_timeout",
            Self::UnknownLanguage => "unknown_language",
            Self::NoSuchMessage => "no_such_message",
            Self::ReadOnly => "read_only",
            Self::NeedsUtf8 => "needs_utf8",
            Self::ReadLimit => "read_limit",
            Self::BodyUnavailable => "body_unavailable",
            Self::BodyMissing => "body_missing",
            Self::BodyDamaged => "body_damaged",
            Self::IdleTimeout => "idle_timeout",
            Self::SessionTooLong => "session_too_long",
            Self::Superseded => "superseded",
            Self::AccountDisabled => "account_disabled",
            Self::NotDeleted => "not_deleted",
            Self::Expired => "expired",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::ShuttingDown => "shutting_down",
            Self::TooManyConnections => "too_many_connections",
        }
    }

    /// Writes the `-ERR` line.
    pub fn write(self, out: &mut Vec<u8>) {
        let (code, text) = self.code_and_text();
        response::err(out, code, text);
    }
}
