//! The directory: tenants, their domains, their accounts.

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use ipnet::IpNet;
use restante_types::{AccountId, DomainId, Octets, Secret, TenantId};
use tokio::sync::watch;

use crate::password::{self, HashError, Password, Rule, SCRAM_ITERATIONS, ScramKeys};
use crate::{Actor, AuditEntry, AuditFilter, AuditRecord, LoginName, Policy};

/// What kind of trouble a directory call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryErrorKind {
    /// The name is taken.
    Exists,
    /// There is nothing of that name.
    NotFound,
    /// It still has something in it: a tenant with domains, a domain with accounts.
    InUse,
    /// The stored data or the request is wrong.
    Invalid,
    /// This directory is not ours to change, or not for this actor.
    NotPermitted,
    /// The directory cannot be asked now.
    Unavailable,
}

/// A failed directory call. The text is for operators and holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DirectoryError {
    /// What kind of trouble it is.
    pub kind: DirectoryErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DirectoryError {
    /// An error in words: what was asked, what is wrong, what to do.
    pub fn new(kind: DirectoryErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The directory cannot be asked now, in words.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(DirectoryErrorKind::Unavailable, message)
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// What an account, or every account of a tenant, may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountState {
    /// Logs in and receives.
    #[default]
    Active,
    /// Receives, but cannot log in.
    LoginSuspended,
    /// Logs in, but receives nothing: senders are told to try later.
    ReceiveSuspended,
    /// Logs in and reads, but deletes nothing and receives nothing.
    ReadOnly,
    /// Neither logs in nor receives; kept until removed.
    Closed,
}

impl AccountState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::LoginSuspended,
        Self::ReceiveSuspended,
        Self::ReadOnly,
        Self::Closed,
    ];

    /// The name in the command line and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::LoginSuspended => "login-suspended",
            Self::ReceiveSuspended => "receive-suspended",
            Self::ReadOnly => "read-only",
            Self::Closed => "closed",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the account may log in.
    pub const fn may_log_in(self) -> bool {
        matches!(self, Self::Active | Self::ReceiveSuspended | Self::ReadOnly)
    }

    /// Whether the account may delete messages.
    pub const fn may_delete(self) -> bool {
        matches!(self, Self::Active | Self::ReceiveSuspended)
    }

    /// Whether mail for the account is taken.
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::Active | Self::LoginSuspended)
    }
}

/// A customer of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its key.
    pub id: TenantId,
    /// Its name in the command line: 1 to 63 of a-z, 0-9 and `-`.
    pub name: String,
    /// Which configured storage takes its new mail.
    pub storage: String,
    /// What its accounts may do at most; of this and the account's own state the stricter holds.
    pub state: AccountState,
    /// The domain of a login name without one, where the tenant is known by the listener or the server's name. One of
    /// its own domains.
    pub default_domain: Option<String>,
    /// Names of the server (SNI) that belong to it, in order: clients that ask for one of them are its users. Lower
    /// case A-labels.
    pub server_names: Vec<String>,
    /// How long a deleted message can be brought back; zero expunges at once.
    pub retention: Duration,
    /// Quota of each account that has none of its own; `None` is no limit.
    pub quota_octets: Option<Octets>,
    /// The same for the number of messages.
    pub quota_messages: Option<u64>,
    /// Its rules for logins and sessions.
    pub policy: Policy,
}

/// A mail domain of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its key.
    pub id: DomainId,
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// The domain as A-labels.
    pub name: String,
}

/// A user, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its key.
    pub id: AccountId,
    /// The name it logs in with and receives under.
    pub name: LoginName,
    /// What it may do.
    pub state: AccountState,
    /// What all accounts of its tenant may do at most.
    pub tenant_state: AccountState,
    /// Its own quota; `None` takes the tenant's.
    pub quota_octets: Option<Octets>,
    /// The same for the number of messages.
    pub quota_messages: Option<u64>,
    /// Which configured storage takes its new mail: its tenant's choice.
    pub storage: String,
}

