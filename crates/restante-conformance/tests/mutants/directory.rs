//! Directories that break one promise each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use restante_auth::{
    Account, AccountPatch, Credentials, Directory, DirectoryAdmin, DirectoryError, DirectoryErrorKind,
    Domain, LoginName, MemoryDirectory, NewAccount, Page, Tenant, TenantPatch,
};
use restante_conformance::directory_cases;
use restante_types::AccountId;

use crate::assert_bitten;
use crate::fixture::MemoryNames;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    DomainsByTheirText,
    DomainInTwoTenants,
    ReusedAccountKeys,
    AnothersCredentials,
    StaleVersion,
    RemoveDoesNothing,
    NotEmptyRemoved,
    PagesStartAgain,
}

#[derive(Debug)]
struct Broken {
    how: Break,
    inner: MemoryDirectory,
    /// Keys as they are shown, by name.
    shown: Mutex<HashMap<String, AccountId>>,
    last_asked: Mutex<Option<LoginName>>,
}

impl Broken {
    fn new(how: Break) -> Self {
        Self {
            how,
            inner: MemoryDirectory::new(),
            shown: Mutex::default(),
            last_asked: Mutex::default(),
        }
    }

    fn show(&self, mut account: Account) -> Account {
        if let Some(id) = self.shown.lock().unwrap().get(&account.name.to_string()) {
            account.id = *id;
        }
        account
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.how)
    }
}

#[async_trait]
impl Directory for Broken {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        let before = self.last_asked.lock().unwrap().replace(name.clone());
        let asked = match (self.how, &before) {
            (Break::AnothersCredentials, Some(before)) => before,
            _ => name,
        };
        let mut found = self.inner.credentials(asked).await?;
        if let (Break::StaleVersion, Some(found)) = (self.how, &mut found) {
            found.version = 1;
        }
        Ok(found.map(|found| Credentials {
            account: self.show(found.account),
            password: found.password,
            version: found.version,
        }))
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Account>, DirectoryError> {
        Ok(self
            .inner
            .recipient(address)
            .await?
            .map(|account| self.show(account)))
    }
}

#[async_trait]
impl DirectoryAdmin for Broken {
    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant, DirectoryError> {
        self.inner.add_tenant(name, storage).await
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, DirectoryError> {
        self.inner.tenant(name).await
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>, DirectoryError> {
        self.inner.tenants(page).await
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant, DirectoryError> {
        self.inner.set_tenant(name, patch).await
    }

    async fn remove_tenant(&self, name: &str) -> Result<(), DirectoryError> {
        match self.inner.remove_tenant(name).await {
            Err(error) if error.kind == DirectoryErrorKind::InUse && self.how == Break::NotEmptyRemoved => {
                Ok(())
            }
            answer => answer,
        }
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain, DirectoryError> {
        match self.inner.add_domain(tenant, name).await {
            Err(error)
                if error.kind == DirectoryErrorKind::Exists && self.how == Break::DomainInTwoTenants =>
            {
                Ok(self.inner.domain(name).await?.unwrap())
            }
            answer => answer,
        }
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>, DirectoryError> {
        let found = self.inner.domain(name).await?;
        Ok(found.filter(|found| self.how != Break::DomainsByTheirText || found.name == name))
    }

    async fn domains(&self, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>, DirectoryError> {
        self.inner.domains(tenant, page).await
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain, DirectoryError> {
        self.inner.set_domain(name, tenant).await
    }

    async fn remove_domain(&self, name: &str) -> Result<(), DirectoryError> {
        match self.inner.remove_domain(name).await {
            Err(error) if error.kind == DirectoryErrorKind::InUse && self.how == Break::NotEmptyRemoved => {
                Ok(())
            }
            answer => answer,
        }
    }

    async fn add_account(&self, account: NewAccount) -> Result<Account, DirectoryError> {
        let added = self.inner.add_account(account).await?;
        if self.how == Break::ReusedAccountKeys {
            let page = Page {
                after: None,
                limit: 1_000,
            };
            let n_accounts = self.inner.accounts(None, page).await?.len();
            let key = i64::try_from(n_accounts).unwrap();
            let id = AccountId::new(added.id.tenant(), key).unwrap();
            self.shown.lock().unwrap().insert(added.name.to_string(), id);
        }
        Ok(self.show(added))
    }

    async fn accounts(&self, domain: Option<&str>, mut page: Page) -> Result<Vec<Account>, DirectoryError> {
        if self.how == Break::PagesStartAgain {
            page.after = None;
        }
        let accounts = self.inner.accounts(domain, page).await?;
        Ok(accounts.into_iter().map(|account| self.show(account)).collect())
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account, DirectoryError> {
        Ok(self.show(self.inner.set_account(name, patch).await?))
    }

    async fn remove_account(&self, name: &LoginName) -> Result<(), DirectoryError> {
        match self.how {
            Break::RemoveDoesNothing => Ok(()),
            _ => self.inner.remove_account(name).await,
        }
    }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            async fn open() -> MemoryNames {
                MemoryNames(Arc::new(Broken::new(Break::$how)))
            }
            let bitten = directory_cases! { emit_bites { open } };
            assert_bitten(&bitten, &[$($case),+]);
        }
    };
}

mutant!(domains_compared_as_text_are_noticed: DomainsByTheirText, ["domains_that_differ_in_form_are_one"]);
mutant!(a_domain_in_two_tenants_is_noticed: DomainInTwoTenants, ["a_domain_belongs_to_one_tenant"]);
mutant!(reused_account_keys_are_noticed: ReusedAccountKeys, ["keys_of_removed_accounts_never_come_back"]);
mutant!(anothers_credentials_are_noticed: AnothersCredentials, ["the_answer_names_the_account_asked_for"]);
mutant!(a_version_that_stands_still_is_noticed: StaleVersion, ["a_changed_password_counts_the_version_up"]);
mutant!(a_removal_that_does_nothing_is_noticed: RemoveDoesNothing, [
    "a_removed_account_is_gone", "what_is_not_there_is_not_found",
]);
mutant!(removal_of_what_is_not_empty_is_noticed: NotEmptyRemoved, [
    "a_domain_with_accounts_stays", "a_tenant_with_domains_stays",
]);
mutant!(pages_that_start_again_are_noticed: PagesStartAgain, ["lists_come_in_pages_in_order"]);
