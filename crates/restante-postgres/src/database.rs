//! The one type that owns the pool: no other way leads to the database, so no caller can use a pooler wrongly.
//!
//! A statement alone is one round trip on a direct connection. Behind a pooler that knows no prepared statements it
//! stands in a transaction of its own, because between two messages of one statement such a pooler may hand the
//! server connection to somebody else, and the answer is then another query's. A call that is given up half-way
//! closes its connection: whoever came next would read the answer that was meant for it.
//!
//! Start at [`Pg::open`]; inside the crate at [`Pg::optional`] and [`Pg::begin`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use restante_store::{StorageId, StoreError};
use restante_telemetry::PoolLoad;
use restante_types::Secret;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{ConnectOptions, Connection, FromRow, Postgres};
use tokio::runtime::Handle;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tracing::debug;

use crate::PgError;
use crate::connections::{Connections, Held, give_up};
use crate::error::{commit_failed, failed, not_connected, spares_connection};
use crate::pooler::{self, Pooler};
use crate::schema::{self, Schema};
use crate::sql::mail as sql;

/// How much longer a call waits than the server should need: the server's own limit comes first and leaves the
/// connection whole.
const MARGIN: Duration = Duration::from_secs(2);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
/// The oldest server that is tested.
const OLDEST_SERVER: i32 = 130_000;

/// How to reach the database.
#[derive(Debug)]
pub struct PgOptions {
    /// `postgres://user:password@host:port/database`, as sessions use it.
    pub url: Secret<String>,
    /// The same database without the pooler in between, for migrations, LISTEN and the lease.
    pub direct_url: Option<Secret<String>>,
    /// What stands between here and Postgres.
    pub pooler: Pooler,
    /// Connections of this process, at least 1. Sessions hold none while they wait for their client.
    pub max_connections: u32,
    /// How long a call waits for a free connection.
    pub acquire_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// A connection that was idle for longer is asked before it is used: on its way things forget it, and tell nobody.
    pub check_after_idle: Duration,
    /// Whether a server without a synchronous standby is refused.
    pub needs_standby: bool,
}

impl PgOptions {
    /// Sixteen connections, two seconds for a free one, eight for a statement, idle for 30 before it is asked; no
    /// pooler.
    pub const fn new(url: Secret<String>) -> Self {
        Self {
            url,
            direct_url: None,
            pooler: Pooler::None,
            max_connections: 16,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(8),
            check_after_idle: Duration::from_secs(30),
            needs_standby: false,
        }
    }

    fn connecting(&self) -> Result<PgConnectOptions, PgError> {
        let url = parse(&self.url, "database.url")?;
        Ok(match self.pooler {
            Pooler::None => direct(url, self.statement_timeout),
            Pooler::Prepared | Pooler::Transaction => pooled(url),
        })
    }

    fn connecting_directly(&self) -> Result<Option<PgConnectOptions>, PgError> {
        match (&self.direct_url, self.pooler) {
            (Some(url), _) => Ok(Some(direct(
                parse(url, "database.direct_url")?,
                self.statement_timeout,
            ))),
            (None, Pooler::None) => self.connecting().map(Some),
            (None, _) => Ok(None),
        }
    }
}

fn parse(url: &Secret<String>, setting: &'static str) -> Result<PgConnectOptions, PgError> {
    let schemes = ["postgres://", "postgresql://"];
    if !schemes.iter().any(|scheme| url.expose().starts_with(scheme)) {
        return Err(PgError::Url { setting });
    }
    PgConnectOptions::from_str(url.expose())
        .map(|options| {
            options
                .application_name("restante")
                // The log would hold the SQL of every login; errors are reported by those who get them.
                .disable_statement_logging()
        })
        .map_err(|_| PgError::Url { setting })
}

/// Settings of the session, sent when it begins: a pooler would refuse them or give them to others.
fn direct(options: PgConnectOptions, statement_timeout: Duration) -> PgConnectOptions {
    let millis = |limit: Duration| limit.as_millis().to_string();
    options.options([
        ("statement_timeout", millis(statement_timeout)),
        // A frontend that stalls within a transaction frees its rows.
        ("idle_in_transaction_session_timeout", millis(statement_timeout)),
        ("tcp_keepalives_idle", "30".to_owned()),
        ("tcp_keepalives_interval", "10".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ])
}

fn pooled(options: PgConnectOptions) -> PgConnectOptions {
    options.extra_float_digits(None)
}

/// An open database, migrated to what this release expects. Clones share the connections.
#[derive(Clone)]
pub struct Pg {
    pool: Connections,
    inner: Arc<Inner>,
}

struct Inner {
    pooler: Pooler,
    direct: Option<PgConnectOptions>,
    /// How long a call waits for its answer.
    limit: Duration,
}

impl fmt::Debug for Pg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pg({})", self.inner.pooler.as_str())
    }
}

