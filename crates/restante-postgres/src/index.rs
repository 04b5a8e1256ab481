//! Which messages exist: one table, counters kept in the same step, tombstones for what is deleted.
//!
//! UPDATE itself is in [`update`]. Start at [`PgMailIndex`].

mod repeat;
mod snapshot;
mod update;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use restante_session::DeleteSet;
use restante_store::{
    BlobKey, Committed, Delivered, Listing, MailIndex, NewMessage, Quota, StorageId, StoreError,
    StoreErrorKind, Usage, fresh_unique_id,
};
use restante_types::{Clock, Fence, MaildropId, Octets, SessionId, UniqueId};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;

use crate::Pg;
use crate::database::Tx;
use crate::error::{STORE, commit_failed, failed};
use crate::sql::mail as sql;
use crate::values::{
    Undecodable, blob_to_row, checksum_to_row, count_from_row, count_to_row, limit_from_row, octets_from_row,
    time_to_row,
};

type UsageRow = (i64, i64, i64, Option<i64>, Option<i64>);

/// The index of maildrops in Postgres, and its ledger of blobs. Any number of frontends use one database.
///
/// It accepts the fences of [`PgLockManager`](crate::PgLockManager) on the same database, wherever that runs.
pub struct PgMailIndex {
    db: Pg,
    clock: Arc<dyn Clock>,
    grace: Duration,
}

impl PgMailIndex {
    /// How long a reservation is honoured unless [`PgMailIndex::with_grace`] says otherwise.
    pub const GRACE: Duration = Duration::from_hours(1);

    /// The index of this database. The clock makes keys and unique-ids; what is compared with a time later is noted
    /// by the clock of the server.
    pub fn new(db: &Pg, clock: Arc<dyn Clock>) -> Self {
        Self {
            db: db.clone(),
            clock,
            grace: Self::GRACE,
        }
    }

    /// Changes how long a reservation is honoured.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(crate) const fn db(&self) -> &Pg {
        &self.db
    }

    pub(crate) const fn grace(&self) -> Duration {
        self.grace
    }
}

impl fmt::Display for PgMailIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for PgMailIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgMailIndex({:?})", self.db)
    }
}

#[async_trait]
impl MailIndex for PgMailIndex {
    async fn snapshot(&self, fence: &Fence) -> Result<Listing, StoreError> {
        snapshot::read(&self.db, fence).await
    }

    async fn refresh(&self, fence: &Fence, known: &Arc<Listing>) -> Result<Arc<Listing>, StoreError> {
        snapshot::refresh(&self.db, fence, known).await
    }

    async fn commit(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError> {
        let update = update::Update::new(&self.db, fence, session);
        let keys = deletes.iter().map(|entry| entry.id.get()).collect();
        // On a task of its own: a caller that goes away does not cut the statement off half-way.
        tokio::spawn(update.commit(keys))
            .await
            .unwrap_or_else(|error| Err(refusal(StoreErrorKind::Unknown, "commit").because(error)))
    }

    async fn outcome(&self, fence: &Fence, session: SessionId) -> Result<Option<Committed>, StoreError> {
        update::Update::new(&self.db, fence, session).outcome().await
    }

    async fn reserve(&self, maildrop: MaildropId, storage: StorageId) -> Result<BlobKey, StoreError> {
        const OP: &str = "reserve";
        let blob = BlobKey::fresh(maildrop.tenant(), self.clock.wall())?;
        let reserve = sqlx::query(sql::RESERVE)
            .bind(maildrop.number())
            .bind(maildrop.tenant().get())
            .bind(blob_to_row(&blob))
            .bind(storage.0);
        match self.db.execute(reserve).await.map_err(commit_failed(OP))? {
            0 => Err(refusal(StoreErrorKind::NoSuchMaildrop, OP)),
            _ => Ok(blob),
        }
    }

    async fn deliver(&self, maildrop: MaildropId, message: NewMessage) -> Result<Delivered, StoreError> {
        const OP: &str = "deliver";
        let unique_id = match &message.unique_id {
            Some(kept) => kept.clone(),
            None => fresh_unique_id(self.clock.wall())?,
        };
        let mut tx = self.db.begin().await.map_err(failed(OP))?;
        let row = tx.optional(usage_query(sql::USAGE_FOR_DELIVERY, maildrop)).await;
        let (usage, quota) = usage(maildrop, row.map_err(failed(OP))?, OP)?;
        if let Some(unique_id) = repeat::repeated(&mut tx, maildrop, &message).await? {
            return Ok(Delivered {
                unique_id,
                is_repeat: true,
            });
        }
        if !quota.admits(usage, message.measured.octets) {
            return Err(refusal(StoreErrorKind::OverQuota, OP));
        }
        admit(&mut tx, maildrop, &message, &unique_id).await?;
        add(&mut tx, maildrop, &message, &unique_id).await?;
        repeat::remember(&mut tx, maildrop, &message, &unique_id).await?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(Delivered {
            unique_id,
            is_repeat: false,
        })
    }

    async fn usage(&self, maildrop: MaildropId) -> Result<(Usage, Quota), StoreError> {
        const OP: &str = "usage";
        let row = self.db.optional(usage_query(sql::USAGE, maildrop)).await;
        usage(maildrop, row.map_err(failed(OP))?, OP)
    }
}

pub(crate) fn refusal(kind: StoreErrorKind, op: &'static str) -> StoreError {
    StoreError::new(kind, op, STORE)
}

fn usage_query(
    statement: &'static str,
    maildrop: MaildropId,
) -> QueryAs<'static, Postgres, UsageRow, PgArguments> {
    sqlx::query_as(statement)
        .bind(maildrop.number())
        .bind(maildrop.tenant().get())
}

