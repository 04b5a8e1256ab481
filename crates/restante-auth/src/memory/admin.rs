//! Changes of the directory in memory: each looks first, then changes, then leaves its line in the audit.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use restante_types::{AccountId, DomainId, TenantId};

use super::MemoryDirectory;
use super::state::{AccountRow, AliasRow, AppPasswordRow, DomainRow, State, page};
use crate::{
    Account, AccountPatch, AccountState, Actor, Alias, AppPasswordId, AppPasswordInfo, AuditAction,
    AuditEntry, AuditFilter, AuditRecord, CertificateId, DirectoryAdmin, DirectoryError, DirectoryErrorKind,
    Domain, LoginName, NewAccount, NewAppPassword, NewCertificate, Page, Policy, StoredCertificate, Tenant,
    TenantPatch,
};

/// Retention of a tenant that was given none.
const RETENTION: Duration = Duration::from_hours(24);
/// Application passwords of one account.
const MAX_APP_PASSWORDS: usize = 100;
/// Octets of the label of one.
const MAX_LABEL_OCTETS: usize = 100;

type Result<T> = std::result::Result<T, DirectoryError>;

fn error(kind: DirectoryErrorKind, message: String) -> DirectoryError {
    DirectoryError::new(kind, message)
}

fn exists<T>(message: String) -> Result<T> {
    Err(error(DirectoryErrorKind::Exists, message))
}

fn invalid<T>(message: &str) -> Result<T> {
    Err(error(DirectoryErrorKind::Invalid, message.to_owned()))
}

fn no_tenant(name: &str) -> DirectoryError {
    let message = format!("there is no tenant {name}; `restante tenant list` shows all");
    error(DirectoryErrorKind::NotFound, message)
}

fn no_domain(name: &str) -> DirectoryError {
    let message = format!("there is no domain {name}; add it with `restante domain add`");
    error(DirectoryErrorKind::NotFound, message)
}

fn no_account(name: &LoginName) -> DirectoryError {
    let message = format!("there is no account {name}; `restante account list` shows all");
    error(DirectoryErrorKind::NotFound, message)
}

fn keys_used_up() -> DirectoryError {
    DirectoryError::unavailable("all keys are used up")
}

fn domain_form(name: &str) -> Result<String> {
    LoginName::domain_form(name).map_err(|cause| {
        error(DirectoryErrorKind::Invalid, "this is no domain name".to_owned()).because(cause)
    })
}

fn check_tenant_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    invalid("a tenant's name is 1 to 63 of a-z, 0-9 and -")
}

/// What an audit line is about.
struct About {
    tenant: TenantId,
    account: Option<AccountId>,
}

impl From<TenantId> for About {
    fn from(tenant: TenantId) -> Self {
        Self {
            tenant,
            account: None,
        }
    }
}

impl From<AccountId> for About {
    fn from(account: AccountId) -> Self {
        Self {
            tenant: account.tenant(),
            account: Some(account),
        }
    }
}

impl MemoryDirectory {
    /// What only the provider may do.
    fn provider_only(&self) -> Result<()> {
        if self.actor.tenant.is_some() {
            let message =
                "tenants, their policies, server names and certificates are the provider's to change";
            return Err(error(DirectoryErrorKind::NotPermitted, message.to_owned()));
        }
        Ok(())
    }

    fn audit(&self, state: &mut State, action: AuditAction, about: impl Into<About>, detail: String) {
        let About { tenant, account } = about.into();
        state.append(AuditRecord {
            at: self.clock.wall(),
            actor: self.actor.name.clone(),
            action,
            tenant: Some(tenant),
            account,
            session: None,
            client: None,
            detail,
        });
        self.changed();
    }

    /// A tenant that the actor may see.
    fn known_tenant<'s>(&self, state: &'s mut MutexGuard<'_, State>, name: &str) -> Result<&'s mut Tenant> {
        let own = self.actor.tenant;
        let found = state.tenants.get_mut(name);
        found
            .filter(|tenant| own.is_none_or(|own| own == tenant.id))
            .ok_or_else(|| no_tenant(name))
    }