impl Pg {
    /// Opens a database that is there and migrated, after it was seen that `options.pooler` is right.
    ///
    /// # Errors
    /// [`PgError`] says what is wrong and what to do; nothing is ever made or changed.
    pub async fn open(options: &PgOptions) -> Result<Self, PgError> {
        let schema = Self::schema(options).await?;
        if !schema.pending.is_empty() {
            return Err(PgError::NotMigrated {
                pending: schema.pending,
            });
        }
        let db = Self::connect(options, options.max_connections)?;
        db.check_server(options.needs_standby).await?;
        Ok(db)
    }

    /// Applies what migrations are pending and answers their names. Any number of processes may call it at once.
    ///
    /// # Errors
    /// As [`Pg::open`]; `NoDirectUrl` if there is a pooler and no way past it.
    pub async fn migrate(options: &PgOptions) -> Result<Vec<String>, PgError> {
        let connecting = options.connecting_directly()?.ok_or(PgError::NoDirectUrl)?;
        // A migration may take its time, but must not keep everybody waiting behind it for a lock.
        let connecting = connecting.options([("statement_timeout", "0"), ("lock_timeout", "10s")]);
        let mut conn = connect(&connecting).await?;
        let pending = schema::read(&mut conn).await?.pending;
        if !pending.is_empty() {
            schema::migrate(&mut conn).await?;
        }
        conn.close().await.map_err(PgError::opening)?;
        Ok(pending)
    }

    /// Which migrations the database has had and lacks. Changes nothing; for checks before a start.
    ///
    /// # Errors
    /// As [`Pg::open`], except that a database that is not migrated is no error.
    pub async fn schema(options: &PgOptions) -> Result<Schema, PgError> {
        // One connection first: with a wrong URL the pool would try until its time is up, and not say why.
        let conn = connect(&options.connecting()?)
            .await
            .map_err(|error| pooler::refused_settings(options.pooler, error))?;
        conn.close().await.map_err(PgError::opening)?;
        let probed = Self::connect(options, pooler::CONNECTIONS)?;
        let schema = probed.probed_schema().await;
        probed.close().await;
        schema
    }

    async fn probed_schema(&self) -> Result<Schema, PgError> {
        pooler::probe(self, self.inner.pooler).await?;
        let mut tx = self.begin().await.map_err(PgError::opening)?;
        schema::read(tx.conn()).await
    }

