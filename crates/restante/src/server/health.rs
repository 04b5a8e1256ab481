//! Whether this frontend wants connections: not while it goes, not while the database is lost. Start at [`Health`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use restante_net::Drain;
use restante_store::Custody;
use restante_telemetry::{CollectorSwitched, Telemetry};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How often the database is asked.
const EVERY: Duration = Duration::from_secs(3);
/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What stands against connections. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    drain: Drain,
    is_lost: Arc<AtomicBool>,
}

impl Health {
    pub(super) fn new(drain: &Drain) -> Self {
        Self {
            drain: drain.clone(),
            is_lost: Arc::default(),
        }
    }

    /// Why this frontend wants no connections; empty while it does. A collector of traces or Redis that is lost is no
    /// reason: sessions go on without them.
    pub(crate) fn reasons(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if self.is_draining() {
            reasons.push("draining: the server stops");
        }
        if self.is_lost.load(Ordering::Relaxed) {
            reasons.push("database: it does not answer");
        }
        reasons
    }

    pub(super) fn is_draining(&self) -> bool {
        !self.drain.is_ready()
    }

    /// Asks the database again and again, for ever. What it is asked is whether an operator has stopped the collector.
    pub(super) async fn watch(self, custody: Arc<dyn Custody>, collects: bool, telemetry: Telemetry) {
        loop {
            let answer = timeout(LIMIT, custody.collection_stopped()).await;
            let is_lost = match answer {
                Ok(Ok(stopped)) => {
                    let is_stopped = stopped.is_some() || !collects;
                    telemetry.emit(CollectorSwitched { is_stopped });
                    false
                }
                Ok(Err(_)) | Err(_) => true,
            };
            match (self.is_lost.swap(is_lost, Ordering::Relaxed), is_lost) {
                (false, true) => warn!("not ready: the database does not answer"),
                (true, false) => info!("ready again: the database answers"),
                _ => {}
            }
            sleep(EVERY).await;
        }
    }
}
