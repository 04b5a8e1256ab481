//! The least time between two logins of one account (RFC 2449 section 6.5), kept by one process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use restante_types::AccountId;
use tokio::time::Instant;

/// Accounts remembered before those whose time is over are looked for.
const FEW: usize = 1024;

/// Remembers who logged in lately. Memory follows the accounts that log in within one delay.
#[derive(Debug)]
pub(crate) struct LoginPace {
    delay: Duration,
    recent: Mutex<Recent>,
}

#[derive(Debug)]
struct Recent {
    logins: HashMap<AccountId, Instant>,
    tidy_at: usize,
}

impl LoginPace {
    /// No account logs in twice within `delay`; zero is none.
    pub(crate) fn new(delay: Duration) -> Self {
        Self {
            delay,
            recent: Mutex::new(Recent {
                logins: HashMap::new(),
                tidy_at: FEW,
            }),
        }
    }

    /// Whether the account may log in again.
    pub(crate) fn admits(&self, account: AccountId) -> bool {
        self.delay.is_zero()
            || self
                .recent()
                .logins
                .get(&account)
                .is_none_or(|at| self.is_over(at))
    }

    /// Takes note of a login.
    pub(crate) fn note(&self, account: AccountId) {
        if self.delay.is_zero() {
            return;
        }
        let mut recent = self.recent();
        if recent.logins.len() >= recent.tidy_at {
            recent.logins.retain(|_, at| !self.is_over(at));
            recent.tidy_at = FEW.max(2 * recent.logins.len());
        }
        recent.logins.insert(account, Instant::now());
    }

    fn is_over(&self, at: &Instant) -> bool {
        at.elapsed() >= self.delay
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use restante_types::TenantId;

    use super::*;

    fn account(number: i64) -> AccountId {
        AccountId::new(TenantId::new(1).unwrap(), number).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_waits_for_its_own_delay_alone() {
        let pace = LoginPace::new(Duration::from_mins(5));
        assert!(pace.admits(account(1)));
        pace.note(account(1));
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(!pace.admits(account(1)));
        assert!(pace.admits(account(2)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(pace.admits(account(1)), "asking does not begin the delay anew");
    }

    #[tokio::test(start_paused = true)]
    async fn those_whose_time_is_over_are_forgotten() {
        let pace = LoginPace::new(Duration::from_secs(1));
        for number in 1..=10_000 {
            pace.note(account(number));
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!(pace.recent.lock().unwrap().logins.len() <= FEW);
    }
}
