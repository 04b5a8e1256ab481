//! UPDATE: the deletions of one session, all or none, and what became of them.
//!
//! One statement compares the token, deletes and logs. When its answer is lost, the token is moved on, which waits
//! for the statement if it is still at work and stops it if it is still on its way; then the log has the answer.

use std::time::Duration;

use restante_store::{Committed, StoreError, StoreErrorKind, commit_allowance, failpoint};
use restante_types::{Fence, SessionId};
use tokio::time::{Instant, sleep};

use super::refusal;
use crate::Pg;
use crate::error::{commit_failed, failed, is_retryable};
use crate::sql::mail as sql;
use crate::values::Undecodable;

/// How long a commit of which nothing has happened is tried again.
const PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(100);
/// Deletions of one session above which the server is given more time for them.
const MANY: usize = 10_000;

pub(super) struct Update {
    db: Pg,
    fence: Fence,
    session: SessionId,
}

impl Update {
    pub(super) fn new(db: &Pg, fence: &Fence, session: SessionId) -> Self {
        Self {
            db: db.clone(),
            fence: *fence,
            session,
        }
    }

    pub(super) async fn commit(self, keys: Vec<i64>) -> Result<Committed, StoreError> {
        const OP: &str = "commit";
        let started = Instant::now();
        let deleted = loop {
            match self.delete(&keys).await {
                Err(error) if is_retryable(&error) && started.elapsed() < PATIENCE => sleep(PAUSE).await,
                answer => break answer.map_err(commit_failed(OP))?,
            }
        };
        if let Some(n_deleted) = deleted {
            return receipt(n_deleted, OP);
        }
        // Fenced, or a repetition: the session has committed before and has lost its lock by that.
        let unknown = |error| refusal(StoreErrorKind::Unknown, OP).because(error);
        match self.logged().await.map_err(failed(OP)).map_err(unknown)? {
            Some(n_deleted) => receipt(n_deleted, OP),
            None => Err(refusal(StoreErrorKind::Fenced, OP)),
        }
    }

    pub(super) async fn outcome(self) -> Result<Option<Committed>, StoreError> {
        const OP: &str = "outcome";
        let end_fence = sqlx::query(sql::END_FENCE)
            .bind(self.fence.maildrop.number())
            .bind(self.token());
        // Nothing ended: somebody else has opened since, and waited for the statement as this one would have.
        self.db.execute(end_fence).await.map_err(commit_failed(OP))?;
        let logged = self.logged().await.map_err(failed(OP))?;
        logged.map(|n_deleted| receipt(n_deleted, OP)).transpose()
    }

    /// Deletes and logs; `None` if the fence does not hold. One round trip, unless there is so much to do that the
    /// time of an ordinary statement may not suffice.
    async fn delete(&self, keys: &[i64]) -> Result<Option<i64>, sqlx::Error> {
        let update = sqlx::query_as(sql::UPDATE)
            .bind(self.fence.maildrop.number())
            .bind(self.fence.maildrop.tenant().get())
            .bind(self.token())
            .bind(&self.session.octets()[..])
            .bind(keys);
        failpoint("update.before");
        let row: Option<(i64,)> = if keys.len() < MANY {
            self.db.optional(update).await?
        } else {
            let mut tx = self.db.begin().await?;
            tx.allow(commit_allowance(keys.len())).await?;
            let row = tx.optional(update).await?;
            tx.commit().await?;
            row
        };
        failpoint("update.after");
        Ok(row.map(|(n_deleted,)| n_deleted))
    }

    async fn logged(&self) -> Result<Option<i64>, sqlx::Error> {
        let logged = sqlx::query_as(sql::UPDATE_OF_SESSION)
            .bind(&self.session.octets()[..])
            .bind(self.fence.maildrop.number());
        let row: Option<(i64,)> = self.db.optional(logged).await?;
        Ok(row.map(|(n_deleted,)| n_deleted))
    }

    fn token(&self) -> i64 {
        self.fence.token.get().cast_signed()
    }
}

fn receipt(n_deleted: i64, op: &'static str) -> Result<Committed, StoreError> {
    usize::try_from(n_deleted)
        .map(Committed::attest)
        .map_err(|_| failed(op)(Undecodable("n_deleted").into()))
}
