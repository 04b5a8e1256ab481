//! Accounts: their names, states, quotas and passwords.

use std::time::Duration;

use restante_auth::{Account, AccountPatch, AuditAction, Domain, LoginName, NewAccount, NewPassword, Page};
use restante_types::{Octets, Secret};

use super::{Result, START, commit, domain, domain_form, exists, holds, invalid, named, not_found, run};
use crate::PgDirectory;
use crate::database::Tx;
use crate::directory::{AccountRow, account_from_row, decoded};
use crate::error::directory_failed;
use crate::sql::directory as sql;
use crate::values::limit_to_row;

/// How much longer than others a statement may take that removes an account with all its mail.
const REMOVAL: Duration = Duration::from_mins(5);

pub(super) async fn add(directory: &PgDirectory, account: NewAccount) -> Result<Account> {
    let name = account.name;
    let mut tx = directory.work().await?;
    let domain = domain::known(&mut tx, name.domain()).await?;
    refuse_taken(&mut tx, &name).await?;
    let query = sqlx::query_as(sql::ADD_MAILDROP).bind(domain.tenant.get());
    let (number,): (i64,) = tx.one(query).await.map_err(directory_failed)?;
    let (hash, scram) = parts(account.password.as_ref());
    let query = sqlx::query(sql::ADD_ACCOUNT)
        .bind(number)
        .bind(domain.tenant.get())
        .bind(hash)
        .bind(scram)
        .bind(limit_to_row(account.quota_octets.map(Octets::get)))
        .bind(limit_to_row(account.quota_messages));
    tx.execute(query).await.map_err(directory_failed)?;
    add_address(&mut tx, &domain, number, &name, false, true).await?;
    let added = known(&mut tx, &name).await?;
    directory
        .audit(
            &mut tx,
            AuditAction::AccountAdded,
            domain.tenant,
            Some(added.id),
            &name.to_string(),
        )
        .await?;
    commit(tx).await?;
    Ok(added)
}

pub(super) async fn show(directory: &PgDirectory, name: &LoginName) -> Result<Option<Account>> {
    let mut tx = directory.work().await?;
    let found = find(&mut tx, name).await?;
    commit(tx).await?;
    Ok(found)
}

pub(super) async fn list(directory: &PgDirectory, domain: Option<&str>, page: Page) -> Result<Vec<Account>> {
    let after = page.after.as_deref().unwrap_or(START);
    let mut tx = directory.work().await?;
    let rows: Vec<AccountRow> = match (domain, directory.actor.tenant) {
        (None, None) => {
            let query = sqlx::query_as(sql::ACCOUNTS)
                .bind(after)
                .bind(i64::from(page.limit));
            tx.all(query).await
        }
        (None, Some(tenant)) => {
            let query = sqlx::query_as(sql::ACCOUNTS_OF_TENANT)
                .bind(after)
                .bind(i64::from(page.limit))
                .bind(tenant.get());
            tx.all(query).await
        }
        (Some(name), _) => {
            let Some(domain) = domain::find(&mut tx, &domain_form(name)?).await? else {
                return Ok(Vec::new());
            };
            let query = sqlx::query_as(sql::ACCOUNTS_OF_DOMAIN)
                .bind(after)
                .bind(i64::from(page.limit))
                .bind(domain.id.get());
            tx.all(query).await
        }
    }
    .map_err(directory_failed)?;
    commit(tx).await?;
    decoded(rows, account_from_row)
}

pub(super) async fn set(directory: &PgDirectory, name: &LoginName, patch: AccountPatch) -> Result<Account> {
    let mut tx = directory.work().await?;
    let before = known(&mut tx, name).await?;
    let changed = changed_of_account(&patch);
    let name = match patch.name {
        Some(new) if new != before.name => rename(&mut tx, &before, new).await?,
        _ => before.name,
    };
    let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
    let query = sqlx::query(sql::SET_ACCOUNT)
        .bind(before.id.number())
        .bind(patch.state.unwrap_or(before.state).as_str())
        .bind(limit_to_row(quota_octets.map(Octets::get)))
        .bind(limit_to_row(
            patch.quota_messages.unwrap_or(before.quota_messages),
        ));
    tx.execute(query).await.map_err(directory_failed)?;
    if let Some(password) = &patch.password {
        let query = sqlx::query(sql::SET_PASSWORD)
            .bind(before.id.number())
            .bind(password.hash.expose())
            .bind(password.scram.as_ref().map(Secret::expose));
        tx.execute(query).await.map_err(directory_failed)?;
    }
    let after = known(&mut tx, &name).await?;
    let detail = format!("{name}: {}", changed.join(", "));
    directory
        .audit(
            &mut tx,
            AuditAction::AccountChanged,
            after.id.tenant(),
            Some(after.id),
            &detail,
        )
        .await?;
    commit(tx).await?;
    Ok(after)
}

