//! A directory over the provider's own tables, through views that the provider defines: `deploy/VIEWS.md` is the
//! contract. Reads them and never changes them; what a server keeps for itself (maildrops, the pace of logins, the
//! audit) is in its own tables. Start at [`PgViewDirectory::open`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use restante_auth::{
    Account, AccountPatch, Actor, Alias, AppPasswordId, AppPasswordInfo, AuditEntry, AuditFilter,
    AuditRecord, CertificateId, Credentials, Directory, DirectoryAdmin, DirectoryError, DirectoryErrorKind,
    Domain, LiveLogin, LoginName, LoginNote, NewAccount, NewAppPassword, NewCertificate, NewPassword, Page,
    Recipient, Roster, Standing, StoredCertificate, Tenant, TenantPatch,
};
use restante_types::{AccountId, Octets, Secret, TenantId};
use tokio::sync::watch;
use tracing::error;

use crate::admin::holds;
use crate::database::storage_row;
use crate::directory::{
    TenantRow, account_from_row, app_passwords, login_name, policy_from_text, standing_from_row,
    tenant_from_row_whole,
};
use crate::error::{STORE, directory_failed};
use crate::sql::views as sql;
use crate::values::{Undecodable, limit_to_row};
use crate::{Pg, PgDirectory, PgError};

type Result<T> = std::result::Result<T, DirectoryError>;

/// The columns of a row of `restante_login`, as the statement selects them.
#[derive(sqlx::FromRow)]
struct LoginColumns {
    login_name: String,
    tenant_id: i64,
    account_id: i64,
    account_name: String,
    state: String,
    tenant_state: String,
    quota_octets: Option<i64>,
    quota_messages: Option<i64>,
    storage: String,
    password: Option<String>,
    scram: Option<String>,
    credential_version: i64,
    policy: String,
    app_passwords: Option<String>,
    has_maildrop: bool,
}

/// The columns of a row of `restante_recipient`.
#[derive(sqlx::FromRow)]
struct RecipientColumns {
    address: String,
    tenant_id: i64,
    account_id: i64,
    account_name: String,
    state: String,
    tenant_state: String,
    quota_octets: Option<i64>,
    quota_messages: Option<i64>,
    storage: String,
    has_maildrop: bool,
}

/// Tenants and accounts of the provider's own tables. Clones share the connections.
#[derive(Clone)]
pub struct PgViewDirectory {
    db: Pg,
    own: PgDirectory,
}

impl PgViewDirectory {
    /// Sees that the views are there, with the columns that `deploy/VIEWS.md` names.
    ///
    /// # Errors
    /// [`PgError::Views`] says which view or column is missing or of another type.
    pub async fn open(db: &Pg) -> std::result::Result<Self, PgError> {
        let found: Vec<(String, String, String)> = db
            .all(sqlx::query_as(sql::COLUMNS))
            .await
            .map_err(PgError::opening)?;
        let is_missing = |(view, column, types): &&(&str, &str, &[&str])| {
            !found
                .iter()
                .any(|(v, c, t)| v == view && c == column && types.contains(&t.as_str()))
        };
        let missing: Vec<String> = sql::CONTRACT
            .iter()
            .filter(is_missing)
            .map(|(view, column, types)| format!("{view}.{column} of type {}", types.join(" or ")))
            .collect();
        if !missing.is_empty() {
            return Err(PgError::Views(missing.join(", ")));
        }
        Ok(Self {
            db: db.clone(),
            own: PgDirectory::watching(db),
        })
    }

    /// Whether the actor may see what is of that tenant.
    fn sees(&self, tenant: TenantId) -> bool {
        self.own.actor.tenant.is_none_or(|own| own == tenant)
    }

    /// Makes the maildrop of an account that was not seen before, or brings its quota up to date.
    async fn ensure(&self, account: &Account) -> Result<()> {
        let (tenant, number) = (account.id.tenant().get(), account.id.number());
        let mut tx = self.db.begin().await.map_err(directory_failed)?;
        let storage = storage_row(&mut tx, &account.storage)
            .await
            .map_err(directory_failed)?;
        let query = sqlx::query(sql::KEEP_TENANT).bind(tenant).bind(storage.0);
        tx.execute(query).await.map_err(directory_failed)?;
        let query = sqlx::query_as(sql::TENANT_IS_KEPT).bind(tenant);
        if !holds(&mut tx, query).await? {
            return Err(contradicts(format!(
                "restante_tenant has no tenant {tenant}, but an account of it is in another view: add it there"
            )));
        }
        let query = sqlx::query(sql::KEEP_MAILDROP).bind(tenant).bind(number);
        tx.execute(query).await.map_err(directory_failed)?;
        let query = sqlx::query_as(sql::MAILDROP_IS_KEPT).bind(tenant).bind(number);
        if !holds(&mut tx, query).await? {
            return Err(contradicts(format!(
                "account {number} is of tenant {tenant} in the views, but its maildrop is another tenant's: an \
                 account_id stands for one account of one tenant, for ever"
            )));
        }
        let octets = account.quota_octets.map(Octets::get);
        let query = sqlx::query(sql::KEEP_ACCOUNT)
            .bind(tenant)
            .bind(number)
            .bind(limit_to_row(octets))
            .bind(limit_to_row(account.quota_messages));
        tx.execute(query).await.map_err(directory_failed)?;
        tx.commit().await.map_err(directory_failed)
    }

