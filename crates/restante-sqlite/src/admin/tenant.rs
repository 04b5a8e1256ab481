//! Tenants, their policies and their server names.

use std::time::Duration;

use restante_auth::{AuditAction, Page, Policy, Tenant, TenantPatch};
use restante_types::{Octets, TenantId};
use sqlx::SqliteConnection;

use super::{
    Act, Own, Result, START, domain, domain_form, exists, holds, in_use, invalid, names_of, not_found,
};
use crate::database::storage_row;
use crate::error::directory_failed;
use crate::rows::{TenantRow, decoded, decoded_row, tenant_from_columns};
use crate::sql;
use crate::values::{duration_to_row, limit_to_row};

/// How long deleted messages of a new tenant can be brought back.
const RETENTION: Duration = Duration::from_hours(24);

pub(super) async fn find(conn: &mut SqliteConnection, own: Own, name: &str) -> Result<Option<Tenant>> {
    let row: Option<TenantRow> = sqlx::query_as(sql::TENANT)
        .bind(name)
        .bind(own)
        .fetch_optional(conn)
        .await
        .map_err(directory_failed)?;
    decoded_row(row, tenant_from_columns)
}

pub(super) async fn known(conn: &mut SqliteConnection, own: Own, name: &str) -> Result<Tenant> {
    find(conn, own, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no tenant `{name}`: add it, or correct the name"
        ))
    })
}

pub(super) async fn list(conn: &mut SqliteConnection, own: Own, page: &Page) -> Result<Vec<Tenant>> {
    let rows: Vec<TenantRow> = sqlx::query_as(sql::TENANTS)
        .bind(page.after.as_deref().unwrap_or(START))
        .bind(page.limit)
        .bind(own)
        .fetch_all(conn)
        .await
        .map_err(directory_failed)?;
    decoded(rows, tenant_from_columns)
}

pub(super) async fn add(act: &mut Act<'_>, name: &str, storage: &str) -> Result<Tenant> {
    check_name(name)?;
    check_storage_name(storage)?;
    if find(&mut act.tx, act.own, name).await?.is_some() {
        return Err(exists(format!(
            "there is a tenant `{name}` already: choose another name"
        )));
    }
    let storage = storage_row(&mut act.tx, storage)
        .await
        .map_err(directory_failed)?;
    sqlx::query(sql::ADD_TENANT)
        .bind(name)
        .bind(storage.0)
        .bind(duration_to_row(RETENTION))
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let tenant = known(&mut act.tx, act.own, name).await?;
    act.note_tenant(AuditAction::TenantAdded, tenant.id, name.to_owned())
        .await?;
    Ok(tenant)
}

pub(super) async fn set(act: &mut Act<'_>, name: &str, patch: TenantPatch) -> Result<Tenant> {
    let before = known(&mut act.tx, act.own, name).await?;
    let detail = format!("{name}: {}", changed(&patch));
    let action = match &patch.policy {
        Some(policy) => {
            set_policy(act, before.id, policy).await?;
            AuditAction::PolicyChanged
        }
        None => AuditAction::TenantChanged,
    };
    let default_domain = match patch.default_domain {
        Some(Some(domain)) => Some(own_domain(act, before.id, &domain).await?),
        Some(None) => None,
        None => before.default_domain,
    };
    let storage = patch.storage.unwrap_or(before.storage);
    check_storage_name(&storage)?;
    let storage = storage_row(&mut act.tx, &storage)
        .await
        .map_err(directory_failed)?;
    let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
    sqlx::query(sql::SET_TENANT)
        .bind(before.id.get())
        .bind(storage.0)
        .bind(patch.state.unwrap_or(before.state).as_str())
        .bind(default_domain)
        .bind(duration_to_row(patch.retention.unwrap_or(before.retention)))
        .bind(limit_to_row(quota_octets.map(Octets::get)))
        .bind(limit_to_row(
            patch.quota_messages.unwrap_or(before.quota_messages),
        ))
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    act.note_tenant(action, before.id, detail).await?;
    known(&mut act.tx, act.own, name).await
}

fn changed(patch: &TenantPatch) -> String {
    names_of([
        ("state", patch.state.is_some()),
        ("default-domain", patch.default_domain.is_some()),
        ("storage", patch.storage.is_some()),
        ("retention", patch.retention.is_some()),
        ("quota", patch.quota_octets.is_some()),
        ("quota-messages", patch.quota_messages.is_some()),
        ("policy", patch.policy.is_some()),
    ])
}

