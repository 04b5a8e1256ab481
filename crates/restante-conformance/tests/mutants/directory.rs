//! Directories that break one promise each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use restante_auth::{
    Account, AccountPatch, Actor, Alias, AppPasswordId, AppPasswordInfo, AuditEntry, AuditFilter,
    AuditRecord, CertificateId, Credentials, Directory, DirectoryAdmin, DirectoryError, DirectoryErrorKind,
    Domain, LiveLogin, LoginName, LoginNote, MemoryDirectory, NewAccount, NewAppPassword, NewCertificate,
    NewPassword, Page, Recipient, Roster, Standing, StoredCertificate, Tenant, TenantPatch,
};
use restante_conformance::directory_cases;
use restante_types::{AccountId, Secret};
use tokio::sync::watch;

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
    AliasesLogIn,
    NoPace,
    UpgradesWhatever,
    StandsWhatever,
    RosterStandsStill,
    NoAudit,
    ActsAsTheProvider,
    WakesNobody,
    RevokesNothing,
    ForgetsThePolicy,
    AsksForTheAccount,
    StandsDespiteTheTenant,
    LooksUpForAnybody,
    AuditTellsAll,
    SortsLikeADictionary,
}

#[derive(Debug)]
struct Broken {
    how: Break,
    inner: Arc<dyn DirectoryAdmin>,
    /// The same on behalf of the server itself.
    provider: Arc<dyn DirectoryAdmin>,
    /// Nobody is ever woken by it.
    asleep: watch::Sender<u64>,
    /// Keys as they are shown, by name.
    shown: Mutex<HashMap<String, AccountId>>,
    last_asked: Mutex<Option<LoginName>>,
}

