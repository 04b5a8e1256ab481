//! Domains.

use restante_auth::{AuditAction, Domain, Page};
use restante_types::DomainId;
use sqlx::SqliteConnection;

use super::{Act, Own, Result, START, domain_form, exists, holds, in_use, not_found, tenant};
use crate::error::directory_failed;
use crate::rows::{decoded, decoded_row};
use crate::sql;
use crate::values::{Undecodable, tenant_from_row};

type DomainRow = (i64, i64, String, String);

/// The name is in the form that is stored.
pub(super) async fn find(conn: &mut SqliteConnection, own: Own, name: &str) -> Result<Option<Domain>> {
    let row: Option<DomainRow> = sqlx::query_as(sql::DOMAIN)
        .bind(name)
        .bind(own)
        .fetch_optional(conn)
        .await
        .map_err(directory_failed)?;
    decoded_row(row, domain_from_row)
}

pub(super) async fn known(conn: &mut SqliteConnection, own: Own, name: &str) -> Result<Domain> {
    find(conn, own, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no domain `{name}`: add it to a tenant, or correct the name"
        ))
    })
}

pub(super) async fn list(
    conn: &mut SqliteConnection,
    own: Own,
    tenant: Option<&str>,
    page: &Page,
) -> Result<Vec<Domain>> {
    let of = match tenant {
        None => own,
        Some(name) => match tenant::find(conn, own, name).await? {
            Some(tenant) => Some(tenant.id.get()),
            None => return Ok(Vec::new()),
        },
    };
    let rows: Vec<DomainRow> = sqlx::query_as(sql::DOMAINS)
        .bind(page.after.as_deref().unwrap_or(START))
        .bind(page.limit)
        .bind(of)
        .fetch_all(conn)
        .await
        .map_err(directory_failed)?;
    decoded(rows, domain_from_row)
}

pub(super) async fn add(act: &mut Act<'_>, tenant: &str, name: &str) -> Result<Domain> {
    let name = domain_form(name)?;
    let owner = tenant::known(&mut act.tx, act.own, tenant).await?;
    // Also one that the actor may not see.
    if find(&mut act.tx, None, &name).await?.is_some() {
        return Err(exists(format!(
            "domain `{name}` belongs to a tenant already: a domain has one tenant"
        )));
    }
    sqlx::query(sql::ADD_DOMAIN)
        .bind(owner.id.get())
        .bind(&name)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let domain = known(&mut act.tx, act.own, &name).await?;
    act.note_tenant(AuditAction::DomainAdded, owner.id, name).await?;
    Ok(domain)
}

pub(super) async fn hand_over(act: &mut Act<'_>, name: &str, tenant: &str) -> Result<Domain> {
    let name = domain_form(name)?;
    let before = known(&mut act.tx, act.own, &name).await?;
    let owner = tenant::known(&mut act.tx, act.own, tenant).await?;
    refuse_addresses(act, &before).await?;
    if before.tenant != owner.id {
        refuse_default(act, &before).await?;
    }
    sqlx::query(sql::MOVE_DOMAIN)
        .bind(before.id.get())
        .bind(owner.id.get())
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let detail = format!("{name}: from {} to {tenant}", before.tenant_name);
    act.note_tenant(AuditAction::DomainChanged, owner.id, detail)
        .await?;
    known(&mut act.tx, act.own, &name).await
}

pub(super) async fn remove(act: &mut Act<'_>, name: &str) -> Result<()> {
    let name = domain_form(name)?;
    let domain = known(&mut act.tx, act.own, &name).await?;
    refuse_addresses(act, &domain).await?;
    refuse_default(act, &domain).await?;
    sqlx::query(sql::REMOVE_DOMAIN)
        .bind(domain.id.get())
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    act.note_tenant(AuditAction::DomainRemoved, domain.tenant, name)
        .await
}

async fn refuse_addresses(act: &mut Act<'_>, domain: &Domain) -> Result<()> {
    let has_addresses = sqlx::query_scalar(sql::DOMAIN_HAS_ADDRESSES).bind(domain.id.get());
    if holds(&mut act.tx, has_addresses).await? {
        return Err(in_use(format!(
            "domain `{}` has accounts or aliases: remove them first",
            domain.name
        )));
    }
    Ok(())
}

async fn refuse_default(act: &mut Act<'_>, domain: &Domain) -> Result<()> {
    let is_default = sqlx::query_scalar(sql::DOMAIN_IS_DEFAULT)
        .bind(domain.tenant.get())
        .bind(&domain.name);
    if holds(&mut act.tx, is_default).await? {
        return Err(in_use(format!(
            "`{}` is the default domain of tenant `{}`: give it another one or none first",
            domain.name, domain.tenant_name
        )));
    }
    Ok(())
}

fn domain_from_row((id, tenant, tenant_name, name): DomainRow) -> std::result::Result<Domain, Undecodable> {
    Ok(Domain {
        id: DomainId::new(id).ok_or(Undecodable("domain"))?,
        tenant: tenant_from_row(tenant)?,
        tenant_name,
        name,
    })
}
