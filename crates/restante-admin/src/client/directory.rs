//! The directory of a server elsewhere, as its tools use it. Logins are not verified over it.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use restante_auth::{
    Account, AccountPatch, Actor, Alias, AppPasswordId, AppPasswordInfo, AuditAction, AuditEntry,
    AuditFilter, AuditRecord, CertificateId, Credentials, Directory, DirectoryAdmin, DirectoryError,
    DirectoryErrorKind, Domain, LiveLogin, LoginName, LoginNote, NewAccount, NewAppPassword, NewCertificate,
    NewPassword, Page, Recipient, Roster, Standing, StoredCertificate, Tenant, TenantPatch,
};
use restante_types::{AccountId, Secret, TenantId};
use tokio::sync::watch;

use super::AdminClient;
use super::call::{CallError, Place};
use crate::wire::Unfit;
use crate::wire::account::{AccountChange, AccountView, NewUser};
use crate::wire::alias::AliasView;
use crate::wire::app_password::{AppPasswordView, NewAppPasswordRequest};
use crate::wire::audit::AuditView;
use crate::wire::certificate::{CertificateView, NewCertificateRequest};
use crate::wire::domain::{DomainChange, DomainView, NewDomain};
use crate::wire::tenant::{NewServerName, NewTenant, TenantChange, TenantView};

type Result<T> = std::result::Result<T, DirectoryError>;

/// What a tool never asks.
fn only_beside_the_database<T>(what: &str) -> Result<T> {
    Err(DirectoryError::new(
        DirectoryErrorKind::NotPermitted,
        format!(
            "{what} over the admin interface: run the command with --config where the database is reached"
        ),
    ))
}

fn lost(unfit: Unfit) -> DirectoryError {
    CallError::from(unfit).into()
}

#[async_trait]
impl Directory for AdminClient {
    async fn credentials(&self, _: &LoginName) -> Result<Option<Credentials>> {
        only_beside_the_database("credentials are not shown")
    }

    async fn recipient(&self, _: &LoginName) -> Result<Option<Recipient>> {
        only_beside_the_database("recipients are not looked up")
    }

    async fn note_login(&self, _: &LoginNote) -> Result<bool> {
        only_beside_the_database("logins are not noted")
    }

    async fn upgrade(&self, _: AccountId, _: i64, _: NewPassword) -> Result<bool> {
        only_beside_the_database("passwords are not hashed anew")
    }

    async fn standing(&self, _: &[LiveLogin]) -> Result<Vec<Standing>> {
        only_beside_the_database("sessions are not judged")
    }

    async fn roster(&self, _: Option<i64>) -> Result<Option<Roster>> {
        only_beside_the_database("the roster is not shown")
    }

    /// Never changes its value.
    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>> {
        only_beside_the_database("the installation's secret is not shown")
    }

    /// What the API does, it has written into the audit itself. Anything else is not taken on somebody's word.
    async fn record(&self, records: &[AuditRecord]) -> Result<()> {
        let is_written = |record: &AuditRecord| {
            matches!(
                record.action,
                AuditAction::SessionKicked | AuditAction::PluginChanged | AuditAction::PluginRemoved
            )
        };
        if records.iter().all(is_written) {
            return Ok(());
        }
        only_beside_the_database("the audit takes no lines")
    }
}