impl Broken {
    fn new(how: Break) -> Self {
        let inner: Arc<dyn DirectoryAdmin> = Arc::new(MemoryDirectory::new());
        Self {
            how,
            provider: Arc::clone(&inner),
            inner,
            asleep: watch::Sender::new(0),
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

fn everything() -> Page {
    Page {
        after: None,
        limit: 1_000,
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
        let directory = match self.how {
            Break::LooksUpForAnybody => &self.provider,
            _ => &self.inner,
        };
        let mut found = directory.credentials(asked).await?;
        if found.is_none() && self.how == Break::AliasesLogIn {
            found = match self.inner.recipient(name).await? {
                Some(found) => self.inner.credentials(&found.account.name).await?,
                None => None,
            };
        }
        if let Some(found) = &mut found {
            match self.how {
                Break::StaleVersion => found.version = 1,
                Break::ForgetsThePolicy => found.policy = restante_auth::Policy::default(),
                Break::AsksForTheAccount => found.asked = found.account.name.clone(),
                _ => {}
            }
        }
        Ok(found.map(|found| Credentials {
            account: self.show(found.account),
            ..found
        }))
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        let found = self.inner.recipient(address).await?;
        Ok(found.map(|found| Recipient {
            account: self.show(found.account),
            ..found
        }))
    }

    async fn note_login(&self, note: &LoginNote) -> Result<bool, DirectoryError> {
        let admitted = self.inner.note_login(note).await?;
        Ok(admitted || self.how == Break::NoPace)
    }

    async fn upgrade(
        &self,
        account: AccountId,
        version: i64,
        password: NewPassword,
    ) -> Result<bool, DirectoryError> {
        let upgraded = self.inner.upgrade(account, version, password).await?;
        Ok(upgraded || self.how == Break::UpgradesWhatever)
    }

    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>, DirectoryError> {
        match self.how {
            Break::StandsWhatever => Ok(vec![Standing::Good; logins.len()]),
            Break::StandsDespiteTheTenant => {
                let mut standings = self.inner.standing(logins).await?;
                let accounts = self.inner.accounts(None, everything()).await?;
                for (login, standing) in logins.iter().zip(&mut standings) {
                    let account = accounts.iter().find(|account| account.id == login.account);
                    let suspended = account.is_some_and(|account| {
                        account.state.may_log_in() && !account.tenant_state.may_log_in()
                    });
                    if suspended {
                        *standing = Standing::Good;
                    }
                }
                Ok(standings)
            }
            _ => self.inner.standing(logins).await,
        }
    }

    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>, DirectoryError> {
        let roster = self.inner.roster(known).await?;
        Ok(roster.filter(|_| known.is_none() || self.how != Break::RosterStandsStill))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        match self.how {
            Break::WakesNobody => self.asleep.subscribe(),
            _ => self.inner.changes(),
        }
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>, DirectoryError> {
        self.inner.installation_secret().await
    }

    async fn record(&self, records: &[AuditRecord]) -> Result<(), DirectoryError> {
        self.inner.record(records).await
    }
}

#[async_trait]
impl DirectoryAdmin for Broken {
    fn acting(&self, mut actor: Actor) -> Arc<dyn DirectoryAdmin> {
        if self.how == Break::ActsAsTheProvider {
            actor.tenant = None;
        }
        Arc::new(Self {
            inner: self.inner.acting(actor),
            provider: Arc::clone(&self.provider),
            ..Self::new(self.how)
        })
    }

    async fn add_server_name(&self, tenant: &str, name: &str) -> Result<Tenant, DirectoryError> {
        self.inner.add_server_name(tenant, name).await
    }

    async fn remove_server_name(&self, tenant: &str, name: &str) -> Result<Tenant, DirectoryError> {
        self.inner.remove_server_name(tenant, name).await
    }

    async fn account(&self, name: &LoginName) -> Result<Option<Account>, DirectoryError> {
        self.inner.account(name).await
    }

    async fn add_alias(&self, alias: Alias) -> Result<Alias, DirectoryError> {
        self.inner.add_alias(alias).await
    }

    async fn aliases(
        &self,
        account: Option<&LoginName>,
        domain: Option<&str>,
        page: Page,
    ) -> Result<Vec<Alias>, DirectoryError> {
        self.inner.aliases(account, domain, page).await
    }

    async fn remove_alias(&self, address: &LoginName) -> Result<(), DirectoryError> {
        self.inner.remove_alias(address).await
    }

    async fn add_app_password(
        &self,
        account: &LoginName,
        password: NewAppPassword,
    ) -> Result<AppPasswordInfo, DirectoryError> {
        self.inner.add_app_password(account, password).await
    }

    async fn app_passwords(&self, account: &LoginName) -> Result<Vec<AppPasswordInfo>, DirectoryError> {
        self.inner.app_passwords(account).await
    }

    async fn remove_app_password(
        &self,
        account: &LoginName,
        id: AppPasswordId,
    ) -> Result<(), DirectoryError> {
        match self.how {
            Break::RevokesNothing => Ok(()),
            _ => self.inner.remove_app_password(account, id).await,
        }
    }

    async fn add_certificate(
        &self,
        tenant: &str,
        certificate: NewCertificate,
    ) -> Result<StoredCertificate, DirectoryError> {
        self.inner.add_certificate(tenant, certificate).await
    }

    async fn certificates(&self, tenant: Option<&str>) -> Result<Vec<StoredCertificate>, DirectoryError> {
        self.inner.certificates(tenant).await
    }

    async fn remove_certificate(&self, tenant: &str, id: CertificateId) -> Result<(), DirectoryError> {
        self.inner.remove_certificate(tenant, id).await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>, DirectoryError> {
        match self.how {
            Break::NoAudit => Ok(Vec::new()),
            Break::AuditTellsAll => {
                let mut entries = self.inner.audit(filter).await?;
                for entry in &mut entries {
                    entry.record.detail = entry.record.detail.repeat(20);
                }
                Ok(entries)
            }
            _ => self.inner.audit(filter).await,
        }
    }

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
        let mut domains = self.inner.domains(tenant, page).await?;
        if self.how == Break::SortsLikeADictionary {
            domains.sort_by_key(|domain| domain.name.replace(['-', '.'], ""));
        }
        Ok(domains)
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
            let n_accounts = self.inner.accounts(None, everything()).await?.len();
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

/// The cases that notice it. One function for all mutants: to compile all cases for each takes minutes.
async fn bitten(how: Break) -> Vec<&'static str> {
    let open = move || async move { MemoryNames(Arc::new(Broken::new(how))) };
    directory_cases! { emit_bites { open } }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_bitten(&bitten(Break::$how).await, &[$($case),+]);
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
mutant!(an_alias_that_always_logs_in_is_noticed: AliasesLogIn, ["an_alias_receives_and_logs_in_only_if_it_may"]);
mutant!(logins_without_a_pace_are_noticed: NoPace, [
    "a_login_delay_admits_its_burst_and_no_more", "racing_logins_are_admitted_no_more_than_the_burst",
]);
mutant!(an_upgrade_of_any_version_is_noticed: UpgradesWhatever, ["an_upgrade_needs_the_version_it_was_made_for"]);
mutant!(a_standing_that_never_changes_is_noticed: StandsWhatever, ["standing_follows_states_and_credentials"]);
mutant!(a_roster_that_stands_still_is_noticed: RosterStandsStill, ["the_roster_grows_with_what_stands_in_it"]);
mutant!(a_missing_audit_is_noticed: NoAudit, [
    "every_act_leaves_one_line_in_the_audit_without_a_secret", "the_audit_is_filtered_and_paged_newest_first",
]);
mutant!(a_tenants_administrator_with_all_rights_is_noticed: ActsAsTheProvider, [
    "a_tenants_administrator_changes_no_rules", "a_tenants_administrator_sees_nobody_elses_things",
]);
mutant!(a_directory_that_wakes_nobody_is_noticed: WakesNobody, ["changes_wake_whoever_watches"]);
mutant!(an_application_password_that_is_not_revoked_is_noticed: RevokesNothing, [
    "application_passwords_are_bounded_and_revoked", "standing_follows_states_and_credentials",
]);
mutant!(a_policy_that_is_not_brought_is_noticed: ForgetsThePolicy, [
    "credentials_bring_the_policy_and_echo_the_name",
]);
mutant!(an_answer_that_forgets_the_question_is_noticed: AsksForTheAccount, [
    "an_alias_receives_and_logs_in_only_if_it_may",
]);
mutant!(a_standing_without_the_tenants_state_is_noticed: StandsDespiteTheTenant, [
    "standing_follows_states_and_credentials",
]);
mutant!(a_look_up_for_anybody_is_noticed: LooksUpForAnybody, [
    "a_tenants_administrator_looks_up_nobody_elses_logins",
]);
mutant!(an_audit_that_tells_all_is_noticed: AuditTellsAll, ["an_act_with_much_to_tell_is_done_and_told_shortly"]);
mutant!(an_order_of_a_dictionary_is_noticed: SortsLikeADictionary, ["names_are_listed_by_their_octets"]);
