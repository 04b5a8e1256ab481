//! Response codes: why a command failed, for programs to read.

use std::fmt;

/// The extended response codes of RFC 2449 section 8, RFC 3206 and RFC 6856 section 5. `Display` writes the
/// brackets too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RespCode {
    /// Another session holds the maildrop.
    InUse,
    /// The user logged in too short a while ago.
    LoginDelay,
    /// The server failed and will probably recover.
    SysTemp,
    /// The server failed and needs a person.
    SysPerm,
    /// The credentials are wrong.
    Auth,
    /// The message needs UTF-8 mode.
    Utf8,
}

impl RespCode {
    /// Every code.
    pub const ALL: &[Self] = &[
        Self::InUse,
        Self::LoginDelay,
        Self::SysTemp,
        Self::SysPerm,
        Self::Auth,
        Self::Utf8,
    ];

    /// The code without brackets, in upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
            Self::Utf8 => "UTF8",
        }
    }
}

impl fmt::Display for RespCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.as_str())
    }
}
