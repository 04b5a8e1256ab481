//! What a tenant lays down for its users' logins and sessions. Start at [`Policy`].

use std::time::Duration;

use restante_sasl::LoginMechanism;
use serde::{Deserialize, Serialize};

/// The rules of one tenant. The directory keeps it as one JSON document, whose keys are the names of these fields.
///
/// A key that a document lacks has its default here, and one that this release does not know is passed over, so that
/// frontends of two releases can share a directory while one replaces the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// How its users may log in. SCRAM needs keys, which are made when a password is set, or shown at a login, while
    /// a SCRAM mechanism is listed.
    pub mechanisms: Vec<LoginMechanism>,
    /// The oldest TLS that a login may come over.
    pub tls: TlsRequirement,
    /// Whether only application passwords open a maildrop, not the account's own password.
    pub app_passwords_only: bool,
    /// The least time between two logins of one account, in seconds (RFC 2449 section 6.5); 0 is none.
    pub login_delay_secs: u32,
    /// How many logins may come at once before `login_delay_secs` holds, at least 1.
    pub login_burst: u32,
    /// After how many days a message is removed, whether it was read or not (EXPIRE, RFC 2449 section 6.7). `None`:
    /// never.
    pub expire_days: Option<u32>,
    /// How many sessions the tenant's users together may have open. `None`: no limit but the server's.
    pub max_sessions: Option<u32>,
    /// How many octets of messages one account may read in 24 hours. `None`: no limit.
    pub max_octets_per_day: Option<u64>,
    /// Only so many of the newest messages are listed; the others stay where they are. `None`: all.
    pub listing_messages: Option<u32>,
    /// Only messages that came within so many days are listed; the others stay where they are. `None`: all.
    pub listing_days: Option<u32>,
    /// Whose access tokens open a maildrop (OAUTHBEARER, XOAUTH2). At most 8.
    pub oauth: Vec<OauthProvider>,
}

impl Default for Policy {
    /// A password over whatever the listener permits, and no limits.
    fn default() -> Self {
        Self {
            mechanisms: vec![LoginMechanism::User, LoginMechanism::Plain, LoginMechanism::Login],
            tls: TlsRequirement::default(),
            app_passwords_only: false,
            login_delay_secs: 0,
            login_burst: 1,
            expire_days: None,
            max_sessions: None,
            max_octets_per_day: None,
            listing_messages: None,
            listing_days: None,
            oauth: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether its users may log in that way.
    pub fn permits(&self, mechanism: LoginMechanism) -> bool {
        self.mechanisms.contains(&mechanism)
    }

    /// The ways to log in that are permitted, strongest first.
    pub fn announced(&self) -> Vec<LoginMechanism> {
        let all = LoginMechanism::ALL.into_iter();
        all.filter(|mechanism| self.permits(*mechanism)).collect()
    }

    /// Whether SCRAM keys are to be kept beside a password's hash.
    pub fn wants_scram(&self) -> bool {
        self.permits(LoginMechanism::ScramSha256) || self.permits(LoginMechanism::ScramSha256Plus)
    }

    /// The least time between two logins of one account; zero is none.
    pub const fn login_delay(&self) -> Duration {
        Duration::from_secs(self.login_delay_secs as u64)
    }
}

/// The oldest TLS that a login may come over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsRequirement {
    /// Whatever the listener permits; on one that is declared trusted also none.
    #[default]
    Listener,
    /// TLS 1.2 or 1.3.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsRequirement {
    /// Whether a connection of that kind is good enough.
    pub fn admits(self, transport: Transport) -> bool {
        match self {
            Self::Listener => true,
            Self::Tls12 => transport >= Transport::Tls12,
            Self::Tls13 => transport >= Transport::Tls13,
        }
    }
}

/// What protects a connection, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Nothing, on a listener that is declared trusted.
    Trusted,
    /// TLS 1.2, or TLS of an unknown version that a trusted proxy ended.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Who issues access tokens, and how they are checked: against published keys, or by asking the issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthProvider {
    /// What tokens must say in `iss`, exactly; with introspection, if they say it at all.
    pub issuer: String,
    /// What tokens must say in `aud`, or the introspection's answer, one of these.
    pub audiences: Vec<String>,
    /// The claim that holds the login name: `email` by default, or `sub`, `preferred_username`, `username`.
    #[serde(default = "email")]
    pub name_claim: String,
    /// A scope that a token must have, if any.
    #[serde(default)]
    pub scope: Option<String>,
    /// How tokens are checked.
    #[serde(flatten)]
    pub check: TokenCheck,
}

fn email() -> String {
    "email".to_owned()
}

/// How a token is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenCheck {
    /// Tokens are signed (RFC 7519), the keys are published (RFC 7517).
    Keys {
        /// Where: `https`, or `http` to a loopback address.
        jwks_url: String,
    },
    /// The issuer is asked about every token (RFC 7662).
    Introspection {
        /// Where: `https`, or `http` to a loopback address.
        introspection_url: String,
        /// As whom the server asks.
        client_id: String,
        /// The secret for it, sealed by the server's keys (see [`Keyring`](crate::Keyring)), in base64.
        sealed_client_secret: String,
    },
}

impl TokenCheck {
    /// Where the issuer is asked.
    pub fn url(&self) -> &str {
        match self {
            Self::Keys { jwks_url } => jwks_url,
            Self::Introspection {
                introspection_url, ..
            } => introspection_url,
        }
    }
}
