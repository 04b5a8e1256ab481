//! The keeper's side of the index.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_store::{
    BlobKey, Custody, StorageId, StoreError, StoreErrorKind, StoredMessage, StoredRow, Usage,
};
use restante_types::{MaildropId, MessageId};

use crate::PgMailIndex;
use crate::error::{commit_failed, failed};
use crate::index::refusal;
use crate::sql::custody as sql;
use crate::values::{
    Undecodable, blob_to_row, count_from_row, duration_to_row, octets_from_row, time_from_row,
};

/// The most rows of one statement.
const MOST: usize = 10_000;

#[async_trait]
impl Custody for PgMailIndex {
    async fn total(&self) -> Result<Usage, StoreError> {
        const OP: &str = "total";
        let (messages, octets): (i64, i64) = self
            .db()
            .one(sqlx::query_as(sql::TOTAL))
            .await
            .map_err(failed(OP))?;
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
        let rows: Vec<StoredRow> = self.db().all(query).await.map_err(failed(OP))?;
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
            let query = sqlx::query_as(sql::UNNAMED)
                .bind(storage.0)
                .bind(part.iter().map(|it| it.tenant.get()).collect::<Vec<_>>())
                .bind(part.iter().map(blob_to_row).collect::<Vec<_>>());
            let nths: Vec<(i64,)> = self.db().all(query).await.map_err(failed(OP))?;
            let places = nths
                .into_iter()
                .filter_map(|(nth,)| usize::try_from(nth).ok()?.checked_sub(1));
            unnamed.extend(places.filter_map(|place| part.get(place)));
        }
        Ok(unnamed)
    }

    async fn restore(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<usize, StoreError> {
        const OP: &str = "restore";
        let keys: Vec<i64> = messages.iter().map(|message| message.get()).collect();
        let query = sqlx::query_as(sql::RESTORE)
            .bind(maildrop.number())
            .bind(maildrop.tenant().get())
            .bind(keys);
        let row: Option<(i64,)> = self.db().optional(query).await.map_err(commit_failed(OP))?;
        let (restored,) = row.ok_or_else(|| refusal(StoreErrorKind::NoSuchMaildrop, OP))?;
        Ok(usize::try_from(restored).unwrap_or_default())
    }

    async fn collection_stopped(&self) -> Result<Option<SystemTime>, StoreError> {
        const OP: &str = "collection_stopped";
        let row = self.db().one(sqlx::query_as(sql::COLLECTION_STOPPED)).await;
        let (since,): (Option<i64>,) = row.map_err(failed(OP))?;
        let since = since.map(time_from_row).transpose();
        since.map_err(|error| failed(OP)(error.into()))
    }

    async fn stop_collection(&self, is_stopped: bool) -> Result<(), StoreError> {
        let stop = sqlx::query(sql::STOP_COLLECTION).bind(is_stopped);
        self.db()
            .execute(stop)
            .await
            .map_err(commit_failed("stop_collection"))?;
        Ok(())
    }

    async fn reserve_for(&self, message: &StoredMessage, storage: StorageId) -> Result<BlobKey, StoreError> {
        let blob = BlobKey::fresh(message.maildrop.tenant(), message.body.blob.made_at())?;
        let reserve = sqlx::query(sql::RESERVE_FOR)
            .bind(blob.tenant.get())
            .bind(blob_to_row(&blob))
            .bind(message.maildrop.number())
            .bind(storage.0);
        self.db()
            .execute(reserve)
            .await
            .map_err(commit_failed("reserve"))?;
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
        let relocate = sqlx::query_as(sql::RELOCATE)
            .bind(message.id.get())
            .bind(message.maildrop.tenant().get())
            .bind(message.maildrop.number())
            .bind(message.body.storage.0)
            .bind(blob_to_row(&message.body.blob))
            .bind(storage.0)
            .bind(blob_to_row(&blob))
            .bind(duration_to_row(keep));
        let (found, taken): (i64, i64) = self.db().one(relocate).await.map_err(commit_failed(OP))?;
        match (found, taken) {
            (0, _) => Ok(false),
            (_, 0) => {
                Err(refusal(StoreErrorKind::NotFound, OP)
                    .because("the blob is not reserved for this message"))
            }
            _ => Ok(true),
        }
    }
}
