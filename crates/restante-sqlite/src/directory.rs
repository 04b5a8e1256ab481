//! Who a name is. Changes are in `admin`. Start at [`SqliteDirectory`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use restante_auth::{Account, AccountState, Credentials, Directory, DirectoryError, LoginName};
use restante_types::{AccountId, Clock, Octets, Secret};

use crate::Sqlite;
use crate::error::{STORE, directory_failed};
use crate::sql;
use crate::values::{Undecodable, limit_from_row, tenant_from_row};

pub(crate) type AccountRow = (i64, i64, String, String, Option<i64>, Option<i64>, String);

type CredentialsRow = (
    i64,
    i64,
    String,
    String,
    Option<i64>,
    Option<i64>,
    String,
    Option<String>,
    i64,
);

/// Tenants, domains and accounts in one file.
pub struct SqliteDirectory {
    db: Sqlite,
    clock: Arc<dyn Clock>,
}

impl SqliteDirectory {
    /// The directory in `db`. The clock dates the tombstones of removed accounts.
    pub fn new(db: &Sqlite, clock: Arc<dyn Clock>) -> Self {
        Self {
            db: db.clone(),
            clock,
        }
    }

    pub(crate) const fn db(&self) -> &Sqlite {
        &self.db
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

impl fmt::Display for SqliteDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for SqliteDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteDirectory({})", self.db.path().display())
    }
}

#[async_trait]
impl Directory for SqliteDirectory {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        let row: Option<CredentialsRow> = sqlx::query_as(sql::CREDENTIALS)
            .bind(name.to_string())
            .fetch_optional(self.db.readers())
            .await
            .map_err(directory_failed)?;
        row.map(credentials_from_row)
            .transpose()
            .map_err(|error| directory_failed(error.into()))
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Account>, DirectoryError> {
        let row: Option<AccountRow> = sqlx::query_as(sql::ACCOUNT)
            .bind(address.to_string())
            .fetch_optional(self.db.readers())
            .await
            .map_err(directory_failed)?;
        row.map(account_from_row)
            .transpose()
            .map_err(|error| directory_failed(error.into()))
    }
}

fn credentials_from_row(row: CredentialsRow) -> Result<Credentials, Undecodable> {
    let (tenant, number, name, state, octets, messages, storage, password, version) = row;
    Ok(Credentials {
        // First, so that the hash is cleared from memory whatever follows.
        password: password.map(Secret::new),
        account: account_from_row((tenant, number, name, state, octets, messages, storage))?,
        version,
    })
}

pub(crate) fn account_from_row(row: AccountRow) -> Result<Account, Undecodable> {
    let (tenant, number, name, state, octets, messages, storage) = row;
    let login = LoginName::parse(&name).map_err(|_| Undecodable("account name"))?;
    if login.to_string() != name {
        return Err(Undecodable("account name"));
    }
    Ok(Account {
        id: AccountId::new(tenant_from_row(tenant)?, number).ok_or(Undecodable("account"))?,
        name: login,
        state: AccountState::from_name(&state).ok_or(Undecodable("account state"))?,
        quota_octets: limit_from_row(octets)?.map(Octets),
        quota_messages: limit_from_row(messages)?,
        storage,
    })
}