    /// The key of the storage of that name; made if it is new. The key stands in every message, so that a tenant's
    /// choice can change while older messages stay where they are.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn storage_id(&self, name: &str) -> Result<StorageId, StoreError> {
        const OP: &str = "storage_id";
        let mut tx = self.begin().await.map_err(failed(OP))?;
        let id = storage_row(&mut tx, name).await.map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(id)
    }

    /// The name of a storage; `None` if no storage ever had this key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn storage_name(&self, storage: StorageId) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = self
            .optional(sqlx::query_as(sql::STORAGE_NAME).bind(storage.0))
            .await
            .map_err(failed("storage_name"))?;
        Ok(row.map(|(name,)| name))
    }

    /// What the pool holds, for the metrics.
    pub fn load(&self) -> PoolLoad {
        self.pool.load()
    }

    /// Closes all connections. Calls after it fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// How to connect past the pooler, for LISTEN and whatever else needs a session of its own; `None` if there is a
    /// pooler and no way past it. Contains the password: `Debug` shows it.
    pub fn direct(&self) -> Option<PgConnectOptions> {
        self.inner.direct.clone()
    }

    /// A handle of one connection, past the pooler if there is a way, for a thread with a runtime of its own.
    ///
    /// Must be called in that runtime: connections belong to the one that made them.
    pub(crate) fn apart(&self, limit: Duration) -> Self {
        let (connecting, pooler) = match &self.inner.direct {
            Some(direct) => (direct.clone(), Pooler::None),
            None => (self.pool.connecting().clone(), self.inner.pooler),
        };
        Self {
            pool: Connections::new(connecting, 1, limit, self.pool.check_after_idle()),
            inner: Arc::new(Inner {
                pooler,
                direct: self.inner.direct.clone(),
                limit,
            }),
        }
    }

    fn connect(options: &PgOptions, connections: u32) -> Result<Self, PgError> {
        let margin = match options.pooler {
            Pooler::None => MARGIN,
            Pooler::Prepared | Pooler::Transaction => Duration::ZERO,
        };
        Ok(Self {
            pool: Connections::new(
                options.connecting()?,
                connections,
                options.acquire_timeout,
                options.check_after_idle,
            ),
            inner: Arc::new(Inner {
                pooler: options.pooler,
                direct: options.connecting_directly()?,
                limit: options.statement_timeout + margin,
            }),
        })
    }

    async fn check_server(&self, needs_standby: bool) -> Result<(), PgError> {
        let (version, synchronous, is_standby, encoding, standbys): (i32, String, bool, String, String) =
            self.one(sqlx::query_as(sql::SERVER))
                .await
                .map_err(PgError::opening)?;
        if version < OLDEST_SERVER {
            return Err(PgError::TooOld);
        }
        if is_standby {
            return Err(PgError::Standby);
        }
        if synchronous == "off" || synchronous == "local" {
            return Err(PgError::NotDurable(synchronous));
        }
        // `remote_write` is lost with the standby's host, `remote_apply` waits for more than is needed.
        if needs_standby && (standbys.trim().is_empty() || synchronous == "remote_write") {
            return Err(PgError::NoStandby {
                synchronous_commit: synchronous,
            });
        }
        if encoding != "UTF8" {
            return Err(PgError::Encoding(encoding));
        }
        Ok(())
    }

    /// Runs one statement; its first row, if any.
    pub(crate) async fn optional<O>(
        &self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
    ) -> Result<Option<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut alone = self.alone().await?;
        let found = alone.optional(query).await?;
        alone.commit().await?;
        Ok(found)
    }

    /// Runs one statement; its first row, which must be there.
    pub(crate) async fn one<O>(&self, query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<O, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        self.optional(query).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Runs one statement; all its rows.
    pub(crate) async fn all<O>(
        &self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
    ) -> Result<Vec<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut rows = Vec::new();
        self.each(query, |row| {
            rows.push(row);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// Runs one statement and gives its rows to `take` as they come.
    pub(crate) async fn each<O>(
        &self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
        take: impl FnMut(O) -> Result<(), sqlx::Error> + Send,
    ) -> Result<(), sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut alone = self.alone().await?;
        alone.each(query, take).await?;
        alone.commit().await
    }

    /// Runs one statement; how many rows it changed.
    pub(crate) async fn execute(&self, query: Query<'_, Postgres, PgArguments>) -> Result<u64, sqlx::Error> {
        let mut alone = self.alone().await?;
        let changed = alone.execute(query).await?;
        alone.commit().await?;
        Ok(changed)
    }

    /// Begins a transaction. Dropped without [`Tx::commit`] it is rolled back.
    pub(crate) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        let mut tx = self.checkout().await?;
        tx.begin().await?;
        Ok(tx)
    }

    /// A connection for one statement, within a transaction where the pooler needs that.
    pub(crate) async fn alone(&self) -> Result<Tx, sqlx::Error> {
        match self.inner.pooler {
            Pooler::None | Pooler::Prepared => self.checkout().await,
            Pooler::Transaction => self.begin().await,
        }
    }

    pub(crate) async fn checkout(&self) -> Result<Tx, sqlx::Error> {
        let conn = self.pool.acquire().await.map_err(not_connected)?;
        Ok(Tx {
            conn: Some(conn),
            limit: self.inner.limit,
            inner: Arc::clone(&self.inner),
            is_open: false,
            is_busy: false,
            has_failed: false,
        })
    }
}

async fn connect(connecting: &PgConnectOptions) -> Result<PgConnection, PgError> {
    timeout(CONNECT, connecting.connect())
        .await
        .unwrap_or_else(|_| Err(no_answer()))
        .map_err(PgError::opening)
}

fn no_answer() -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}

/// The key of the storage of that name; made if it is new.
pub(crate) async fn storage_row(tx: &mut Tx, name: &str) -> Result<StorageId, sqlx::Error> {
    // Looked for first: an insertion that finds it there would use up a key each time.
    if let Some((id,)) = tx.optional(sqlx::query_as(sql::STORAGE_ID).bind(name)).await? {
        return Ok(StorageId(id));
    }
    tx.execute(sqlx::query(sql::ADD_STORAGE).bind(name)).await?;
    let (id,) = tx.one(sqlx::query_as(sql::STORAGE_ID).bind(name)).await?;
    Ok(StorageId(id))
}

