//! What the status page and the API say of the running process, as plain data that the assembly fills in.
//!
//! Nothing here is a secret, an account's name or a client's address. Start at [`NodeFacts`].

use std::time::SystemTime;

/// What there is to say of this process.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// The name of this frontend among others.
    pub node: String,
    /// The release.
    pub version: String,
    /// When the process began to serve.
    pub started: SystemTime,
    /// Where it listens.
    pub listeners: Vec<ListenerFacts>,
    /// Its sessions.
    pub sessions: SessionFacts,
    /// Logins since it began.
    pub logins: LoginFacts,
    /// The certificates that it shows.
    pub certificates: Vec<CertificateFacts>,
    /// The plugins of its configuration.
    pub plugins: Vec<PluginFacts>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerFacts {
    /// Its address, with the port that the system chose.
    pub address: String,
    /// What is spoken there: `pop3`, `pop3s`, `lmtp`.
    pub protocol: String,
    /// Sessions that it serves now, where that is known.
    pub sessions: Option<u64>,
}

/// Sessions by the states of RFC 1939.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// Before a login.
    pub authorization: u64,
    /// With an open maildrop.
    pub transaction: u64,
    /// While deletions are written.
    pub update: u64,
}

/// Logins since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginFacts {
    /// Right credentials.
    pub granted: u64,
    /// Wrong credentials, or a user who may not log in.
    pub refused: u64,
    /// No verdict: the directory failed, or too many passwords were being verified.
    pub faulty: u64,
}

/// A certificate in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Where it is from: its file, or `certificate 3 of tenant 7`.
    pub source: String,
    /// The names that it serves.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: SystemTime,
}

/// A plugin of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFacts {
    /// Its name.
    pub name: String,
    /// How it does.
    pub state: PluginState,
    /// More about it, such as the digest of the version in force or why there is none.
    pub detail: String,
}

/// How a plugin does in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// A version is in force.
    Ready,
    /// It is disabled.
    Disabled,
    /// It is not installed.
    Absent,
    /// It cannot be used, though it should be.
    Failing,
}

impl PluginState {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Disabled => "disabled",
            Self::Absent => "absent",
            Self::Failing => "failing",
        }
    }
}

/// A storage of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageFacts {
    /// Its name.
    pub name: String,
    /// Its kind: `file`, `postgres`, `s3`, `plugin`, ...
    pub kind: String,
    /// Whether new tenants get it.
    pub is_default: bool,
    /// The plugin behind it.
    pub plugin: Option<String>,
    /// How it does.
    pub health: Health,
}

/// How something does, as far as this process has seen lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Well,
    /// It has not been asked yet.
    Unknown,
    /// It fails; in words, without a secret and without a client's data.
    Failing(String),
}

impl Health {
    /// In a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Unknown => "unknown",
            Self::Failing(_) => "failing",
        }
    }
}
