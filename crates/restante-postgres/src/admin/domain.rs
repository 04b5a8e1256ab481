//! Domains, and whose they are.

use restante_auth::{AuditAction, Domain, Page};
use restante_types::{DomainId, TenantId};

use super::{Result, START, commit, domain_form, holds, in_use, invalid, not_found, run, tenant};
use crate::PgDirectory;
use crate::database::Tx;
use crate::directory::decoded;
use crate::error::directory_failed;
use crate::sql::directory as sql;
use crate::values::{Undecodable, tenant_from_row};

type DomainRow = (i64, i64, String, String);

pub(super) async fn add(directory: &PgDirectory, tenant: &str, name: &str) -> Result<Domain> {
    let name = domain_form(name)?;
    let mut tx = directory.work().await?;
    let owner = tenant::known(&mut tx, tenant).await?;
    let taken = || format!("domain `{name}` belongs to a tenant already: a domain has one tenant");
    let query = sqlx::query(sql::ADD_DOMAIN).bind(owner.id.get()).bind(&name);
    run(&mut tx, query, taken).await?;
    let domain = known(&mut tx, &name).await?;
    directory
        .audit(&mut tx, AuditAction::DomainAdded, owner.id, None, &name)
        .await?;
    commit(tx).await?;
    Ok(domain)
}

pub(super) async fn show(directory: &PgDirectory, name: &str) -> Result<Option<Domain>> {
    let name = domain_form(name)?;
    let mut tx = directory.work().await?;
    let found = find(&mut tx, &name).await?;
    commit(tx).await?;
    Ok(found)
}

pub(super) async fn list(directory: &PgDirectory, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>> {
    let after = page.after.as_deref().unwrap_or(START);
    let mut tx = directory.work().await?;
    let owner = match tenant {
        Some(name) => match tenant::find(&mut tx, name).await? {
            Some(tenant) => Some(tenant.id),
            None => return Ok(Vec::new()),
        },
        // By the index, where row-level security alone would read over all others'.
        None => directory.actor.tenant,
    };
    let rows: Vec<DomainRow> = match owner {
        None => {
            let query = sqlx::query_as(sql::DOMAINS)
                .bind(after)
                .bind(i64::from(page.limit));
            tx.all(query).await
        }
        Some(owner) => {
            let query = sqlx::query_as(sql::DOMAINS_OF_TENANT)
                .bind(after)
                .bind(i64::from(page.limit))
                .bind(owner.get());
            tx.all(query).await
        }
    }
    .map_err(directory_failed)?;
    commit(tx).await?;
    decoded(rows, domain_from_row)
}

pub(super) async fn hand_over(directory: &PgDirectory, name: &str, tenant: &str) -> Result<Domain> {
    directory.provider_only()?;
    let name = domain_form(name)?;
    let mut tx = directory.work().await?;
    let before = known(&mut tx, &name).await?;
    let owner = tenant::known(&mut tx, tenant).await?;
    refuse_used(&mut tx, &before, before.tenant != owner.id).await?;
    let query = sqlx::query(sql::MOVE_DOMAIN)
        .bind(before.id.get())
        .bind(owner.id.get());
    tx.execute(query).await.map_err(directory_failed)?;
    let domain = known(&mut tx, &name).await?;
    let detail = format!("{name}: from {} to {tenant}", before.tenant_name);
    directory
        .audit(&mut tx, AuditAction::DomainChanged, owner.id, None, &detail)
        .await?;
    commit(tx).await?;
    Ok(domain)
}

pub(super) async fn remove(directory: &PgDirectory, name: &str) -> Result<()> {
    let name = domain_form(name)?;
    let mut tx = directory.work().await?;
    let domain = known(&mut tx, &name).await?;
    refuse_used(&mut tx, &domain, true).await?;
    tx.execute(sqlx::query(sql::REMOVE_DOMAIN).bind(domain.id.get()))
        .await
        .map_err(directory_failed)?;
    directory
        .audit(&mut tx, AuditAction::DomainRemoved, domain.tenant, None, &name)
        .await?;
    commit(tx).await
}

pub(super) async fn find(tx: &mut Tx, name: &str) -> Result<Option<Domain>> {
    let row: Option<DomainRow> = tx
        .optional(sqlx::query_as(sql::DOMAIN).bind(name))
        .await
        .map_err(directory_failed)?;
    decoded(row, domain_from_row)
}

pub(super) async fn known(tx: &mut Tx, name: &str) -> Result<Domain> {
    find(tx, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no domain `{name}`: add it with `restante domain add`"
        ))
    })
}

/// A domain of that tenant, in the form that is stored.
pub(super) async fn own(tx: &mut Tx, tenant: TenantId, name: &str) -> Result<String> {
    let domain = known(tx, &domain_form(name)?).await?;
    if domain.tenant == tenant {
        return Ok(domain.name);
    }
    Err(invalid("the default domain is one of the tenant's own"))
}

/// `leaves` says whether the domain is about to leave its tenant.
pub(super) async fn refuse_used(tx: &mut Tx, domain: &Domain, leaves: bool) -> Result<()> {
    let name = &domain.name;
    if holds(
        tx,
        sqlx::query_as(sql::DOMAIN_HAS_ADDRESSES).bind(domain.id.get()),
    )
    .await?
    {
        return Err(in_use(format!(
            "domain `{name}` has accounts or aliases: remove them first"
        )));
    }
    let is_default = sqlx::query_as(sql::DOMAIN_IS_DEFAULT)
        .bind(domain.tenant.get())
        .bind(name);
    if leaves && holds(tx, is_default).await? {
        return Err(in_use(format!(
            "`{name}` is the default domain of tenant `{}`: set another one first",
            domain.tenant_name
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
