//! Which messages exist: one table, counters kept in the same transaction, tombstones for what is deleted.
//!
//! Reads on the readers, writes on the one writer. UPDATE itself is in [`update`]. Start at [`SqliteMailIndex`].

mod listing;
mod repeat;
mod update;

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use restante_lock::LockTable;
use restante_session::DeleteSet;
use restante_store::{
    BlobKey, Committed, Delivered, Listing, MailIndex, NewMessage, Quota, StorageId, StoreError,
    StoreErrorKind, Usage, fresh_unique_id,
};
use restante_types::{Clock, Fence, MaildropId, Octets, SessionId, UniqueId};
use sqlx::SqliteConnection;

use crate::database::Tx;
use crate::error::{STORE, commit_failed, failed};
use crate::lock::Service;
use crate::values::{
    Undecodable, blob_to_row, checksum_to_row, count_from_row, count_to_row, limit_from_row, octets_from_row,
    time_to_row,
};
use crate::{Sqlite, SqliteLockManager, sql};

/// The index of maildrops in one file, and its ledger of blobs.
pub struct SqliteMailIndex {
    db: Sqlite,
    table: Arc<LockTable>,
    clock: Arc<dyn Clock>,
    grace: Duration,
    /// Held so that no other process serves while this index may commit.
    _service: Option<Arc<Service>>,
}

impl SqliteMailIndex {
    /// How long a reservation is honoured unless [`SqliteMailIndex::with_grace`] says otherwise.
    pub const GRACE: Duration = Duration::from_hours(1);

    /// The index of the process that serves: it accepts the fences of `locks`.
    pub fn new(db: &Sqlite, locks: &SqliteLockManager, clock: Arc<dyn Clock>) -> Self {
        Self {
            db: db.clone(),
            table: Arc::clone(locks.table()),
            clock,
            grace: Self::GRACE,
            _service: Some(Arc::clone(locks.service())),
        }
    }

    /// An index for tools beside a server: it delivers, answers usage and collects, and refuses every fence.
    pub fn for_delivery(db: &Sqlite, clock: Arc<dyn Clock>) -> Self {
        Self {
            db: db.clone(),
            table: Arc::new(LockTable::new(0).expect("0 is below the last incarnation")),
            clock,
            grace: Self::GRACE,
            _service: None,
        }
    }

    /// Changes how long a reservation is honoured.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(crate) const fn db(&self) -> &Sqlite {
        &self.db
    }

    pub(crate) fn now(&self) -> std::time::SystemTime {
        self.clock.wall()
    }

    pub(crate) const fn grace(&self) -> Duration {
        self.grace
    }

    fn check_held(&self, fence: &Fence) -> Result<(), StoreError> {
        if self.table.holds(fence) {
            Ok(())
        } else {
            Err(refusal(StoreErrorKind::Fenced, "snapshot"))
        }
    }
}

impl fmt::Display for SqliteMailIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for SqliteMailIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteMailIndex({})", self.db.path().display())
    }
}

#[async_trait]
impl MailIndex for SqliteMailIndex {
    async fn snapshot(&self, fence: &Fence) -> Result<Listing, StoreError> {
        self.check_held(fence)?;
        let listing = listing::read(&self.db, fence.maildrop, None).await?;
        self.check_held(fence)?;
        Ok(listing)
    }

    async fn refresh(&self, fence: &Fence, known: &Arc<Listing>) -> Result<Arc<Listing>, StoreError> {
        self.check_held(fence)?;
        let state = listing::state(&self.db, fence.maildrop).await?;
        let listing = if known.is_of(&state) {
            Arc::clone(known)
        } else {
            Arc::new(listing::read(&self.db, fence.maildrop, Some(known)).await?)
        };
        self.check_held(fence)?;
        Ok(listing)
    }

