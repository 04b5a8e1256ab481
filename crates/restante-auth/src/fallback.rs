//! Limits that go on when the shared ones are lost: then each frontend limits by itself.
//!
//! Neither opens nor closes the door in an outage; does not carry over what was used meanwhile. Start at [`FallbackLimiter`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use restante_types::{AccountId, SessionId, TenantId};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{Admission, Attempt, AttemptLimiter, Limiter, LimiterLost, MemoryLimiter, UsageLimiter};

/// The first pause after an error; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Asks shared limits, and limits of its own while those are lost. Never an error.
///
/// Failures, successes and places are told to both at all times, so that the own limits know the clients of this
/// frontend when they are needed. After an error the shared limits are left alone for a second, then for twice as
/// long, up to half a minute.
#[derive(Debug)]
pub struct FallbackLimiter {
    shared: Arc<dyn Limiter>,
    local: Arc<MemoryLimiter>,
    lost: Mutex<Option<Lost>>,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    pause: Duration,
    ask_again: Instant,
}

impl FallbackLimiter {
    /// Bridges the outages of `shared` with `local`.
    pub fn new(shared: Arc<dyn Limiter>, local: Arc<MemoryLimiter>) -> Self {
        Self {
            shared,
            local,
            lost: Mutex::new(None),
        }
    }

    /// Whether the shared limits are lost; for the metrics.
    pub fn is_lost(&self) -> bool {
        self.lost().is_some()
    }

    fn lost(&self) -> MutexGuard<'_, Option<Lost>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of the shared limits; `None` while they are lost.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, LimiterLost>>) -> Option<T> {
        let is_trial = self.may_ask()?;
        match question.await {
            Ok(answer) => {
                if self.lost().take().is_some() {
                    info!(limiter = %self.shared, "shared limits are back");
                }
                Some(answer)
            }
            Err(error) => {
                self.note_loss(is_trial, &error);
                None
            }
        }
    }

    /// Whether the shared limits are to be asked, and whether as a trial: while they are lost, one caller after each
    /// pause asks, the others do not.
    fn may_ask(&self) -> Option<bool> {
        let mut lost = self.lost();
        let Some(lost) = &mut *lost else {
            return Some(false);
        };
        let now = Instant::now();
        if now < lost.ask_again {
            return None;
        }
        lost.ask_again = now + lost.pause;
        Some(true)
    }

    /// Errors of calls that were under way when the first one failed are not counted again.
    fn note_loss(&self, is_trial: bool, error: &LimiterLost) {
        let mut lost = self.lost();
        let pause = match &*lost {
            None => FIRST_PAUSE,
            Some(known) if is_trial => (known.pause * 2).min(LONGEST_PAUSE),
            Some(_) => return,
        };
        if lost.is_none() {
            warn!(limiter = %self.shared, %error, "shared limits are lost; each frontend limits by itself");
        }
        *lost = Some(Lost {
            pause,
            ask_again: Instant::now() + pause,
        });
    }
}

#[async_trait]
impl AttemptLimiter for FallbackLimiter {
    async fn admit(&self, attempt: &Attempt) -> Result<Admission, LimiterLost> {
        match self.ask(self.shared.admit(attempt)).await {
            Some(admission) => Ok(admission),
            None => self.local.admit(attempt).await,
        }
    }

    async fn failed(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        self.ask(self.shared.failed(attempt)).await;
        self.local.failed(attempt).await
    }

    async fn succeeded(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        self.ask(self.shared.succeeded(attempt)).await;
        self.local.succeeded(attempt).await
    }
}

#[async_trait]
impl UsageLimiter for FallbackLimiter {
    async fn spend(&self, account: AccountId, octets: u64, limit: u64) -> Result<bool, LimiterLost> {
        match self.ask(self.shared.spend(account, octets, limit)).await {
            Some(may) => Ok(may),
            None => self.local.spend(account, octets, limit).await,
        }
    }

    async fn enter(&self, tenant: TenantId, session: SessionId, cap: u32) -> Result<bool, LimiterLost> {
        match self.ask(self.shared.enter(tenant, session, cap)).await {
            Some(true) => {
                self.local.renew(&[(tenant, session)]).await?;
                Ok(true)
            }
            Some(false) => Ok(false),
            None => self.local.enter(tenant, session, cap).await,
        }
    }

    async fn leave(&self, tenant: TenantId, session: SessionId) -> Result<(), LimiterLost> {
        self.ask(self.shared.leave(tenant, session)).await;
        self.local.leave(tenant, session).await
    }

    async fn renew(&self, sessions: &[(TenantId, SessionId)]) -> Result<(), LimiterLost> {
        self.ask(self.shared.renew(sessions)).await;
        self.local.renew(sessions).await
    }
}

impl fmt::Display for FallbackLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, else {}", self.shared, self.local)
    }
}
