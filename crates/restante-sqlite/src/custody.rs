//! The keeper's side of the index.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_store::{
    BlobKey, Custody, StorageId, StoreError, StoreErrorKind, StoredMessage, StoredRow, Usage,
};
use restante_types::{MaildropId, MessageId};

use crate::database::Tx;
use crate::error::{commit_failed, failed};
use crate::index::{refusal, usage};
use crate::values::{
    Undecodable, blob_to_row, count_from_row, duration_to_row, octets_from_row, time_from_row, time_to_row,
};
use crate::{SqliteMailIndex, sql};

/// The most rows of one statement.
const MOST: usize = 10_000;

#[async_trait]
impl Custody for SqliteMailIndex {
    async fn total(&self) -> Result<Usage, StoreError> {
        const OP: &str = "total";
        let row = self.db().readers().one(sqlx::query_as(sql::TOTAL));
        let (messages, octets): (i64, i64) = row.await.map_err(failed(OP))?;
        let undecodable = |error: Undecodable| failed(OP)(error.into());
        Ok(Usage {
            messages: count_from_row(messages).map_err(undecodable)?,
            octets: octets_from_row(octets).map_err(undecodable)?,
        })
    }

    async fn stored(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        const OP: &str = "stored";
        let limit = i64::try_from(limit.min(MOST)).unwrap_or(i64::MAX);
        let after = after.map_or(0, MessageId::get);
        let query = match maildrop {
            None => sqlx::query_as(sql::STORED).bind(after).bind(limit),
            Some(maildrop) => sqlx::query_as(sql::STORED_OF_MAILDROP)
                .bind(after)
                .bind(limit)
                .bind(maildrop.number())
                .bind(maildrop.tenant().get()),
        };
        let rows: Vec<StoredRow> = self.db().readers().all(query).await.map_err(failed(OP))?;
        let messages = rows
            .into_iter()
            .map(StoredMessage::from_row)
            .collect::<Result<_, _>>();
        messages.map_err(|what| failed(OP)(Undecodable(what).into()))
    }

    async fn unnamed(&self, storage: StorageId, blobs: &[BlobKey]) -> Result<Vec<BlobKey>, StoreError> {
        const OP: &str = "unnamed";
        let mut unnamed = Vec::new();
        for part in blobs.chunks(MOST) {
            let query = sqlx::query_as(sql::UNNAMED).bind(storage.0).bind(pairs(part));
            let nths: Vec<(i64,)> = self.db().readers().all(query).await.map_err(failed(OP))?;
            let places = nths.into_iter().filter_map(|(nth,)| usize::try_from(nth).ok());
            unnamed.extend(places.filter_map(|place| part.get(place)));
        }
        Ok(unnamed)
    }

    async fn restore(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<usize, StoreError> {
        const OP: &str = "restore";
        let mut tx = self.db().begin().await.map_err(failed(OP))?;
        usage(&mut tx, maildrop, OP).await?;
        let mut n_restored = 0;
        for message in messages {
            if restore_one(&mut tx, maildrop, *message)
                .await
                .map_err(failed(OP))?
            {
                n_restored += 1;
            }
        }
        revise(&mut tx, maildrop).await.map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(n_restored)
    }

    async fn collection_stopped(&self) -> Result<Option<SystemTime>, StoreError> {
        const OP: &str = "collection_stopped";
        let since = self.db().readers().one(sqlx::query_as(sql::COLLECTION_STOPPED));
        let (since,): (Option<i64>,) = since.await.map_err(failed(OP))?;
        let since = since.map(time_from_row).transpose();
        since.map_err(|error| failed(OP)(error.into()))
    }

    async fn stop_collection(&self, is_stopped: bool) -> Result<(), StoreError> {
        const OP: &str = "stop_collection";
        let mut tx = self.db().begin().await.map_err(failed(OP))?;
        sqlx::query(sql::STOP_COLLECTION)
            .bind(is_stopped)
            .bind(time_to_row(self.now()))
            .execute(&mut *tx)
            .await
            .map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))
    }

    async fn reserve_for(&self, message: &StoredMessage, storage: StorageId) -> Result<BlobKey, StoreError> {
        const OP: &str = "reserve";
        let blob = BlobKey::fresh(message.maildrop.tenant(), message.body.blob.made_at())?;
        let mut tx = self.db().begin().await.map_err(failed(OP))?;
        sqlx::query(sql::RESERVE)
            .bind(blob.tenant.get())
            .bind(blob_to_row(&blob))
            .bind(message.maildrop.number())
            .bind(storage.0)
            .bind(time_to_row(self.now()))
            .execute(&mut *tx)
            .await
            .map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(blob)
    }

    async fn relocate(
        &self,
        message: &StoredMessage,
        storage: StorageId,
        blob: BlobKey,
        keep: Duration,
    ) -> Result<bool, StoreError> {
        const OP: &str = "relocate";
        let not_before = time_to_row(self.now()).saturating_add(duration_to_row(keep));
        let mut tx = self.db().begin().await.map_err(failed(OP))?;
        let relocated = relocate(&mut tx, message, storage, &blob, not_before).await;
        let relocated = relocated.map_err(failed(OP))?;
        match relocated {
            Relocated::Done => tx.commit().await.map_err(commit_failed(OP)).map(|()| true),
            Relocated::NoMessage => Ok(false),
            Relocated::NoReservation => {
                Err(refusal(StoreErrorKind::NotFound, OP)
                    .because("the blob is not reserved for this message"))
            }
        }
    }
}