#[async_trait]
impl DirectoryAdmin for AdminClient {
    /// The same: on whose behalf it is changed, the token says.
    fn acting(&self, _: Actor) -> Arc<dyn DirectoryAdmin> {
        Arc::new(self.clone())
    }

    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant> {
        let new = NewTenant {
            name: name.to_owned(),
            storage: Some(storage.to_owned()),
        };
        let added: TenantView = self.tell(Method::POST, Place::at(&["tenants"]), &new).await?;
        added.try_into().map_err(lost)
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>> {
        let found: Option<TenantView> = self.find(Place::at(&["tenants", name])).await?;
        found.map(Tenant::try_from).transpose().map_err(lost)
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>> {
        let place = Place::at(&["tenants"]);
        Ok(self
            .list::<TenantView, _>(place, page.after, page.limit as usize)
            .await?)
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant> {
        let change = TenantChange::from(patch);
        let place = Place::at(&["tenants", name]);
        let changed: TenantView = self.tell(Method::PATCH, place, &change).await?;
        changed.try_into().map_err(lost)
    }

    async fn remove_tenant(&self, name: &str) -> Result<()> {
        Ok(self.remove_at(Place::at(&["tenants", name])).await?)
    }

    async fn add_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        let new = NewServerName {
            name: name.to_owned(),
        };
        let place = Place::at(&["tenants", tenant, "server-names"]);
        let changed: TenantView = self.tell(Method::POST, place, &new).await?;
        changed.try_into().map_err(lost)
    }

    async fn remove_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        let place = Place::at(&["tenants", tenant, "server-names", name]);
        let changed: TenantView = self.ask(Method::DELETE, place).await?;
        changed.try_into().map_err(lost)
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain> {
        let new = NewDomain {
            name: name.to_owned(),
            tenant: tenant.to_owned(),
        };
        let added: DomainView = self.tell(Method::POST, Place::at(&["domains"]), &new).await?;
        added.try_into().map_err(lost)
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>> {
        let found: Option<DomainView> = self.find(Place::at(&["domains", name])).await?;
        found.map(Domain::try_from).transpose().map_err(lost)
    }

    async fn domains(&self, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>> {
        let place = Place::at(&["domains"]).with("tenant", tenant);
        Ok(self
            .list::<DomainView, _>(place, page.after, page.limit as usize)
            .await?)
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain> {
        let change = DomainChange {
            tenant: tenant.to_owned(),
        };
        let place = Place::at(&["domains", name]);
        let changed: DomainView = self.tell(Method::PATCH, place, &change).await?;
        changed.try_into().map_err(lost)
    }

    async fn remove_domain(&self, name: &str) -> Result<()> {
        Ok(self.remove_at(Place::at(&["domains", name])).await?)
    }

    async fn add_account(&self, account: NewAccount) -> Result<Account> {
        let new = NewUser::from(account);
        let added: AccountView = self.tell(Method::POST, Place::at(&["accounts"]), &new).await?;
        added.try_into().map_err(lost)
    }

    async fn accounts(&self, domain: Option<&str>, page: Page) -> Result<Vec<Account>> {
        let place = Place::at(&["accounts"]).with("domain", domain);
        Ok(self
            .list::<AccountView, _>(place, page.after, page.limit as usize)
            .await?)
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account> {
        let change = AccountChange::from(patch);
        let name = name.to_string();
        let place = Place::at(&["accounts", &name]);
        let changed: AccountView = self.tell(Method::PATCH, place, &change).await?;
        changed.try_into().map_err(lost)
    }

    async fn account(&self, name: &LoginName) -> Result<Option<Account>> {
        let name = name.to_string();
        let found: Option<AccountView> = self.find(Place::at(&["accounts", &name])).await?;
        found.map(Account::try_from).transpose().map_err(lost)
    }

    async fn remove_account(&self, name: &LoginName) -> Result<()> {
        let name = name.to_string();
        Ok(self.remove_at(Place::at(&["accounts", &name])).await?)
    }

    async fn add_alias(&self, alias: Alias) -> Result<Alias> {
        let new = AliasView::from(alias);
        let added: AliasView = self.tell(Method::POST, Place::at(&["aliases"]), &new).await?;
        Alias::try_from(added).map_err(|_| lost(Unfit("address")))
    }

    async fn aliases(
        &self,
        account: Option<&LoginName>,
        domain: Option<&str>,
        page: Page,
    ) -> Result<Vec<Alias>> {
        let place = Place::at(&["aliases"])
            .with("account", account)
            .with("domain", domain);
        Ok(self
            .list::<AliasView, _>(place, page.after, page.limit as usize)
            .await?)
    }

    async fn remove_alias(&self, address: &LoginName) -> Result<()> {
        let address = address.to_string();
        Ok(self.remove_at(Place::at(&["aliases", &address])).await?)
    }

    async fn add_app_password(
        &self,
        account: &LoginName,
        password: NewAppPassword,
    ) -> Result<AppPasswordInfo> {
        let new = NewAppPasswordRequest::from(password);
        let account = account.to_string();
        let place = Place::at(&["accounts", &account, "app-passwords"]);
        let added: AppPasswordView = self.tell(Method::POST, place, &new).await?;
        Ok(added.into())
    }

    async fn app_passwords(&self, account: &LoginName) -> Result<Vec<AppPasswordInfo>> {
        let account = account.to_string();
        let place = Place::at(&["accounts", &account, "app-passwords"]);
        Ok(self.list::<AppPasswordView, _>(place, None, usize::MAX).await?)
    }

    async fn remove_app_password(&self, account: &LoginName, id: AppPasswordId) -> Result<()> {
        let (account, id) = (account.to_string(), id.0.to_string());
        Ok(self
            .remove_at(Place::at(&["accounts", &account, "app-passwords", &id]))
            .await?)
    }

    /// The key must be sealed by the server's own keyring; [`AdminClient::add_certificate_pem`] has the server seal it.
    async fn add_certificate(&self, tenant: &str, certificate: NewCertificate) -> Result<StoredCertificate> {
        let new = NewCertificateRequest {
            chain: certificate.chain,
            private_key: None,
            sealed_key: Some(STANDARD.encode(&certificate.sealed_key)),
            names: certificate.server_names,
        };
        self.send_certificate(tenant, &new).await
    }

    /// Without their sealed keys, which stay with the server.
    async fn certificates(&self, tenant: Option<&str>) -> Result<Vec<StoredCertificate>> {
        let place = Place::at(&["certificates"]).with("tenant", tenant);
        Ok(self.list::<CertificateView, _>(place, None, usize::MAX).await?)
    }

    async fn remove_certificate(&self, tenant: &str, id: CertificateId) -> Result<()> {
        let id = id.0.to_string();
        Ok(self
            .remove_at(Place::at(&["tenants", tenant, "certificates", &id]))
            .await?)
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
        let tenant = filter.tenant.or(filter.account.map(AccountId::tenant));
        if filter
            .account
            .is_some_and(|account| Some(account.tenant()) != tenant)
        {
            return Ok(Vec::new());
        }
        let place = Place::at(&["audit"])
            .with("tenant_id", tenant.map(TenantId::get))
            .with("account_id", filter.account.map(AccountId::number))
            .with("action", filter.action.map(AuditAction::as_str));
        let before = filter.before.map(|before| before.to_string());
        Ok(self
            .list::<AuditView, _>(place, before, filter.limit as usize)
            .await?)
    }
}

impl AdminClient {
    pub(super) async fn send_certificate(
        &self,
        tenant: &str,
        new: &NewCertificateRequest,
    ) -> Result<StoredCertificate> {
        let place = Place::at(&["tenants", tenant, "certificates"]);
        let added: CertificateView = self.tell(Method::POST, place, new).await?;
        added.try_into().map_err(lost)
    }
}
