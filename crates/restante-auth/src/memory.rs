//! The directory in memory. Complete, but forgotten when the process ends. Start at [`MemoryDirectory`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use restante_types::{AccountId, DomainId, Octets, Secret, TenantId};

use crate::{
    Account, AccountPatch, AccountState, Credentials, Directory, DirectoryAdmin, DirectoryError,
    DirectoryErrorKind, Domain, LoginName, NewAccount, Page, Tenant, TenantPatch,
};

/// Retention of a tenant that was given none.
const RETENTION: Duration = Duration::from_hours(24);

/// Keeps tenants, domains and accounts in memory: for tests, and for a demonstration that may forget.
///
/// Knows no maildrops: who adds an account here adds its maildrop to the index.
#[derive(Default)]
pub struct MemoryDirectory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_key: i64,
    tenants: BTreeMap<String, Tenant>,
    domains: BTreeMap<String, DomainRow>,
    /// By `local-part@domain`, so that lists come in the order of names.
    accounts: BTreeMap<String, AccountRow>,
}

struct DomainRow {
    id: DomainId,
    tenant: String,
}

struct AccountRow {
    id: AccountId,
    name: LoginName,
    state: AccountState,
    quota_octets: Option<Octets>,
    quota_messages: Option<u64>,
    password: Option<Secret<String>>,
    version: i64,
}

impl MemoryDirectory {
    /// A directory without tenants.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Changes are made after everything that can fail, so a panic leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fail<T>(kind: DirectoryErrorKind, message: String) -> Result<T, DirectoryError> {
    Err(DirectoryError::new(kind, message))
}

fn no_tenant(name: &str) -> DirectoryError {
    let message = format!("there is no tenant {name}; `restante tenant list` shows all");
    DirectoryError::new(DirectoryErrorKind::NotFound, message)
}

fn no_domain(name: &str) -> DirectoryError {
    let message = format!("there is no domain {name}; add it with `restante domain add`");
    DirectoryError::new(DirectoryErrorKind::NotFound, message)
}

fn no_account(name: &LoginName) -> DirectoryError {
    let message = format!("there is no account {name}; `restante account list` shows all");
    DirectoryError::new(DirectoryErrorKind::NotFound, message)
}

fn keys_used_up() -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Unavailable, "all keys are used up")
}

fn domain_form(name: &str) -> Result<String, DirectoryError> {
    LoginName::domain_form(name).map_err(|error| {
        DirectoryError::new(DirectoryErrorKind::Invalid, "this is no domain name").because(error)
    })
}

fn check_tenant_name(name: &str) -> Result<(), DirectoryError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    let message = "a tenant's name is 1 to 63 of a-z, 0-9 and -".to_owned();
    fail(DirectoryErrorKind::Invalid, message)
}

/// The entries of a page, in order, of those that `belongs` admits.
fn page<T, R>(
    all: &BTreeMap<String, T>,
    page: &Page,
    belongs: impl Fn(&T) -> bool,
    show: impl Fn(&str, &T) -> Option<R>,
) -> Vec<R> {
    let start = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    all.range::<str, _>((start, Bound::Unbounded))
        .filter(|(_, value)| belongs(value))
        .filter_map(|(name, value)| show(name, value))
        .take(usize::try_from(page.limit).unwrap_or(usize::MAX))
        .collect()
}

impl State {
    /// Keys only grow: one that was removed never comes back.
    fn next_key(&mut self) -> i64 {
        self.last_key += 1;
        self.last_key
    }

    fn domain(&self, name: &str) -> Option<Domain> {
        let row = self.domains.get(name)?;
        let tenant = self.tenants.get(&row.tenant)?;
        Some(Domain {
            id: row.id,
            tenant: tenant.id,
            tenant_name: tenant.name.clone(),
            name: name.to_owned(),
        })
    }

    fn account(&self, row: &AccountRow) -> Option<Account> {
        let domain = self.domains.get(row.name.domain())?;
        let tenant = self.tenants.get(&domain.tenant)?;
        Some(Account {
            id: row.id,
            name: row.name.clone(),
            state: row.state,
            quota_octets: row.quota_octets,
            quota_messages: row.quota_messages,
            storage: tenant.storage.clone(),
        })
    }

    fn row(&self, name: &LoginName) -> Option<&AccountRow> {
        self.accounts.get(&name.to_string())
    }

    fn has_accounts(&self, domain: &str) -> bool {
        self.accounts.values().any(|row| row.name.domain() == domain)
    }

    fn refuse_accounts(&self, domain: &str) -> Result<(), DirectoryError> {
        if self.has_accounts(domain) {
            let message = format!("the domain {domain} still has accounts; remove them first");
            return fail(DirectoryErrorKind::InUse, message);
        }
        Ok(())
    }
}

impl AccountRow {
    fn apply(&mut self, patch: AccountPatch) {
        if let Some(state) = patch.state {
            self.state = state;
        }
        if let Some(password) = patch.password {
            self.password = Some(password);
            self.version += 1;
        }
        if let Some(octets) = patch.quota_octets {
            self.quota_octets = octets;
        }
        if let Some(messages) = patch.quota_messages {
            self.quota_messages = messages;
        }
    }
}

impl fmt::Display for MemoryDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl fmt::Debug for MemoryDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryDirectory({} accounts)", self.lock().accounts.len())
    }
}

#[async_trait]
impl Directory for MemoryDirectory {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        let state = self.lock();
        let answer = state.row(name).and_then(|row| {
            Some(Credentials {
                account: state.account(row)?,
                password: row.password.as_ref().map(|phc| Secret::new(phc.expose().clone())),
                version: row.version,
            })
        });
        Ok(answer)
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Account>, DirectoryError> {
        let state = self.lock();
        Ok(state.row(address).and_then(|row| state.account(row)))
    }
}

