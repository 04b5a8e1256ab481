//! What the tests of logins stand on: tenants with users, and ports of an authenticator that do as they are told.
//!
//! Start at [`World::open`].

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use restante_auth::password::{Password, Rule};
use restante_auth::{
    AccountPatch, Admission, Alias, Attempt, AttemptLimiter, AuditAction, AuditFilter, AuditLog, AuditRecord,
    AuthLimits, AuthPorts, Authenticated, Authenticator, Credentials, Directory, DirectoryAdmin,
    DirectoryError, DirectoryErrorKind, GateLimits, LimiterLost, LiveLogin, LoginContext, LoginName,
    LoginNote, MemoryDirectory, NameKey, NewAccount, NewPassword, OauthProvider, Policy, Recipient, Roster,
    Scope, Standing, TenantPatch, TokenCheck, TokenError, TokenVerifier, Transport, Verdict,
};
use restante_sasl::{Claim, LoginMechanism};
use restante_telemetry::Telemetry;
use restante_testkit::{DirectorySwitch, PATIENCE, SwitchedDirectory, quick_rule};
use restante_types::{AccountId, ClientAddr, Clock, Secret, SessionId, TenantId};
use tokio::sync::watch;

pub(crate) const ALICE: &str = "alice@one.example";
pub(crate) const BOB: &str = "bob@one.example";
pub(crate) const CARL: &str = "carl@two.example";
pub(crate) const PASSWORD: &[u8] = b"correct horse";
pub(crate) const SESSION: SessionId = SessionId::from_octets([7; 16]);

/// A gate in which nothing is ever computed: whoever wants a hash is told `Busy`.
pub(crate) const CLOSED: GateLimits = GateLimits {
    permits: 0,
    queue: 0,
    wait: Duration::ZERO,
};

/// Does what it is told and counts what it hears.
#[derive(Debug)]
pub(crate) struct ToldLimiter {
    /// What is answered; `None` is that the limits are lost.
    admission: Mutex<Option<Admission>>,
    names: Mutex<Vec<Option<NameKey>>>,
    n_failed: AtomicUsize,
    n_succeeded: AtomicUsize,
}

impl ToldLimiter {
    fn new() -> Self {
        Self {
            admission: Mutex::new(Some(after(Duration::ZERO, false))),
            names: Mutex::default(),
            n_failed: AtomicUsize::new(0),
            n_succeeded: AtomicUsize::new(0),
        }
    }

    pub(crate) fn set(&self, admission: Option<Admission>) {
        *self.admission.lock().unwrap() = admission;
    }

    /// The keys of the names that were to be admitted, in order.
    pub(crate) fn names(&self) -> Vec<Option<NameKey>> {
        self.names.lock().unwrap().clone()
    }

    pub(crate) fn n_failed(&self) -> usize {
        self.n_failed.load(Ordering::SeqCst)
    }

    pub(crate) fn n_succeeded(&self) -> usize {
        self.n_succeeded.load(Ordering::SeqCst)
    }

    fn answer(&self) -> Result<Admission, LimiterLost> {
        let told = *self.admission.lock().unwrap();
        told.ok_or_else(|| LimiterLost("lost on purpose".to_owned()))
    }
}

pub(crate) const fn after(wait: Duration, guarded: bool) -> Admission {
    Admission::After { wait, guarded }
}

impl fmt::Display for ToldLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("told")
    }
}

#[async_trait]
impl AttemptLimiter for ToldLimiter {
    async fn admit(&self, attempt: &Attempt) -> Result<Admission, LimiterLost> {
        self.names.lock().unwrap().push(attempt.name);
        self.answer()
    }

    async fn failed(&self, _attempt: &Attempt) -> Result<(), LimiterLost> {
        self.n_failed.fetch_add(1, Ordering::SeqCst);
        self.answer().map(drop)
    }

    async fn succeeded(&self, _attempt: &Attempt) -> Result<(), LimiterLost> {
        self.n_succeeded.fetch_add(1, Ordering::SeqCst);
        self.answer().map(drop)
    }
}

