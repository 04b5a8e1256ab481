//! Certificates of a tenant.

use restante_auth::{AuditAction, CertificateId, NewCertificate, StoredCertificate};

use super::{Result, commit, domain_form, invalid, not_found, tenant};
use crate::PgDirectory;
use crate::certificates::{CertificateRow, certificate_from_row};
use crate::directory::decoded;
use crate::error::directory_failed;
use crate::sql::directory as sql;
use crate::values::time_to_row;

pub(super) async fn add(
    directory: &PgDirectory,
    tenant: &str,
    certificate: NewCertificate,
) -> Result<StoredCertificate> {
    directory.provider_only()?;
    let names: Vec<String> = certificate
        .server_names
        .iter()
        .map(|name| domain_form(name))
        .collect::<Result<_>>()?;
    let mut tx = directory.work().await?;
    let owner = tenant::known(&mut tx, tenant).await?;
    if names.is_empty() || !names.iter().all(|name| owner.server_names.contains(name)) {
        return Err(invalid(
            "a certificate serves server names that are bound to its tenant: bind them with `restante tenant set --add-server-name`",
        ));
    }
    let query = sqlx::query_as(sql::ADD_CERTIFICATE)
        .bind(owner.id.get())
        .bind(&certificate.chain)
        .bind(&certificate.sealed_key)
        .bind(time_to_row(certificate.not_after));
    let (id,): (i64,) = tx.one(query).await.map_err(directory_failed)?;
    let query = sqlx::query(sql::ADD_CERTIFICATE_NAMES)
        .bind(id)
        .bind(owner.id.get())
        .bind(&names);
    tx.execute(query).await.map_err(directory_failed)?;
    let detail = format!("{id}: {}", names.join(", "));
    let detail = shortened(&detail);
    directory
        .audit(&mut tx, AuditAction::CertificateAdded, owner.id, None, detail)
        .await?;
    commit(tx).await?;
    Ok(StoredCertificate {
        id: CertificateId(id),
        tenant: owner.id,
        server_names: names,
        chain: certificate.chain,
        sealed_key: certificate.sealed_key,
        not_after: certificate.not_after,
    })
}

pub(super) async fn list(directory: &PgDirectory, tenant: Option<&str>) -> Result<Vec<StoredCertificate>> {
    let mut tx = directory.work().await?;
    let owner = match tenant {
        Some(name) => match tenant::find(&mut tx, name).await? {
            Some(tenant) => Some(tenant.id.get()),
            None => return Ok(Vec::new()),
        },
        None => None,
    };
    let query = sqlx::query_as(sql::CERTIFICATES).bind(owner);
    let rows: Vec<CertificateRow> = tx.all(query).await.map_err(directory_failed)?;
    commit(tx).await?;
    decoded(rows, certificate_from_row)
}

pub(super) async fn remove(directory: &PgDirectory, tenant: &str, id: CertificateId) -> Result<()> {
    directory.provider_only()?;
    let mut tx = directory.work().await?;
    let owner = tenant::known(&mut tx, tenant).await?.id;
    let query = sqlx::query(sql::REMOVE_CERTIFICATE).bind(id.0).bind(owner.get());
    if tx.execute(query).await.map_err(directory_failed)? == 0 {
        return Err(not_found(format!(
            "tenant `{tenant}` has no certificate {}: `restante certificate list` shows all",
            id.0
        )));
    }
    directory
        .audit(
            &mut tx,
            AuditAction::CertificateRemoved,
            owner,
            None,
            &id.0.to_string(),
        )
        .await?;
    commit(tx).await
}

/// At most what a line of the audit holds.
fn shortened(detail: &str) -> &str {
    const MOST: usize = 1000;
    let mut end = detail.len().min(MOST);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.get(..end).unwrap_or_default()
}
