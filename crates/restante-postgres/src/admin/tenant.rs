//! Tenants: their names, states, storages, policies and server names.

use std::time::Duration;

use restante_auth::{AuditAction, Page, Tenant, TenantPatch};
use restante_types::Octets;

use super::{
    Result, START, commit, domain, domain_form, exists, holds, in_use, invalid, named, not_found, run,
};
use crate::PgDirectory;
use crate::database::{Tx, storage_row};
use crate::directory::{TenantRow, decoded, tenant_from_row_whole};
use crate::error::directory_failed;
use crate::sql::directory as sql;
use crate::values::{duration_to_row, limit_to_row};

/// How long deleted messages of a new tenant can be brought back.
const RETENTION: Duration = Duration::from_hours(24);

pub(super) async fn add(directory: &PgDirectory, name: &str, storage: &str) -> Result<Tenant> {
    directory.provider_only()?;
    check_tenant_name(name)?;
    check_storage_name(storage)?;
    let mut tx = directory.work().await?;
    if find(&mut tx, name).await?.is_some() {
        return Err(exists(format!(
            "there is a tenant `{name}` already: choose another name"
        )));
    }
    let storage = storage_row(&mut tx, storage).await.map_err(directory_failed)?;
    let query = sqlx::query(sql::ADD_TENANT)
        .bind(name)
        .bind(storage.0)
        .bind(duration_to_row(RETENTION));
    run(&mut tx, query, || {
        format!("there is a tenant `{name}` already: choose another name")
    })
    .await?;
    let tenant = known(&mut tx, name).await?;
    directory
        .audit(&mut tx, AuditAction::TenantAdded, tenant.id, None, name)
        .await?;
    commit(tx).await?;
    Ok(tenant)
}

pub(super) async fn show(directory: &PgDirectory, name: &str) -> Result<Option<Tenant>> {
    let mut tx = directory.work().await?;
    let found = find(&mut tx, name).await?;
    commit(tx).await?;
    Ok(found)
}

pub(super) async fn list(directory: &PgDirectory, page: Page) -> Result<Vec<Tenant>> {
    let query = sqlx::query_as(sql::TENANTS)
        .bind(page.after.as_deref().unwrap_or(START))
        .bind(i64::from(page.limit));
    let mut tx = directory.work().await?;
    let rows: Vec<TenantRow> = tx.all(query).await.map_err(directory_failed)?;
    commit(tx).await?;
    decoded(rows, tenant_from_row_whole)
}

pub(super) async fn set(directory: &PgDirectory, name: &str, patch: TenantPatch) -> Result<Tenant> {
    directory.provider_only()?;
    let mut tx = directory.work().await?;
    let before = known(&mut tx, name).await?;
    let changed = changed_of_tenant(&patch);
    let default_domain = match patch.default_domain {
        Some(Some(domain)) => Some(domain::own(&mut tx, before.id, &domain).await?),
        Some(None) => None,
        None => before.default_domain,
    };
    let storage = patch.storage.unwrap_or(before.storage);
    check_storage_name(&storage)?;
    let storage = storage_row(&mut tx, &storage).await.map_err(directory_failed)?;
    let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
    let query = sqlx::query(sql::SET_TENANT)
        .bind(before.id.get())
        .bind(storage.0)
        .bind(patch.state.unwrap_or(before.state).as_str())
        .bind(default_domain)
        .bind(duration_to_row(patch.retention.unwrap_or(before.retention)))
        .bind(limit_to_row(quota_octets.map(Octets::get)))
        .bind(limit_to_row(
            patch.quota_messages.unwrap_or(before.quota_messages),
        ));
    tx.execute(query).await.map_err(directory_failed)?;
    let action = match &patch.policy {
        Some(policy) => {
            let document = serde_json::to_string(policy)
                .map_err(|error| invalid("the policy cannot be written").because(error))?;
            let query = sqlx::query(sql::SET_POLICY).bind(before.id.get()).bind(document);
            tx.execute(query).await.map_err(directory_failed)?;
            AuditAction::PolicyChanged
        }
        None => AuditAction::TenantChanged,
    };
    let after = known(&mut tx, name).await?;
    let detail = format!("{name}: {}", changed.join(", "));
    directory.audit(&mut tx, action, after.id, None, &detail).await?;
    commit(tx).await?;
    Ok(after)
}