/// A directory whose hashes can be made unusable without anybody's version growing, so that computing one shows as
/// `Unavailable`; and that remembers how the audit came.
#[derive(Debug)]
pub(crate) struct Probe {
    inner: Arc<MemoryDirectory>,
    hashes_broken: AtomicBool,
    refuses_records: AtomicBool,
    batches: Mutex<Vec<usize>>,
}

impl Probe {
    pub(crate) fn new(inner: Arc<MemoryDirectory>) -> Self {
        Self {
            inner,
            hashes_broken: AtomicBool::new(false),
            refuses_records: AtomicBool::new(false),
            batches: Mutex::default(),
        }
    }

    pub(crate) fn break_hashes(&self, broken: bool) {
        self.hashes_broken.store(broken, Ordering::SeqCst);
    }

    pub(crate) fn refuse_records(&self, refuse: bool) {
        self.refuses_records.store(refuse, Ordering::SeqCst);
    }

    /// How many records came at once, call by call.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("probe")
    }
}

#[async_trait]
impl Directory for Probe {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        let mut found = self.inner.credentials(name).await?;
        if let Some(found) = &mut found
            && self.hashes_broken.load(Ordering::SeqCst)
        {
            found.password = Some(Secret::new("$argon2id$broken".to_owned()));
        }
        Ok(found)
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        self.inner.recipient(address).await
    }

    async fn note_login(&self, note: &LoginNote) -> Result<bool, DirectoryError> {
        self.inner.note_login(note).await
    }

    async fn upgrade(
        &self,
        account: AccountId,
        version: i64,
        password: NewPassword,
    ) -> Result<bool, DirectoryError> {
        self.inner.upgrade(account, version, password).await
    }

    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>, DirectoryError> {
        self.inner.standing(logins).await
    }

    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>, DirectoryError> {
        self.inner.roster(known).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes()
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>, DirectoryError> {
        self.inner.installation_secret().await
    }

    async fn record(&self, records: &[AuditRecord]) -> Result<(), DirectoryError> {
        if self.refuses_records.load(Ordering::SeqCst) {
            return Err(DirectoryError::new(
                DirectoryErrorKind::Invalid,
                "refused on purpose",
            ));
        }
        self.batches.lock().unwrap().push(records.len());
        self.inner.record(records).await
    }
}

/// Civil time that passes when it is told to.
#[derive(Debug)]
pub(crate) struct HandClock(Mutex<SystemTime>);

impl HandClock {
    pub(crate) fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// Knows tokens that are the name they were issued for, where there is a provider; `later` cannot be checked.
#[derive(Debug)]
struct NamesAsTokens;

impl fmt::Display for NamesAsTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names as tokens")
    }
}

#[async_trait]
impl TokenVerifier for NamesAsTokens {
    async fn verify(
        &self,
        providers: &[OauthProvider],
        token: &Secret<String>,
    ) -> Result<LoginName, TokenError> {
        if token.expose() == "later" {
            return Err(TokenError::Unavailable);
        }
        if providers.is_empty() {
            return Err(TokenError::Refused);
        }
        LoginName::parse(token.expose()).map_err(|_| TokenError::Refused)
    }
}

/// How a [`World`] begins.
pub(crate) struct Setup {
    pub(crate) rule: Rule,
    pub(crate) gate: GateLimits,
    pub(crate) floor: Duration,
    pub(crate) deadline: Duration,
    pub(crate) takes_tokens: bool,
}

impl Default for Setup {
    /// Patient enough for a busy machine, with no floor.
    fn default() -> Self {
        Self {
            rule: quick_rule(),
            gate: GateLimits {
                permits: 1,
                queue: 1000,
                wait: PATIENCE,
            },
            floor: Duration::ZERO,
            deadline: PATIENCE,
            takes_tokens: true,
        }
    }
}