impl Account {
    /// Whether it may log in, by its own and its tenant's state.
    pub const fn may_log_in(&self) -> bool {
        self.state.may_log_in() && self.tenant_state.may_log_in()
    }

    /// Whether it may delete messages, by its own and its tenant's state.
    pub const fn may_delete(&self) -> bool {
        self.state.may_delete() && self.tenant_state.may_delete()
    }

    /// Whether mail for it is taken, by its own and its tenant's state.
    pub const fn may_receive(&self) -> bool {
        self.state.may_receive() && self.tenant_state.may_receive()
    }
}

/// A user with what is needed to verify a login, from one look-up.
#[derive(Debug)]
pub struct Credentials {
    /// The name that was asked for, as the directory found it: the account's own, or an alias that may log in.
    pub asked: LoginName,
    /// The user.
    pub account: Account,
    /// The password's hash: a PHC string, or a `{SCHEME}` string from an import. `None`: no password opens this
    /// account.
    pub password: Option<Secret<String>>,
    /// Its SCRAM-SHA-256 keys, as [`ScramKeys`](crate::password::ScramKeys) writes them.
    pub scram: Option<Secret<String>>,
    /// Grows whenever the password or its keys change.
    pub version: i64,
    /// Its application passwords that are not revoked, at most 100.
    pub app_passwords: Vec<AppCredential>,
    /// Its tenant's rules.
    pub policy: Policy,
}

/// Who receives mail for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address that was asked for, as the directory found it: the account's own, or an alias.
    pub asked: LoginName,
    /// The user.
    pub account: Account,
}

/// What verifies one application password.
#[derive(Debug)]
pub struct AppCredential {
    /// Its key.
    pub id: AppPasswordId,
    /// As [`AppPassword`](crate::password::AppPassword) writes it.
    pub verifier: Secret<String>,
    /// What it opens.
    pub scope: AppScope,
    /// From where alone it is good; empty is from everywhere.
    pub networks: Vec<IpNet>,
    /// Until when it is good.
    pub expires_at: Option<SystemTime>,
    /// When it was last good, to within some minutes.
    pub last_used_at: Option<SystemTime>,
}

/// The key of an application password. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppPasswordId(pub i64);

/// What an application password opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppScope {
    /// The maildrop, as the account's own password does.
    #[default]
    Full,
    /// The maildrop for reading; nothing can be deleted.
    ReadOnly,
}

impl AppScope {
    /// All scopes.
    pub const ALL: [Self; 2] = [Self::Full, Self::ReadOnly];

    /// The name in the command line and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
        }
    }

    /// The scope of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// An application password, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPasswordInfo {
    /// Its key.
    pub id: AppPasswordId,
    /// What its owner calls it: 1 to 100 octets.
    pub label: String,
    /// What it opens.
    pub scope: AppScope,
    /// From where alone it is good; empty is from everywhere.
    pub networks: Vec<IpNet>,
    /// When it was made.
    pub created_at: SystemTime,
    /// Until when it is good.
    pub expires_at: Option<SystemTime>,
    /// When it was last good, to within some minutes.
    pub last_used_at: Option<SystemTime>,
}

/// An application password to be.
#[derive(Debug)]
pub struct NewAppPassword {
    /// What its owner calls it: 1 to 100 octets.
    pub label: String,
    /// What verifies it.
    pub verifier: Secret<String>,
    /// What it opens.
    pub scope: AppScope,
    /// From where alone it is good; empty is from everywhere.
    pub networks: Vec<IpNet>,
    /// Until when it is good.
    pub expires_at: Option<SystemTime>,
}

/// A second address of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The address; no account and no other alias has it.
    pub address: LoginName,
    /// The account, of the same tenant as the address's domain.
    pub account: LoginName,
    /// Whether it is also a login name. If not, it only receives.
    pub may_log_in: bool,
}

