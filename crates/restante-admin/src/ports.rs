//! What the admin interface needs of the server it belongs to: contracts and functions, no technology.
//!
//! Start at [`AdminPorts`].

use std::fmt;
use std::sync::Arc;

use restante_auth::DirectoryAdmin;
use restante_auth::password::Rule;
use restante_lock::LockDesk;
use restante_server::SessionRegistry;
use restante_store::{MailIndex, PluginRegistry};
use restante_types::Clock;

use crate::{NodeFacts, StorageFacts};

/// A question to the running server. Asked at every request that needs the answer, so it must not wait: whoever
/// answers keeps what takes time to find out.
pub type Ask<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// What stands behind the admin interface.
#[derive(Clone)]
pub struct AdminPorts {
    /// Tenants, domains, accounts and the audit. Every request acts on it as its token's name.
    pub directory: Arc<dyn DirectoryAdmin>,
    /// How full maildrops are.
    pub index: Arc<dyn MailIndex>,
    /// The sessions of all frontends; `None` where this process is the only one and keeps them to itself.
    pub desk: Option<Arc<dyn LockDesk>>,
    /// The sessions of this process.
    pub sessions: SessionRegistry,
    /// Which plugins are installed.
    pub registry: Arc<dyn PluginRegistry>,
    /// How passwords are hashed. Its keyring peppers them and seals private keys and client secrets.
    pub rule: Rule,
    /// Civil time.
    pub clock: Arc<dyn Clock>,
    /// What the status page says of this process.
    pub node: Ask<NodeFacts>,
    /// The storages of the configuration, and how each does.
    pub storages: Ask<Vec<StorageFacts>>,
    /// Why this process wants no connections now, a line each; empty if it is ready.
    pub unready: Ask<Vec<String>>,
    /// The metrics in the text format of Prometheus.
    pub metrics: Ask<String>,
    /// Is told of every answer; must not block.
    pub on_answer: Arc<dyn Fn(AnswerClass) + Send + Sync>,
}

impl fmt::Debug for AdminPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminPorts")
            .field("directory", &self.directory)
            .field("desk", &self.desk)
            .finish_non_exhaustive()
    }
}

/// What became of a request. Closed: metrics label by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerClass {
    /// It was done (below 400).
    Ok,
    /// There was no token, or one that nobody has (401).
    Unauthorized,
    /// The request cannot be done as it is (the other 4xx).
    Refused,
    /// The server could not do it (5xx).
    Failed,
}

impl AnswerClass {
    /// All classes.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Unauthorized, Self::Refused, Self::Failed];

    /// The value of a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    pub(crate) const fn of(status: u16) -> Self {
        match status {
            ..400 => Self::Ok,
            401 => Self::Unauthorized,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }
}
