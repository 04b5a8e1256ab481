//! Stops calling a plugin that breaks again and again, and tries it again later.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So many faults within [`WINDOW`] open the circuit.
const FAULTS: usize = 5;
const WINDOW: Duration = Duration::from_mins(1);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// One plugin for one tenant: closed while it works, open for a time after too many faults, then one try at a time.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    faults: VecDeque<Instant>,
    /// How long it stays open the next time.
    pause: Option<Duration>,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made; else how long none will be.
    pub(crate) fn admit(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        match self.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                // One try; others wait for what becomes of it.
                self.open_until = Some(now + self.pause.unwrap_or(SHORTEST));
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    pub(crate) fn succeeded(&mut self) {
        if self.open_until.take().is_some() {
            self.faults.clear();
        }
        self.pause = None;
    }

    pub(crate) fn failed(&mut self) {
        let now = Instant::now();
        self.faults.push_back(now);
        while self.faults.front().is_some_and(|at| now - *at > WINDOW) || self.faults.len() > FAULTS {
            self.faults.pop_front();
        }
        if self.open_until.is_some() || self.faults.len() == FAULTS {
            let pause = self.pause.unwrap_or(SHORTEST);
            self.open_until = Some(now + pause);
            self.pause = Some((pause * 2).min(LONGEST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_faults_a_minute_open_it_for_longer_each_time_and_a_success_closes_it() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker.failed();
            assert_eq!(breaker.admit(), Ok(()));
        }
        breaker.failed();
        assert_eq!(breaker.admit(), Err(SHORTEST));
        tokio::time::advance(SHORTEST).await;
        assert_eq!(breaker.admit(), Ok(()), "one try");
        assert!(breaker.admit().is_err(), "and no second beside it");
        breaker.failed();
        assert_eq!(breaker.admit(), Err(SHORTEST * 2));
        for _ in 0..20 {
            breaker.failed();
        }
        assert_eq!(breaker.admit(), Err(LONGEST));
        tokio::time::advance(LONGEST).await;
        breaker.admit().unwrap();
        breaker.succeeded();
        assert_eq!(breaker.admit(), Ok(()));
        breaker.failed();
        assert_eq!(breaker.admit(), Ok(()), "what was before counts no more");
    }

    #[tokio::test(start_paused = true)]
    async fn faults_far_apart_do_not_open_it() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            breaker.failed();
            tokio::time::advance(Duration::from_secs(16)).await;
            assert_eq!(breaker.admit(), Ok(()));
        }
    }
}
