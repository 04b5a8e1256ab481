//! Turns of the clients of one network before anything is known of them.
//!
//! Limiters know who failed. Before the first failure is known, a thousand connections of one address could ask the
//! limiter and the directory at once, use up their connections, and let others' logins run out of time. Start at
//! [`Turnstile::turn`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients of one network whose turn it is at the same time. A turn is a question to a service, a millisecond or so:
/// thousands of them a second pass.
const PER_NETWORK: usize = 8;
/// Networks remembered. Of one that is forgotten while somebody has a turn, more may have one.
const NETWORKS: u64 = 100_000;
/// A network is forgotten so long after its last client came; longer than any turn takes.
const FORGET: Duration = Duration::from_mins(1);

/// A bounded number of turns for each network; the rest wait, first come first served.
#[derive(Debug)]
pub(crate) struct Turnstile {
    networks: Cache<IpAddr, Arc<Semaphore>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turnstile {
    /// Nobody has a turn.
    pub(crate) fn new() -> Self {
        Self {
            networks: Cache::builder()
                .max_capacity(NETWORKS)
                .time_to_idle(FORGET)
                .build(),
        }
    }

    /// Waits for a turn of a client from `network`.
    ///
    /// # Cancel safety
    /// Safe: the place in the queue is lost.
    pub(crate) async fn turn(&self, network: IpAddr) -> Turn {
        let turns = self
            .networks
            .get_with(network, || Arc::new(Semaphore::new(PER_NETWORK)));
        Turn {
            // Never closed, so never an error.
            _permit: turns.acquire_owned().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_network_waits_for_itself_alone() {
        let (turnstile, hour) = (Turnstile::new(), Duration::from_hours(1));
        let [crowd, other] = ["192.0.2.0", "198.51.100.0"].map(|ip| ip.parse().unwrap());
        let mut turns = Vec::new();
        for _ in 0..PER_NETWORK {
            turns.push(turnstile.turn(crowd).await);
        }
        assert!(
            timeout(hour, turnstile.turn(crowd)).await.is_err(),
            "all turns are taken"
        );
        assert!(timeout(hour, turnstile.turn(other)).await.is_ok());
        turns.pop();
        assert!(timeout(hour, turnstile.turn(crowd)).await.is_ok());
    }
}
