//! Certificates of tenants, their private keys under seal.

use restante_auth::{AuditAction, CertificateId, NewCertificate, StoredCertificate};
use sqlx::SqliteConnection;

use super::{Act, Own, Result, domain_form, invalid, json_array, not_found, tenant};
use crate::error::directory_failed;
use crate::rows::{CertificateRow, certificate_from_row, decoded};
use crate::sql;
use crate::values::time_to_row;

pub(super) async fn list(
    conn: &mut SqliteConnection,
    own: Own,
    tenant: Option<&str>,
) -> Result<Vec<StoredCertificate>> {
    let of = match tenant {
        None => own,
        Some(name) => match tenant::find(conn, own, name).await? {
            Some(tenant) => Some(tenant.id.get()),
            None => return Ok(Vec::new()),
        },
    };
    let rows: Vec<CertificateRow> = sqlx::query_as(sql::CERTIFICATES)
        .bind(of)
        .fetch_all(conn)
        .await
        .map_err(directory_failed)?;
    decoded(rows, certificate_from_row)
}

pub(super) async fn add(act: &mut Act<'_>, tenant: &str, new: NewCertificate) -> Result<StoredCertificate> {
    let owner = tenant::known(&mut act.tx, act.own, tenant).await?;
    let server_names = served(&new, &owner.server_names)?;
    let id: i64 = sqlx::query_scalar(sql::ADD_CERTIFICATE)
        .bind(owner.id.get())
        .bind(&new.chain)
        .bind(&new.sealed_key)
        .bind(time_to_row(new.not_after))
        .fetch_one(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    sqlx::query(sql::ADD_CERTIFICATE_NAMES)
        .bind(id)
        .bind(owner.id.get())
        .bind(json_array(&server_names)?)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let detail = format!("{id}: {}", server_names.join(", "));
    act.note_tenant(AuditAction::CertificateAdded, owner.id, detail)
        .await?;
    Ok(StoredCertificate {
        id: CertificateId(id),
        tenant: owner.id,
        server_names,
        chain: new.chain,
        sealed_key: new.sealed_key,
        not_after: new.not_after,
    })
}

/// The names that a certificate serves, each once and in order, all of them `bound` to its tenant.
fn served(new: &NewCertificate, bound: &[String]) -> Result<Vec<String>> {
    let names: Result<Vec<String>> = new.server_names.iter().map(|name| domain_form(name)).collect();
    let mut names = names?;
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || !names.iter().all(|name| bound.contains(name)) {
        return Err(invalid(
            "a certificate serves server names that are bound to its tenant: bind them first",
        ));
    }
    Ok(names)
}

pub(super) async fn remove(act: &mut Act<'_>, tenant: &str, id: CertificateId) -> Result<()> {
    let owner = tenant::known(&mut act.tx, act.own, tenant).await?.id;
    let removed = sqlx::query(sql::REMOVE_CERTIFICATE)
        .bind(id.0)
        .bind(owner.get())
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    if removed.rows_affected() == 0 {
        return Err(not_found(format!(
            "tenant `{tenant}` has no certificate {}: choose one from its list",
            id.0
        )));
    }
    act.note_tenant(AuditAction::CertificateRemoved, owner, id.0.to_string())
        .await
}
