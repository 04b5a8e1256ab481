//! What a listener and a tenant lay down for a session.

use std::time::Duration;

use restante_sasl::{ChannelBinding, LoginMechanism};
use restante_wire::{Expire, LineLimits};

/// Whether a password may cross this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Neither TLS nor declared trusted: no credentials.
    Clear,
    /// Declared trusted in the configuration, though it is not TLS.
    Trusted,
    /// Inside TLS.
    Tls,
}

/// What the TLS handshake offers to a login. Nothing, on a connection without TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// What a SCRAM-SHA-256-PLUS exchange is bound to.
    pub binding: ChannelBinding,
    /// Whether the client showed a certificate that was verified.
    pub certificate: bool,
}

/// The least time between two logins of one account (RFC 2449 section 6.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginDelay {
    /// The time; zero announces nothing.
    pub at_most: Duration,
    /// Whether a user's own value may be smaller, which is announced after the login.
    pub per_user: bool,
}

/// Limits and announcements of a session.
///
/// Client quirks that are served on purpose, each with the client that needs it:
/// - bare LF ends a command line (`limits.accept_bare_lf`): scripts and appliances, `USER a\n`
/// - one space at the end of a command: Outlook, `AUTH \r\n`
/// - `AUTH` without argument lists the mechanisms: Outlook, before RFC 2449
/// - the name as initial response of `AUTH LOGIN`: libcurl with `--sasl-ir`
#[derive(Clone, Debug)]
pub struct SessionPolicy {
    /// The name of the implementation in CAPA; `None` keeps it to ourselves.
    pub implementation: Option<String>,
    /// Whether STLS is offered on connections without TLS.
    pub stls: bool,
    /// Ways to log in that are offered, in the order of CAPA. SCRAM-SHA-256-PLUS and EXTERNAL only where the TLS
    /// handshake offers what they need.
    pub mechanisms: Vec<LoginMechanism>,
    /// Whether UTF8 and LANG (RFC 6856) are offered. If so, messages that need UTF-8 mode are refused to clients
    /// outside it with `[UTF8]`; if not, they are sent as they are stored.
    pub utf8: bool,
    /// How long a client may take to log in, from connecting on.
    pub login_timeout: Duration,
    /// How long a client may stay silent in TRANSACTION; at least 10 minutes (RFC 1939 section 3).
    pub idle_timeout: Duration,
    /// How long a session may last in all.
    pub session_max: Duration,
    /// After how many bad commands the connection is closed.
    pub bad_commands: u32,
    /// After how many refused logins the connection is closed.
    pub failed_logins: u32,
    /// Limits of lines.
    pub limits: LineLimits,
    /// What is announced before the login; it is enforced elsewhere.
    pub login_delay: LoginDelay,
    /// How long messages stay on the server: announced before the login, and `None` announces nothing.
    pub expire: Option<Expire>,
    /// Octets of output after which a long listing pauses until they are sent.
    pub high_water: usize,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            implementation: Some("Restante".into()),
            stls: true,
            mechanisms: vec![LoginMechanism::Plain, LoginMechanism::Login, LoginMechanism::User],
            utf8: false,
            login_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(10),
            session_max: Duration::from_hours(2),
            bad_commands: 10,
            failed_logins: 3,
            limits: LineLimits::default(),
            login_delay: LoginDelay::default(),
            expire: Some(Expire::Never),
            high_water: 32 * 1024,
        }
    }
}

impl SessionPolicy {
    /// Whether a way to log in is offered on a connection with these facts.
    pub(crate) fn offers(&self, mechanism: LoginMechanism, tls: &TlsFacts) -> bool {
        self.mechanisms.contains(&mechanism)
            && match mechanism {
                LoginMechanism::ScramSha256Plus => tls.binding.is_available(),
                LoginMechanism::External => tls.certificate,
                _ => true,
            }
    }

    /// The SASL mechanisms offered, by name, in the order of CAPA.
    pub(crate) fn sasl_names(&self, tls: &TlsFacts) -> Vec<&'static str> {
        self.mechanisms
            .iter()
            .filter(|mechanism| mechanism.is_sasl() && self.offers(**mechanism, tls))
            .map(|mechanism| mechanism.name())
            .collect()
    }
}
