//! A limiter that limits nothing: a test that fails logins on purpose should not wait for them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{Admission, Attempt, AttemptLimiter, LimiterLost, UsageLimiter};
use restante_types::{AccountId, SessionId, TenantId};

/// Admits everybody at once, and counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLimits;

impl fmt::Display for NoLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no limits")
    }
}

#[async_trait]
impl AttemptLimiter for NoLimits {
    async fn admit(&self, _attempt: &Attempt) -> Result<Admission, LimiterLost> {
        Ok(Admission::After {
            wait: Duration::ZERO,
            guarded: false,
        })
    }

    async fn failed(&self, _attempt: &Attempt) -> Result<(), LimiterLost> {
        Ok(())
    }

    async fn succeeded(&self, _attempt: &Attempt) -> Result<(), LimiterLost> {
        Ok(())
    }
}

#[async_trait]
impl UsageLimiter for NoLimits {
    async fn spend(&self, _account: AccountId, _octets: u64, _limit: u64) -> Result<bool, LimiterLost> {
        Ok(true)
    }

    async fn enter(&self, _tenant: TenantId, _session: SessionId, _cap: u32) -> Result<bool, LimiterLost> {
        Ok(true)
    }

    async fn leave(&self, _tenant: TenantId, _session: SessionId) -> Result<(), LimiterLost> {
        Ok(())
    }

    async fn renew(&self, _sessions: &[(TenantId, SessionId)]) -> Result<(), LimiterLost> {
        Ok(())
    }
}
