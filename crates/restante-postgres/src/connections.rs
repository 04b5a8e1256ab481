//! The connections of a process to the database.
//!
//! A pool of the driver's sees by a round trip that a connection is whole whenever it comes back. Here the statement
//! that ended well has shown that; [`Tx`](crate::database::Tx) gives back no other.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use restante_telemetry::PoolLoad;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep, timeout};

/// How long a server that refuses connections is left alone before the next attempt: at first, and at the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(400));
/// No connection is used for longer: the name of the server may lead elsewhere by then, and its process has grown.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
/// How often it is seen whether the last connection has come back.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection that is used; dropped, it goes back.
pub(crate) type Held = Object<Maker>;

#[derive(Clone)]
pub(crate) struct Connections {
    pool: managed::Pool<Maker>,
    acquire_timeout: Duration,
}

pub(crate) struct Maker {
    connecting: PgConnectOptions,
    check_after_idle: Duration,
    last_break: LastBreak,
}

/// When a connection was last found broken: those that were last taken before are asked before they are used.
#[derive(Default)]
struct LastBreak(Mutex<Option<Instant>>);

impl LastBreak {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_after(&self, moment: Option<Instant>) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| moment.is_none_or(|moment| moment <= last))
    }
}

impl managed::Manager for Maker {
    type Type = PgConnection;
    type Error = sqlx::Error;

    /// Tries again while the server is starting, until nobody waits any more.
    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        let (mut pause, longest) = PAUSES;
        loop {
            match self.connecting.connect().await {
                Err(error) if is_starting(&error) => sleep(pause).await,
                made => return made,
            }
            pause = longest.min(pause * 2);
        }
    }

    /// A round trip before each use would double the cost of the hot path. Those are asked that were last taken long
    /// ago, or before another was found broken.
    async fn recycle(&self, conn: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > LONGEST_LIFE {
            return Err(RecycleError::message("used for long enough"));
        }
        let unused = metrics.last_used();
        let taken = Instant::now().checked_sub(unused);
        if unused > self.check_after_idle || self.last_break.is_after(taken) {
            conn.ping().await?;
        }
        Ok(())
    }
}

fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        // Too many connections, of which some may just be ending; not yet, or not again, open to any.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("53300" | "57P03")),
        _ => false,
    }
}

impl Connections {
    /// None is made before somebody asks for one.
    pub(crate) fn new(
        connecting: PgConnectOptions,
        most: u32,
        acquire_timeout: Duration,
        check_after_idle: Duration,
    ) -> Self {
        let maker = Maker {
            connecting,
            check_after_idle,
            last_break: LastBreak::default(),
        };
        let pool = managed::Pool::builder(maker)
            .max_size(usize::try_from(most.max(1)).unwrap_or(usize::MAX))
            // By turns, so that what lies between here and there forgets none of them.
            .queue_mode(QueueMode::Fifo)
            .build()
            .expect("it is given no limits of time, so needs no runtime");
        Self {
            pool,
            acquire_timeout,
        }
    }

    pub(crate) async fn acquire(&self) -> Result<Held, sqlx::Error> {
        let acquired = timeout(self.acquire_timeout, self.pool.get()).await;
        acquired
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|error| match error {
                PoolError::Backend(error) => error,
                // The pool itself has no limits of time and no hooks.
                PoolError::Closed
                | PoolError::Timeout(_)
                | PoolError::NoRuntimeSpecified
                | PoolError::PostCreateHook(_) => sqlx::Error::PoolClosed,
            })
    }

    /// How each is made.
    pub(crate) fn connecting(&self) -> &PgConnectOptions {
        &self.pool.manager().connecting
    }

    pub(crate) fn check_after_idle(&self) -> Duration {
        self.pool.manager().check_after_idle
    }

    pub(crate) fn load(&self) -> PoolLoad {
        let status = self.pool.status();
        let n_idle = status.available.min(status.size);
        PoolLoad {
            n_idle,
            n_used: status.size - n_idle,
            limit: status.max_size,
        }
    }

    /// Closes them, and waits for those that are used.
    pub(crate) async fn close(&self) {
        let idle = self.pool.retain(|_, _| false).removed;
        self.pool.close();
        for conn in idle {
            // One that cannot be closed well goes all the same.
            drop(timeout(FAREWELL, conn.close()).await);
        }
        while self.pool.status().size > 0 {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Takes a connection out for good, whose answers cannot be relied on.
pub(crate) fn give_up(conn: Held) {
    if let Some(pool) = Object::pool(&conn) {
        pool.manager().last_break.note();
    }
    drop(Object::take(conn));
}
