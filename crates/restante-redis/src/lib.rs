//! Limits shared between frontends, in Redis.
//!
//! One operation is one call of one script, which takes the time from Redis: the clocks of frontends do not matter.
//! Meant for a single primary (with replicas or not), not for Redis Cluster: the keys of an attempt lie in different
//! slots. What a Redis without persistence forgets is forgiven. Does not bridge outages: see
//! [`FallbackLimiter`](restante_auth::FallbackLimiter). Start at [`RedisLimiter`].

mod script;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime, TimeoutType};
use redis::{ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisError, ServerErrorKind};
use restante_auth::{Admission, Attempt, AttemptLimiter, LimiterLost, UsageLimiter, pacing};
use restante_types::{AccountId, Secret, SessionId, TenantId};

use self::script::{Call, Keys};

/// How long making a connection may take. The calls that need it do not wait so long.
const CONNECT: Duration = Duration::from_secs(2);
/// Places renewed in one call, so that none keeps Redis busy for long.
const RENEWED_AT_ONCE: usize = 500;

/// Where Redis is and how it is used.
#[derive(Debug)]
pub struct RedisOptions {
    /// `redis://` or `rediss://` (TLS, verified by the certificates of the system), with user and password, a host,
    /// and the number of a database.
    pub url: Secret<String>,
    /// Connections held at most.
    pub pool_size: usize,
    /// How long one operation may take, the wait for a connection included. 20 ms is usual: a login waits for it.
    pub timeout: Duration,
    /// What all keys begin with, for instance `restante:`.
    pub prefix: String,
}

/// The options are wrong. The address, which may hold a password, is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisSetupError {
    /// Not an address of a Redis.
    #[error("the address of Redis is not of the form redis://user:password@host:port/database")]
    Url,
    /// No connection may be held.
    #[error("the pool of Redis connections needs at least one connection")]
    Pool,
}

/// Limits in Redis.
///
/// A connection whose call was cancelled, took too long or got an answer that makes no sense is closed, never used
/// again: what was asked on it could be answered to somebody else. Every answer names its call and its key, and is
/// compared with them.
pub struct RedisLimiter {
    pool: Pool,
    keys: Keys,
    timeout: Duration,
    address: String,
}

impl RedisLimiter {
    /// Prepares connections. None is made before it is needed, so a Redis that does not run is no error here.
    ///
    /// # Errors
    /// [`RedisSetupError`].
    pub fn connect(options: RedisOptions) -> Result<Self, RedisSetupError> {
        let url = options.url.expose().as_str();
        let info = url.into_connection_info().map_err(|_| RedisSetupError::Url)?;
        let address = info.addr().to_string();
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            // The client takes the provider of the process, and panics if there is none. An earlier one stays.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        }
        if options.pool_size == 0 {
            return Err(RedisSetupError::Pool);
        }
        let manager = Manager::new(info).map_err(|_| RedisSetupError::Url)?;
        let pool = Pool::builder(manager)
            .max_size(options.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.timeout))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(options.timeout))
            .build()
            .map_err(|_| RedisSetupError::Pool)?;
        Ok(Self {
            pool,
            keys: Keys::new(options.prefix),
            timeout: options.timeout,
            address,
        })
    }

    /// The answer to a call, within the time limit, as `read` understands it.
    async fn ask<T>(
        &self,
        call: Call,
        read: impl FnOnce(i64, i64) -> Result<T, LimiterLost>,
    ) -> Result<T, LimiterLost> {
        let answer = async {
            let mut borrowed = Borrowed(Some(self.connection().await?));
            let (a, b) = borrowed.ask(&call).await?;
            let answer = read(a, b)?;
            borrowed.give_back();
            Ok(answer)
        };
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or_else(|_| Err(lost("no answer in time")))
    }

    /// A connection that is made anew is made to its end even if this call cannot wait: the next one finds it.
    async fn connection(&self) -> Result<Connection, LimiterLost> {
        let pool = self.pool.clone();
        let connection = tokio::spawn(async move { pool.get().await }).await;
        let connection = connection.map_err(|_| lost("the runtime is shutting down"))?;
        connection.map_err(|error| match error {
            PoolError::Backend(error) => failed(&error),
            PoolError::Timeout(TimeoutType::Wait) => lost("all connections are in use"),
            PoolError::Timeout(_) => lost("no connection in time"),
            _ => lost("the pool of connections is closed"),
        })
    }
}