pub(super) async fn remove(directory: &PgDirectory, name: &LoginName) -> Result<()> {
    let mut tx = directory.work().await?;
    tx.allow(REMOVAL).await.map_err(directory_failed)?;
    let id = known(&mut tx, name).await?.id;
    for statement in [
        sql::REMOVE_ACCOUNT,
        sql::FORGET_PACE,
        sql::BURY_MESSAGES,
        sql::EMPTY_MAILDROP,
        sql::FORGET_UNIQUE_IDS,
    ] {
        tx.execute(sqlx::query(statement).bind(id.number()))
            .await
            .map_err(directory_failed)?;
    }
    directory
        .audit(
            &mut tx,
            AuditAction::AccountRemoved,
            id.tenant(),
            Some(id),
            &name.to_string(),
        )
        .await?;
    commit(tx).await
}

fn parts(password: Option<&NewPassword>) -> (Option<&String>, Option<&String>) {
    let hash = password.map(|password| password.hash.expose());
    let scram = password.and_then(|password| password.scram.as_ref());
    (hash, scram.map(Secret::expose))
}

fn changed_of_account(patch: &AccountPatch) -> Vec<&'static str> {
    named([
        ("name", patch.name.is_some()),
        ("state", patch.state.is_some()),
        ("password", patch.password.is_some()),
        ("quota", patch.quota_octets.is_some()),
        ("quota-messages", patch.quota_messages.is_some()),
    ])
}

pub(super) async fn find(tx: &mut Tx, name: &LoginName) -> Result<Option<Account>> {
    let row: Option<AccountRow> = tx
        .optional(sqlx::query_as(sql::ACCOUNT).bind(name.to_string()))
        .await
        .map_err(directory_failed)?;
    decoded(row, account_from_row)
}

pub(super) async fn known(tx: &mut Tx, name: &LoginName) -> Result<Account> {
    find(tx, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no account `{name}`: `restante account list` shows all"
        ))
    })
}

pub(super) async fn refuse_taken(tx: &mut Tx, address: &LoginName) -> Result<()> {
    if holds(
        tx,
        sqlx::query_as(sql::ADDRESS_IS_TAKEN).bind(address.to_string()),
    )
    .await?
    {
        return Err(exists(taken(address)));
    }
    Ok(())
}

pub(super) fn taken(address: &LoginName) -> String {
    format!("there is an account or an alias `{address}` already: choose another name")
}

pub(super) async fn add_address(
    tx: &mut Tx,
    domain: &Domain,
    account: i64,
    address: &LoginName,
    is_alias: bool,
    may_log_in: bool,
) -> Result<()> {
    let query = sqlx::query(sql::ADD_ADDRESS)
        .bind(domain.tenant.get())
        .bind(account)
        .bind(domain.id.get())
        .bind(&domain.name)
        .bind(address.local_part())
        .bind(is_alias)
        .bind(may_log_in);
    run(tx, query, || taken(address)).await
}

/// Gives an account another name of the same tenant.
async fn rename(tx: &mut Tx, account: &Account, new: LoginName) -> Result<LoginName> {
    let domain = domain::known(tx, new.domain()).await?;
    if domain.tenant != account.id.tenant() {
        return Err(invalid(
            "the new name is in a domain of another tenant: choose one of the same tenant",
        ));
    }
    refuse_taken(tx, &new).await?;
    let query = sqlx::query(sql::RENAME_ACCOUNT)
        .bind(account.id.number())
        .bind(domain.id.get())
        .bind(&domain.name)
        .bind(new.local_part());
    run(tx, query, || taken(&new)).await?;
    Ok(new)
}
