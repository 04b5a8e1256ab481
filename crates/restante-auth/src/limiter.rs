//! How often may they try, and how much may they use: limits that all frontends share.
//!
//! The contracts; the limiter in memory is in `memory_limiter.rs`, the one that bridges an outage in `fallback.rs`.

use std::fmt::{Debug, Display};
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use restante_types::{AccountId, SessionId, TenantId};

/// The limits cannot be shared now. Never a reason to admit everybody or nobody: see [`FallbackLimiter`](crate::FallbackLimiter).
#[derive(Debug, thiserror::Error)]
#[error("shared limits: {0}")]
pub struct LimiterLost(pub String);

/// Which account an attempt is for: a keyed hash of the normalised name, whether the name is known or not, so that
/// both are treated alike and no name is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameKey(pub [u8; 16]);

/// One attempt to log in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// For which name; `None` where the text was no name at all.
    pub name: Option<NameKey>,
    /// From where.
    pub client: IpAddr,
}

/// Whether an attempt may be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// After so long; zero is at once. Later attempts from the same networks wait behind this one.
    After {
        /// How long to wait. The caller parks a timer and holds nothing else.
        wait: Duration,
        /// The account is under attack and this client's network never logged in to it: only an application password
        /// is to be evaluated.
        guarded: bool,
    },
    /// Not now: the wait would be longer than a client has patience.
    TooMany,
}

/// Slows down whoever fails: by account, by network, over all frontends.
///
/// Networks are an IPv4 address and its /24, an IPv6 /64 and its /48. Every failure lengthens the time between two
/// attempts from there (2, 4, 8, 15 s), and attempts are admitted one after the other: parallel connections gain
/// nothing. An account is never locked: see [`Admission::After`].
#[async_trait]
pub trait AttemptLimiter: Display + Debug + Send + Sync {
    /// Takes the next place for an attempt. Asked before any look-up.
    async fn admit(&self, attempt: &Attempt) -> Result<Admission, LimiterLost>;
    /// An attempt was evaluated and refused, with a secret that was not tried lately.
    async fn failed(&self, attempt: &Attempt) -> Result<(), LimiterLost>;
    /// An attempt was granted: this network is known for this account from now on (30 days).
    async fn succeeded(&self, attempt: &Attempt) -> Result<(), LimiterLost>;
}

/// Counts what accounts and tenants use, over all frontends.
#[async_trait]
pub trait UsageLimiter: Display + Debug + Send + Sync {
    /// Whether an account may read on, having read at most `limit` octets in the last 24 hours; if so, `octets` are
    /// counted. The last message may go past the limit.
    async fn spend(&self, account: AccountId, octets: u64, limit: u64) -> Result<bool, LimiterLost>;
    /// Takes one of a tenant's `cap` places for a session. A place that is not renewed for [`PLACE_LEASE`] is free.
    async fn enter(&self, tenant: TenantId, session: SessionId, cap: u32) -> Result<bool, LimiterLost>;
    /// Gives a place back.
    async fn leave(&self, tenant: TenantId, session: SessionId) -> Result<(), LimiterLost>;
    /// Keeps the places of sessions that go on.
    async fn renew(&self, sessions: &[(TenantId, SessionId)]) -> Result<(), LimiterLost>;
}

/// How long a place for a session is held without being renewed.
pub const PLACE_LEASE: Duration = Duration::from_secs(150);

/// A limiter of both kinds.
pub trait Limiter: AttemptLimiter + UsageLimiter {}

impl<T: AttemptLimiter + UsageLimiter> Limiter for T {}