/// A connection of the pool, in a transaction or for one statement.
///
/// # Cancel safety
/// A call that is dropped before it is done closes the connection, and with it rolls back the transaction, unless it
/// was [`Tx::commit`]: then the outcome is unknown.
pub(crate) struct Tx {
    /// Taken only by the drop.
    conn: Option<Held>,
    inner: Arc<Inner>,
    /// How long one call may take.
    limit: Duration,
    is_open: bool,
    /// A call has begun and has not ended well: what comes next on the connection may be its answer.
    is_busy: bool,
    has_failed: bool,
}

impl Tx {
    pub(crate) async fn optional<O>(
        &mut self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
    ) -> Result<Option<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.names_statements());
        let (conn, limit) = self.enter();
        let answer = timeout(limit, query.fetch_optional(conn)).await;
        self.leave(answer)
    }

    pub(crate) async fn one<O>(
        &mut self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
    ) -> Result<O, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        self.optional(query).await?.ok_or(sqlx::Error::RowNotFound)
    }

    pub(crate) async fn all<O>(
        &mut self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
    ) -> Result<Vec<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.names_statements());
        let (conn, limit) = self.enter();
        let answer = timeout(limit, query.fetch_all(conn)).await;
        self.leave(answer)
    }

    pub(crate) async fn each<O>(
        &mut self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
        mut take: impl FnMut(O) -> Result<(), sqlx::Error> + Send,
    ) -> Result<(), sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.names_statements());
        let (conn, limit) = self.enter();
        let taking = async {
            let mut rows = query.fetch(conn);
            while let Some(row) = rows.try_next().await? {
                take(row)?;
            }
            Ok(())
        };
        let answer = timeout(limit, taking).await;
        self.leave(answer)
    }

    pub(crate) async fn execute(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, sqlx::Error> {
        let query = query.persistent(self.names_statements());
        let (conn, limit) = self.enter();
        let answer = timeout(limit, query.execute(conn)).await;
        Ok(self.leave(answer)?.rows_affected())
    }

    /// Makes it durable; for one statement outside a transaction it is so already.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        if !self.is_open {
            return Ok(());
        }
        if self.has_failed {
            // The server would answer this COMMIT with a rollback and no error.
            return Err(sqlx::Error::Protocol(
                "a statement of the transaction failed".to_owned(),
            ));
        }
        let (conn, limit) = self.enter();
        let answer = timeout(limit, sqlx::raw_sql(COMMIT).execute(conn)).await;
        self.leave(answer)?;
        self.is_open = false;
        Ok(())
    }

    /// Lets each statement of the transaction take so much longer than others may.
    pub(crate) async fn allow(&mut self, more: Duration) -> Result<(), sqlx::Error> {
        let limit = self.limit + more;
        let millis = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        self.execute(sqlx::query(sql::ALLOW).bind(millis)).await?;
        // The server's own limit comes first, as for other statements.
        self.limit = limit + MARGIN;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        let (conn, limit) = self.enter();
        let answer = timeout(limit, sqlx::raw_sql(BEGIN).execute(conn)).await;
        // Nothing of the caller's was sent yet.
        self.leave(answer).map_err(not_connected)?;
        self.is_open = true;
        Ok(())
    }

    /// The connection itself, for the schema and for tests; inside a transaction only, and closed after it.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        debug_assert!(
            self.is_open,
            "a pooler changes the server connection between transactions"
        );
        self.enter().0
    }

    /// Statements get a name, and are planned once per connection, unless a pooler would lose them.
    fn names_statements(&self) -> bool {
        match self.inner.pooler {
            Pooler::None | Pooler::Prepared => true,
            Pooler::Transaction => false,
        }
    }

    fn enter(&mut self) -> (&mut PgConnection, Duration) {
        self.is_busy = true;
        (self.conn.as_mut().expect("only the drop takes it"), self.limit)
    }

    fn leave<T>(&mut self, answer: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, sqlx::Error> {
        let answer = answer.unwrap_or_else(|_| Err(no_answer()));
        match &answer {
            Ok(_) => self.is_busy = false,
            Err(error) => {
                self.has_failed = true;
                self.is_busy = !spares_connection(error);
            }
        }
        answer
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else {
            return;
        };
        if self.is_busy {
            give_up(conn);
        } else if self.is_open {
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(roll_back(conn, self.inner.limit))),
                Err(_) => give_up(conn),
            }
        }
    }
}

async fn roll_back(mut conn: Held, limit: Duration) {
    let rolled_back = timeout(limit, sqlx::raw_sql(ROLLBACK).execute(&mut *conn)).await;
    if !matches!(rolled_back, Ok(Ok(_))) {
        debug!("a connection was given up on its way back");
        give_up(conn);
    }
}
