//! Reading the audit. How lines come to it is in `Act::note` and `append`.

use restante_auth::{AuditAction, AuditEntry, AuditFilter, AuditRecord};
use restante_types::{AccountId, SessionId, TenantId};
use sqlx::SqliteConnection;

use super::{Own, Result};
use crate::error::directory_failed;
use crate::rows::{account_id, decoded};
use crate::sql;
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

pub(super) async fn list(
    conn: &mut SqliteConnection,
    own: Own,
    filter: &AuditFilter,
) -> Result<Vec<AuditEntry>> {
    let asked = filter.tenant.map(TenantId::get);
    if own.is_some() && asked.is_some() && own != asked {
        return Ok(Vec::new());
    }
    let tenant = own.or(asked);
    // One statement each, so that each can go along an index.
    let statement = match (filter.account, tenant) {
        (Some(_), _) => sql::AUDIT_OF_ACCOUNT,
        (None, Some(_)) => sql::AUDIT_OF_TENANT,
        (None, None) => sql::AUDIT,
    };
    let rows: Vec<AuditRow> = sqlx::query_as(statement)
        .bind(tenant)
        .bind(filter.account.map(AccountId::number))
        .bind(filter.action.map(AuditAction::as_str))
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(filter.limit)
        .fetch_all(conn)
        .await
        .map_err(directory_failed)?;
    decoded(rows, entry_from_row)
}

fn entry_from_row(row: AuditRow) -> std::result::Result<AuditEntry, Undecodable> {
    let (id, at, actor, action, tenant, account, session, client, detail) = row;
    let session: Option<[u8; 16]> = session
        .map(|octets| octets.try_into().map_err(|_| Undecodable("session")))
        .transpose()?;
    Ok(AuditEntry {
        id,
        record: AuditRecord {
            at: time_from_row(at)?,
            actor,
            action: AuditAction::from_name(&action).ok_or(Undecodable("action"))?,
            tenant: tenant.map(tenant_from_row).transpose()?,
            account: tenant
                .zip(account)
                .map(|(tenant, account)| account_id(tenant, account))
                .transpose()?,
            session: session.map(SessionId::from_octets),
            client: client
                .map(|client| client.parse().map_err(|_| Undecodable("client")))
                .transpose()?,
            detail,
        },
    })
}
