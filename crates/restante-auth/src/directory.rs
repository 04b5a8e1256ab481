//! The directory: tenants, their domains, their accounts.

use std::fmt::{Debug, Display};
use std::time::Duration;

use async_trait::async_trait;
use restante_types::{AccountId, DomainId, Octets, Secret, TenantId};

use crate::LoginName;

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

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// What an account may do.
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
    /// How long a deleted message can be brought back.
    pub retention: Duration,
    /// Quota of each account that has none of its own; `None` is no limit.
    pub quota_octets: Option<Octets>,
    /// The same for the number of messages.
    pub quota_messages: Option<u64>,
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
    /// Its own quota; `None` takes the tenant's.
    pub quota_octets: Option<Octets>,
    /// The same for the number of messages.
    pub quota_messages: Option<u64>,
    /// Which configured storage takes its new mail: its tenant's choice.
    pub storage: String,
}

/// A user with what is needed to verify a login.
#[derive(Debug)]
pub struct Credentials {
    /// The user.
    pub account: Account,
    /// The password's hash: a PHC string (argon2id). `None`: no password opens this account.
    pub password: Option<Secret<String>>,
    /// Grows whenever a credential changes.
    pub version: i64,
}

/// Answers who a name is. Asked at every login and every recipient.
#[async_trait]
pub trait Directory: Display + Debug + Send + Sync {
    /// The account that logs in with this name, and its credentials. The answer's own `name` is compared with the
    /// question by the caller, so that an answer to another question is never taken.
    ///
    /// # Errors
    /// `Unavailable`: nothing can be said about the name.
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError>;

    /// The account that receives mail for this address.
    ///
    /// # Errors
    /// `Unavailable`: nothing can be said about the address.
    async fn recipient(&self, address: &LoginName) -> Result<Option<Account>, DirectoryError>;
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
    /// The password's hash: a PHC string.
    pub password: Option<Secret<String>>,
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
    /// The new password's hash: a PHC string.
    pub password: Option<Secret<String>>,
    /// Its own quota in octets; `Some(None)` takes the tenant's.
    pub quota_octets: Option<Option<Octets>>,
    /// Its own quota in messages; `Some(None)` takes the tenant's.
    pub quota_messages: Option<Option<u64>>,
}

/// Changes the directory: behind the command line and the admin interface.
///
/// Every call is atomic and durable. Keys of removed accounts are never used again. Errors name the thing and say
/// what to do.
#[async_trait]
pub trait DirectoryAdmin: Directory {
    /// Adds a tenant with default policy and the storage `storage`. `Exists` if the name is taken.
    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant, DirectoryError>;
    /// A tenant by name.
    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, DirectoryError>;
    /// Tenants in the order of their names.
    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>, DirectoryError>;
    /// Changes a tenant. `NotFound` if there is none.
    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant, DirectoryError>;
    /// Removes a tenant. `InUse` while it has domains.
    async fn remove_tenant(&self, name: &str) -> Result<(), DirectoryError>;

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
    /// Removes an account; its messages become tombstones and their blobs are collected after the retention.
    async fn remove_account(&self, name: &LoginName) -> Result<(), DirectoryError>;
}