#[async_trait]
impl DirectoryAdmin for MemoryDirectory {
    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant, DirectoryError> {
        check_tenant_name(name)?;
        let mut state = self.lock();
        if state.tenants.contains_key(name) {
            let message = format!("there is a tenant {name} already");
            return fail(DirectoryErrorKind::Exists, message);
        }
        let tenant = Tenant {
            id: TenantId::new(state.next_key()).ok_or_else(keys_used_up)?,
            name: name.to_owned(),
            storage: storage.to_owned(),
            retention: RETENTION,
            quota_octets: None,
            quota_messages: None,
        };
        state.tenants.insert(name.to_owned(), tenant.clone());
        Ok(tenant)
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, DirectoryError> {
        Ok(self.lock().tenants.get(name).cloned())
    }

    async fn tenants(&self, of: Page) -> Result<Vec<Tenant>, DirectoryError> {
        let state = self.lock();
        Ok(page(
            &state.tenants,
            &of,
            |_| true,
            |_, tenant| Some(tenant.clone()),
        ))
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant, DirectoryError> {
        let mut state = self.lock();
        let tenant = state.tenants.get_mut(name).ok_or_else(|| no_tenant(name))?;
        if let Some(storage) = patch.storage {
            tenant.storage = storage;
        }
        if let Some(retention) = patch.retention {
            tenant.retention = retention;
        }
        if let Some(octets) = patch.quota_octets {
            tenant.quota_octets = octets;
        }
        if let Some(messages) = patch.quota_messages {
            tenant.quota_messages = messages;
        }
        Ok(tenant.clone())
    }

    async fn remove_tenant(&self, name: &str) -> Result<(), DirectoryError> {
        let mut state = self.lock();
        if state.domains.values().any(|domain| domain.tenant == name) {
            let message = format!("the tenant {name} still has domains; remove them first");
            return fail(DirectoryErrorKind::InUse, message);
        }
        state
            .tenants
            .remove(name)
            .map(drop)
            .ok_or_else(|| no_tenant(name))
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain, DirectoryError> {
        let name = domain_form(name)?;
        let mut state = self.lock();
        let owner = state.tenants.get(tenant).ok_or_else(|| no_tenant(tenant))?.id;
        if state.domains.contains_key(&name) {
            let message = format!("the domain {name} exists already");
            return fail(DirectoryErrorKind::Exists, message);
        }
        let id = DomainId::new(state.next_key()).ok_or_else(keys_used_up)?;
        let row = DomainRow {
            id,
            tenant: tenant.to_owned(),
        };
        state.domains.insert(name.clone(), row);
        Ok(Domain {
            id,
            tenant: owner,
            tenant_name: tenant.to_owned(),
            name,
        })
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>, DirectoryError> {
        Ok(self.lock().domain(&domain_form(name)?))
    }

    async fn domains(&self, tenant: Option<&str>, of: Page) -> Result<Vec<Domain>, DirectoryError> {
        let state = self.lock();
        let belongs = |row: &DomainRow| tenant.is_none_or(|tenant| row.tenant == tenant);
        Ok(page(&state.domains, &of, belongs, |name, _| state.domain(name)))
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain, DirectoryError> {
        let name = domain_form(name)?;
        let mut state = self.lock();
        if !state.tenants.contains_key(tenant) {
            return Err(no_tenant(tenant));
        }
        state.refuse_accounts(&name)?;
        let row = state.domains.get_mut(&name).ok_or_else(|| no_domain(&name))?;
        tenant.clone_into(&mut row.tenant);
        state.domain(&name).ok_or_else(|| no_domain(&name))
    }

    async fn remove_domain(&self, name: &str) -> Result<(), DirectoryError> {
        let name = domain_form(name)?;
        let mut state = self.lock();
        state.refuse_accounts(&name)?;
        state
            .domains
            .remove(&name)
            .map(drop)
            .ok_or_else(|| no_domain(&name))
    }

    async fn add_account(&self, account: NewAccount) -> Result<Account, DirectoryError> {
        let mut state = self.lock();
        let domain = state
            .domain(account.name.domain())
            .ok_or_else(|| no_domain(account.name.domain()))?;
        if state.row(&account.name).is_some() {
            let message = format!("there is an account {} already", account.name);
            return fail(DirectoryErrorKind::Exists, message);
        }
        let id = AccountId::new(domain.tenant, state.next_key()).ok_or_else(keys_used_up)?;
        let row = AccountRow {
            id,
            name: account.name,
            state: AccountState::Active,
            quota_octets: account.quota_octets,
            quota_messages: account.quota_messages,
            password: account.password,
            version: 1,
        };
        let shown = state.account(&row).ok_or_else(|| no_domain(&domain.name))?;
        state.accounts.insert(row.name.to_string(), row);
        Ok(shown)
    }

    async fn accounts(&self, domain: Option<&str>, of: Page) -> Result<Vec<Account>, DirectoryError> {
        let domain = domain.map(domain_form).transpose()?;
        let state = self.lock();
        let belongs = |row: &AccountRow| domain.as_ref().is_none_or(|domain| row.name.domain() == domain);
        Ok(page(&state.accounts, &of, belongs, |_, row| state.account(row)))
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account, DirectoryError> {
        let mut state = self.lock();
        state
            .accounts
            .get_mut(&name.to_string())
            .ok_or_else(|| no_account(name))?
            .apply(patch);
        state
            .row(name)
            .and_then(|row| state.account(row))
            .ok_or_else(|| no_account(name))
    }

    async fn remove_account(&self, name: &LoginName) -> Result<(), DirectoryError> {
        self.lock()
            .accounts
            .remove(&name.to_string())
            .map(drop)
            .ok_or_else(|| no_account(name))
    }
}
