//! What was done, newest first.

use restante_auth::{AuditAction, AuditEntry, AuditFilter, AuditRecord};
use restante_types::{AccountId, SessionId, TenantId};

use super::{Result, commit};
use crate::PgDirectory;
use crate::directory::decoded;
use crate::error::directory_failed;
use crate::sql::directory as sql;
use crate::values::{Undecodable, tenant_from_row, time_from_row};

type AuditRow = (
    i64,
    i64,
    String,
    String,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<String>,
    String,
);

pub(super) async fn list(directory: &PgDirectory, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
    // Of a tenant's administrator too: by the index, where row-level security alone would read over all others'.
    let tenant = filter.tenant.or(directory.actor.tenant);
    let statement = match (filter.account, tenant) {
        (Some(_), _) => sql::AUDIT_OF_ACCOUNT,
        (None, Some(_)) => sql::AUDIT_OF_TENANT,
        (None, None) => sql::AUDIT,
    };
    let query = sqlx::query_as(statement)
        .bind(tenant.map(TenantId::get))
        .bind(filter.account.map(AccountId::number))
        .bind(filter.action.map(AuditAction::as_str))
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(i64::from(filter.limit));
    let mut tx = directory.work().await?;
    let rows: Vec<AuditRow> = tx.all(query).await.map_err(directory_failed)?;
    commit(tx).await?;
    decoded(rows, audit_from_row)
}

fn audit_from_row(row: AuditRow) -> std::result::Result<AuditEntry, Undecodable> {
    let (id, at, actor, action, tenant, account, session, client, detail) = row;
    let tenant = tenant.map(tenant_from_row).transpose()?;
    let session: Option<[u8; 16]> = session
        .map(|octets| octets.try_into().map_err(|_| Undecodable("session")))
        .transpose()?;
    Ok(AuditEntry {
        id,
        record: AuditRecord {
            at: time_from_row(at)?,
            actor,
            action: AuditAction::from_name(&action).ok_or(Undecodable("action"))?,
            tenant,
            account: tenant
                .zip(account)
                .and_then(|(tenant, account)| AccountId::new(tenant, account)),
            session: session.map(SessionId::from_octets),
            client: client
                .map(|client| client.parse().map_err(|_| Undecodable("client")))
                .transpose()?,
            detail,
        },
    })
}