/// A connection that is closed unless it is given back.
struct Borrowed(Option<Connection>);

impl Borrowed {
    async fn ask(&mut self, call: &Call) -> Result<(i64, i64), LimiterLost> {
        let Some(connection) = &mut self.0 else {
            return Err(lost("the connection was given back"));
        };
        let mut answer = call.by_hash().query_async(connection).await;
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            answer = call.by_text().query_async(connection).await;
        }
        let (nonce, key, a, b): (String, String, i64, i64) = answer.map_err(|error| failed(&error))?;
        if !call.is_answered_by(&nonce, &key) {
            return Err(lost("an answer to another call"));
        }
        Ok((a, b))
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Connection::take(connection));
        }
    }
}

/// Only the category: the text of an error may repeat what was sent or received.
fn failed(error: &RedisError) -> LimiterLost {
    lost(error.category())
}

fn lost(why: &str) -> LimiterLost {
    LimiterLost(format!("redis: {why}"))
}

fn done(answer: i64, _: i64) -> Result<(), LimiterLost> {
    if answer == 1 {
        Ok(())
    } else {
        Err(lost("an answer out of range"))
    }
}

fn yes_or_no(answer: i64, _: i64) -> Result<bool, LimiterLost> {
    match answer {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(lost("an answer out of range")),
    }
}

fn admission(wait: i64, guarded: i64) -> Result<Admission, LimiterLost> {
    if wait == -1 {
        return Ok(Admission::TooMany);
    }
    let wait = u64::try_from(wait).ok().filter(|wait| *wait <= pacing::PATIENCE);
    Ok(Admission::After {
        wait: Duration::from_micros(wait.ok_or_else(|| lost("an answer out of range"))?),
        guarded: yes_or_no(guarded, 0)?,
    })
}

#[async_trait]
impl AttemptLimiter for RedisLimiter {
    async fn admit(&self, attempt: &Attempt) -> Result<Admission, LimiterLost> {
        self.ask(self.keys.admit(attempt), admission).await
    }

    async fn failed(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        self.ask(self.keys.failed(attempt), done).await
    }

    async fn succeeded(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        let Some(name) = attempt.name else { return Ok(()) };
        self.ask(self.keys.succeeded(name, attempt.client), done).await
    }
}

#[async_trait]
impl UsageLimiter for RedisLimiter {
    async fn spend(&self, account: AccountId, octets: u64, limit: u64) -> Result<bool, LimiterLost> {
        let Some(share) = pacing::share_of_day(octets, limit) else {
            return Ok(false);
        };
        self.ask(self.keys.spend(account, share), yes_or_no).await
    }

    async fn enter(&self, tenant: TenantId, session: SessionId, cap: u32) -> Result<bool, LimiterLost> {
        self.ask(self.keys.enter(tenant, session, cap), yes_or_no).await
    }

    async fn leave(&self, tenant: TenantId, session: SessionId) -> Result<(), LimiterLost> {
        self.ask(self.keys.leave(tenant, session), done).await
    }

    async fn renew(&self, sessions: &[(TenantId, SessionId)]) -> Result<(), LimiterLost> {
        for sessions in sessions.chunks(RENEWED_AT_ONCE) {
            self.ask(self.keys.renew(sessions), done).await?;
        }
        Ok(())
    }
}

impl fmt::Display for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limits in Redis at {}", self.address)
    }
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter")
            .field("address", &self.address)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