enum Relocated {
    Done,
    NoMessage,
    NoReservation,
}

async fn relocate(
    tx: &mut Tx,
    message: &StoredMessage,
    storage: StorageId,
    blob: &BlobKey,
    not_before: i64,
) -> Result<Relocated, sqlx::Error> {
    let old = blob_to_row(&message.body.blob);
    let moved = sqlx::query(sql::RELOCATE)
        .bind(message.id.get())
        .bind(message.maildrop.tenant().get())
        .bind(message.maildrop.number())
        .bind(message.body.storage.0)
        .bind(&old)
        .bind(storage.0)
        .bind(blob_to_row(blob))
        .execute(&mut **tx)
        .await?;
    if moved.rows_affected() == 0 {
        return Ok(Relocated::NoMessage);
    }
    let taken = sqlx::query(sql::TAKE_RESERVATION)
        .bind(blob.tenant.get())
        .bind(blob_to_row(blob))
        .bind(message.maildrop.number())
        .bind(storage.0)
        .execute(&mut **tx)
        .await?;
    if taken.rows_affected() == 0 {
        return Ok(Relocated::NoReservation);
    }
    sqlx::query(sql::LEAVE_BLOB)
        .bind(message.maildrop.tenant().get())
        .bind(&old)
        .bind(message.body.storage.0)
        .bind(not_before)
        .execute(&mut **tx)
        .await?;
    revise(tx, message.maildrop).await?;
    Ok(Relocated::Done)
}

async fn revise(tx: &mut Tx, maildrop: MaildropId) -> Result<(), sqlx::Error> {
    sqlx::query(sql::REVISE)
        .bind(maildrop.number())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn restore_one(tx: &mut Tx, maildrop: MaildropId, message: MessageId) -> Result<bool, sqlx::Error> {
    let octets: Option<i64> = sqlx::query_scalar(sql::RESTORE)
        .bind(message.get())
        .bind(maildrop.number())
        .bind(maildrop.tenant().get())
        .fetch_optional(&mut **tx)
        .await?;
    let Some(octets) = octets else {
        return Ok(false);
    };
    sqlx::query(sql::COUNT_MESSAGE)
        .bind(maildrop.number())
        .bind(octets)
        .execute(&mut **tx)
        .await?;
    Ok(true)
}

/// Keys as one bound value: pairs of tenant and octets in hex.
fn pairs(blobs: &[BlobKey]) -> String {
    let mut list = String::from("[");
    for blob in blobs {
        let comma = if list.len() > 1 { "," } else { "" };
        let (tenant, number) = (blob.tenant.get(), blob.number);
        write!(list, "{comma}[{tenant},\"{number:032x}\"]").expect("a String takes everything");
    }
    list.push(']');
    list
}
