//! Attempts: a few for each call, and for all calls together no more than the service can bear.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::debug;

use super::failure::Failure;

/// Attempts of one call.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// However long a service asks us to wait: a client waits too.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What all calls to one service may spend on further attempts: a tenth of what succeeds, and a store for bad moments.
/// While a service is down, each call then fails at once instead of adding to its load.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Tenths of an attempt.
    left: AtomicU32,
}

impl Budget {
    /// A hundred attempts.
    const FULL: u32 = 1_000;
    const ATTEMPT: u32 = 10;
    const SUCCESS: u32 = 1;

    pub(crate) const fn new() -> Self {
        Self {
            left: AtomicU32::new(Self::FULL),
        }
    }

    /// Whether there is another attempt; takes it.
    pub(crate) fn take(&self) -> bool {
        let take = |left: u32| left.checked_sub(Self::ATTEMPT);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    pub(crate) fn succeeded(&self) {
        let give = |left: u32| Some((left + Self::SUCCESS).min(Self::FULL));
        // Always some.
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, give)
            .unwrap_or_default();
    }

    /// Makes an idempotent request until it succeeds or no attempt is left; each may take `limit`.
    pub(crate) async fn spend<T, F>(
        &self,
        limit: Duration,
        mut request: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let mut attempts = Attempts::default();
        loop {
            match within(limit, request()).await {
                Ok(answer) => {
                    self.succeeded();
                    return Ok(answer);
                }
                Err(failure) => attempts.next(self, failure).await?,
            }
        }
    }
}

/// The attempts of one call, counted.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    n_made: u32,
}

impl Attempts {
    /// Waits for the next attempt; an error if there is none. To be called after each failed one.
    pub(crate) async fn next(&mut self, budget: &Budget, failure: Failure) -> Result<(), Failure> {
        self.n_made += 1;
        if !failure.is_transient || self.n_made >= ATTEMPTS || !budget.take() {
            return Err(failure);
        }
        debug!(?failure, attempt = self.n_made, "asking the service again");
        let asked = failure.retry_after.unwrap_or_default();
        sleep(pause(self.n_made).max(asked).min(LONGEST_PAUSE)).await;
        Ok(())
    }
}

/// Makes one request that may take `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    match timeout(limit, request).await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(_) => Err(Failure::timeout()),
    }
}

/// Twice as long each time, and by chance between half and all of it, so that those who failed together do not come
/// back together.
fn pause(n_made: u32) -> Duration {
    let whole = FIRST_PAUSE * 2_u32.saturating_pow(n_made.saturating_sub(1)).min(64);
    let mut chance = [0; 1];
    // Without chance it is the whole.
    let share = getrandom::fill(&mut chance).map_or(255, |()| u32::from(chance[0]));
    whole / 2 + whole * share / 510
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_and_grows_by_success() {
        let budget = Budget::new();
        let n_taken = (0..1_000).filter(|_| budget.take()).count();
        assert_eq!(n_taken, 100);
        for _ in 0..10 {
            assert!(!budget.take());
            budget.succeeded();
        }
        assert!(budget.take());
        assert!(!budget.take());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_three_attempts_and_none_after_a_verdict() {
        let budget = Budget::new();
        let mut n_made = 0;
        let hanging = budget.spend(Duration::from_secs(1), || {
            n_made += 1;
            std::future::pending::<object_store::Result<()>>()
        });
        assert!(hanging.await.is_err());
        assert_eq!(n_made, 3);
        let verdict = Failure::damaged("verdict");
        assert!(Attempts::default().next(&budget, verdict).await.is_err());
    }

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        for n_made in 1..20 {
            let whole = FIRST_PAUSE * 2_u32.pow(n_made - 1).min(64);
            for _ in 0..20 {
                assert!((whole / 2..=whole).contains(&pause(n_made)));
            }
        }
    }
}