    /// A tenant whose row cannot be read is left out: the others must not wait until it is put right.
    async fn tenants_of_view(&self) -> Result<Vec<Tenant>> {
        let query = sqlx::query_as(sql::TENANTS);
        let rows: Vec<TenantRow> = self.db.all(query).await.map_err(directory_failed)?;
        let readable = rows.into_iter().filter_map(|row| {
            let tenant = row.0;
            tenant_from_row_whole(row)
                .inspect_err(|error| error!(tenant, %error, "a row of restante_tenant is left out"))
                .ok()
        });
        Ok(readable.filter(|tenant| self.sees(tenant.id)).collect())
    }
}

/// The one account of a name. Of two neither may be taken for the other.
fn only<R>(view: &str, rows: Vec<R>) -> Result<Option<R>> {
    if rows.len() > 1 {
        return Err(contradicts(format!(
            "{view} has two accounts for one name: a name stands for one account"
        )));
    }
    Ok(rows.into_iter().next())
}

fn contradicts(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Invalid, message)
}

/// What every change answers, and every list that the views do not hold.
fn not_ours<T>() -> Result<T> {
    Err(DirectoryError::new(
        DirectoryErrorKind::NotPermitted,
        "this directory is the provider's own (database.directory = \"views\"): list and change it there",
    ))
}

impl fmt::Display for PgViewDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE} views")
    }
}

impl fmt::Debug for PgViewDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgViewDirectory({:?})", self.db)
    }
}

#[async_trait]
impl Directory for PgViewDirectory {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>> {
        let query = sqlx::query_as(sql::LOGIN).bind(name.to_string());
        let rows: Vec<LoginColumns> = self.db.all(query).await.map_err(directory_failed)?;
        let Some(row) = only("restante_login", rows)? else {
            return Ok(None);
        };
        let has_maildrop = row.has_maildrop;
        let found = credentials_from_row(row).map_err(|error| directory_failed(error.into()))?;
        if !self.sees(found.account.id.tenant()) {
            return Ok(None);
        }
        if !has_maildrop {
            self.ensure(&found.account).await?;
        }
        Ok(Some(found))
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>> {
        let query = sqlx::query_as(sql::RECIPIENT).bind(address.to_string());
        let rows: Vec<RecipientColumns> = self.db.all(query).await.map_err(directory_failed)?;
        let Some(row) = only("restante_recipient", rows)? else {
            return Ok(None);
        };
        let has_maildrop = row.has_maildrop;
        let found = recipient_from_row(row).map_err(|error| directory_failed(error.into()))?;
        if !self.sees(found.account.id.tenant()) {
            return Ok(None);
        }
        if !has_maildrop {
            self.ensure(&found.account).await?;
        }
        Ok(Some(found))
    }

    async fn note_login(&self, note: &LoginNote) -> Result<bool> {
        self.own.note_login(note).await
    }

