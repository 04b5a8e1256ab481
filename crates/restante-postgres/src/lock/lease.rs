//! The lease of one frontend, renewed by a thread of its own: whatever keeps the other threads busy, hashing above
//! all, does not make the frontend look dead. It has one connection, past the pooler if there is a way.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::{LeaseOptions, NodeName};
use crate::error::Told;
use crate::sql::mail as sql;
use crate::values::duration_to_row;
use crate::{Pg, PgError};

/// How long a heartbeat may take.
const LIMIT: Duration = Duration::from_secs(3);

type Asked = oneshot::Sender<Result<(), Told>>;

/// The handle of the thread; dropped, it ends the lease.
pub(super) struct Lease {
    beats: mpsc::UnboundedSender<Asked>,
    renewed: Arc<Mutex<Option<Duration>>>,
    clock: SinceBoot,
}

/// A clock that no setting of the time turns, and that goes on while the machine is suspended: the database does not
/// sleep with it.
pub(crate) type SinceBoot = fn() -> Duration;

/// The machine's own.
pub(super) fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

impl Lease {
    pub(super) fn start(
        db: &Pg,
        node: NodeName,
        incarnation: i64,
        options: LeaseOptions,
        clock: SinceBoot,
    ) -> Result<Self, PgError> {
        let (beats, asked) = mpsc::unbounded_channel();
        let renewed = Arc::default();
        let heart = Heart {
            node,
            incarnation,
            options,
            renewed: Arc::clone(&renewed),
            clock,
            fails: false,
        };
        let db = db.clone();
        thread::Builder::new()
            .name("restante-lease".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(heart.run(db, asked)),
                    // Whoever asks for a heartbeat hears that the thread has ended.
                    Err(error) => error!(%error, "the thread that renews the lease cannot work"),
                }
            })
            .map_err(PgError::NoThread)?;
        Ok(Self {
            beats,
            renewed,
            clock,
        })
    }

    /// Renews the lease now.
    pub(super) async fn beat(&self) -> Result<(), Told> {
        let (answer, answered) = oneshot::channel();
        if self.beats.send(answer).is_err() {
            return Err(Told::new("the thread that renews the lease has ended"));
        }
        answered
            .await
            .unwrap_or_else(|_| Err(Told::new("the thread that renews the lease has ended")))
    }

    /// How long ago it was renewed.
    pub(super) fn age(&self) -> Duration {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.map_or(Duration::MAX, |renewed| (self.clock)().saturating_sub(renewed))
    }
}

struct Heart {
    node: NodeName,
    incarnation: i64,
    options: LeaseOptions,
    renewed: Arc<Mutex<Option<Duration>>>,
    clock: SinceBoot,
    fails: bool,
}

impl Heart {
    /// Beats when it is time and when it is asked to, until nobody can ask any more.
    async fn run(mut self, db: Pg, mut asked: mpsc::UnboundedReceiver<Asked>) {
        let db = db.apart(LIMIT);
        loop {
            match timeout(self.options.beat, asked.recv()).await {
                Err(_) => drop(self.beat(&db).await),
                Ok(Some(answer)) => {
                    let beat = self.beat(&db).await;
                    // Who asked may have gone.
                    drop(answer.send(beat));
                }
                Ok(None) => break,
            }
        }
        let end = sqlx::query(sql::END_LEASE)
            .bind(self.node.as_str())
            .bind(self.incarnation);
        if let Err(error) = db.execute(end).await {
            info!(error = %Told::from(error), "lease not ended; what it holds is free when it has run out");
        }
        db.close().await;
    }

    async fn beat(&mut self, db: &Pg) -> Result<(), Told> {
        // From before the statement: the lease is never older than it is believed to be.
        let before = (self.clock)();
        let beat = sqlx::query_as(sql::BEAT)
            .bind(self.node.as_str())
            .bind(self.incarnation)
            .bind(duration_to_row(self.options.ttl));
        let beaten: Result<(bool,), Told> = db.one(beat).await.map_err(Told::from);
        match &beaten {
            Ok((is_followed,)) => {
                *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
                if *is_followed {
                    warn!(
                        node = self.node.as_str(),
                        "another frontend runs under this name and takes over what this one holds: give it a name of its own"
                    );
                }
                if self.fails {
                    info!(node = self.node.as_str(), "the lease is renewed again");
                }
            }
            Err(error) => {
                if !self.fails {
                    warn!(node = self.node.as_str(), %error, "the lease is not renewed");
                }
            }
        }
        self.fails = beaten.is_err();
        beaten.map(|_| ())
    }
}
