//! Changes of the directory. Each is one transaction that looks first, so that the error can say what is wrong in
//! words; the constraints of the schema stand behind it.

use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{
    Account, AccountPatch, DirectoryAdmin, DirectoryError, DirectoryErrorKind, Domain, LoginName, NewAccount,
    Page, Tenant, TenantPatch,
};
use restante_types::{DomainId, Octets};
use sqlx::SqliteConnection;

use crate::database::{Tx, storage_row};
use crate::directory::{AccountRow, account_from_row};
use crate::error::directory_failed;
use crate::values::{
    Undecodable, duration_from_row, duration_to_row, limit_from_row, limit_to_row, tenant_from_row,
    time_to_row,
};
use crate::{SqliteDirectory, sql};

/// How long deleted messages of a new tenant can be brought back.
const RETENTION: Duration = Duration::from_hours(24);
/// What comes before all names.
const START: &str = "";

type Result<T> = std::result::Result<T, DirectoryError>;
type TenantRow = (i64, String, String, i64, Option<i64>, Option<i64>);
type DomainRow = (i64, i64, String, String);

#[async_trait]
impl DirectoryAdmin for SqliteDirectory {
    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant> {
        check_tenant_name(name)?;
        check_storage_name(storage)?;
        let mut tx = self.begin().await?;
        if tenant(&mut tx, name).await?.is_some() {
            return Err(exists(format!(
                "there is a tenant `{name}` already: choose another name"
            )));
        }
        let storage = storage_row(&mut tx, storage).await.map_err(directory_failed)?;
        sqlx::query(sql::ADD_TENANT)
            .bind(name)
            .bind(storage.0)
            .bind(duration_to_row(RETENTION))
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        let tenant = known_tenant(&mut tx, name).await?;
        commit(tx).await?;
        Ok(tenant)
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>> {
        let mut reader = self.reader().await?;
        tenant(&mut reader, name).await
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>> {
        let rows: Vec<TenantRow> = sqlx::query_as(sql::TENANTS)
            .bind(page.after.as_deref().unwrap_or(START))
            .bind(page.limit)
            .fetch_all(self.db().readers())
            .await
            .map_err(directory_failed)?;
        decoded(rows, tenant_from_columns)
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant> {
        let mut tx = self.begin().await?;
        let before = known_tenant(&mut tx, name).await?;
        let storage = patch.storage.unwrap_or(before.storage);
        check_storage_name(&storage)?;
        let storage = storage_row(&mut tx, &storage).await.map_err(directory_failed)?;
        let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
        sqlx::query(sql::SET_TENANT)
            .bind(before.id.get())
            .bind(storage.0)
            .bind(duration_to_row(patch.retention.unwrap_or(before.retention)))
            .bind(limit_to_row(quota_octets.map(Octets::get)))
            .bind(limit_to_row(
                patch.quota_messages.unwrap_or(before.quota_messages),
            ))
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        let after = known_tenant(&mut tx, name).await?;
        commit(tx).await?;
        Ok(after)
    }

    async fn remove_tenant(&self, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let tenant = known_tenant(&mut tx, name).await?;
        if holds(&mut tx, sql::TENANT_HAS_DOMAINS, tenant.id.get()).await? {
            return Err(in_use(format!(
                "tenant `{name}` has domains: remove them or move them to another tenant first"
            )));
        }
        sqlx::query(sql::REMOVE_TENANT)
            .bind(tenant.id.get())
            .bind(time_to_row(self.clock().wall()))
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        commit(tx).await
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain> {
        let name = domain_form(name)?;
        let mut tx = self.begin().await?;
        let tenant = known_tenant(&mut tx, tenant).await?;
        if let Some(taken) = domain(&mut tx, &name).await? {
            let owner = taken.tenant_name;
            return Err(exists(format!(
                "domain `{name}` belongs to tenant `{owner}` already: a domain has one tenant"
            )));
        }
        sqlx::query(sql::ADD_DOMAIN)
            .bind(tenant.id.get())
            .bind(&name)
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        let domain = known_domain(&mut tx, &name).await?;
        commit(tx).await?;
        Ok(domain)
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>> {
        let name = domain_form(name)?;
        let mut reader = self.reader().await?;
        domain(&mut reader, &name).await
    }

    async fn domains(&self, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>> {
        let mut reader = self.reader().await?;
        let after = page.after.as_deref().unwrap_or(START);
        let query = match tenant {
            None => sqlx::query_as(sql::DOMAINS).bind(after).bind(page.limit),
            Some(tenant) => {
                let tenant = known_tenant(&mut reader, tenant).await?;
                sqlx::query_as(sql::DOMAINS_OF_TENANT)
                    .bind(after)
                    .bind(page.limit)
                    .bind(tenant.id.get())
            }
        };
        let rows: Vec<DomainRow> = query.fetch_all(&mut *reader).await.map_err(directory_failed)?;
        decoded(rows, domain_from_columns)
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain> {
        let name = domain_form(name)?;
        let mut tx = self.begin().await?;
        let before = known_domain(&mut tx, &name).await?;
        let tenant = known_tenant(&mut tx, tenant).await?;
        refuse_accounts(&mut tx, &before).await?;
        sqlx::query(sql::MOVE_DOMAIN)
            .bind(before.id.get())
            .bind(tenant.id.get())
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        let after = known_domain(&mut tx, &name).await?;
        commit(tx).await?;
        Ok(after)
    }

    async fn remove_domain(&self, name: &str) -> Result<()> {
        let name = domain_form(name)?;
        let mut tx = self.begin().await?;
        let domain = known_domain(&mut tx, &name).await?;
        refuse_accounts(&mut tx, &domain).await?;
        sqlx::query(sql::REMOVE_DOMAIN)
            .bind(domain.id.get())
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        commit(tx).await
    }

    async fn add_account(&self, new: NewAccount) -> Result<Account> {
        let mut tx = self.begin().await?;
        let domain = known_domain(&mut tx, new.name.domain()).await?;
        if account(&mut tx, &new.name).await?.is_some() {
            return Err(exists(format!(
                "there is an account `{}` already: choose another name",
                new.name
            )));
        }
        let number: i64 = sqlx::query_scalar(sql::ADD_MAILDROP)
            .bind(domain.tenant.get())
            .fetch_one(&mut *tx)
            .await
            .map_err(directory_failed)?;
        sqlx::query(sql::ADD_ACCOUNT)
            .bind(number)
            .bind(domain.tenant.get())
            .bind(domain.id.get())
            .bind(&domain.name)
            .bind(new.name.local_part())
            .bind(new.password.as_ref().map(|hash| hash.expose().as_str()))
            .bind(limit_to_row(new.quota_octets.map(Octets::get)))
            .bind(limit_to_row(new.quota_messages))
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        let account = known_account(&mut tx, &new.name).await?;
        commit(tx).await?;
        Ok(account)
    }

    async fn accounts(&self, domain: Option<&str>, page: Page) -> Result<Vec<Account>> {
        let mut reader = self.reader().await?;
        let after = page.after.as_deref().unwrap_or(START);
        let query = match domain {
            None => sqlx::query_as(sql::ACCOUNTS).bind(after).bind(page.limit),
            Some(domain) => {
                let domain = known_domain(&mut reader, &domain_form(domain)?).await?;
                sqlx::query_as(sql::ACCOUNTS_OF_DOMAIN)
                    .bind(after)
                    .bind(page.limit)
                    .bind(domain.id.get())
            }
        };
        let rows: Vec<AccountRow> = query.fetch_all(&mut *reader).await.map_err(directory_failed)?;
        decoded(rows, account_from_row)
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account> {
        let mut tx = self.begin().await?;
        let before = known_account(&mut tx, name).await?;
        let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
        sqlx::query(sql::SET_ACCOUNT)
            .bind(before.id.number())
            .bind(patch.state.unwrap_or(before.state).as_str())
            .bind(limit_to_row(quota_octets.map(Octets::get)))
            .bind(limit_to_row(
                patch.quota_messages.unwrap_or(before.quota_messages),
            ))
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        if let Some(hash) = &patch.password {
            sqlx::query(sql::SET_PASSWORD)
                .bind(before.id.number())
                .bind(hash.expose().as_str())
                .execute(&mut *tx)
                .await
                .map_err(directory_failed)?;
        }
        let after = known_account(&mut tx, name).await?;
        commit(tx).await?;
        Ok(after)
    }

    async fn remove_account(&self, name: &LoginName) -> Result<()> {
        let mut tx = self.begin().await?;
        let account = known_account(&mut tx, name).await?.id.number();
        sqlx::query(sql::BURY_MESSAGES)
            .bind(account)
            .bind(time_to_row(self.clock().wall()))
            .execute(&mut *tx)
            .await
            .map_err(directory_failed)?;
        // The maildrop's number never comes again, so its unique-ids need not be remembered.
        for statement in [sql::EMPTY_MAILDROP, sql::FORGET_UNIQUE_IDS, sql::REMOVE_ACCOUNT] {
            sqlx::query(statement)
                .bind(account)
                .execute(&mut *tx)
                .await
                .map_err(directory_failed)?;
        }
        commit(tx).await
    }
}

impl SqliteDirectory {
    async fn begin(&self) -> Result<Tx> {
        self.db().begin().await.map_err(directory_failed)
    }

    async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>> {
        self.db().readers().acquire().await.map_err(directory_failed)
    }
}

async fn commit(tx: Tx) -> Result<()> {
    tx.commit().await.map_err(directory_failed)
}

fn exists(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Exists, message)
}

fn in_use(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::InUse, message)
}

fn not_found(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::NotFound, message)
}

fn invalid(message: impl Into<String>) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Invalid, message)
}

fn check_tenant_name(name: &str) -> Result<()> {
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

fn domain_form(name: &str) -> Result<String> {
    LoginName::domain_form(name)
        .map_err(|error| invalid("this is not a domain name: correct it").because(error))
}

async fn tenant(conn: &mut SqliteConnection, name: &str) -> Result<Option<Tenant>> {
    let row: Option<TenantRow> = sqlx::query_as(sql::TENANT)
        .bind(name)
        .fetch_optional(conn)
        .await
        .map_err(directory_failed)?;
    Ok(decoded(row, tenant_from_columns)?.pop())
}

async fn known_tenant(conn: &mut SqliteConnection, name: &str) -> Result<Tenant> {
    tenant(conn, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no tenant `{name}`: add it, or correct the name"
        ))
    })
}

async fn domain(conn: &mut SqliteConnection, name: &str) -> Result<Option<Domain>> {
    let row: Option<DomainRow> = sqlx::query_as(sql::DOMAIN)
        .bind(name)
        .fetch_optional(conn)
        .await
        .map_err(directory_failed)?;
    Ok(decoded(row, domain_from_columns)?.pop())
}

async fn known_domain(conn: &mut SqliteConnection, name: &str) -> Result<Domain> {
    domain(conn, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no domain `{name}`: add it to a tenant, or correct the name"
        ))
    })
}

