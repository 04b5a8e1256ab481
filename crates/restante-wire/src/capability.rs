//! What the server can do, as CAPA tells it (RFC 2449 section 6 and the extensions).

use std::fmt;

/// One line of the CAPA listing; `Display` writes it without CRLF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability<'a> {
    /// TOP is available.
    Top,
    /// USER and PASS are available.
    User,
    /// AUTH with these mechanisms, in the order of preference. RFC 5034 section 3.
    Sasl(&'a [&'a str]),
    /// Errors may begin with a response code.
    RespCodes,
    /// The shortest time between two logins of one user.
    LoginDelay {
        /// Seconds.
        secs: u32,
        /// Before login: the user's own value may be larger.
        per_user: bool,
    },
    /// Several commands may be sent at a time.
    Pipelining,
    /// How long messages stay.
    Expire(Expire),
    /// UIDL is available.
    Uidl,
    /// Name of the software.
    Implementation(&'a str),
    /// Only errors with `[AUTH]` mean wrong credentials. RFC 3206 section 6.
    AuthRespCode,
    /// STLS is available. RFC 2595 section 4.
    Stls,
    /// UTF8 is available. RFC 6856 section 2.
    Utf8 {
        /// USER and PASS take UTF-8.
        user: bool,
    },
    /// LANG is available. RFC 6856 section 3.
    Lang,
}

/// How long the server promises to keep messages, RFC 2449 section 6.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// The server never deletes messages of its own accord.
    Never,
    /// At least this many days.
    Days(u32),
    /// Before login: at least this many days, and the user's own value may be larger.
    PerUser {
        /// The smallest value of any user.
        days: u32,
    },
}

impl fmt::Display for Capability<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("TOP"),
            Self::User => f.write_str("USER"),
            Self::Sasl(mechanisms) => {
                f.write_str("SASL")?;
                mechanisms.iter().try_for_each(|name| write!(f, " {name}"))
            }
            Self::RespCodes => f.write_str("RESP-CODES"),
            Self::LoginDelay {
                secs,
                per_user: false,
            } => write!(f, "LOGIN-DELAY {secs}"),
            Self::LoginDelay { secs, per_user: true } => write!(f, "LOGIN-DELAY {secs} USER"),
            Self::Pipelining => f.write_str("PIPELINING"),
            Self::Expire(Expire::Never) => f.write_str("EXPIRE NEVER"),
            Self::Expire(Expire::Days(days)) => write!(f, "EXPIRE {days}"),
            Self::Expire(Expire::PerUser { days }) => write!(f, "EXPIRE {days} USER"),
            Self::Uidl => f.write_str("UIDL"),
            Self::Implementation(name) => write!(f, "IMPLEMENTATION {name}"),
            Self::AuthRespCode => f.write_str("AUTH-RESP-CODE"),
            Self::Stls => f.write_str("STLS"),
            Self::Utf8 { user: false } => f.write_str("UTF8"),
            Self::Utf8 { user: true } => f.write_str("UTF8 USER"),
            Self::Lang => f.write_str("LANG"),
        }
    }
}
