//! The connections that read.
//!
//! Each has a thread of its own, and a pool of the driver's asks that thread whether the connection is whole whenever
//! it comes back: twice the way for every query. Here a connection is taken and given back without a word.

use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::query::QueryAs;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, FromRow};
use tokio::time::{sleep, timeout};

/// How often it is seen whether the last connection has come back.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A connection that reads; it goes back when it is dropped.
pub(crate) type Reader = Object<Maker>;

/// A query for rows of this shape.
type Rows<'q, O> = QueryAs<'q, sqlx::Sqlite, O, SqliteArguments>;

#[derive(Clone, Debug)]
pub(crate) struct Readers {
    pool: managed::Pool<Maker>,
    acquire_timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Maker(SqliteConnectOptions);

impl managed::Manager for Maker {
    type Type = SqliteConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.0.connect().await
    }

    /// A transaction whose caller has gone is rolled back by the thread when it comes to it.
    async fn recycle(&self, conn: &mut SqliteConnection, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if conn.is_in_transaction() {
            conn.ping().await?;
        }
        if conn.is_in_transaction() {
            return Err(RecycleError::message("a transaction does not end"));
        }
        Ok(())
    }
}

impl Readers {
    /// At least one of them is made, so that a file that cannot be read is found out.
    pub(crate) async fn open(
        connecting: SqliteConnectOptions,
        most: u32,
        acquire_timeout: Duration,
    ) -> Result<Self, sqlx::Error> {
        let pool = managed::Pool::builder(Maker(connecting))
            .max_size(usize::try_from(most.max(1)).unwrap_or(usize::MAX))
            // The one that was used last has its pages at hand, and its thread may still be awake.
            .queue_mode(QueueMode::Lifo)
            .build()
            .expect("it is given no limits of time, so needs no runtime");
        let readers = Self {
            pool,
            acquire_timeout,
        };
        drop(readers.acquire().await?);
        Ok(readers)
    }

    pub(crate) async fn acquire(&self) -> Result<Reader, sqlx::Error> {
        let acquired = timeout(self.acquire_timeout, self.pool.get()).await;
        acquired
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|error| match error {
                PoolError::Backend(error) => error,
                // There are no limits of time and no hooks.
                PoolError::Closed
                | PoolError::Timeout(_)
                | PoolError::NoRuntimeSpecified
                | PoolError::PostCreateHook(_) => sqlx::Error::PoolClosed,
            })
    }

    /// Runs one statement; its first row, if any.
    pub(crate) async fn optional<O>(&self, query: Rows<'_, O>) -> Result<Option<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
    {
        let mut reader = self.acquire().await?;
        let found = query.fetch_optional(&mut *reader).await;
        kept(reader, found)
    }

    /// Runs one statement; its first row, which must be there.
    pub(crate) async fn one<O>(&self, query: Rows<'_, O>) -> Result<O, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
    {
        self.optional(query).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Runs one statement; all its rows.
    pub(crate) async fn all<O>(&self, query: Rows<'_, O>) -> Result<Vec<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
    {
        let mut reader = self.acquire().await?;
        let found = query.fetch_all(&mut *reader).await;
        kept(reader, found)
    }

    /// How many are idle, how many there are, and how many there may be.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.available.min(status.size), status.size, status.max_size)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Closes them, and waits for those that are used.
    pub(crate) async fn close(&self) {
        let idle = self.pool.retain(|_, _| false).removed;
        self.pool.close();
        for reader in idle {
            // One that cannot be closed well goes all the same.
            drop(reader.close().await);
        }
        while self.pool.status().size > 0 {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Does not give back what will never answer again.
fn kept<T>(reader: Reader, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
    if matches!(answer, Err(sqlx::Error::WorkerCrashed)) {
        drop(Object::take(reader));
    }
    answer
}