    fn known_domain(&self, state: &State, name: &str) -> Result<Domain> {
        let found = state.domain(name).filter(|domain| self.sees(domain.tenant));
        found.ok_or_else(|| no_domain(name))
    }

    fn known_account<'s>(&self, state: &'s mut State, name: &LoginName) -> Result<&'s mut AccountRow> {
        let own = self.actor.tenant;
        let found = state.accounts.get_mut(&name.to_string());
        found
            .filter(|row| own.is_none_or(|own| own == row.id.tenant()))
            .ok_or_else(|| no_account(name))
    }
}

#[async_trait]
impl DirectoryAdmin for MemoryDirectory {
    fn acting(&self, actor: Actor) -> Arc<dyn DirectoryAdmin> {
        Arc::new(Self {
            actor,
            ..self.clone()
        })
    }

    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant> {
        self.provider_only()?;
        check_tenant_name(name)?;
        let mut state = self.lock();
        if state.tenants.contains_key(name) {
            return exists(format!("there is a tenant {name} already"));
        }
        let tenant = Tenant {
            id: TenantId::new(state.next_key()).ok_or_else(keys_used_up)?,
            name: name.to_owned(),
            storage: storage.to_owned(),
            state: AccountState::Active,
            default_domain: None,
            server_names: Vec::new(),
            retention: RETENTION,
            quota_octets: None,
            quota_messages: None,
            policy: Policy::default(),
        };
        state.tenants.insert(name.to_owned(), tenant.clone());
        state.revision += 1;
        self.audit(&mut state, AuditAction::TenantAdded, tenant.id, name.to_owned());
        Ok(tenant)
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>> {
        let found = self.lock().tenants.get(name).cloned();
        Ok(found.filter(|tenant| self.sees(tenant.id)))
    }

    async fn tenants(&self, of: Page) -> Result<Vec<Tenant>> {
        let state = self.lock();
        Ok(page(&state.tenants, &of, |_, tenant| {
            self.sees(tenant.id).then(|| tenant.clone())
        }))
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant> {
        self.provider_only()?;
        let default_domain = match patch.default_domain {
            Some(Some(domain)) => Some(Some(domain_form(&domain)?)),
            other => other,
        };
        let mut state = self.lock();
        if !state.tenants.contains_key(name) {
            return Err(no_tenant(name));
        }
        if let Some(Some(domain)) = &default_domain
            && state.domains.get(domain).is_none_or(|row| row.tenant != name)
        {
            return invalid("the default domain is not a domain of the tenant; add it first");
        }
        let mut changed = Vec::new();
        let policy_only = patch.policy.is_some();
        let tenant = state.tenants.get_mut(name).ok_or_else(|| no_tenant(name))?;
        set("state", &mut tenant.state, patch.state, &mut changed);
        set(
            "default-domain",
            &mut tenant.default_domain,
            default_domain,
            &mut changed,
        );
        set("storage", &mut tenant.storage, patch.storage, &mut changed);
        set("retention", &mut tenant.retention, patch.retention, &mut changed);
        set(
            "quota",
            &mut tenant.quota_octets,
            patch.quota_octets,
            &mut changed,
        );
        set(
            "quota-messages",
            &mut tenant.quota_messages,
            patch.quota_messages,
            &mut changed,
        );
        set("policy", &mut tenant.policy, patch.policy, &mut changed);
        let tenant = tenant.clone();
        state.revision += 1;
        let action = if policy_only {
            AuditAction::PolicyChanged
        } else {
            AuditAction::TenantChanged
        };
        self.audit(
            &mut state,
            action,
            tenant.id,
            format!("{name}: {}", changed.join(", ")),
        );
        Ok(tenant)
    }

    async fn remove_tenant(&self, name: &str) -> Result<()> {
        self.provider_only()?;
        let mut state = self.lock();
        if state.domains.values().any(|domain| domain.tenant == name) {
            let message = format!("the tenant {name} still has domains; remove them first");
            return Err(error(DirectoryErrorKind::InUse, message));
        }
        let tenant = state.tenants.remove(name).ok_or_else(|| no_tenant(name))?;
        state
            .certificates
            .retain(|certificate| certificate.tenant != tenant.id);
        state.revision += 1;
        self.audit(&mut state, AuditAction::TenantRemoved, tenant.id, name.to_owned());
        Ok(())
    }

    async fn add_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        self.provider_only()?;
        let name = domain_form(name)?;
        let mut state = self.lock();
        if !state.tenants.contains_key(tenant) {
            return Err(no_tenant(tenant));
        }
        if state
            .tenants
            .values()
            .any(|tenant| tenant.server_names.contains(&name))
        {
            return exists(format!("the server name {name} is bound to a tenant already"));
        }
        let changed = state.tenants.get_mut(tenant).ok_or_else(|| no_tenant(tenant))?;
        changed.server_names.push(name.clone());
        changed.server_names.sort_unstable();
        let changed = changed.clone();
        state.revision += 1;
        self.audit(&mut state, AuditAction::ServerNameAdded, changed.id, name);
        Ok(changed)
    }

    async fn remove_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        self.provider_only()?;
        let name = domain_form(name)?;
        let mut state = self.lock();
        let found = state.tenants.get(tenant).ok_or_else(|| no_tenant(tenant))?;
        if !found.server_names.contains(&name) {
            let message = format!("{name} is no server name of {tenant}");
            return Err(error(DirectoryErrorKind::NotFound, message));
        }
        if state
            .certificates
            .iter()
            .any(|kept| kept.server_names.contains(&name))
        {
            let message = format!("a certificate serves {name}; remove it first");
            return Err(error(DirectoryErrorKind::InUse, message));
        }
        let changed = state.tenants.get_mut(tenant).ok_or_else(|| no_tenant(tenant))?;
        changed.server_names.retain(|kept| *kept != name);
        let changed = changed.clone();
        state.revision += 1;
        self.audit(&mut state, AuditAction::ServerNameRemoved, changed.id, name);
        Ok(changed)
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain> {
        let name = domain_form(name)?;
        let mut state = self.lock();
        let owner = self.known_tenant(&mut state, tenant)?.id;
        if state.domains.contains_key(&name) {
            return exists(format!("the domain {name} exists already"));
        }
        let id = DomainId::new(state.next_key()).ok_or_else(keys_used_up)?;
        let row = DomainRow {
            id,
            tenant: tenant.to_owned(),
        };
        state.domains.insert(name.clone(), row);
        self.audit(&mut state, AuditAction::DomainAdded, owner, name.clone());
        Ok(Domain {
            id,
            tenant: owner,
            tenant_name: tenant.to_owned(),
            name,
        })
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>> {
        let found = self.lock().domain(&domain_form(name)?);
        Ok(found.filter(|domain| self.sees(domain.tenant)))
    }

    async fn domains(&self, tenant: Option<&str>, of: Page) -> Result<Vec<Domain>> {
        let state = self.lock();
        Ok(page(&state.domains, &of, |name, row| {
            let belongs = tenant.is_none_or(|tenant| row.tenant == tenant);
            let domain = state.domain(name).filter(|domain| self.sees(domain.tenant));
            domain.filter(|_| belongs)
        }))
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain> {
        self.provider_only()?;
        let name = domain_form(name)?;
        let mut state = self.lock();
        let owner = state.tenants.get(tenant).ok_or_else(|| no_tenant(tenant))?.id;
        state.refuse_accounts(&name)?;
        let old = state.domain(&name).ok_or_else(|| no_domain(&name))?;
        let is_default = |kept: &Tenant| kept.default_domain.as_deref() == Some(&name);
        if old.tenant_name != tenant && state.tenants.get(&old.tenant_name).is_some_and(is_default) {
            let message = format!("{name} is the default domain of {}", old.tenant_name);
            return Err(error(DirectoryErrorKind::InUse, message));
        }
        let row = state.domains.get_mut(&name).ok_or_else(|| no_domain(&name))?;
        tenant.clone_into(&mut row.tenant);
        self.audit(
            &mut state,
            AuditAction::DomainChanged,
            owner,
            format!("{name}: from {} to {tenant}", old.tenant_name),
        );
        state.domain(&name).ok_or_else(|| no_domain(&name))
    }

    async fn remove_domain(&self, name: &str) -> Result<()> {
        let name = domain_form(name)?;
        let mut state = self.lock();
        let domain = self.known_domain(&state, &name)?;
        state.refuse_accounts(&name)?;
        let is_default = |kept: &Tenant| kept.default_domain.as_deref() == Some(&name);
        if state.tenants.values().any(is_default) {
            let message = format!("{name} is its tenant's default domain; set another one first");
            return Err(error(DirectoryErrorKind::InUse, message));
        }
        state.domains.remove(&name);
        self.audit(&mut state, AuditAction::DomainRemoved, domain.tenant, name);
        Ok(())
    }

    async fn add_account(&self, account: NewAccount) -> Result<Account> {
        let mut state = self.lock();
        let domain = self.known_domain(&state, account.name.domain())?;
        if state.is_taken(&account.name) {
            return exists(format!(
                "there is an account or an alias {} already",
                account.name
            ));
        }
        let id = AccountId::new(domain.tenant, state.next_key()).ok_or_else(keys_used_up)?;
        let mut row = AccountRow {
            id,
            name: account.name,
            state: AccountState::Active,
            quota_octets: account.quota_octets,
            quota_messages: account.quota_messages,
            password: None,
            scram: None,
            version: 0,
            app_passwords: Vec::new(),
        };
        if let Some(password) = account.password {
            row.set_password(password);
        }
        let shown = state.account(&row).ok_or_else(|| no_domain(&domain.name))?;
        state.accounts.insert(row.name.to_string(), row);
        self.audit(&mut state, AuditAction::AccountAdded, id, shown.name.to_string());
        Ok(shown)
    }

    async fn accounts(&self, domain: Option<&str>, of: Page) -> Result<Vec<Account>> {
        let domain = domain.map(domain_form).transpose()?;
        let state = self.lock();
        Ok(page(&state.accounts, &of, |_, row| {
            let belongs = domain.as_ref().is_none_or(|domain| row.name.domain() == domain);
            (belongs && self.sees(row.id.tenant()))
                .then(|| state.account(row))
                .flatten()
        }))
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account> {
        let mut state = self.lock();
        let id = self.known_account(&mut state, name)?.id;
        let name = match patch.name {
            Some(new) if new != *name => {
                let domain = self.known_domain(&state, new.domain())?;
                if domain.tenant != id.tenant() {
                    return invalid("the new name is in a domain of another tenant");
                }
                if state.is_taken(&new) {
                    return exists(format!("there is an account or an alias {new} already"));
                }
                let mut row = state
                    .accounts
                    .remove(&name.to_string())
                    .ok_or_else(|| no_account(name))?;
                row.name = new.clone();
                state.accounts.insert(new.to_string(), row);
                new
            }
            _ => name.clone(),
        };
        let mut changed = Vec::new();
        let row = self.known_account(&mut state, &name)?;
        set("state", &mut row.state, patch.state, &mut changed);
        set("quota", &mut row.quota_octets, patch.quota_octets, &mut changed);
        set(
            "quota-messages",
            &mut row.quota_messages,
            patch.quota_messages,
            &mut changed,
        );
        if let Some(password) = patch.password {
            row.set_password(password);
            changed.push("password");
        }
        self.audit(
            &mut state,
            AuditAction::AccountChanged,
            id,
            format!("{name}: {}", changed.join(", ")),
        );
        let account = state.row(&name).and_then(|row| state.account(row));
        account.ok_or_else(|| no_account(&name))
    }

    async fn account(&self, name: &LoginName) -> Result<Option<Account>> {
        let state = self.lock();
        let row = state.row(name).filter(|row| self.sees(row.id.tenant()));
        Ok(row.and_then(|row| state.account(row)))
    }

    async fn remove_account(&self, name: &LoginName) -> Result<()> {
        let mut state = self.lock();
        let id = self.known_account(&mut state, name)?.id;
        state.accounts.remove(&name.to_string());
        state.aliases.retain(|_, alias| alias.account != id);
        state.paces.remove(&id);
        self.audit(&mut state, AuditAction::AccountRemoved, id, name.to_string());
        Ok(())
    }

    async fn add_alias(&self, alias: Alias) -> Result<Alias> {
        let mut state = self.lock();
        let id = self.known_account(&mut state, &alias.account)?.id;
        let domain = self.known_domain(&state, alias.address.domain())?;
        if domain.tenant != id.tenant() {
            return invalid("the alias is in a domain of another tenant than the account");
        }
        if state.is_taken(&alias.address) {
            return exists(format!(
                "there is an account or an alias {} already",
                alias.address
            ));
        }
        let row = AliasRow {
            address: alias.address.clone(),
            account: id,
            may_log_in: alias.may_log_in,
        };
        state.aliases.insert(alias.address.to_string(), row);
        self.audit(&mut state, AuditAction::AliasAdded, id, alias.address.to_string());
        Ok(alias)
    }

    async fn aliases(
        &self,
        account: Option<&LoginName>,
        domain: Option<&str>,
        of: Page,
    ) -> Result<Vec<Alias>> {
        let domain = domain.map(domain_form).transpose()?;
        let state = self.lock();
        Ok(page(&state.aliases, &of, |_, row| {
            let alias = state.alias(row).filter(|_| self.sees(row.account.tenant()))?;
            let belongs = account.is_none_or(|account| alias.account == *account)
                && domain
                    .as_ref()
                    .is_none_or(|domain| alias.address.domain() == domain);
            belongs.then_some(alias)
        }))
    }

    async fn remove_alias(&self, address: &LoginName) -> Result<()> {
        let mut state = self.lock();
        let key = address.to_string();
        let account = state.aliases.get(&key).map(|row| row.account);
        let Some(account) = account.filter(|account| self.sees(account.tenant())) else {
            let message = format!("there is no alias {address}; `restante alias list` shows all");
            return Err(error(DirectoryErrorKind::NotFound, message));
        };
        state.aliases.remove(&key);
        self.audit(&mut state, AuditAction::AliasRemoved, account, key);
        Ok(())
    }

    async fn add_app_password(
        &self,
        account: &LoginName,
        password: NewAppPassword,
    ) -> Result<AppPasswordInfo> {
        if !(1..=MAX_LABEL_OCTETS).contains(&password.label.len()) {
            return invalid("the label of an application password has 1 to 100 octets");
        }
        let mut state = self.lock();
        let key = state.next_key();
        let row = self.known_account(&mut state, account)?;
        if row.app_passwords.len() >= MAX_APP_PASSWORDS {
            let message =
                format!("{account} has {MAX_APP_PASSWORDS} application passwords; revoke some first");
            return Err(error(DirectoryErrorKind::InUse, message));
        }
        let info = AppPasswordInfo {
            id: AppPasswordId(key),
            label: password.label,
            scope: password.scope,
            networks: password.networks,
            created_at: self.clock.wall(),
            expires_at: password.expires_at,
            last_used_at: None,
        };
        row.app_passwords.push(AppPasswordRow {
            info: info.clone(),
            verifier: password.verifier,
        });
        let id = row.id;
        self.audit(
            &mut state,
            AuditAction::AppPasswordAdded,
            id,
            format!("{key}: {}", info.label),
        );
        Ok(info)
    }

    async fn app_passwords(&self, account: &LoginName) -> Result<Vec<AppPasswordInfo>> {
        let mut state = self.lock();
        let row = self.known_account(&mut state, account)?;
        Ok(row.app_passwords.iter().map(|kept| kept.info.clone()).collect())
    }

    async fn remove_app_password(&self, account: &LoginName, id: AppPasswordId) -> Result<()> {
        let mut state = self.lock();
        let row = self.known_account(&mut state, account)?;
        let before = row.app_passwords.len();
        row.app_passwords.retain(|kept| kept.info.id != id);
        if row.app_passwords.len() == before {
            let message = format!("{account} has no application password {}", id.0);
            return Err(error(DirectoryErrorKind::NotFound, message));
        }
        let about = row.id;
        self.audit(
            &mut state,
            AuditAction::AppPasswordRevoked,
            about,
            id.0.to_string(),
        );
        Ok(())
    }

    async fn add_certificate(&self, tenant: &str, certificate: NewCertificate) -> Result<StoredCertificate> {
        self.provider_only()?;
        let names: Vec<String> = certificate
            .server_names
            .iter()
            .map(|name| domain_form(name))
            .collect::<Result<_>>()?;
        let mut state = self.lock();
        let owner = state.tenants.get(tenant).ok_or_else(|| no_tenant(tenant))?;
        if names.is_empty() || !names.iter().all(|name| owner.server_names.contains(name)) {
            return invalid(
                "a certificate serves server names that are bound to its tenant; bind them with `restante tenant set --add-server-name`",
            );
        }
        let owner = owner.id;
        let stored = StoredCertificate {
            id: CertificateId(state.next_key()),
            tenant: owner,
            server_names: names,
            chain: certificate.chain,
            sealed_key: certificate.sealed_key,
            not_after: certificate.not_after,
        };
        state.certificates.push(stored.clone());
        state.revision += 1;
        let detail = format!("{}: {}", stored.id.0, stored.server_names.join(", "));
        self.audit(&mut state, AuditAction::CertificateAdded, owner, detail);
        Ok(stored)
    }

    async fn certificates(&self, tenant: Option<&str>) -> Result<Vec<StoredCertificate>> {
        let state = self.lock();
        let belongs = |kept: &&StoredCertificate| {
            self.sees(kept.tenant) && tenant.is_none_or(|name| state.tenant_name(kept.tenant) == Some(name))
        };
        Ok(state.certificates.iter().filter(belongs).cloned().collect())
    }

    async fn remove_certificate(&self, tenant: &str, id: CertificateId) -> Result<()> {
        self.provider_only()?;
        let mut state = self.lock();
        let owner = state.tenants.get(tenant).ok_or_else(|| no_tenant(tenant))?.id;
        let before = state.certificates.len();
        state
            .certificates
            .retain(|kept| kept.id != id || kept.tenant != owner);
        if state.certificates.len() == before {
            let message = format!("{tenant} has no certificate {}", id.0);
            return Err(error(DirectoryErrorKind::NotFound, message));
        }
        state.revision += 1;
        self.audit(
            &mut state,
            AuditAction::CertificateRemoved,
            owner,
            id.0.to_string(),
        );
        Ok(())
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
        let state = self.lock();
        let fits = |entry: &&AuditEntry| {
            let record = &entry.record;
            filter.tenant.is_none_or(|tenant| record.tenant == Some(tenant))
                && self.actor.tenant.is_none_or(|own| record.tenant == Some(own))
                && filter
                    .account
                    .is_none_or(|account| record.account == Some(account))
                && filter.action.is_none_or(|action| record.action == action)
                && filter.before.is_none_or(|before| entry.id < before)
        };
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        Ok(state
            .audit
            .iter()
            .rev()
            .filter(fits)
            .take(limit)
            .cloned()
            .collect())
    }
}

/// Changes a field if there is something to change it to, and notes its name.
fn set<T>(name: &'static str, field: &mut T, new: Option<T>, changed: &mut Vec<&'static str>) {
    if let Some(new) = new {
        *field = new;
        changed.push(name);
    }
}