/// Tenant `one` with Alice and Bob, tenant `two` with Carl, and an authenticator.
pub(crate) struct World {
    pub(crate) directory: Arc<MemoryDirectory>,
    pub(crate) probe: Arc<Probe>,
    pub(crate) switch: DirectorySwitch,
    pub(crate) limiter: Arc<ToldLimiter>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) telemetry: Telemetry,
    pub(crate) authenticator: Arc<Authenticator>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::open(Setup::default()).await
    }

    pub(crate) async fn open(setup: Setup) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let clock = Arc::new(HandClock(Mutex::new(start)));
        let directory = Arc::new(MemoryDirectory::with_clock(clock.clone()));
        for (tenant, domain) in [("one", "one.example"), ("two", "two.example")] {
            add_tenant(&directory, tenant, domain).await;
        }
        for name in [ALICE, BOB, CARL] {
            add_account(&directory, name).await;
        }
        Self::over(directory, clock, setup).await
    }

    /// Another authenticator over the same directory: another frontend.
    pub(crate) async fn beside(&self, setup: Setup) -> Self {
        Self::over(self.directory.clone(), self.clock.clone(), setup).await
    }

    async fn over(directory: Arc<MemoryDirectory>, clock: Arc<HandClock>, setup: Setup) -> Self {
        let (switch, limiter) = (DirectorySwitch::default(), Arc::new(ToldLimiter::new()));
        let probe = Arc::new(Probe::new(directory.clone()));
        let switched = Arc::new(SwitchedDirectory::new(probe.clone(), switch.clone()));
        let tokens: Arc<dyn TokenVerifier> = Arc::new(NamesAsTokens);
        let telemetry = Telemetry::default();
        let ports = AuthPorts {
            directory: switched.clone(),
            limiter: limiter.clone(),
            tokens: setup.takes_tokens.then_some(tokens),
            audit: AuditLog::start(switched, telemetry.clone()),
            rule: setup.rule,
            clock: clock.clone(),
            telemetry: telemetry.clone(),
        };
        let limits = AuthLimits {
            gate: setup.gate,
            deadline: setup.deadline,
            floor: setup.floor,
        };
        Self {
            directory,
            probe,
            switch,
            limiter,
            clock,
            telemetry,
            authenticator: Arc::new(Authenticator::open(ports, limits).await.unwrap()),
        }
    }

    pub(crate) async fn id(&self, name: &str) -> AccountId {
        self.directory.account(&parsed(name)).await.unwrap().unwrap().id
    }

    /// The directory's own view of an account, past the probe and the switch.
    pub(crate) async fn credentials(&self, name: &str) -> Credentials {
        self.directory.credentials(&parsed(name)).await.unwrap().unwrap()
    }

    pub(crate) async fn verify(&self, claim: Claim) -> Result<AccountId, &'static str> {
        self.verify_on(claim, &context()).await
    }

    pub(crate) async fn verify_on(
        &self,
        claim: Claim,
        context: &LoginContext,
    ) -> Result<AccountId, &'static str> {
        told(&self.authenticator.verify(claim, None, context).await)
    }

    pub(crate) async fn log_in(&self, name: &str, password: &[u8]) -> Result<AccountId, &'static str> {
        self.verify(claim(name, password)).await
    }

    pub(crate) async fn granted(&self, name: &str, password: &[u8]) -> Box<Authenticated> {
        let claim = claim(name, password);
        match self.authenticator.verify(claim, None, &context()).await {
            Verdict::Granted(authenticated) => authenticated,
            other => panic!("{name}: {other:?}"),
        }
    }

    pub(crate) async fn set(&self, name: &str, patch: AccountPatch) {
        self.directory.set_account(&parsed(name), patch).await.unwrap();
    }

    /// Sets a password as it is stored, without SCRAM keys.
    pub(crate) async fn store(&self, name: &str, hash: &str) {
        let password = NewPassword {
            hash: Secret::new(hash.to_owned()),
            scram: None,
        };
        let patch = AccountPatch {
            password: Some(password),
            ..AccountPatch::default()
        };
        self.set(name, patch).await;
    }

    pub(crate) async fn set_policy(&self, tenant: &str, change: impl FnOnce(&mut Policy)) {
        set_policy(&self.directory, tenant, change).await;
    }

    pub(crate) async fn add_alias(&self, address: &str, account: &str, may_log_in: bool) {
        let alias = Alias {
            address: parsed(address),
            account: parsed(account),
            may_log_in,
        };
        self.directory.add_alias(alias).await.unwrap();
    }

    /// What is known on a connection that belongs to a tenant.
    pub(crate) async fn on_the_connection_of(&self, tenant: &str) -> LoginContext {
        let tenant = self.directory.tenant(tenant).await.unwrap().unwrap();
        LoginContext {
            scope: Scope {
                tenant: Some(tenant.id),
                default_domain: Some(format!("{}.example", tenant.name).into()),
                policy: Some(Arc::new(tenant.policy)),
            },
            ..context()
        }
    }

    /// The records of logins so far, oldest first.
    pub(crate) async fn logins(&self) -> Vec<AuditRecord> {
        self.authenticator.flush_audit(PATIENCE).await;
        let filter = AuditFilter {
            limit: 10_000,
            ..AuditFilter::default()
        };
        let entries = self.directory.audit(filter).await.unwrap();
        let records = entries.into_iter().rev().map(|entry| entry.record);
        records
            .filter(|record| matches!(record.action, AuditAction::Login | AuditAction::LoginRefused))
            .collect()
    }
}