    async fn upgrade(&self, _account: AccountId, _version: i64, _password: NewPassword) -> Result<bool> {
        // The hash is the provider's; it stays as it is.
        Ok(false)
    }

    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>> {
        let column = |of: fn(&LiveLogin) -> i64| logins.iter().map(of).collect::<Vec<_>>();
        let app_passwords: Vec<Option<i64>> = logins
            .iter()
            .map(|login| login.app_password.map(|id| id.0))
            .collect();
        let query = sqlx::query_as(sql::STANDING)
            .bind(column(|login| login.account.tenant().get()))
            .bind(column(|login| login.account.number()))
            .bind(app_passwords);
        let rows: Vec<(Option<String>, Option<String>, bool)> =
            self.db.all(query).await.map_err(directory_failed)?;
        rows.into_iter().map(standing_from_row).collect()
    }

    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>> {
        let (revision,): (i64,) = self
            .db
            .one(sqlx::query_as(sql::REVISION))
            .await
            .map_err(directory_failed)?;
        if known == Some(revision) {
            return Ok(None);
        }
        let tenants = self.tenants_of_view().await?;
        self.db
            .execute(sqlx::query(sql::FOLLOW_TENANTS))
            .await
            .map_err(directory_failed)?;
        Ok(Some(Roster {
            revision,
            tenants,
            certificates: Vec::new(),
        }))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.own.changes()
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>> {
        self.own.installation_secret().await
    }

    async fn record(&self, records: &[AuditRecord]) -> Result<()> {
        self.own.record(records).await
    }
}

#[async_trait]
impl DirectoryAdmin for PgViewDirectory {
    fn acting(&self, actor: Actor) -> Arc<dyn DirectoryAdmin> {
        let mut acting = self.clone();
        acting.own.actor = actor;
        Arc::new(acting)
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>> {
        let tenants = self.tenants_of_view().await?;
        Ok(tenants.into_iter().find(|tenant| tenant.name == name))
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>> {
        let after = page.after.unwrap_or_default();
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let tenants = self.tenants_of_view().await?.into_iter();
        Ok(tenants.filter(|tenant| tenant.name > after).take(limit).collect())
    }

    async fn account(&self, name: &LoginName) -> Result<Option<Account>> {
        let found = self.recipient(name).await?.map(|found| found.account);
        Ok(found.filter(|account| account.name == *name))
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
        DirectoryAdmin::audit(&self.own, filter).await
    }

    async fn add_tenant(&self, _: &str, _: &str) -> Result<Tenant> {
        not_ours()
    }

    async fn set_tenant(&self, _: &str, _: TenantPatch) -> Result<Tenant> {
        not_ours()
    }

    async fn remove_tenant(&self, _: &str) -> Result<()> {
        not_ours()
    }

    async fn add_server_name(&self, _: &str, _: &str) -> Result<Tenant> {
        not_ours()
    }

    async fn remove_server_name(&self, _: &str, _: &str) -> Result<Tenant> {
        not_ours()
    }

    async fn add_domain(&self, _: &str, _: &str) -> Result<Domain> {
        not_ours()
    }

    async fn domain(&self, _: &str) -> Result<Option<Domain>> {
        not_ours()
    }

    async fn domains(&self, _: Option<&str>, _: Page) -> Result<Vec<Domain>> {
        not_ours()
    }

    async fn set_domain(&self, _: &str, _: &str) -> Result<Domain> {
        not_ours()
    }

    async fn remove_domain(&self, _: &str) -> Result<()> {
        not_ours()
    }

    async fn add_account(&self, _: NewAccount) -> Result<Account> {
        not_ours()
    }

    async fn accounts(&self, _: Option<&str>, _: Page) -> Result<Vec<Account>> {
        not_ours()
    }

    async fn set_account(&self, _: &LoginName, _: AccountPatch) -> Result<Account> {
        not_ours()
    }

    async fn remove_account(&self, _: &LoginName) -> Result<()> {
        not_ours()
    }

    async fn add_alias(&self, _: Alias) -> Result<Alias> {
        not_ours()
    }

    async fn aliases(&self, _: Option<&LoginName>, _: Option<&str>, _: Page) -> Result<Vec<Alias>> {
        not_ours()
    }

    async fn remove_alias(&self, _: &LoginName) -> Result<()> {
        not_ours()
    }

    async fn add_app_password(&self, _: &LoginName, _: NewAppPassword) -> Result<AppPasswordInfo> {
        not_ours()
    }

    async fn app_passwords(&self, _: &LoginName) -> Result<Vec<AppPasswordInfo>> {
        not_ours()
    }

    async fn remove_app_password(&self, _: &LoginName, _: AppPasswordId) -> Result<()> {
        not_ours()
    }

    async fn add_certificate(&self, _: &str, _: NewCertificate) -> Result<StoredCertificate> {
        not_ours()
    }

    async fn certificates(&self, _: Option<&str>) -> Result<Vec<StoredCertificate>> {
        not_ours()
    }

    async fn remove_certificate(&self, _: &str, _: CertificateId) -> Result<()> {
        not_ours()
    }
}

fn credentials_from_row(row: LoginColumns) -> std::result::Result<Credentials, Undecodable> {
    // First, so that secrets are cleared from memory whatever follows.
    let (password, scram) = (row.password.map(Secret::new), row.scram.map(Secret::new));
    Ok(Credentials {
        asked: login_name(&row.login_name)?,
        account: account_from_row((
            row.tenant_id,
            row.account_id,
            row.account_name,
            row.state,
            row.tenant_state,
            row.quota_octets,
            row.quota_messages,
            row.storage,
        ))?,
        password,
        scram,
        version: row.credential_version,
        app_passwords: app_passwords(row.app_passwords)?,
        policy: policy_from_text(&row.policy)?,
    })
}

fn recipient_from_row(row: RecipientColumns) -> std::result::Result<Recipient, Undecodable> {
    Ok(Recipient {
        asked: login_name(&row.address)?,
        account: account_from_row((
            row.tenant_id,
            row.account_id,
            row.account_name,
            row.state,
            row.tenant_state,
            row.quota_octets,
            row.quota_messages,
            row.storage,
        ))?,
    })
}
