//! The ways to log in, as policies and records name them.

use std::fmt;

/// A way to log in: USER with PASS, or a SASL mechanism by its registered name (RFC 4422 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoginMechanism {
    /// USER and PASS (RFC 1939 section 7).
    User,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, never standardised.
    Login,
    /// SCRAM-SHA-256 (RFC 5802, RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-256-PLUS: bound to the TLS connection by `tls-exporter` (RFC 9266).
    ScramSha256Plus,
    /// OAUTHBEARER (RFC 7628).
    OauthBearer,
    /// XOAUTH2, its forerunner.
    Xoauth2,
    /// EXTERNAL: the certificate that the client showed in the TLS handshake (RFC 4422 appendix A).
    External,
}

impl LoginMechanism {
    /// All of them, strongest first: the order in which they are announced.
    pub const ALL: [Self; 8] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::OauthBearer,
        Self::Xoauth2,
        Self::Plain,
        Self::Login,
        Self::User,
    ];

    /// Its name; `USER` for the one that is no SASL mechanism.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
        }
    }

    /// The one of that name, exactly as [`Self::name`] writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Whether it is begun by AUTH.
    pub const fn is_sasl(self) -> bool {
        !matches!(self, Self::User)
    }
}

impl fmt::Display for LoginMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for LoginMechanism {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for LoginMechanism {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| serde::de::Error::custom("no such way to log in"))
    }
}
