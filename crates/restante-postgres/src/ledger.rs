//! The one-way road of blobs out of storage: a row moves from `message`, `pending_blob` or `blob_left` to `blob_gc` in
//! one statement and never back. Any number of frontends may collect at once.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_store::{BlobLedger, Condemned, Custody as _, REPEAT_WINDOW, StorageId, StoreError};
use restante_types::TenantId;

use crate::PgMailIndex;
use crate::error::{commit_failed, failed};
use crate::sql::mail as sql;
use crate::values::{blob_from_row, blob_to_row, duration_to_row, tenant_from_row, time_to_row};

/// The most rows of one statement: bounds memory and the time that rows are locked.
const MOST: i64 = 10_000;
/// How long the log of updates remembers.
const LOG_KEPT: Duration = Duration::from_hours(7 * 24);

type BlobRow = (i64, Vec<u8>, i64);

#[async_trait]
impl BlobLedger for PgMailIndex {
    async fn condemned(&self, now: SystemTime, limit: usize) -> Result<Vec<Condemned>, StoreError> {
        let limit = i64::try_from(limit).map_or(MOST, |limit| limit.min(MOST));
        if self.collection_stopped().await?.is_some() {
            return Ok(Vec::new());
        }
        let now = time_to_row(now);
        self.prune(now).await?;
        // What an earlier call condemned comes first; only what then is free of the limit is added.
        let condemned = self.listed(limit).await?;
        let room = limit.saturating_sub(i64::try_from(condemned.len()).unwrap_or(i64::MAX));
        if room == 0 {
            return Ok(condemned);
        }
        let oldest_reservation = now.saturating_sub(duration_to_row(self.grace()));
        let left = self.condemn(sql::CONDEMN_LEFT, now, room).await?;
        let room = room.saturating_sub(left);
        let messages = self.condemn(sql::CONDEMN_MESSAGES, now, room).await?;
        let room = room.saturating_sub(messages);
        self.condemn(sql::CONDEMN_RESERVATIONS, oldest_reservation, room)
            .await?;
        self.listed(limit).await
    }

    async fn expire(&self, tenant: TenantId, before: SystemTime, limit: usize) -> Result<usize, StoreError> {
        const OP: &str = "expire";
        let limit = i64::try_from(limit).map_or(MOST, |limit| limit.min(MOST));
        let query = sqlx::query_as(sql::EXPIRE)
            .bind(tenant.get())
            .bind(time_to_row(before))
            .bind(limit);
        let (expired,): (i64,) = self.db().one(query).await.map_err(commit_failed(OP))?;
        Ok(usize::try_from(expired).unwrap_or_default())
    }

    async fn collected(&self, blobs: &[Condemned]) -> Result<(), StoreError> {
        let tenants: Vec<i64> = blobs.iter().map(|it| it.blob.tenant.get()).collect();
        let keys: Vec<Vec<u8>> = blobs.iter().map(|it| blob_to_row(&it.blob)).collect();
        let storages: Vec<i64> = blobs.iter().map(|it| it.storage.0).collect();
        let collected = sqlx::query(sql::COLLECTED)
            .bind(tenants)
            .bind(keys)
            .bind(storages);
        let collected = self.db().execute(collected).await;
        collected.map(|_| ()).map_err(commit_failed("collected"))
    }
}

const OP: &str = "condemned";

impl PgMailIndex {
    /// Condemns at most `room` of those before a time, by one of the statements; answers how many.
    async fn condemn(&self, statement: &'static str, before: i64, room: i64) -> Result<i64, StoreError> {
        let condemn = sqlx::query(statement).bind(before).bind(room);
        let rows = self.db().execute(condemn).await.map_err(commit_failed(OP))?;
        Ok(i64::try_from(rows).unwrap_or(i64::MAX))
    }

    async fn listed(&self, limit: i64) -> Result<Vec<Condemned>, StoreError> {
        let rows: Vec<BlobRow> = self
            .db()
            .all(sqlx::query_as(sql::CONDEMNED).bind(limit))
            .await
            .map_err(failed(OP))?;
        rows.into_iter()
            .map(|(tenant, blob, storage)| {
                Ok(Condemned {
                    storage: StorageId(storage),
                    blob: blob_from_row(tenant_from_row(tenant)?, &blob)?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(failed(OP))
    }

    /// Forgets what nobody can ask for any more.
    async fn prune(&self, now: i64) -> Result<(), StoreError> {
        for (statement, kept) in [
            (sql::PRUNE_UPDATE_LOG, LOG_KEPT),
            (sql::PRUNE_RECENT_MESSAGES, REPEAT_WINDOW),
        ] {
            let prune = sqlx::query(statement)
                .bind(now.saturating_sub(duration_to_row(kept)))
                .bind(MOST);
            self.db().execute(prune).await.map_err(commit_failed(OP))?;
        }
        Ok(())
    }
}