fn usage(
    maildrop: MaildropId,
    row: Option<UsageRow>,
    op: &'static str,
) -> Result<(Usage, Quota), StoreError> {
    let row = row.ok_or_else(|| refusal(StoreErrorKind::NoSuchMaildrop, op))?;
    usage_from_row(maildrop, row).map_err(|error| failed(op)(error.into()))
}

fn usage_from_row(
    maildrop: MaildropId,
    (echo, messages, octets, most_messages, most_octets): UsageRow,
) -> Result<(Usage, Quota), Undecodable> {
    if echo != maildrop.number() {
        return Err(Undecodable("the answer is another maildrop's"));
    }
    let usage = Usage {
        messages: count_from_row(messages)?,
        octets: octets_from_row(octets)?,
    };
    let quota = Quota {
        messages: limit_from_row(most_messages)?,
        octets: limit_from_row(most_octets)?.map(Octets),
    };
    Ok((usage, quota))
}

/// Takes the message's unique-id and its reservation.
async fn admit(
    tx: &mut Tx,
    maildrop: MaildropId,
    message: &NewMessage,
    unique_id: &UniqueId,
) -> Result<(), StoreError> {
    const OP: &str = "deliver";
    let use_unique_id = sqlx::query(sql::USE_UNIQUE_ID)
        .bind(maildrop.number())
        .bind(unique_id.as_str());
    if tx.execute(use_unique_id).await.map_err(failed(OP))? != 1 {
        return Err(
            refusal(StoreErrorKind::Conflict, OP).because("the unique-id was used before in this maildrop")
        );
    }
    let take_reservation = sqlx::query(sql::TAKE_RESERVATION)
        .bind(message.blob.tenant.get())
        .bind(blob_to_row(&message.blob))
        .bind(maildrop.number())
        .bind(message.storage.0);
    if tx.execute(take_reservation).await.map_err(failed(OP))? != 1 {
        return Err(
            refusal(StoreErrorKind::NotFound, OP).because("the blob is not reserved for this maildrop")
        );
    }
    Ok(())
}

async fn add(
    tx: &mut Tx,
    maildrop: MaildropId,
    message: &NewMessage,
    unique_id: &UniqueId,
) -> Result<(), StoreError> {
    const OP: &str = "deliver";
    let too_large = || refusal(StoreErrorKind::Invalid, OP).because("the message is too large to be counted");
    let measured = &message.measured;
    let octets = count_to_row(measured.octets.get()).ok_or_else(too_large)?;
    let header_octets = count_to_row(measured.header_octets.get()).ok_or_else(too_large)?;
    let add = sqlx::query(sql::ADD_MESSAGE)
        .bind(maildrop.tenant().get())
        .bind(maildrop.number())
        .bind(unique_id.as_str())
        .bind(octets)
        .bind(header_octets)
        .bind(measured.has_dot_lines)
        .bind(message.needs_utf8)
        .bind(checksum_to_row(measured.crc64))
        .bind(checksum_to_row(measured.header_crc64))
        .bind(&measured.sha256[..])
        .bind(message.storage.0)
        .bind(blob_to_row(&message.blob))
        .bind(time_to_row(message.received));
    tx.execute(add).await.map_err(failed(OP))?;
    let count = sqlx::query(sql::COUNT_MESSAGE)
        .bind(maildrop.number())
        .bind(octets);
    tx.execute(count).await.map_err(failed(OP))?;
    Ok(())
}
