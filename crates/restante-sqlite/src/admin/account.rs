//! Accounts: their names, states, quotas and passwords.

use restante_auth::{Account, AccountPatch, AuditAction, LoginName, NewAccount, NewPassword, Page};
use restante_types::{Octets, Secret};
use sqlx::SqliteConnection;

use super::{Act, Own, Result, START, domain, domain_form, exists, holds, invalid, names_of, not_found};
use crate::error::directory_failed;
use crate::rows::{AccountRow, account_from_row, decoded, decoded_row};
use crate::sql;
use crate::values::limit_to_row;

/// By its own name, not by an alias.
pub(super) async fn find(conn: &mut SqliteConnection, own: Own, name: &LoginName) -> Result<Option<Account>> {
    let row: Option<AccountRow> = sqlx::query_as(sql::ACCOUNT)
        .bind(name.to_string())
        .bind(own)
        .fetch_optional(conn)
        .await
        .map_err(directory_failed)?;
    decoded_row(row, account_from_row)
}

pub(super) async fn known(conn: &mut SqliteConnection, own: Own, name: &LoginName) -> Result<Account> {
    find(conn, own, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no account `{name}`: add it, or correct the name"
        ))
    })
}

pub(super) async fn list(
    conn: &mut SqliteConnection,
    own: Own,
    domain: Option<&str>,
    page: &Page,
) -> Result<Vec<Account>> {
    let (statement, of) = match domain {
        None => (sql::ACCOUNTS, own),
        Some(name) => match domain::find(conn, own, &domain_form(name)?).await? {
            Some(domain) => (sql::ACCOUNTS_OF_DOMAIN, Some(domain.id.get())),
            None => return Ok(Vec::new()),
        },
    };
    let rows: Vec<AccountRow> = sqlx::query_as(statement)
        .bind(page.after.as_deref().unwrap_or(START))
        .bind(page.limit)
        .bind(of)
        .fetch_all(conn)
        .await
        .map_err(directory_failed)?;
    decoded(rows, account_from_row)
}

pub(super) async fn add(act: &mut Act<'_>, new: NewAccount) -> Result<Account> {
    let domain = domain::known(&mut act.tx, act.own, new.name.domain()).await?;
    refuse_taken(act, &new.name).await?;
    let number: i64 = sqlx::query_scalar(sql::ADD_MAILDROP)
        .bind(domain.tenant.get())
        .fetch_one(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let password = new.password.as_ref();
    sqlx::query(sql::ADD_ACCOUNT)
        .bind(number)
        .bind(domain.tenant.get())
        .bind(domain.id.get())
        .bind(&domain.name)
        .bind(new.name.local_part())
        .bind(password.map(|password| password.hash.expose()))
        .bind(password.and_then(scram_keys))
        .bind(limit_to_row(new.quota_octets.map(Octets::get)))
        .bind(limit_to_row(new.quota_messages))
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let account = known(&mut act.tx, act.own, &new.name).await?;
    act.note_account(AuditAction::AccountAdded, account.id, new.name.to_string())
        .await?;
    Ok(account)
}

pub(super) async fn set(act: &mut Act<'_>, name: &LoginName, patch: AccountPatch) -> Result<Account> {
    let before = known(&mut act.tx, act.own, name).await?;
    let mut detail = format!("{name}: {}", changed(&patch));
    let name = match patch.name {
        Some(new) if new != before.name => {
            rename(act, &before, &new).await?;
            detail = format!("{detail}; now {new}");
            new
        }
        _ => before.name,
    };
    if let Some(password) = &patch.password {
        sqlx::query(sql::SET_PASSWORD)
            .bind(before.id.number())
            .bind(password.hash.expose())
            .bind(scram_keys(password))
            .execute(&mut *act.tx)
            .await
            .map_err(directory_failed)?;
    }
    let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
    sqlx::query(sql::SET_ACCOUNT)
        .bind(before.id.number())
        .bind(patch.state.unwrap_or(before.state).as_str())
        .bind(limit_to_row(quota_octets.map(Octets::get)))
        .bind(limit_to_row(
            patch.quota_messages.unwrap_or(before.quota_messages),
        ))
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    act.note_account(AuditAction::AccountChanged, before.id, detail)
        .await?;
    known(&mut act.tx, act.own, &name).await
}

fn changed(patch: &AccountPatch) -> String {
    names_of([
        ("name", patch.name.is_some()),
        ("state", patch.state.is_some()),
        ("password", patch.password.is_some()),
        ("quota", patch.quota_octets.is_some()),
        ("quota-messages", patch.quota_messages.is_some()),
    ])
}

fn scram_keys(password: &NewPassword) -> Option<&String> {
    password.scram.as_ref().map(Secret::expose)
}

async fn rename(act: &mut Act<'_>, account: &Account, new: &LoginName) -> Result<()> {
    let domain = domain::known(&mut act.tx, act.own, new.domain()).await?;
    if domain.tenant != account.id.tenant() {
        return Err(invalid(
            "the new name is in a domain of another tenant: choose one of the same tenant",
        ));
    }
    refuse_taken(act, new).await?;
    sqlx::query(sql::RENAME_ACCOUNT)
        .bind(account.id.number())
        .bind(domain.id.get())
        .bind(&domain.name)
        .bind(new.local_part())
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    Ok(())
}

pub(super) async fn remove(act: &mut Act<'_>, name: &LoginName) -> Result<()> {
    let account = known(&mut act.tx, act.own, name).await?.id;
    sqlx::query(sql::BURY_MESSAGES)
        .bind(account.number())
        .bind(act.now)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    // The maildrop's number never comes again, so its unique-ids need not be remembered. Aliases and application
    // passwords go with the account, by the schema.
    for statement in [sql::EMPTY_MAILDROP, sql::FORGET_UNIQUE_IDS, sql::REMOVE_ACCOUNT] {
        sqlx::query(statement)
            .bind(account.number())
            .execute(&mut *act.tx)
            .await
            .map_err(directory_failed)?;
    }
    act.note_account(AuditAction::AccountRemoved, account, name.to_string())
        .await
}

/// No address is that of two accounts, of two aliases, or of an account and an alias.
pub(super) async fn refuse_taken(act: &mut Act<'_>, address: &LoginName) -> Result<()> {
    let is_taken = sqlx::query_scalar(sql::ADDRESS_IS_TAKEN).bind(address.to_string());
    if holds(&mut act.tx, is_taken).await? {
        return Err(exists(format!(
            "there is an account or an alias `{address}` already: choose another name"
        )));
    }
    Ok(())
}