pub(crate) async fn add_tenant(directory: &MemoryDirectory, tenant: &str, domain: &str) -> TenantId {
    let added = directory.add_tenant(tenant, "memory").await.unwrap();
    directory.add_domain(tenant, domain).await.unwrap();
    set_policy(directory, tenant, |_| {}).await;
    added.id
}

pub(crate) async fn add_account(directory: &MemoryDirectory, name: &str) -> AccountId {
    let password = Password::prepare(PASSWORD).unwrap();
    let account = NewAccount {
        name: parsed(name),
        password: Some(NewPassword::make(&password, &quick_rule(), true).unwrap()),
        quota_octets: None,
        quota_messages: None,
    };
    directory.add_account(account).await.unwrap().id
}

/// Every mechanism and one token issuer, but for what `change` changes.
async fn set_policy(directory: &MemoryDirectory, tenant: &str, change: impl FnOnce(&mut Policy)) {
    let mut policy = Policy {
        mechanisms: LoginMechanism::ALL.to_vec(),
        oauth: vec![OauthProvider {
            issuer: "https://id.example".to_owned(),
            audiences: vec!["mail".to_owned()],
            name_claim: "email".to_owned(),
            scope: None,
            check: TokenCheck::Keys {
                jwks_url: "https://id.example/keys".to_owned(),
            },
        }],
        ..Policy::default()
    };
    change(&mut policy);
    let patch = TenantPatch {
        policy: Some(policy),
        ..TenantPatch::default()
    };
    directory.set_tenant(tenant, patch).await.unwrap();
}

pub(crate) fn parsed(name: &str) -> LoginName {
    LoginName::parse(name).unwrap()
}

pub(crate) fn context() -> LoginContext {
    LoginContext {
        scope: Scope::default(),
        client: ClientAddr::new("192.0.2.7:4711".parse().unwrap()),
        transport: Transport::Tls13,
        session: SESSION,
        certificate_names: Vec::new(),
    }
}

pub(crate) fn claim(name: &str, password: &[u8]) -> Claim {
    Claim::Password {
        name: name.as_bytes().to_vec(),
        password: Secret::new(password.to_vec()),
        mechanism: LoginMechanism::Plain,
    }
}

pub(crate) fn bearer(name: Option<&str>, token: &str) -> Claim {
    Claim::Bearer {
        name: name.map(|name| name.as_bytes().to_vec()),
        token: Secret::new(token.to_owned()),
        mechanism: LoginMechanism::OauthBearer,
    }
}

pub(crate) fn external(authzid: Option<&str>) -> Claim {
    Claim::External {
        authzid: authzid.map(|name| name.as_bytes().to_vec()),
    }
}

/// Whose account was granted, or which other verdict it was.
pub(crate) fn told(verdict: &Verdict) -> Result<AccountId, &'static str> {
    match verdict {
        Verdict::Granted(authenticated) => Ok(Authenticated::account(authenticated).id),
        Verdict::Refused => Err("refused"),
        Verdict::Busy => Err("busy"),
        Verdict::Unavailable => Err("unavailable"),
    }
}
