//! The end of the server: stop accepting, let connections finish, cut what is left at the deadline.
//!
//! Knows no protocol: a connection hears of the drain through its [`DrainSignal`] and says good-bye in its own words.
//! Start at [`Drain`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a second request to drain leaves of the deadline.
pub const HURRIED_DEADLINE: Duration = Duration::from_secs(5);

/// The drain of one server. Clones are the same drain.
///
/// Its course: serving, then optionally [`Drain::lame_duck`] (not ready, still accepting), then [`Drain::start`]
/// (listeners close, connections are asked to finish), then [`Drain::finished`].
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lame: AtomicBool,
    begun: CancellationToken,
    cut: CancellationToken,
    deadline: watch::Sender<Option<Instant>>,
    tasks: TaskTracker,
    n_cut: AtomicUsize,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            lame: AtomicBool::new(false),
            begun: CancellationToken::new(),
            cut: CancellationToken::new(),
            deadline: watch::Sender::new(None),
            tasks: TaskTracker::new(),
            n_cut: AtomicUsize::new(0),
        }
    }
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that were still there at the deadline and were dropped where they stood.
    pub n_cut: usize,
    /// From the start of the waiting to its end.
    pub elapsed: Duration,
}

impl Drain {
    /// A server that serves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the server is about to go: readiness turns false, everything else goes on.
    pub fn lame_duck(&self) {
        self.0.lame.store(true, Ordering::Relaxed);
    }

    /// False from [`Drain::lame_duck`] or [`Drain::start`] on.
    pub fn is_ready(&self) -> bool {
        !self.0.lame.load(Ordering::Relaxed) && !self.0.begun.is_cancelled()
    }

    /// Asks every connection to finish within `deadline`. A second call means haste: what is left of the deadline
    /// becomes at most [`HURRIED_DEADLINE`].
    pub fn start(&self, deadline: Duration) {
        let now = Instant::now();
        self.0.deadline.send_modify(|end| {
            *end = Some(match *end {
                None => now + deadline,
                Some(end) => end.min(now + HURRIED_DEADLINE),
            });
        });
        self.0.begun.cancel();
    }

    /// What a connection listens to.
    pub fn signal(&self) -> DrainSignal {
        DrainSignal {
            begun: self.0.begun.clone(),
        }
    }

    /// Connections that run.
    pub fn n_running(&self) -> usize {
        self.0.tasks.len()
    }

    /// Runs `task` on its own, counted by the drain and dropped where it stands at the deadline.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let inner = Arc::clone(&self.0);
        // What waits for it keeps it several times over, and keeps that room as long as it runs.
        let task = Box::pin(task);
        self.0.tasks.spawn(async move {
            let cut = inner.cut.clone();
            if cut.run_until_cancelled_owned(task).await.is_none() {
                inner.n_cut.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Waits until a started drain has ended: every task finished, or the deadline cut the rest.
    ///
    /// # Cancel safety
    /// May be dropped and called again; nothing is cut before the deadline.
    pub async fn finished(&self) -> DrainReport {
        self.0.begun.cancelled().await;
        let start = Instant::now();
        self.0.tasks.close();
        if !self.finished_in_time().await {
            self.0.cut.cancel();
            self.0.tasks.wait().await;
        }
        DrainReport {
            n_cut: self.0.n_cut.load(Ordering::Relaxed),
            elapsed: start.elapsed(),
        }
    }

    async fn finished_in_time(&self) -> bool {
        let mut deadlines = self.0.deadline.subscribe();
        loop {
            let deadline = *deadlines.borrow_and_update();
            tokio::select! {
                biased;
                () = self.0.tasks.wait() => return true,
                () = passed(deadline) => return false,
                // A second request may have moved the deadline. The sender lives in `self`: this cannot fail.
                _ = deadlines.changed() => {}
            }
        }
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A connection's ear for the drain.
#[derive(Clone, Debug)]
pub struct DrainSignal {
    begun: CancellationToken,
}

impl DrainSignal {
    /// Whether the connection should end at its next boundary.
    pub fn is_draining(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits for the drain to begin.
    ///
    /// # Cancel safety
    /// Cancel safe: may stand in a `select!` loop.
    pub async fn draining(&self) {
        self.begun.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_that_finish_in_time_are_not_cut() {
        let drain = Drain::new();
        let signal = drain.signal();
        drain.spawn(async move {
            signal.draining().await;
            sleep(Duration::from_secs(3)).await;
        });
        drain.start(Duration::from_mins(10));
        let report = drain.finished().await;
        assert_eq!(
            report,
            DrainReport {
                n_cut: 0,
                elapsed: Duration::from_secs(3)
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn connections_left_at_the_deadline_are_cut_and_counted() {
        let drain = Drain::new();
        for _ in 0..3 {
            drain.spawn(std::future::pending());
        }
        drain.spawn(async {});
        drain.start(Duration::from_mins(1));
        let report = drain.finished().await;
        assert_eq!(
            report,
            DrainReport {
                n_cut: 3,
                elapsed: Duration::from_mins(1)
            }
        );
        assert_eq!(drain.n_running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn second_start_leaves_five_seconds() {
        let drain = Drain::new();
        drain.spawn(std::future::pending());
        drain.start(Duration::from_mins(10));
        let again = drain.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(30)).await;
            again.start(Duration::from_mins(10));
        });
        let report = drain.finished().await;
        assert_eq!(
            report,
            DrainReport {
                n_cut: 1,
                elapsed: Duration::from_secs(35)
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn second_start_never_moves_the_deadline_back() {
        let drain = Drain::new();
        drain.spawn(std::future::pending());
        drain.start(Duration::from_secs(2));
        drain.start(Duration::from_mins(10));
        assert_eq!(drain.finished().await.elapsed, Duration::from_secs(2));
    }

    #[tokio::test]
    async fn lame_duck_is_not_ready_but_asks_nobody_to_leave() {
        let drain = Drain::new();
        assert!(drain.is_ready());
        drain.lame_duck();
        assert!(!drain.is_ready());
        assert!(!drain.signal().is_draining());
    }
}
