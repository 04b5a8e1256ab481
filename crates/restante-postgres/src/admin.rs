//! Changes of the directory. Each is one transaction that looks first, so that the error can say what is wrong in
//! words, and that leaves its line in the audit; the constraints of the schema stand behind it. On behalf of a
//! tenant's own administrator the transaction is confined to that tenant, so that others do not exist in it.
//!
//! What is done to each kind of thing is in a module of its own.

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
    AuditFilter, CertificateId, DirectoryAdmin, DirectoryError, DirectoryErrorKind, Domain, LoginName,
    NewAccount, NewAppPassword, NewCertificate, Page, StoredCertificate, Tenant, TenantPatch,
};
use restante_types::{AccountId, TenantId};

use crate::PgDirectory;
use crate::database::Tx;
use crate::error::{directory_failed, is_unique_violation};
use crate::sql::directory as sql;

/// What comes before all names.
const START: &str = "";

type Result<T> = std::result::Result<T, DirectoryError>;

#[async_trait]
impl DirectoryAdmin for PgDirectory {
    fn acting(&self, actor: Actor) -> Arc<dyn DirectoryAdmin> {
        let mut acting = self.clone();
        acting.actor = actor;
        Arc::new(acting)
    }

    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant> {
        tenant::add(self, name, storage).await
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>> {
        tenant::show(self, name).await
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>> {
        tenant::list(self, page).await
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant> {
        tenant::set(self, name, patch).await
    }

    async fn remove_tenant(&self, name: &str) -> Result<()> {
        tenant::remove(self, name).await
    }

    async fn add_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        tenant::add_server_name(self, tenant, name).await
    }

    async fn remove_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        tenant::remove_server_name(self, tenant, name).await
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain> {
        domain::add(self, tenant, name).await
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>> {
        domain::show(self, name).await
    }

    async fn domains(&self, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>> {
        domain::list(self, tenant, page).await
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain> {
        domain::hand_over(self, name, tenant).await
    }

    async fn remove_domain(&self, name: &str) -> Result<()> {
        domain::remove(self, name).await
    }

    async fn add_account(&self, account: NewAccount) -> Result<Account> {
        account::add(self, account).await
    }

    async fn account(&self, name: &LoginName) -> Result<Option<Account>> {
        account::show(self, name).await
    }

    async fn accounts(&self, domain: Option<&str>, page: Page) -> Result<Vec<Account>> {
        account::list(self, domain, page).await
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account> {
        account::set(self, name, patch).await
    }

    async fn remove_account(&self, name: &LoginName) -> Result<()> {
        account::remove(self, name).await
    }

    async fn add_alias(&self, alias: Alias) -> Result<Alias> {
        alias::add(self, alias).await
    }

    async fn aliases(
        &self,
        account: Option<&LoginName>,
        domain: Option<&str>,
        page: Page,
    ) -> Result<Vec<Alias>> {
        alias::list(self, account, domain, page).await
    }

    async fn remove_alias(&self, address: &LoginName) -> Result<()> {
        alias::remove(self, address).await
    }

    async fn add_app_password(
        &self,
        account: &LoginName,
        password: NewAppPassword,
    ) -> Result<AppPasswordInfo> {
        app_password::add(self, account, password).await
    }

    async fn app_passwords(&self, account: &LoginName) -> Result<Vec<AppPasswordInfo>> {
        app_password::list(self, account).await
    }

    async fn remove_app_password(&self, account: &LoginName, id: AppPasswordId) -> Result<()> {
        app_password::revoke(self, account, id).await
    }

    async fn add_certificate(&self, tenant: &str, certificate: NewCertificate) -> Result<StoredCertificate> {
        certificate::add(self, tenant, certificate).await
    }

    async fn certificates(&self, tenant: Option<&str>) -> Result<Vec<StoredCertificate>> {
        certificate::list(self, tenant).await
    }

    async fn remove_certificate(&self, tenant: &str, id: CertificateId) -> Result<()> {
        certificate::remove(self, tenant, id).await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
        audit::list(self, filter).await
    }
}

impl PgDirectory {
    /// A transaction that sees what the actor may see.
    pub(crate) async fn work(&self) -> Result<Tx> {
        let mut tx = self.db.begin().await.map_err(directory_failed)?;
        self.confine(&mut tx).await?;
        Ok(tx)
    }

    fn provider_only(&self) -> Result<()> {
        if self.actor.tenant.is_none() {
            return Ok(());
        }
        Err(DirectoryError::new(
            DirectoryErrorKind::NotPermitted,
            "tenants, their policies, server names and certificates are the provider's to change",
        ))
    }

    async fn audit(
        &self,
        tx: &mut Tx,
        action: AuditAction,
        tenant: TenantId,
        account: Option<AccountId>,
        detail: &str,
    ) -> Result<()> {
        let query = sqlx::query(sql::AUDIT_ACT)
            .bind(&self.actor.name)
            .bind(action.as_str())
            .bind(tenant.get())
            .bind(account.map(AccountId::number))
            .bind(detail);
        tx.execute(query).await.map_err(directory_failed)?;
        Ok(())
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

fn domain_form(name: &str) -> Result<String> {
    LoginName::domain_form(name).map_err(|error| invalid("this is no domain name").because(error))
}

fn named<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect()
}

/// Runs a statement that may meet a name that is taken, also by somebody who cannot be seen.
async fn run(
    tx: &mut Tx,
    query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    taken: impl FnOnce() -> String,
) -> Result<()> {
    match tx.execute(query).await {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(exists(taken())),
        Err(error) => Err(directory_failed(error)),
    }
}

pub(crate) async fn holds(
    tx: &mut Tx,
    question: sqlx::query::QueryAs<'_, sqlx::Postgres, (bool,), sqlx::postgres::PgArguments>,
) -> Result<bool> {
    let (answer,) = tx.one(question).await.map_err(directory_failed)?;
    Ok(answer)
}

async fn commit(tx: Tx) -> Result<()> {
    tx.commit().await.map_err(directory_failed)
}
