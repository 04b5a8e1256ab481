//! The one-way road of blobs out of storage: a row moves from `message`, `pending_blob` or `blob_left` to `blob_gc` in
//! one transaction and never back.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_store::{BlobLedger, Condemned, Custody as _, REPEAT_WINDOW, StorageId, StoreError};
use restante_types::TenantId;

use crate::database::Tx;
use crate::error::{commit_failed, failed};
use crate::values::{blob_from_row, blob_to_row, duration_to_row, tenant_from_row, time_to_row};
use crate::{SqliteMailIndex, sql};

/// The most blobs of one call: bounds memory and the time that the writer is taken.
const MOST: i64 = 10_000;
/// How long the log of updates remembers.
const LOG_KEPT: Duration = Duration::from_hours(7 * 24);

type BlobRow = (i64, Vec<u8>, i64);

#[async_trait]
impl BlobLedger for SqliteMailIndex {
    async fn condemned(&self, now: SystemTime, limit: usize) -> Result<Vec<Condemned>, StoreError> {
        const OP: &str = "condemned";
        let limit = i64::try_from(limit).map_or(MOST, |limit| limit.min(MOST));
        if self.collection_stopped().await?.is_some() {
            return Ok(Vec::new());
        }
        let now = time_to_row(now);
        let mut tx = self.db().begin().await.map_err(failed(OP))?;
        let oldest_reservation = now.saturating_sub(duration_to_row(self.grace()));
        prune(&mut tx, now).await.map_err(failed(OP))?;
        let blobs = condemn(&mut tx, now, oldest_reservation, limit)
            .await
            .map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(blobs)
    }

    async fn expire(&self, tenant: TenantId, before: SystemTime, limit: usize) -> Result<usize, StoreError> {
        const OP: &str = "expire";
        let limit = i64::try_from(limit).map_or(MOST, |limit| limit.min(MOST));
        let now = time_to_row(self.now());
        let mut tx = self.db().begin().await.map_err(failed(OP))?;
        let due: Vec<(i64, i64, i64)> = sqlx::query_as(sql::EXPIRED)
            .bind(tenant.get())
            .bind(time_to_row(before))
            .bind(limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed(OP))?;
        for (message, maildrop, octets) in &due {
            sqlx::query(sql::BURY_MESSAGE)
                .bind(message)
                .bind(now)
                .execute(&mut *tx)
                .await
                .map_err(failed(OP))?;
            sqlx::query(sql::COUNT_DELETION)
                .bind(maildrop)
                .bind(1_i64)
                .bind(octets)
                .execute(&mut *tx)
                .await
                .map_err(failed(OP))?;
        }
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(due.len())
    }

    async fn collected(&self, blobs: &[Condemned]) -> Result<(), StoreError> {
        const OP: &str = "collected";
        let mut tx = self.db().begin().await.map_err(failed(OP))?;
        for Condemned { storage, blob } in blobs {
            sqlx::query(sql::COLLECTED)
                .bind(blob.tenant.get())
                .bind(blob_to_row(blob))
                .bind(storage.0)
                .execute(&mut *tx)
                .await
                .map_err(failed(OP))?;
        }
        tx.commit().await.map_err(commit_failed(OP))
    }
}

async fn condemn(
    tx: &mut Tx,
    now: i64,
    oldest_reservation: i64,
    limit: i64,
) -> Result<Vec<Condemned>, sqlx::Error> {
    // What an earlier call condemned comes first; only what then is free of the limit is added.
    let condemned = listed(tx, limit).await?;
    let mut room = limit.saturating_sub(row_count(condemned.len()));
    if room == 0 {
        return Ok(condemned);
    }
    room = room.saturating_sub(condemn_blobs(tx, sql::LEFT_DUE, sql::FORGET_LEFT, now, room).await?);
    room = room.saturating_sub(condemn_messages(tx, now, room).await?);
    condemn_blobs(
        tx,
        sql::RESERVATIONS_DUE,
        sql::FORGET_RESERVATION,
        oldest_reservation,
        room,
    )
    .await?;
    listed(tx, limit).await
}

/// Forgets what nobody can ask for any more.
async fn prune(tx: &mut Tx, now: i64) -> Result<(), sqlx::Error> {
    for (statement, kept) in [
        (sql::PRUNE_UPDATE_LOG, LOG_KEPT),
        (sql::PRUNE_RECENT_MESSAGES, REPEAT_WINDOW),
    ] {
        sqlx::query(statement)
            .bind(now.saturating_sub(duration_to_row(kept)))
            .bind(MOST)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Answers how many.
async fn condemn_messages(tx: &mut Tx, now: i64, room: i64) -> Result<i64, sqlx::Error> {
    let due: Vec<i64> = sqlx::query_scalar(sql::MESSAGES_DUE)
        .bind(now)
        .bind(room)
        .fetch_all(&mut **tx)
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let keys = crate::index::json_array(due.iter().copied());
    for statement in [sql::CONDEMN_MESSAGES, sql::FORGET_MESSAGES] {
        sqlx::query(statement).bind(&keys).execute(&mut **tx).await?;
    }
    Ok(row_count(due.len()))
}

/// Those of a table of blobs that are due as of a time; answers how many.
async fn condemn_blobs(
    tx: &mut Tx,
    due: &'static str,
    forget: &'static str,
    as_of: i64,
    room: i64,
) -> Result<i64, sqlx::Error> {
    let due: Vec<BlobRow> = sqlx::query_as(due)
        .bind(as_of)
        .bind(room)
        .fetch_all(&mut **tx)
        .await?;
    for (tenant, blob, storage) in &due {
        sqlx::query(sql::CONDEMN_BLOB)
            .bind(tenant)
            .bind(blob)
            .bind(storage)
            .execute(&mut **tx)
            .await?;
        sqlx::query(forget)
            .bind(tenant)
            .bind(blob)
            .execute(&mut **tx)
            .await?;
    }
    Ok(row_count(due.len()))
}

async fn listed(tx: &mut Tx, limit: i64) -> Result<Vec<Condemned>, sqlx::Error> {
    let rows: Vec<BlobRow> = sqlx::query_as(sql::CONDEMNED)
        .bind(limit)
        .fetch_all(&mut **tx)
        .await?;
    rows.into_iter()
        .map(|(tenant, blob, storage)| {
            Ok(Condemned {
                storage: StorageId(storage),
                blob: blob_from_row(tenant_from_row(tenant)?, &blob)?,
            })
        })
        .collect()
}

fn row_count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