/// What a login leaves behind in the directory.
#[derive(Clone, Copy, Debug)]
pub struct LoginNote {
    /// Who logged in.
    pub account: AccountId,
    /// The least time between two logins; zero is none.
    pub delay: Duration,
    /// How many may come at once before it holds.
    pub burst: u32,
    /// The application password that was used and whose last use is to be written down.
    pub app_password: Option<AppPasswordId>,
}

/// A live session's login, to ask whether it still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LiveLogin {
    /// Who logged in.
    pub account: AccountId,
    /// With which application password, if with one.
    pub app_password: Option<AppPasswordId>,
}

/// Whether a live session may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it is.
    Good,
    /// For reading only.
    ReadOnly,
    /// Not at all: suspended, closed, removed, or its application password revoked or expired.
    Ended,
}

/// What every frontend knows of all tenants beforehand: whose server a name is, what to announce, which certificates
/// to show.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Grows with every change of what stands here.
    pub revision: i64,
    /// All tenants.
    pub tenants: Vec<Tenant>,
    /// All certificates of tenants, in the order in which they were added.
    pub certificates: Vec<StoredCertificate>,
}

/// A certificate of a tenant, with its private key under seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCertificate {
    /// Its key.
    pub id: CertificateId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which of the tenant's server names it serves. Of several certificates for one name the one added last is shown.
    pub server_names: Vec<String>,
    /// The certificate and its chain, PEM.
    pub chain: String,
    /// The private key, sealed by [`Keyring::seal`](crate::Keyring::seal).
    pub sealed_key: Vec<u8>,
    /// When it ends.
    pub not_after: SystemTime,
}

/// The key of a certificate. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateId(pub i64);

/// A certificate to be.
#[derive(Debug)]
pub struct NewCertificate {
    /// Which of the tenant's server names it serves: at least one, all bound to the tenant already.
    pub server_names: Vec<String>,
    /// The certificate and its chain, PEM.
    pub chain: String,
    /// The private key, sealed.
    pub sealed_key: Vec<u8>,
    /// When it ends.
    pub not_after: SystemTime,
}

/// Answers who a name is. Asked at every login and every recipient.
#[async_trait]
pub trait Directory: Display + Debug + Send + Sync {
    /// The account that logs in with this name, and its credentials: one look-up. The answer's `asked` is compared
    /// with the question by the caller, so that an answer to another question is never taken.
    ///
    /// # Errors
    /// `Unavailable`: nothing can be said about the name.
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError>;

    /// The account that receives mail for this address: its own or an alias's. The answer's `asked` is compared with the
    /// question by the caller.
    ///
    /// # Errors
    /// `Unavailable`: nothing can be said about the address.
    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError>;

    /// Writes down that a verified client has opened its maildrop. `false` if the account logged in too short a while
    /// ago, by the directory's own clock: then nothing is written. One atomic step, so that the delay holds over all
    /// frontends.
    ///
    /// # Errors
    /// `Unavailable`: it is not known whether it was written.
    async fn note_login(&self, note: &LoginNote) -> Result<bool, DirectoryError>;

    /// Replaces a password's hash and SCRAM keys by others of the same password, unless `version` is no longer the
    /// account's. Answers whether it was done. Counts the version up.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn upgrade(
        &self,
        account: AccountId,
        version: i64,
        password: NewPassword,
    ) -> Result<bool, DirectoryError>;

    /// Whether live sessions may go on, in the order of `logins`, at most 1,000 of them.
    ///
    /// # Errors
    /// `Unavailable`: all go on until it can be said.
    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>, DirectoryError>;

    /// What is known of all tenants beforehand; `None` if it is still that of `known`.
    ///
    /// # Errors
    /// `Unavailable`: what was known stays in force.
    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>, DirectoryError>;

    /// Changes its value soon after something of [`Self::standing`] or [`Self::roster`] may have changed. It may miss
    /// changes: whoever needs them asks every 20 seconds besides.
    fn changes(&self) -> watch::Receiver<u64>;

    /// A secret of this installation, the same for all frontends and for ever: makes up the salts of unknown users
    /// (RFC 5802 section 9).
    ///
    /// # Errors
    /// `Unavailable`.
    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>, DirectoryError>;

    /// Appends to the audit.
    ///
    /// # Errors
    /// `Unavailable`: none was appended.
    async fn record(&self, records: &[AuditRecord]) -> Result<(), DirectoryError>;
}

