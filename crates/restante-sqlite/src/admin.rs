//! Changes of the directory. Each is one transaction that looks first, so that the error can say what is wrong in
//! words, and that leaves its line in the audit; the constraints of the schema stand behind it.
//!
//! What is done to each kind of thing is in a module of its own; here is only where the transactions begin and end.
//! Start at [`Act`].

mod account;
mod alias;
mod app_password;
mod audit;
mod certificate;
mod domain;
mod tenant;

use std::sync::Arc;

use async_trait::async_trait;
use restante_auth::{
    Account, AccountPatch, Actor, Alias, AppPasswordId, AppPasswordInfo, AuditAction, AuditEntry,
    AuditFilter, AuditRecord, CertificateId, DirectoryAdmin, DirectoryError, DirectoryErrorKind, Domain,
    LoginName, NewAccount, NewAppPassword, NewCertificate, Page, StoredCertificate, Tenant, TenantPatch,
};
use restante_types::{AccountId, TenantId};
use sqlx::SqliteConnection;
use sqlx::query::QueryScalar;
use sqlx::sqlite::SqliteArguments;

use crate::SqliteDirectory;
use crate::database::Tx;
use crate::directory::append;
use crate::error::directory_failed;
use crate::readers::Reader;
use crate::values::{Undecodable, time_from_row};

/// What comes before all names.
const START: &str = "";

type Result<T> = std::result::Result<T, DirectoryError>;

/// The one tenant that an actor may see; `None` sees all. Every look-up by name and every list is confined by it, so
/// that others do not exist for a tenant's own administrator; whatever else a change touches has a key that such a
/// look-up has found.
type Own = Option<i64>;

/// A change on behalf of an actor: undone unless committed.
struct Act<'d> {
    tx: Tx,
    directory: &'d SqliteDirectory,
    own: Own,
    /// Microseconds since 1970.
    now: i64,
}

impl<'d> Act<'d> {
    async fn begin(directory: &'d SqliteDirectory) -> Result<Self> {
        Ok(Self {
            tx: directory.db().begin().await.map_err(directory_failed)?,
            directory,
            own: own(directory),
            now: directory.now(),
        })
    }

    /// For what a tenant's own administrator may not do.
    async fn begin_as_provider(directory: &'d SqliteDirectory) -> Result<Self> {
        if directory.actor().tenant.is_some() {
            return Err(DirectoryError::new(
                DirectoryErrorKind::NotPermitted,
                "tenants, their policies, server names and certificates are the provider's to change: ask the provider",
            ));
        }
        Self::begin(directory).await
    }

    async fn commit<T>(self, answer: T) -> Result<T> {
        self.tx.commit().await.map_err(directory_failed)?;
        self.directory.changed();
        Ok(answer)
    }

    async fn note_tenant(&mut self, action: AuditAction, tenant: TenantId, detail: String) -> Result<()> {
        self.note(action, tenant, None, detail).await
    }

    async fn note_account(&mut self, action: AuditAction, account: AccountId, detail: String) -> Result<()> {
        self.note(action, account.tenant(), Some(account), detail).await
    }

    async fn note(
        &mut self,
        action: AuditAction,
        tenant: TenantId,
        account: Option<AccountId>,
        detail: String,
    ) -> Result<()> {
        let line = AuditRecord {
            at: time_from_row(self.now).map_err(undecodable)?,
            actor: self.directory.actor().name.clone(),
            action,
            tenant: Some(tenant),
            account,
            session: None,
            client: None,
            detail,
        };
        append(&mut self.tx, &[line]).await
    }
}

fn own(directory: &SqliteDirectory) -> Own {
    directory.actor().tenant.map(TenantId::get)
}

/// A connection that reads, and what the actor may see through it.
async fn view(directory: &SqliteDirectory) -> Result<(Reader, Own)> {
    let conn = directory.db().readers().acquire().await;
    Ok((conn.map_err(directory_failed)?, own(directory)))
}

