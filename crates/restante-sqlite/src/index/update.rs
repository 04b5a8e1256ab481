//! UPDATE: the deletions of one session, all or none, and what became of them.
//!
//! The row in `update_log` is the decision. It is written in the transaction that deletes, or by
//! [`Update::outcome`] to say that no such transaction will come; whichever is first stands.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_lock::{LockError, LockTable};
use restante_session::DeleteSet;
use restante_store::{Committed, StoreError, StoreErrorKind};
use restante_types::{Fence, Octets, SessionId};

use super::{json_array, refusal};
use crate::database::Tx;
use crate::error::{commit_failed, failed};
use crate::values::{Undecodable, count_to_row, time_to_row};
use crate::{Sqlite, sql};

/// Messages per statement: bounds the memory that a large deletion takes.
const CHUNK: usize = 10_000;
/// How often a commit that is being written is looked for, and how many times.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOKS: u32 = 500;

pub(super) struct Update {
    pub(super) db: Sqlite,
    pub(super) table: Arc<LockTable>,
    pub(super) fence: Fence,
    pub(super) session: SessionId,
    pub(super) at: SystemTime,
}

impl Update {
    /// Runs to its end on a task of its own; the maildrop stays pinned until the database has answered.
    pub(super) async fn commit(self, deletes: DeleteSet) -> Result<Committed, StoreError> {
        const OP: &str = "commit";
        // Taken before the transaction and dropped after it. A session that has committed before may have lost
        // its lock since, so the log is asked first.
        let pin = self.table.begin_commit(&self.fence);
        let mut tx = self.db.begin().await.map_err(failed(OP))?;
        match self.logged(&mut tx).await.map_err(failed(OP))? {
            Some(Some(n_deleted)) => return Ok(Committed::attest(n_deleted)),
            Some(None) => return Err(refusal(StoreErrorKind::Fenced, OP)),
            None if pin.is_none() => return Err(refusal(StoreErrorKind::Fenced, OP)),
            None => {}
        }
        let n_deleted = self.delete(&mut tx, &deletes).await.map_err(failed(OP))?;
        self.log(&mut tx, n_deleted).await.map_err(failed(OP))?;
        let receipt = Committed::attest(number(n_deleted).map_err(|error| failed(OP)(error.into()))?);
        tx.commit().await.map_err(commit_failed(OP))?;
        drop(pin);
        Ok(receipt)
    }

    /// Ends the fence, then reads the log, having written there that nothing more will come.
    ///
    /// The write matters even when nobody else could commit any more: a COMMIT whose sync failed may have left its
    /// pages behind the end of the log file, and they would count again after a crash unless something is written
    /// over them.
    pub(super) async fn outcome(self) -> Result<Option<Committed>, StoreError> {
        const OP: &str = "outcome";
        self.end_fence().await?;
        let mut tx = self.db.begin().await.map_err(failed(OP))?;
        sqlx::query(sql::LOG_NO_UPDATE)
            .bind(&self.session.octets()[..])
            .bind(self.fence.maildrop.number())
            .bind(self.token())
            .bind(time_to_row(self.at))
            .execute(&mut *tx)
            .await
            .map_err(failed(OP))?;
        let logged = self.logged(&mut tx).await.map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(logged.flatten().map(Committed::attest))
    }

    /// Waits while a commit under the fence is being written, then ends the fence.
    async fn end_fence(&self) -> Result<(), StoreError> {
        for _ in 0..LOOKS {
            match self.table.end(&self.fence) {
                Ok(()) => return Ok(()),
                Err(LockError::InUse) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => return Err(refusal(StoreErrorKind::Unknown, "outcome").because(error)),
            }
        }
        Err(refusal(StoreErrorKind::Unknown, "outcome").because("the commit is still being written"))
    }

    /// What the log says of this session: deleted so many, decided against, or nothing yet.
    async fn logged(&self, tx: &mut Tx) -> Result<Option<Option<usize>>, sqlx::Error> {
        let row: Option<Option<i64>> = sqlx::query_scalar(sql::UPDATE_OF_SESSION)
            .bind(&self.session.octets()[..])
            .bind(self.fence.maildrop.number())
            .fetch_optional(&mut **tx)
            .await?;
        Ok(row
            .map(|n_deleted| n_deleted.map(number).transpose())
            .transpose()?)
    }

    /// Makes tombstones of the messages that are still there; answers how many.
    async fn delete(&self, tx: &mut Tx, deletes: &DeleteSet) -> Result<i64, sqlx::Error> {
        let maildrop = self.fence.maildrop;
        let marked: Vec<(i64, Octets)> = deletes.iter().map(|it| (it.id.get(), it.octets)).collect();
        let (mut n_deleted, mut octets) = (0_i64, 0_i64);
        for marked in marked.chunks(CHUNK) {
            let keys = json_array(marked.iter().map(|(key, _)| *key));
            let deleted = sqlx::query(sql::DELETE_MESSAGES)
                .bind(&keys)
                .bind(maildrop.number())
                .bind(maildrop.tenant().get())
                .bind(time_to_row(self.at))
                .execute(&mut **tx)
                .await?
                .rows_affected();
            let size = if usize::try_from(deleted) == Ok(marked.len()) {
                let size: Octets = marked.iter().map(|(_, octets)| *octets).sum();
                count_to_row(size.get()).ok_or(Undecodable("octets"))?
            } else {
                self.measure(tx, &keys, deleted).await?
            };
            n_deleted = n_deleted.saturating_add_unsigned(deleted);
            octets = octets.saturating_add(size);
        }
        sqlx::query(sql::COUNT_DELETION)
            .bind(maildrop.number())
            .bind(n_deleted)
            .bind(octets)
            .execute(&mut **tx)
            .await?;
        Ok(n_deleted)
    }

    /// The octets of those that were deleted here, where others were gone already.
    async fn measure(&self, tx: &mut Tx, keys: &str, deleted: u64) -> Result<i64, sqlx::Error> {
        let (messages, size): (i64, i64) = sqlx::query_as(sql::MEASURE_DELETION)
            .bind(keys)
            .bind(self.fence.maildrop.number())
            .bind(self.fence.maildrop.tenant().get())
            .bind(time_to_row(self.at))
            .fetch_one(&mut **tx)
            .await?;
        if u64::try_from(messages) == Ok(deleted) {
            Ok(size)
        } else {
            Err(Undecodable("messages counted and messages deleted differ").into())
        }
    }

    async fn log(&self, tx: &mut Tx, n_deleted: i64) -> Result<(), sqlx::Error> {
        sqlx::query(sql::LOG_UPDATE)
            .bind(&self.session.octets()[..])
            .bind(self.fence.maildrop.number())
            .bind(self.token())
            .bind(n_deleted)
            .bind(time_to_row(self.at))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    fn token(&self) -> i64 {
        self.fence.token.get().cast_signed()
    }
}

fn number(n_deleted: i64) -> Result<usize, Undecodable> {
    usize::try_from(n_deleted).map_err(|_| Undecodable("n_deleted"))
}