/// A password, ready to be stored.
#[derive(Debug)]
pub struct NewPassword {
    /// Its hash: a PHC string, or a `{SCHEME}` string from an import.
    pub hash: Secret<String>,
    /// Its SCRAM-SHA-256 keys, where the tenant's policy wants them.
    pub scram: Option<Secret<String>>,
}

impl NewPassword {
    /// Hashes a password by the present rule, and derives its SCRAM keys if they are wanted. Takes tens of
    /// milliseconds of a core.
    ///
    /// # Errors
    /// [`HashError`]: the rule's parameters are past the limits, or the system gives no random octets.
    pub fn make(password: &Password, rule: &Rule, scram: bool) -> Result<Self, HashError> {
        let keys = scram
            .then(|| ScramKeys::derive(password, SCRAM_ITERATIONS))
            .transpose()?;
        Ok(Self {
            hash: password::hash(password, rule)?,
            scram: keys.map(|keys| keys.to_text()),
        })
    }
}

/// A page of a long list, in the order of names.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Only names after this one.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// What to change in a tenant; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct TenantPatch {
    /// What its accounts may do at most.
    pub state: Option<AccountState>,
    /// The domain of login names without one; `Some(None)` is none.
    pub default_domain: Option<Option<String>>,
    /// All of its rules.
    pub policy: Option<Policy>,
    /// The storage for new mail.
    pub storage: Option<String>,
    /// How long a deleted message can be brought back.
    pub retention: Option<Duration>,
    /// The accounts' quota in octets; `Some(None)` is no limit.
    pub quota_octets: Option<Option<Octets>>,
    /// The accounts' quota in messages; `Some(None)` is no limit.
    pub quota_messages: Option<Option<u64>>,
}

/// A user to be.
#[derive(Debug)]
pub struct NewAccount {
    /// The name to log in with and receive under; its domain must exist.
    pub name: LoginName,
    /// The password, hashed.
    pub password: Option<NewPassword>,
    /// Its own quota in octets.
    pub quota_octets: Option<Octets>,
    /// Its own quota in messages.
    pub quota_messages: Option<u64>,
}

/// What to change in an account; `None` leaves a thing as it is.
#[derive(Debug, Default)]
pub struct AccountPatch {
    /// What it may do.
    pub state: Option<AccountState>,
    /// The new name, in a domain of the same tenant. The maildrop and its unique-ids stay.
    pub name: Option<LoginName>,
    /// The new password, hashed.
    pub password: Option<NewPassword>,
    /// Its own quota in octets; `Some(None)` takes the tenant's.
    pub quota_octets: Option<Option<Octets>>,
    /// Its own quota in messages; `Some(None)` takes the tenant's.
    pub quota_messages: Option<Option<u64>>,
}

/// Changes the directory: behind the command line and the admin interface.
///
/// Every call is atomic and durable, and stands in the audit by the same transaction. Keys of removed things are never
/// used again. Errors name the thing and say what to do.
#[async_trait]
pub trait DirectoryAdmin: Directory {
    /// The same directory, changed on behalf of `actor`. To a tenant's own administrator other tenants do not exist:
    /// `NotFound`, and lists without them; tenants, server names, policies and certificates are the provider's to
    /// change: `NotPermitted`.
    fn acting(&self, actor: Actor) -> Arc<dyn DirectoryAdmin>;

