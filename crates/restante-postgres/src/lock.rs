//! Which session holds which maildrop, over all frontends: one row per maildrop with a token that only grows, one
//! lease per frontend.
//!
//! An opening is one statement. A heartbeat is one row, however many sessions there are. A frontend that dies frees
//! its maildrops when its lease and the grace have gone by, and at once when it starts again under its name.
//! Expiry alone ends no session: a lease may be renewed late, and a holder of whom nobody has taken anything still
//! commits. Start at [`PgLockManager::start`].

mod desk;
mod lease;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use restante_lock::{LockError, LockManager};
use restante_telemetry::{Gauge, MaildropTakenOver, Telemetry};
use restante_types::{Fence, MaildropId, SessionId};

use crate::error::{STORE, Told, may_have_happened};
use crate::sql::mail as sql;
use crate::values::{Undecodable, duration_to_row};
use crate::{Pg, PgError};
use lease::{Lease, SinceBoot};

pub use desk::PgLockDesk;

/// The name of a frontend, 1 to 255 octets. It stays the same over restarts, and no two frontends that run at the
/// same time have the same: the later one takes the maildrops of the earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// Takes a name; `None` if it is empty, too long or holds control characters.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=255).contains(&name.len()) && !name.chars().any(char::is_control);
        fits.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long things of the lock last. The same for all frontends of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How long a lease lasts after a heartbeat; a frontend that has had none for so long opens nothing.
    pub ttl: Duration,
    /// How often it is renewed.
    pub beat: Duration,
    /// How long after its end, and after a session's longest time, others still wait.
    pub grace: Duration,
    /// After so long a session's maildrop may be taken over.
    pub longest_session: Duration,
}

impl Default for LeaseOptions {
    /// 20 s, renewed every 5 s, 5 s of grace: a crash frees in 25 s at most. Sessions last 2 hours at most.
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(20),
            beat: Duration::from_secs(5),
            grace: Duration::from_secs(5),
            longest_session: Duration::from_hours(2),
        }
    }
}

/// The lock manager of one frontend. Clones are the same frontend; the last one to be dropped ends its lease.
#[derive(Clone)]
pub struct PgLockManager {
    db: Pg,
    node: NodeName,
    incarnation: i64,
    options: LeaseOptions,
    lease: Arc<Lease>,
    telemetry: Telemetry,
}

impl PgLockManager {
    /// Begins an incarnation of this frontend: what earlier ones under its name hold is free from now on.
    ///
    /// # Errors
    /// The database cannot be asked; the thread that renews the lease cannot be started.
    pub async fn start(db: &Pg, node: NodeName, options: LeaseOptions) -> Result<Self, PgError> {
        Self::start_by(lease::since_boot, db, node, options).await
    }

    pub(crate) async fn start_by(
        clock: SinceBoot,
        db: &Pg,
        node: NodeName,
        options: LeaseOptions,
    ) -> Result<Self, PgError> {
        let (incarnation,): (i64,) = db
            .one(sqlx::query_as(sql::NEXT_INCARNATION))
            .await
            .map_err(PgError::opening)?;
        db.execute(sqlx::query(sql::REAP_LEASES))
            .await
            .map_err(PgError::opening)?;
        let lease = Lease::start(db, node.clone(), incarnation, options, clock)?;
        lease.beat().await.map_err(PgError::Failed)?;
        Ok(Self {
            db: db.clone(),
            node,
            incarnation,
            options,
            lease: Arc::new(lease),
            telemetry: Telemetry::default(),
        })
    }

    /// Tells of maildrops that are taken over, and of the age of the lease.
    #[must_use]
    pub fn observed(self, telemetry: &Telemetry) -> Self {
        let lease = Arc::downgrade(&self.lease);
        telemetry.before_scrape(move |metrics| {
            if let Some(lease) = lease.upgrade() {
                metrics.set(Gauge::HeartbeatAge, &[], lease.age().as_secs_f64());
            }
        });
        Self {
            telemetry: telemetry.clone(),
            ..self
        }
    }