async fn set_policy(act: &mut Act<'_>, tenant: TenantId, policy: &Policy) -> Result<()> {
    let document = serde_json::to_string(policy)
        .map_err(|error| invalid("the policy cannot be written: correct it").because(error))?;
    sqlx::query(sql::SET_POLICY)
        .bind(tenant.get())
        .bind(document)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    Ok(())
}

/// A domain of that tenant, in the form that is stored.
async fn own_domain(act: &mut Act<'_>, tenant: TenantId, name: &str) -> Result<String> {
    let domain = domain::known(&mut act.tx, act.own, &domain_form(name)?).await?;
    if domain.tenant == tenant {
        Ok(domain.name)
    } else {
        Err(invalid(
            "the default domain is of another tenant: choose one of the tenant's own",
        ))
    }
}

pub(super) async fn remove(act: &mut Act<'_>, name: &str) -> Result<()> {
    let tenant = known(&mut act.tx, act.own, name).await?.id;
    let has_domains = sqlx::query_scalar(sql::TENANT_HAS_DOMAINS).bind(tenant.get());
    if holds(&mut act.tx, has_domains).await? {
        return Err(in_use(format!(
            "tenant `{name}` has domains: remove them or move them to another tenant first"
        )));
    }
    for statement in [sql::REMOVE_CERTIFICATES, sql::REMOVE_SERVER_NAMES] {
        sqlx::query(statement)
            .bind(tenant.get())
            .execute(&mut *act.tx)
            .await
            .map_err(directory_failed)?;
    }
    sqlx::query(sql::REMOVE_TENANT)
        .bind(tenant.get())
        .bind(act.now)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    act.note_tenant(AuditAction::TenantRemoved, tenant, name.to_owned())
        .await
}

pub(super) async fn add_server_name(act: &mut Act<'_>, tenant: &str, name: &str) -> Result<Tenant> {
    let name = domain_form(name)?;
    let owner = known(&mut act.tx, act.own, tenant).await?;
    let is_taken = sqlx::query_scalar(sql::SERVER_NAME_IS_TAKEN).bind(&name);
    if holds(&mut act.tx, is_taken).await? {
        return Err(exists(format!(
            "the server name `{name}` is bound to a tenant already: take it from there first"
        )));
    }
    sqlx::query(sql::ADD_SERVER_NAME)
        .bind(owner.id.get())
        .bind(&name)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    act.note_tenant(AuditAction::ServerNameAdded, owner.id, name)
        .await?;
    known(&mut act.tx, act.own, tenant).await
}

pub(super) async fn remove_server_name(act: &mut Act<'_>, tenant: &str, name: &str) -> Result<Tenant> {
    let name = domain_form(name)?;
    let owner = known(&mut act.tx, act.own, tenant).await?;
    if !owner.server_names.contains(&name) {
        return Err(not_found(format!(
            "`{name}` is no server name of tenant `{tenant}`: correct the name"
        )));
    }
    let is_served = sqlx::query_scalar(sql::SERVER_NAME_IS_SERVED)
        .bind(owner.id.get())
        .bind(&name);
    if holds(&mut act.tx, is_served).await? {
        return Err(in_use(format!(
            "a certificate of tenant `{tenant}` serves `{name}`: remove it first"
        )));
    }
    sqlx::query(sql::REMOVE_SERVER_NAME)
        .bind(owner.id.get())
        .bind(&name)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    act.note_tenant(AuditAction::ServerNameRemoved, owner.id, name)
        .await?;
    known(&mut act.tx, act.own, tenant).await
}

fn check_name(name: &str) -> Result<()> {
    let is_admitted = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    if (1..=63).contains(&name.len()) && name.bytes().all(is_admitted) {
        Ok(())
    } else {
        Err(invalid(
            "a tenant's name has 1 to 63 of a-z, 0-9 and `-`: choose such a name",
        ))
    }
}

fn check_storage_name(name: &str) -> Result<()> {
    if (1..=255).contains(&name.len()) {
        Ok(())
    } else {
        Err(invalid(
            "a storage's name has 1 to 255 octets: name one of the configured storages",
        ))
    }
}
