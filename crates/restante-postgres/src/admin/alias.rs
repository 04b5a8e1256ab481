//! Other addresses of an account.

use restante_auth::{Alias, AuditAction, LoginName, Page};
use restante_types::{AccountId, TenantId};

use super::{Result, START, account, commit, domain, domain_form, invalid, not_found};
use crate::PgDirectory;
use crate::directory::{decoded, login_name};
use crate::error::directory_failed;
use crate::sql::directory as sql;
use crate::values::{Undecodable, tenant_from_row};

type AliasRow = (String, String, bool, i64, i64);

pub(super) async fn add(directory: &PgDirectory, alias: Alias) -> Result<Alias> {
    let mut tx = directory.work().await?;
    let id = account::known(&mut tx, &alias.account).await?.id;
    let domain = domain::known(&mut tx, alias.address.domain()).await?;
    if domain.tenant != id.tenant() {
        return Err(invalid(
            "the alias is in a domain of another tenant than the account: choose one of the same tenant",
        ));
    }
    account::refuse_taken(&mut tx, &alias.address).await?;
    account::add_address(
        &mut tx,
        &domain,
        id.number(),
        &alias.address,
        true,
        alias.may_log_in,
    )
    .await?;
    let detail = alias.address.to_string();
    directory
        .audit(&mut tx, AuditAction::AliasAdded, id.tenant(), Some(id), &detail)
        .await?;
    commit(tx).await?;
    Ok(alias)
}

pub(super) async fn list(
    directory: &PgDirectory,
    account: Option<&LoginName>,
    domain: Option<&str>,
    page: Page,
) -> Result<Vec<Alias>> {
    let mut tx = directory.work().await?;
    let account = match account {
        Some(name) => match account::find(&mut tx, name).await? {
            Some(account) => Some(account.id.number()),
            None => return Ok(Vec::new()),
        },
        None => None,
    };
    let domain = match domain {
        Some(name) => match domain::find(&mut tx, &domain_form(name)?).await? {
            Some(domain) => Some(domain.id.get()),
            None => return Ok(Vec::new()),
        },
        None => None,
    };
    // A statement each: one for all cases would be planned for none of them.
    let (statement, of) = match (account, domain) {
        (Some(account), _) => (sql::ALIASES_OF_ACCOUNT, Some(account)),
        (None, Some(domain)) => (sql::ALIASES_OF_DOMAIN, Some(domain)),
        (None, None) => (sql::ALIASES, None),
    };
    let mut query = sqlx::query_as(statement)
        .bind(page.after.as_deref().unwrap_or(START))
        .bind(i64::from(page.limit));
    if let Some(of) = of {
        query = query.bind(of);
    }
    if account.is_some() {
        query = query.bind(domain);
    }
    let rows: Vec<AliasRow> = tx.all(query).await.map_err(directory_failed)?;
    commit(tx).await?;
    decoded(rows, alias_from_row)
}

pub(super) async fn remove(directory: &PgDirectory, address: &LoginName) -> Result<()> {
    let mut tx = directory.work().await?;
    let query = sqlx::query_as(sql::ALIAS).bind(address.to_string());
    let row: Option<AliasRow> = tx.optional(query).await.map_err(directory_failed)?;
    let Some((_, _, _, tenant, account)) = row else {
        return Err(not_found(format!(
            "there is no alias `{address}`: `restante alias list` shows all"
        )));
    };
    tx.execute(sqlx::query(sql::REMOVE_ALIAS).bind(address.to_string()))
        .await
        .map_err(directory_failed)?;
    let tenant = tenant_id(tenant)?;
    let detail = address.to_string();
    directory
        .audit(
            &mut tx,
            AuditAction::AliasRemoved,
            tenant,
            AccountId::new(tenant, account),
            &detail,
        )
        .await?;
    commit(tx).await
}

fn tenant_id(key: i64) -> Result<TenantId> {
    tenant_from_row(key).map_err(|error| directory_failed(error.into()))
}

fn alias_from_row((address, account, may_log_in, ..): AliasRow) -> std::result::Result<Alias, Undecodable> {
    Ok(Alias {
        address: login_name(&address)?,
        account: login_name(&account)?,
        may_log_in,
    })
}
