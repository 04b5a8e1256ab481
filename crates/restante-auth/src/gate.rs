//! The gate before expensive hashing: bounded in memory, cores and waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

/// How much hashing a process does at once.
#[derive(Clone, Copy, Debug)]
pub struct GateLimits {
    /// Hashes computed at the same time; each takes a core and its memory (19 MiB by default).
    pub permits: usize,
    /// Logins that may wait for a permit; more are turned away at once.
    pub queue: usize,
    /// How long one of them waits.
    pub wait: Duration,
}

impl Default for GateLimits {
    /// One core is left for the sessions.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let permits = cores.saturating_sub(1).max(1);
        Self {
            permits,
            queue: 4 * permits,
            wait: Duration::from_secs(3),
        }
    }
}

/// Nothing was computed: the gate is full, or the computation died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct GateBusy;

/// Runs hashing off the session threads, a bounded number at a time.
#[derive(Debug)]
pub struct HashGate {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    limits: GateLimits,
}

impl HashGate {
    /// An open gate.
    pub fn new(limits: GateLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.permits)),
            waiting: AtomicUsize::new(0),
            limits,
        }
    }

    /// Runs `work` once there is a permit.
    ///
    /// # Errors
    /// [`GateBusy`] if the queue is full or the wait was too long.
    ///
    /// # Cancel safety
    /// A cancelled caller loses its place; work that began runs to its end and keeps its permit until then.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, GateBusy> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        let working = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        working.await.map_err(|_| GateBusy)
    }

    async fn wait(&self) -> Result<tokio::sync::OwnedSemaphorePermit, GateBusy> {
        let _place = Place::take(&self.waiting, self.limits.queue)?;
        let permit = tokio::time::timeout(self.limits.wait, Arc::clone(&self.permits).acquire_owned());
        permit.await.map_err(|_| GateBusy)?.map_err(|_| GateBusy)
    }
}

struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, queue: usize) -> Result<Self, GateBusy> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < queue {
            Ok(place)
        } else {
            Err(GateBusy)
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn the_queue_is_bounded_and_waiting_ends() {
        let limits = GateLimits {
            permits: 1,
            queue: 1,
            wait: Duration::from_millis(50),
        };
        let gate = Arc::new(HashGate::new(limits));
        let (finish, finished) = mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move {
                gate.run(move || {
                    begun.send(()).unwrap();
                    finished.recv().unwrap();
                })
                .await
            }
        });
        has_begun.await.unwrap();
        let second = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.run(|| ()).await }
        });
        while gate.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.run(|| ()).await, Err(GateBusy), "the queue has one place");
        assert_eq!(second.await.unwrap(), Err(GateBusy), "waiting has an end");
        finish.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(gate.run(|| 7).await, Ok(7), "places and permits come back");
    }
}
