//! The gate before expensive hashing: bounded in memory, cores and waiting, fair between tenants.
//!
//! Limits what runs and what waits in this process; how often somebody may try is for the
//! [`AttemptLimiter`](crate::AttemptLimiter). Start at [`HashGate::run`]; the order of turns is in `gate/queue.rs`.

mod queue;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::error;

pub(crate) use self::queue::Place;
use self::queue::{Queue, Ticket};

/// How much hashing a process does at once.
#[derive(Clone, Copy, Debug)]
pub struct GateLimits {
    /// Hashes computed at the same time; each takes a core and its memory (19 MiB by default).
    pub permits: usize,
    /// Logins that may wait for their turn. More are turned away at once: those of the tenant that has most waiting.
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

/// How much hashing there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateLoad {
    /// Hashes that are being computed.
    pub running: usize,
    /// Logins that wait for their turn.
    pub waiting: usize,
}

/// Nothing was computed: too much waits, the wait was too long, or the computation died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being verified")]
pub(crate) struct GateBusy;

type Work = Box<dyn FnOnce() + Send>;

/// Runs hashing on threads of its own, a bounded number at a time.
///
/// Work waits in lanes, one per tenant, and lanes are served in turn: however much of one tenant waits, another's work
/// comes after one of it at most. Of one account one computation runs at a time, of one network two; more of them
/// wait. The threads end with the gate.
pub(crate) struct HashGate {
    shared: Arc<Shared>,
    limits: GateLimits,
}

impl HashGate {
    /// An open gate. Its threads begin when there is work for them.
    pub(crate) fn new(limits: GateLimits) -> Self {
        let capacity = limits.permits.saturating_add(limits.queue);
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    queue: Queue::new(capacity),
                    threads: 0,
                    idle: 0,
                    closed: false,
                }),
                changed: Condvar::new(),
            }),
            limits,
        }
    }

    /// Runs `work` when it is its turn.
    ///
    /// # Errors
    /// [`GateBusy`] if too much waits, the wait was too long, or `work` panicked.
    ///
    /// # Cancel safety
    /// Work whose caller went away is not begun; work that began runs to its end and keeps its place until then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, GateBusy> {
        let (answer, mut answered) = oneshot::channel();
        let work = Box::new(move || {
            // Nobody may be there any more to hear it.
            drop(answer.send(work()));
        });
        let waiting = self.enter(place, work)?;
        match tokio::time::timeout(self.limits.wait, &mut answered).await {
            Ok(answer) => answer.map_err(|_| GateBusy),
            Err(_) if waiting.leave() => Err(GateBusy),
            Err(_) => answered.await.map_err(|_| GateBusy),
        }
    }

    /// Runs `work` when nothing else waits. `false` if too much waits for that already; then it is dropped.
    pub(crate) fn run_later(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.shared.state();
        if !self.has_thread(&mut state) || state.queue.push_later(Box::new(work)).is_err() {
            return false;
        }
        self.shared.changed.notify_one();
        true
    }

    /// How much runs and waits now; for the metrics.
    pub(crate) fn load(&self) -> GateLoad {
        let state = self.shared.state();
        GateLoad {
            running: state.queue.running(),
            waiting: state.queue.waiting(),
        }
    }

    fn enter(&self, place: Place, work: Work) -> Result<Stay<'_>, GateBusy> {
        let mut state = self.shared.state();
        if !self.has_thread(&mut state) {
            return Err(GateBusy);
        }
        let pushed = state.queue.push(place, work);
        drop(state);
        // What gave way is dropped here, without the lock: its caller hears of it.
        let (ticket, _gave_way) = pushed.map_err(|_| GateBusy)?;
        self.shared.changed.notify_one();
        Ok(Stay {
            shared: &self.shared,
            ticket,
        })
    }

    /// Begins one more thread if all are at work and there may be more. `false` if there is none at all.
    fn has_thread(&self, state: &mut State) -> bool {
        if state.idle > state.queue.waiting() || state.threads >= self.limits.permits {
            return state.threads > 0;
        }
        let shared = Arc::clone(&self.shared);
        let named = std::thread::Builder::new().name(format!("hash-{}", state.threads));
        match named.spawn(move || shared.work()) {
            Ok(_) => state.threads += 1,
            Err(error) => error!(%error, threads = state.threads, "no further thread for hashing"),
        }
        state.threads > 0
    }
}

impl Drop for HashGate {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        let left = state.queue.clear();
        drop(state);
        drop(left);
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for HashGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashGate")
            .field("limits", &self.limits)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

/// A caller's place in the queue, left when the caller goes.
struct Stay<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Stay<'_> {
    /// Whether the work had not begun; then it never will.
    fn leave(&self) -> bool {
        let withdrawn = self.shared.state().queue.withdraw(self.ticket);
        let left = withdrawn.is_some();
        if left {
            // Perhaps nothing waits now, and what has time may run.
            self.shared.changed.notify_one();
        }
        left
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    queue: Queue<Work>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Shared {
    /// No code under the lock panics half-way through a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a thread.
    fn work(&self) {
        let mut state = self.state();
        while !state.closed {
            let Some(turn) = state.queue.next() else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            drop(state);
            // The caller learns of a panic by the answer that never comes; the hook of the process has reported it.
            drop(catch_unwind(AssertUnwindSafe(turn.work)));
            state = self.state();
            state.queue.done(turn.place.as_ref());
            // The account and the network are free now, which may let more than one go on.
            self.changed.notify_one();
        }
    }
}
