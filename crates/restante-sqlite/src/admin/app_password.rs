//! Application passwords.

use restante_auth::{AppPasswordId, AppPasswordInfo, AppScope, AuditAction, LoginName, NewAppPassword};
use sqlx::SqliteConnection;

use super::{Act, Own, Result, account, in_use, invalid, json_array, not_found, undecodable};
use crate::error::directory_failed;
use crate::rows::{decoded, networks_from_row};
use crate::sql;
use crate::values::{Undecodable, time_from_row, time_to_row};

/// Of one account.
const MOST: i64 = 100;
/// Of the label of one.
const MOST_LABEL_OCTETS: usize = 100;

type AppPasswordRow = (i64, String, String, String, i64, Option<i64>, Option<i64>);

pub(super) async fn list(
    conn: &mut SqliteConnection,
    own: Own,
    account: &LoginName,
) -> Result<Vec<AppPasswordInfo>> {
    let owner = account::known(conn, own, account).await?.id;
    let rows: Vec<AppPasswordRow> = sqlx::query_as(sql::APP_PASSWORDS)
        .bind(owner.number())
        .fetch_all(conn)
        .await
        .map_err(directory_failed)?;
    decoded(rows, info_from_row)
}

pub(super) async fn add(
    act: &mut Act<'_>,
    account: &LoginName,
    new: NewAppPassword,
) -> Result<AppPasswordInfo> {
    if !(1..=MOST_LABEL_OCTETS).contains(&new.label.len()) {
        return Err(invalid(
            "the label of an application password has 1 to 100 octets: choose such a label",
        ));
    }
    let owner = account::known(&mut act.tx, act.own, account).await?.id;
    refuse_more(act, account, owner.number()).await?;
    let networks: Vec<String> = new.networks.iter().map(ToString::to_string).collect();
    let row: AppPasswordRow = sqlx::query_as(sql::ADD_APP_PASSWORD)
        .bind(owner.tenant().get())
        .bind(owner.number())
        .bind(&new.label)
        .bind(new.verifier.expose())
        .bind(new.scope.as_str())
        .bind(json_array(&networks)?)
        .bind(act.now)
        .bind(new.expires_at.map(time_to_row))
        .fetch_one(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    let info = info_from_row(row).map_err(undecodable)?;
    let detail = format!("{}: {}", info.id.0, info.label);
    act.note_account(AuditAction::AppPasswordAdded, owner, detail)
        .await?;
    Ok(info)
}

async fn refuse_more(act: &mut Act<'_>, account: &LoginName, number: i64) -> Result<()> {
    let count: i64 = sqlx::query_scalar(sql::COUNT_APP_PASSWORDS)
        .bind(number)
        .fetch_one(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    if count >= MOST {
        return Err(in_use(format!(
            "account `{account}` has {count} application passwords: revoke some first"
        )));
    }
    Ok(())
}

pub(super) async fn revoke(act: &mut Act<'_>, account: &LoginName, id: AppPasswordId) -> Result<()> {
    let owner = account::known(&mut act.tx, act.own, account).await?.id;
    let removed = sqlx::query(sql::REMOVE_APP_PASSWORD)
        .bind(id.0)
        .bind(owner.number())
        .execute(&mut *act.tx)
        .await
        .map_err(directory_failed)?;
    if removed.rows_affected() == 0 {
        return Err(not_found(format!(
            "account `{account}` has no application password {}: choose one from its list",
            id.0
        )));
    }
    act.note_account(AuditAction::AppPasswordRevoked, owner, id.0.to_string())
        .await
}

fn info_from_row(row: AppPasswordRow) -> std::result::Result<AppPasswordInfo, Undecodable> {
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
