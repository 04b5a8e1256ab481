//! Aliases: second addresses of accounts.

use restante_auth::{Alias, AuditAction, LoginName, Page};
use sqlx::SqliteConnection;

use super::{Act, Own, Result, START, account, domain, domain_form, invalid, not_found, undecodable};
use crate::error::directory_failed;
use crate::rows::{account_id, address_from_row, decoded};
use crate::sql;
use crate::values::Undecodable;

type AliasRow = (String, String, bool);

pub(super) async fn list(
    conn: &mut SqliteConnection,
    own: Own,
    account: Option<&LoginName>,
    domain: Option<&str>,
    page: &Page,
) -> Result<Vec<Alias>> {
    let account = match account {
        None => None,
        Some(name) => match account::find(conn, own, name).await? {
            Some(account) => Some(account.id.number()),
            None => return Ok(Vec::new()),
        },
    };
    let domain = match domain {
        None => None,
        Some(name) => match domain::find(conn, own, &domain_form(name)?).await? {
            Some(domain) => Some(domain.id.get()),
            None => return Ok(Vec::new()),
        },
    };
    let rows: Vec<AliasRow> = sqlx::query_as(sql::ALIASES)
        .bind(page.after.as_deref().unwrap_or(START))
        .bind(page.limit)
        .bind(account)
        .bind(domain)
        .bind(own)
        .fetch_all(conn)
        .await
        .map_err(directory_failed)?;
    decoded(rows, alias_from_row)
}

pub(super) async fn add(act: &mut Act<'_>, alias: &Alias) -> Result<()> {
    let account = account::known(&mut act.tx, act.own, &alias.account).await?.id;
    let domain = domain::known(&mut act.tx, act.own, alias.address.domain()).await?;
    if domain.tenant != account.tenant() {
        return Err(invalid(
            "the alias is in a domain of another tenant than the account: choose one of the same tenant",
        ));
    }
    account::refuse_taken(act, &alias.address).await?;
    sqlx::query(sql::ADD_ALIAS)
        .bind(domain.tenant.get())
        .bind(account.number())
        .bind(domain.id.get())
        .bind(&domain.name)
        .bind(alias.address.local_part())
        .bind(alias.may_log_in)
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    act.note_account(AuditAction::AliasAdded, account, alias.address.to_string())
        .await
}

pub(super) async fn remove(act: &mut Act<'_>, address: &LoginName) -> Result<()> {
    let removed: Option<(i64, i64)> = sqlx::query_as(sql::REMOVE_ALIAS)
        .bind(address.to_string())
        .bind(act.own)
        .fetch_optional(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let Some((tenant, account)) = removed else {
        return Err(not_found(format!(
            "there is no alias `{address}`: correct the address"
        )));
    };
    let account = account_id(tenant, account).map_err(undecodable)?;
    act.note_account(AuditAction::AliasRemoved, account, address.to_string())
        .await
}

fn alias_from_row((address, account, may_log_in): AliasRow) -> std::result::Result<Alias, Undecodable> {
    Ok(Alias {
        address: address_from_row(&address)?,
        account: address_from_row(&account)?,
        may_log_in,
    })
}
