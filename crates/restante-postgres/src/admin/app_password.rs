//! Application passwords of an account.

use restante_auth::{AppPasswordId, AppPasswordInfo, AppScope, AuditAction, LoginName, NewAppPassword};

use super::{Result, account, commit, in_use, invalid, not_found};
use crate::PgDirectory;
use crate::directory::{decoded, networks_from_row};
use crate::error::directory_failed;
use crate::sql::directory as sql;
use crate::values::{Undecodable, time_from_row, time_to_row};

/// Application passwords of one account.
const MAX_APP_PASSWORDS: i64 = 100;
/// Octets of the label of one.
const MAX_LABEL_OCTETS: usize = 100;
type AppPasswordRow = (i64, String, String, Vec<String>, i64, Option<i64>, Option<i64>);

pub(super) async fn add(
    directory: &PgDirectory,
    account: &LoginName,
    password: NewAppPassword,
) -> Result<AppPasswordInfo> {
    if !(1..=MAX_LABEL_OCTETS).contains(&password.label.len()) {
        return Err(invalid(
            "the label of an application password has 1 to 100 octets",
        ));
    }
    let mut tx = directory.work().await?;
    let id = account::known(&mut tx, account).await?.id;
    // One at a time, so that two do not both become the hundredth.
    let query = sqlx::query_as(sql::LOCK_ACCOUNT).bind(id.number());
    let held: Option<(i64,)> = tx.optional(query).await.map_err(directory_failed)?;
    if held.is_none() {
        return Err(not_found(format!("account `{account}` has just been removed")));
    }
    let query = sqlx::query_as(sql::COUNT_APP_PASSWORDS).bind(id.number());
    let (count,): (i64,) = tx.one(query).await.map_err(directory_failed)?;
    if count >= MAX_APP_PASSWORDS {
        return Err(in_use(format!(
            "`{account}` has {count} application passwords: revoke some first"
        )));
    }
    let networks: Vec<String> = password.networks.iter().map(ToString::to_string).collect();
    let query = sqlx::query_as(sql::ADD_APP_PASSWORD)
        .bind(id.tenant().get())
        .bind(id.number())
        .bind(&password.label)
        .bind(password.verifier.expose())
        .bind(password.scope.as_str())
        .bind(networks)
        .bind(password.expires_at.map(time_to_row));
    let row: AppPasswordRow = tx.one(query).await.map_err(directory_failed)?;
    let detail = format!("{}: {}", row.0, password.label);
    directory
        .audit(
            &mut tx,
            AuditAction::AppPasswordAdded,
            id.tenant(),
            Some(id),
            &detail,
        )
        .await?;
    commit(tx).await?;
    app_password_from_row(row).map_err(|error| directory_failed(error.into()))
}

pub(super) async fn list(directory: &PgDirectory, account: &LoginName) -> Result<Vec<AppPasswordInfo>> {
    let mut tx = directory.work().await?;
    let id = account::known(&mut tx, account).await?.id;
    let query = sqlx::query_as(sql::APP_PASSWORDS).bind(id.number());
    let rows: Vec<AppPasswordRow> = tx.all(query).await.map_err(directory_failed)?;
    commit(tx).await?;
    decoded(rows, app_password_from_row)
}

pub(super) async fn revoke(directory: &PgDirectory, account: &LoginName, id: AppPasswordId) -> Result<()> {
    let mut tx = directory.work().await?;
    let owner = account::known(&mut tx, account).await?.id;
    let query = sqlx::query(sql::REMOVE_APP_PASSWORD)
        .bind(id.0)
        .bind(owner.number());
    if tx.execute(query).await.map_err(directory_failed)? == 0 {
        return Err(not_found(format!(
            "`{account}` has no application password {}: `restante app-password list` shows all",
            id.0
        )));
    }
    let detail = id.0.to_string();
    directory
        .audit(
            &mut tx,
            AuditAction::AppPasswordRevoked,
            owner.tenant(),
            Some(owner),
            &detail,
        )
        .await?;
    commit(tx).await
}

fn app_password_from_row(row: AppPasswordRow) -> std::result::Result<AppPasswordInfo, Undecodable> {
    let (id, label, scope, networks, created_at, expires_at, last_used_at) = row;
    Ok(AppPasswordInfo {
        id: AppPasswordId(id),
        label,
        scope: AppScope::from_name(&scope).ok_or(Undecodable("scope"))?,
        networks: networks_from_row(&networks)?,
        created_at: time_from_row(created_at)?,
        expires_at: expires_at.map(time_from_row).transpose()?,
        last_used_at: last_used_at.map(time_from_row).transpose()?,
    })
}
