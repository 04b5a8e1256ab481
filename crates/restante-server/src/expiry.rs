//! Removes messages that are older than their tenant keeps them (EXPIRE, RFC 2449 section 6.7). Start at [`Expiry`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_auth::TenantTable;
use restante_store::{BlobLedger, StoreError};
use restante_telemetry::{MessagesExpired, Telemetry};
use restante_types::Clock;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// From the start of one pass to the start of the next.
const EVERY: Duration = Duration::from_mins(10);
/// Messages removed in one step.
const AT_ONCE: usize = 1000;

/// Goes over the tenants whose messages expire. Any number of frontends may do so at once.
#[derive(Debug)]
pub struct Expiry {
    /// Who removes.
    pub ledger: Arc<dyn BlobLedger>,
    /// Which tenants there are, and after how many days their messages go.
    pub tenants: Arc<TenantTable>,
    /// Civil time.
    pub clock: Arc<dyn Clock>,
    /// Where they are counted.
    pub telemetry: Telemetry,
}

impl Expiry {
    /// Runs a pass now and one every ten minutes, for ever.
    ///
    /// # Cancel safety
    /// Safe: drop it to end it.
    pub async fn run(&self) -> Infallible {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.pass(self.clock.wall()).await {
                Ok(0) => {}
                Ok(expired) => {
                    info!(expired, "messages expired");
                    self.telemetry.emit(MessagesExpired {
                        n_expired: u64::try_from(expired).unwrap_or(u64::MAX),
                    });
                }
                Err(error) => warn!(%error, "messages do not expire now, trying again"),
            }
        }
    }

    /// One pass; answers how many messages were removed.
    ///
    /// # Errors
    /// As [`BlobLedger::expire`]. What was removed before stays removed.
    pub async fn pass(&self, now: SystemTime) -> Result<usize, StoreError> {
        let mut expired = 0;
        for (tenant, days) in self.tenants.expiring() {
            let Some(before) = now.checked_sub(Duration::from_hours(24) * days) else {
                continue;
            };
            loop {
                let some = self.ledger.expire(tenant, before, AT_ONCE).await?;
                expired += some;
                if some < AT_ONCE {
                    break;
                }
            }
        }
        Ok(expired)
    }
}