    /// How long ago the lease was renewed, also if the machine has slept since; for readiness and metrics.
    pub fn lease_age(&self) -> Duration {
        self.lease.age()
    }
}

impl fmt::Display for PgLockManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for PgLockManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgLockManager({}, {})", self.node.as_str(), self.incarnation)
    }
}

fn unavailable(error: sqlx::Error) -> LockError {
    LockError::Unavailable(Told::from(error).into())
}

/// A failed opening: one that the server has refused, or that was never sent, has not happened.
fn unsure(error: sqlx::Error) -> LockError {
    if may_have_happened(&error) {
        LockError::Unknown(Told::from(error).into())
    } else {
        unavailable(error)
    }
}

#[async_trait]
impl LockManager for PgLockManager {
    async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
        if self.lease.age() > self.options.ttl {
            return Err(LockError::Unavailable("this frontend's lease has run out".into()));
        }
        let open = sqlx::query_as(sql::OPEN)
            .bind(maildrop.number())
            .bind(maildrop.tenant().get())
            .bind(&session.octets()[..])
            .bind(self.node.as_str())
            .bind(self.incarnation)
            .bind(duration_to_row(self.options.longest_session))
            .bind(duration_to_row(self.options.grace));
        let row: Option<(i64, i64, bool)> = self.db.optional(open).await.map_err(unsure)?;
        let (echo, token, was_held) = row.ok_or(LockError::InUse)?;
        if echo != maildrop.number() {
            return Err(LockError::Unavailable("the answer is another maildrop's".into()));
        }
        let token = u64::try_from(token).ok().and_then(NonZeroU64::new);
        let token = token.ok_or_else(|| LockError::Unavailable(Undecodable("token").into()))?;
        if was_held {
            self.telemetry.emit(MaildropTakenOver { maildrop });
        }
        Ok(Fence { maildrop, token })
    }

    async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError> {
        if fences.is_empty() {
            return Ok(Vec::new());
        }
        let keys = |fence: &Fence| (fence.maildrop.number(), fence.token.get().cast_signed());
        let (maildrops, tokens): (Vec<i64>, Vec<i64>) = fences.iter().map(keys).unzip();
        let probe = sqlx::query_as(sql::PROBE).bind(maildrops).bind(tokens);
        let lost: Vec<(i64, i64)> = self.db.all(probe).await.map_err(unavailable)?;
        let lost: HashSet<(i64, i64)> = lost.into_iter().collect();
        Ok(fences
            .iter()
            .filter(|fence| lost.contains(&keys(fence)))
            .copied()
            .collect())
    }

    async fn release(&self, fence: &Fence) -> Result<(), LockError> {
        let release = sqlx::query(sql::RELEASE)
            .bind(fence.maildrop.number())
            .bind(fence.token.get().cast_signed());
        let released = self.db.execute(release).await;
        released.map(|_| ()).map_err(unavailable)
    }

    async fn abandon(&self, maildrop: MaildropId, session: SessionId) -> Result<(), LockError> {
        let abandon = sqlx::query(sql::FREE)
            .bind(maildrop.number())
            .bind(maildrop.tenant().get())
            .bind(&session.octets()[..]);
        let abandoned = self.db.execute(abandon).await;
        abandoned.map(|_| ()).map_err(unavailable)
    }

    async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
        let supersede = sqlx::query(sql::SUPERSEDE)
            .bind(maildrop.number())
            .bind(maildrop.tenant().get());
        let rows = self.db.execute(supersede).await.map_err(unavailable)?;
        Ok(rows > 0)
    }

    async fn heartbeat(&self) -> Result<(), LockError> {
        let beat = self.lease.beat().await;
        beat.map_err(|told| LockError::Unavailable(told.into()))
    }
}