    /// Adds a tenant with default policy and the storage `storage`. `Exists` if the name is taken.
    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant, DirectoryError>;
    /// A tenant by name.
    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, DirectoryError>;
    /// Tenants in the order of their names.
    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>, DirectoryError>;
    /// Changes a tenant. `NotFound` if there is none.
    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant, DirectoryError>;
    /// Removes a tenant, its server names and its certificates. `InUse` while it has domains.
    async fn remove_tenant(&self, name: &str) -> Result<(), DirectoryError>;
    /// Binds a name of the server (SNI) to a tenant: lower case A-labels. `Exists` if it is bound to any tenant.
    async fn add_server_name(&self, tenant: &str, name: &str) -> Result<Tenant, DirectoryError>;
    /// Takes a server name from its tenant. `InUse` while a certificate of the tenant serves it.
    async fn remove_server_name(&self, tenant: &str, name: &str) -> Result<Tenant, DirectoryError>;

    /// Adds a domain to a tenant. `Exists` if any tenant has it, `NotFound` if there is no such tenant.
    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain, DirectoryError>;
    /// A domain by name.
    async fn domain(&self, name: &str) -> Result<Option<Domain>, DirectoryError>;
    /// Domains in the order of their names, of one tenant or of all.
    async fn domains(&self, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>, DirectoryError>;
    /// Moves a domain without accounts to another tenant. `InUse` while it has accounts.
    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain, DirectoryError>;
    /// Removes a domain. `InUse` while it has accounts.
    async fn remove_domain(&self, name: &str) -> Result<(), DirectoryError>;

    /// Adds an account with an empty maildrop. `Exists` if the name is taken, `NotFound` without its domain.
    async fn add_account(&self, account: NewAccount) -> Result<Account, DirectoryError>;
    /// Accounts in the order of their names, of one domain or of all.
    async fn accounts(&self, domain: Option<&str>, page: Page) -> Result<Vec<Account>, DirectoryError>;
    /// Changes an account. `NotFound` if there is none.
    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account, DirectoryError>;
    /// An account by name, not by an alias.
    async fn account(&self, name: &LoginName) -> Result<Option<Account>, DirectoryError>;
    /// Removes an account, its aliases and its application passwords; its messages become tombstones and their blobs are collected after the retention.
    async fn remove_account(&self, name: &LoginName) -> Result<(), DirectoryError>;

    /// Adds a second address to an account. `Exists` if an account or an alias has it; `Invalid` if its domain belongs
    /// to another tenant than the account.
    async fn add_alias(&self, alias: Alias) -> Result<Alias, DirectoryError>;
    /// Aliases in the order of their addresses, of one account, of one domain or of all.
    async fn aliases(
        &self,
        account: Option<&LoginName>,
        domain: Option<&str>,
        page: Page,
    ) -> Result<Vec<Alias>, DirectoryError>;
    /// Removes an alias.
    async fn remove_alias(&self, address: &LoginName) -> Result<(), DirectoryError>;

    /// Adds an application password. `InUse` if the account has 100.
    async fn add_app_password(
        &self,
        account: &LoginName,
        password: NewAppPassword,
    ) -> Result<AppPasswordInfo, DirectoryError>;
    /// The application passwords of an account, in the order of their keys.
    async fn app_passwords(&self, account: &LoginName) -> Result<Vec<AppPasswordInfo>, DirectoryError>;
    /// Revokes an application password. `NotFound` if this account has none of that key.
    async fn remove_app_password(&self, account: &LoginName, id: AppPasswordId)
    -> Result<(), DirectoryError>;

    /// Adds a certificate. `Invalid` if a name is not bound to the tenant.
    async fn add_certificate(
        &self,
        tenant: &str,
        certificate: NewCertificate,
    ) -> Result<StoredCertificate, DirectoryError>;
    /// The certificates of a tenant or of all, in the order of their keys.
    async fn certificates(&self, tenant: Option<&str>) -> Result<Vec<StoredCertificate>, DirectoryError>;
    /// Removes a certificate. `NotFound` if this tenant has none of that key.
    async fn remove_certificate(&self, tenant: &str, id: CertificateId) -> Result<(), DirectoryError>;

    /// Lines of the audit, newest first.
    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>, DirectoryError>;
}
