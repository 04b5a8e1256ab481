//! What can go wrong with storage, and whether trying again may help.

use std::fmt;
use std::time::Duration;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What kind of trouble it is. Closed: one table turns a kind into what the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// A unique-id or a blob key exists already.
    Conflict,
    /// The octets or the digest differ from what was recorded at delivery.
    Damaged,
    /// The storage refuses our credentials or permissions.
    Denied,
    /// A later session holds the maildrop; nothing was changed.
    Fenced,
    /// The storage has no room.
    Full,
    /// The caller or the configuration is wrong; trying again does not help.
    Invalid,
    /// There is no such maildrop.
    NoSuchMaildrop,
    /// There is no such blob.
    NotFound,
    /// The maildrop's quota does not admit the message.
    OverQuota,
    /// The storage asks for fewer calls.
    Throttled,
    /// No answer within the time allowed. A write may or may not have happened.
    Timeout,
    /// The storage cannot be reached or failed; nothing was changed.
    Unavailable,
    /// The answer to a write was lost: it may or may not have happened.
    Unknown,
    /// This storage does not offer the operation.
    Unsupported,
}

impl StoreErrorKind {
    /// Whether the same call may succeed later without anybody mending anything.
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Timeout | Self::Unavailable | Self::Unknown | Self::Full
        )
    }

    /// Whether a write that failed so may have happened all the same.
    pub const fn outcome_unknown(self) -> bool {
        matches!(self, Self::Timeout | Self::Unknown)
    }

    /// The name used in logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Damaged => "damaged",
            Self::Denied => "denied",
            Self::Fenced => "fenced",
            Self::Full => "full",
            Self::Invalid => "invalid",
            Self::NoSuchMaildrop => "no_such_maildrop",
            Self::NotFound => "not_found",
            Self::OverQuota => "over_quota",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed call to a storage: what was tried, on which storage, and why it failed.
///
/// The text is for operators: it holds no octet of a message and no secret.
#[derive(Debug, thiserror::Error)]
#[error("{op} on {store}: {kind}{}", Detail(source.as_ref()))]
pub struct StoreError {
    /// What kind of trouble it is.
    pub kind: StoreErrorKind,
    /// The operation, as metrics name it: `snapshot`, `commit`, `get`, ...
    pub op: &'static str,
    /// The storage, as it names itself: `sqlite`, `file`, `memory`, ...
    pub store: &'static str,
    /// How long the storage asks us to wait.
    pub retry_after: Option<Duration>,
    source: Option<BoxError>,
}

struct Detail<'a>(Option<&'a BoxError>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl StoreError {
    /// An error without a deeper cause.
    pub fn new(kind: StoreErrorKind, op: &'static str, store: &'static str) -> Self {
        Self {
            kind,
            op,
            store,
            retry_after: None,
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds how long the storage asks us to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