#[async_trait]
impl DirectoryAdmin for SqliteDirectory {
    fn acting(&self, actor: Actor) -> Arc<dyn DirectoryAdmin> {
        Arc::new(self.on_behalf_of(actor))
    }

    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant> {
        let mut act = Act::begin_as_provider(self).await?;
        let tenant = tenant::add(&mut act, name, storage).await?;
        act.commit(tenant).await
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>> {
        let (mut conn, own) = view(self).await?;
        tenant::find(&mut conn, own, name).await
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>> {
        let (mut conn, own) = view(self).await?;
        tenant::list(&mut conn, own, &page).await
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant> {
        let mut act = Act::begin_as_provider(self).await?;
        let tenant = tenant::set(&mut act, name, patch).await?;
        act.commit(tenant).await
    }

    async fn remove_tenant(&self, name: &str) -> Result<()> {
        let mut act = Act::begin_as_provider(self).await?;
        tenant::remove(&mut act, name).await?;
        act.commit(()).await
    }

    async fn add_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        let mut act = Act::begin_as_provider(self).await?;
        let tenant = tenant::add_server_name(&mut act, tenant, name).await?;
        act.commit(tenant).await
    }

    async fn remove_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        let mut act = Act::begin_as_provider(self).await?;
        let tenant = tenant::remove_server_name(&mut act, tenant, name).await?;
        act.commit(tenant).await
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain> {
        let mut act = Act::begin(self).await?;
        let domain = domain::add(&mut act, tenant, name).await?;
        act.commit(domain).await
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>> {
        let (mut conn, own) = view(self).await?;
        domain::find(&mut conn, own, &domain_form(name)?).await
    }

    async fn domains(&self, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>> {
        let (mut conn, own) = view(self).await?;
        domain::list(&mut conn, own, tenant, &page).await
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain> {
        let mut act = Act::begin_as_provider(self).await?;
        let domain = domain::hand_over(&mut act, name, tenant).await?;
        act.commit(domain).await
    }

    async fn remove_domain(&self, name: &str) -> Result<()> {
        let mut act = Act::begin(self).await?;
        domain::remove(&mut act, name).await?;
        act.commit(()).await
    }

    async fn add_account(&self, account: NewAccount) -> Result<Account> {
        let mut act = Act::begin(self).await?;
        let account = account::add(&mut act, account).await?;
        act.commit(account).await
    }

    async fn accounts(&self, domain: Option<&str>, page: Page) -> Result<Vec<Account>> {
        let (mut conn, own) = view(self).await?;
        account::list(&mut conn, own, domain, &page).await
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account> {
        let mut act = Act::begin(self).await?;
        let account = account::set(&mut act, name, patch).await?;
        act.commit(account).await
    }

    async fn account(&self, name: &LoginName) -> Result<Option<Account>> {
        let (mut conn, own) = view(self).await?;
        account::find(&mut conn, own, name).await
    }

    async fn remove_account(&self, name: &LoginName) -> Result<()> {
        let mut act = Act::begin(self).await?;
        account::remove(&mut act, name).await?;
        act.commit(()).await
    }

    async fn add_alias(&self, alias: Alias) -> Result<Alias> {
        let mut act = Act::begin(self).await?;
        alias::add(&mut act, &alias).await?;
        act.commit(alias).await
    }

    async fn aliases(
        &self,
        account: Option<&LoginName>,
        domain: Option<&str>,
        page: Page,
    ) -> Result<Vec<Alias>> {
        let (mut conn, own) = view(self).await?;
        alias::list(&mut conn, own, account, domain, &page).await
    }

    async fn remove_alias(&self, address: &LoginName) -> Result<()> {
        let mut act = Act::begin(self).await?;
        alias::remove(&mut act, address).await?;
        act.commit(()).await
    }

    async fn add_app_password(
        &self,
        account: &LoginName,
        password: NewAppPassword,
    ) -> Result<AppPasswordInfo> {
        let mut act = Act::begin(self).await?;
        let info = app_password::add(&mut act, account, password).await?;
        act.commit(info).await
    }

    async fn app_passwords(&self, account: &LoginName) -> Result<Vec<AppPasswordInfo>> {
        let (mut conn, own) = view(self).await?;
        app_password::list(&mut conn, own, account).await
    }

    async fn remove_app_password(&self, account: &LoginName, id: AppPasswordId) -> Result<()> {
        let mut act = Act::begin(self).await?;
        app_password::revoke(&mut act, account, id).await?;
        act.commit(()).await
    }

    async fn add_certificate(&self, tenant: &str, certificate: NewCertificate) -> Result<StoredCertificate> {
        let mut act = Act::begin_as_provider(self).await?;
        let stored = certificate::add(&mut act, tenant, certificate).await?;
        act.commit(stored).await
    }

    async fn certificates(&self, tenant: Option<&str>) -> Result<Vec<StoredCertificate>> {
        let (mut conn, own) = view(self).await?;
        certificate::list(&mut conn, own, tenant).await
    }

    async fn remove_certificate(&self, tenant: &str, id: CertificateId) -> Result<()> {
        let mut act = Act::begin_as_provider(self).await?;
        certificate::remove(&mut act, tenant, id).await?;
        act.commit(()).await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
        let (mut conn, own) = view(self).await?;
        audit::list(&mut conn, own, &filter).await
    }
}

fn exists(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Exists, message)
}

fn not_found(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::NotFound, message)
}

fn in_use(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::InUse, message)
}

fn invalid(message: &str) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Invalid, message)
}

fn undecodable(error: Undecodable) -> DirectoryError {
    directory_failed(error.into())
}

fn domain_form(name: &str) -> Result<String> {
    LoginName::domain_form(name)
        .map_err(|error| invalid("this is not a domain name: correct it").because(error))
}

/// A list of texts as one bound value: a JSON array.
fn json_array(texts: &[String]) -> Result<String> {
    serde_json::to_string(texts).map_err(|error| invalid("the list cannot be written").because(error))
}

/// The names of the fields of a patch that are there, for the audit.
fn names_of<const N: usize>(fields: [(&'static str, bool); N]) -> String {
    let there = fields
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name));
    there.collect::<Vec<_>>().join(", ")
}

async fn holds(
    conn: &mut SqliteConnection,
    question: QueryScalar<'_, sqlx::Sqlite, bool, SqliteArguments>,
) -> Result<bool> {
    question.fetch_one(conn).await.map_err(directory_failed)
}