    async fn commit(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError> {
        let update = update::Update {
            db: self.db.clone(),
            table: Arc::clone(&self.table),
            fence: *fence,
            session,
            at: self.clock.wall(),
        };
        // On a task of its own: a caller that goes away leaves neither an open transaction nor a maildrop that is
        // free before the deletion is decided.
        tokio::spawn(update.commit(deletes.clone()))
            .await
            .unwrap_or_else(|error| Err(refusal(StoreErrorKind::Unknown, "commit").because(error)))
    }

    async fn outcome(&self, fence: &Fence, session: SessionId) -> Result<Option<Committed>, StoreError> {
        let update = update::Update {
            db: self.db.clone(),
            table: Arc::clone(&self.table),
            fence: *fence,
            session,
            at: self.clock.wall(),
        };
        update.outcome().await
    }

    async fn reserve(&self, maildrop: MaildropId, storage: StorageId) -> Result<BlobKey, StoreError> {
        const OP: &str = "reserve";
        let now = self.clock.wall();
        let blob = BlobKey::fresh(maildrop.tenant(), now)?;
        let mut tx = self.db.begin().await.map_err(failed(OP))?;
        usage(&mut tx, maildrop, OP).await?;
        sqlx::query(sql::RESERVE)
            .bind(blob.tenant.get())
            .bind(blob_to_row(&blob))
            .bind(maildrop.number())
            .bind(storage.0)
            .bind(time_to_row(now))
            .execute(&mut *tx)
            .await
            .map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(blob)
    }

    async fn deliver(&self, maildrop: MaildropId, message: NewMessage) -> Result<Delivered, StoreError> {
        const OP: &str = "deliver";
        let unique_id = match &message.unique_id {
            Some(kept) => kept.clone(),
            None => fresh_unique_id(self.clock.wall())?,
        };
        let mut tx = self.db.begin().await.map_err(failed(OP))?;
        let (usage, quota) = usage(&mut tx, maildrop, OP).await?;
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
        let mut reader = self.db.readers().acquire().await.map_err(failed(OP))?;
        usage(&mut reader, maildrop, OP).await
    }
}

pub(crate) fn refusal(kind: StoreErrorKind, op: &'static str) -> StoreError {
    StoreError::new(kind, op, STORE)
}

pub(crate) async fn usage(
    conn: &mut SqliteConnection,
    maildrop: MaildropId,
    op: &'static str,
) -> Result<(Usage, Quota), StoreError> {
    let row: Option<(i64, i64, Option<i64>, Option<i64>)> = sqlx::query_as(sql::USAGE)
        .bind(maildrop.number())
        .bind(maildrop.tenant().get())
        .fetch_optional(conn)
        .await
        .map_err(failed(op))?;
    let row = row.ok_or_else(|| refusal(StoreErrorKind::NoSuchMaildrop, op))?;
    usage_from_row(row).map_err(|error| failed(op)(error.into()))
}

fn usage_from_row(
    (messages, octets, most_messages, most_octets): (i64, i64, Option<i64>, Option<i64>),
) -> Result<(Usage, Quota), Undecodable> {
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
    let fresh = sqlx::query(sql::USE_UNIQUE_ID)
        .bind(maildrop.number())
        .bind(unique_id.as_str())
        .execute(&mut **tx)
        .await
        .map_err(failed(OP))?;
    if fresh.rows_affected() != 1 {
        return Err(
            refusal(StoreErrorKind::Conflict, OP).because("the unique-id was used before in this maildrop")
        );
    }
    let reserved = sqlx::query(sql::TAKE_RESERVATION)
        .bind(message.blob.tenant.get())
        .bind(blob_to_row(&message.blob))
        .bind(maildrop.number())
        .bind(message.storage.0)
        .execute(&mut **tx)
        .await
        .map_err(failed(OP))?;
    if reserved.rows_affected() != 1 {
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
    sqlx::query(sql::ADD_MESSAGE)
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
        .bind(time_to_row(message.received))
        .execute(&mut **tx)
        .await
        .map_err(failed(OP))?;
    sqlx::query(sql::COUNT_MESSAGE)
        .bind(maildrop.number())
        .bind(octets)
        .execute(&mut **tx)
        .await
        .map_err(failed(OP))?;
    Ok(())
}

/// Keys as one bound value, for `json_each`.
pub(crate) fn json_array(keys: impl Iterator<Item = i64>) -> String {
    let mut array = String::from("[");
    for key in keys {
        let comma = if array.len() > 1 { "," } else { "" };
        write!(array, "{comma}{key}").expect("a String takes everything");
    }
    array.push(']');
    array
}
