//! Whose turn it is to compute: a call that computes for long waits for others that do, so that nobody else waits.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use restante_types::{Clock as _, SystemClock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of the process's threads so many may be busy with calls that compute for longer than a tick.
static HEAVY: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new((threads / 2).max(1)))
});

static BEGINNING: LazyLock<Instant> = LazyLock::new(|| SystemClock.now());

/// The turn of one instance.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// When it was last given a thread, in microseconds since the beginning.
    resumed: AtomicU64,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Turn {
    /// How long it has been on its thread without a pause: what it waited for is not counted.
    pub(crate) fn computing(&self) -> Duration {
        let resumed = Duration::from_micros(self.resumed.load(Ordering::Relaxed));
        SystemClock
            .now()
            .duration_since(*BEGINNING)
            .saturating_sub(resumed)
    }

    /// Lets others go first, then takes the next turn.
    pub(crate) fn next(self: &Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.give_back();
        let turn = Arc::clone(self);
        Box::pin(async move {
            tokio::task::yield_now().await;
            // Never closed.
            if let Ok(permit) = Arc::clone(&HEAVY).acquire_owned().await {
                *turn.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
            }
        })
    }

    fn give_back(&self) {
        // One assignment.
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn resume(&self) {
        let since = SystemClock.now().duration_since(*BEGINNING);
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        self.resumed.store(micros, Ordering::Relaxed);
    }
}

/// A call that takes turns.
pub(crate) struct InTurn<F> {
    turn: Arc<Turn>,
    call: Pin<Box<F>>,
}

impl<F> InTurn<F> {
    pub(crate) fn new(turn: Arc<Turn>, call: F) -> Self {
        Self {
            turn,
            call: Box::pin(call),
        }
    }
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.turn.resume();
        let answer = self.call.as_mut().poll(cx);
        // Whoever waits, or has ended, needs no turn.
        self.turn.give_back();
        answer
    }
}