pub(super) async fn remove(directory: &PgDirectory, name: &str) -> Result<()> {
    directory.provider_only()?;
    let mut tx = directory.work().await?;
    let id = known(&mut tx, name).await?.id;
    if holds(&mut tx, sqlx::query_as(sql::TENANT_HAS_DOMAINS).bind(id.get())).await? {
        return Err(in_use(format!(
            "tenant `{name}` has domains: remove them or move them to another tenant first"
        )));
    }
    for statement in [
        sql::REMOVE_CERTIFICATES,
        sql::REMOVE_SERVER_NAMES,
        sql::REMOVE_POLICY,
        sql::REMOVE_TENANT,
    ] {
        tx.execute(sqlx::query(statement).bind(id.get()))
            .await
            .map_err(directory_failed)?;
    }
    directory
        .audit(&mut tx, AuditAction::TenantRemoved, id, None, name)
        .await?;
    commit(tx).await
}

pub(super) async fn add_server_name(directory: &PgDirectory, tenant: &str, name: &str) -> Result<Tenant> {
    directory.provider_only()?;
    let name = domain_form(name)?;
    let mut tx = directory.work().await?;
    let owner = known(&mut tx, tenant).await?;
    let query = sqlx::query(sql::ADD_SERVER_NAME).bind(owner.id.get()).bind(&name);
    run(&mut tx, query, || {
        format!("the server name `{name}` is bound to a tenant already: take it from there first")
    })
    .await?;
    directory
        .audit(&mut tx, AuditAction::ServerNameAdded, owner.id, None, &name)
        .await?;
    let tenant = known(&mut tx, tenant).await?;
    commit(tx).await?;
    Ok(tenant)
}

pub(super) async fn remove_server_name(directory: &PgDirectory, tenant: &str, name: &str) -> Result<Tenant> {
    directory.provider_only()?;
    let name = domain_form(name)?;
    let mut tx = directory.work().await?;
    let owner = known(&mut tx, tenant).await?;
    let used = sqlx::query_as(sql::SERVER_NAME_IS_USED)
        .bind(owner.id.get())
        .bind(&name);
    if holds(&mut tx, used).await? {
        return Err(in_use(format!(
            "a certificate of `{tenant}` serves `{name}`: remove it first"
        )));
    }
    let query = sqlx::query(sql::REMOVE_SERVER_NAME)
        .bind(owner.id.get())
        .bind(&name);
    if tx.execute(query).await.map_err(directory_failed)? == 0 {
        return Err(not_found(format!(
            "`{name}` is no server name of tenant `{tenant}`"
        )));
    }
    directory
        .audit(&mut tx, AuditAction::ServerNameRemoved, owner.id, None, &name)
        .await?;
    let tenant = known(&mut tx, tenant).await?;
    commit(tx).await?;
    Ok(tenant)
}

fn check_tenant_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(invalid("a tenant's name is 1 to 63 of a-z, 0-9 and -"))
}

pub(super) fn check_storage_name(name: &str) -> Result<()> {
    if (1..=255).contains(&name.len()) {
        return Ok(());
    }
    Err(invalid("a storage's name has 1 to 255 octets"))
}

fn changed_of_tenant(patch: &TenantPatch) -> Vec<&'static str> {
    named([
        ("state", patch.state.is_some()),
        ("default-domain", patch.default_domain.is_some()),
        ("storage", patch.storage.is_some()),
        ("retention", patch.retention.is_some()),
        ("quota", patch.quota_octets.is_some()),
        ("quota-messages", patch.quota_messages.is_some()),
        ("policy", patch.policy.is_some()),
    ])
}

pub(super) async fn find(tx: &mut Tx, name: &str) -> Result<Option<Tenant>> {
    let row: Option<TenantRow> = tx
        .optional(sqlx::query_as(sql::TENANT).bind(name))
        .await
        .map_err(directory_failed)?;
    decoded(row, tenant_from_row_whole)
}

pub(super) async fn known(tx: &mut Tx, name: &str) -> Result<Tenant> {
    find(tx, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no tenant `{name}`: `restante tenant list` shows all"
        ))
    })
}