async fn account(conn: &mut SqliteConnection, name: &LoginName) -> Result<Option<Account>> {
    let row: Option<AccountRow> = sqlx::query_as(sql::ACCOUNT)
        .bind(name.to_string())
        .fetch_optional(conn)
        .await
        .map_err(directory_failed)?;
    Ok(decoded(row, account_from_row)?.pop())
}

async fn known_account(conn: &mut SqliteConnection, name: &LoginName) -> Result<Account> {
    account(conn, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no account `{name}`: add it, or correct the name"
        ))
    })
}

async fn holds(conn: &mut SqliteConnection, question: &'static str, key: i64) -> Result<bool> {
    sqlx::query_scalar(question)
        .bind(key)
        .fetch_one(conn)
        .await
        .map_err(directory_failed)
}

async fn refuse_accounts(conn: &mut SqliteConnection, domain: &Domain) -> Result<()> {
    if holds(conn, sql::DOMAIN_HAS_ACCOUNTS, domain.id.get()).await? {
        return Err(in_use(format!(
            "domain `{}` has accounts: remove them first",
            domain.name
        )));
    }
    Ok(())
}

fn decoded<R, T>(
    rows: impl IntoIterator<Item = R>,
    decode: impl Fn(R) -> std::result::Result<T, Undecodable>,
) -> Result<Vec<T>> {
    rows.into_iter()
        .map(|row| decode(row).map_err(|error| directory_failed(error.into())))
        .collect()
}

fn tenant_from_columns(row: TenantRow) -> std::result::Result<Tenant, Undecodable> {
    let (id, name, storage, retention, octets, messages) = row;
    Ok(Tenant {
        id: tenant_from_row(id)?,
        name,
        storage,
        retention: duration_from_row(retention)?,
        quota_octets: limit_from_row(octets)?.map(Octets),
        quota_messages: limit_from_row(messages)?,
    })
}

fn domain_from_columns(row: DomainRow) -> std::result::Result<Domain, Undecodable> {
    let (id, tenant, tenant_name, name) = row;
    Ok(Domain {
        id: DomainId::new(id).ok_or(Undecodable("domain"))?,
        tenant: tenant_from_row(tenant)?,
        tenant_name,
        name,
    })
}
