//! The audit: who did what, when, from where. Append-only, without secrets.

use std::net::IpAddr;
use std::time::SystemTime;

use restante_types::{AccountId, SessionId, TenantId};

/// On whose behalf the directory is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who, in words: `system`, `operator:root`, later the name of an administrator's token. At most 200 octets.
    pub name: String,
    /// The tenant whose own administrator this is: nothing of other tenants can be read or changed. `None`: the
    /// provider, who may everything.
    pub tenant: Option<TenantId>,
}

impl Actor {
    /// The server itself.
    pub fn system() -> Self {
        Self {
            name: "system".to_owned(),
            tenant: None,
        }
    }
}

/// What was done. Closed, so that an audit can be searched.
macro_rules! actions {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)+) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AuditAction { $($(#[doc = $doc])* $variant,)+ }

        impl AuditAction {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in the directory and the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The action of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.as_str() == name)
            }
        }
    };
}

actions! {
    /// A login was granted.
    Login = "login",
    /// A login was evaluated and refused.
    LoginRefused = "login-refused",
    /// A live session was ended because its account, tenant or credential no longer admits it.
    SessionEnded = "session-ended",
    /// An operator ended a live session, or freed a maildrop whose session could not.
    SessionKicked = "session-kicked",
    /// Deleted messages were brought back.
    MessagesRestored = "messages-restored",
    /// Messages were moved to another storage.
    MessagesMoved = "messages-moved",
    /// A stored password was hashed anew at a login, because the old hash was weaker than the present rule.
    PasswordRehashed = "password-rehashed",
    /// A tenant was added.
    TenantAdded = "tenant-added",
    /// A tenant was changed.
    TenantChanged = "tenant-changed",
    /// A tenant was removed.
    TenantRemoved = "tenant-removed",
    /// A tenant's policy was changed.
    PolicyChanged = "policy-changed",
    /// A name of a server was bound to a tenant.
    ServerNameAdded = "server-name-added",
    /// A name of a server was taken from a tenant.
    ServerNameRemoved = "server-name-removed",
    /// A domain was added.
    DomainAdded = "domain-added",
    /// A domain was moved to another tenant.
    DomainChanged = "domain-changed",
    /// A domain was removed.
    DomainRemoved = "domain-removed",
    /// An account was added.
    AccountAdded = "account-added",
    /// An account was changed; the detail says what.
    AccountChanged = "account-changed",
    /// An account was removed.
    AccountRemoved = "account-removed",
    /// An alias was added.
    AliasAdded = "alias-added",
    /// An alias was removed.
    AliasRemoved = "alias-removed",
    /// An application password was added.
    AppPasswordAdded = "app-password-added",
    /// An application password was revoked.
    AppPasswordRevoked = "app-password-revoked",
    /// A certificate was added.
    CertificateAdded = "certificate-added",
    /// A certificate was removed.
    CertificateRemoved = "certificate-removed",
    /// A storage plugin was installed, or another version of it.
    PluginInstalled = "plugin-installed",
    /// A storage plugin was enabled, disabled or put back to its previous version.
    PluginChanged = "plugin-changed",
    /// A storage plugin was removed.
    PluginRemoved = "plugin-removed",
}

/// One line of the audit. Nothing in it is a secret, and no name that only a stranger said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: SystemTime,
    /// Who: an [`Actor`]'s name, or `client` for logins.
    pub actor: String,
    /// What.
    pub action: AuditAction,
    /// To which tenant.
    pub tenant: Option<TenantId>,
    /// To which account.
    pub account: Option<AccountId>,
    /// In which session.
    pub session: Option<SessionId>,
    /// From where.
    pub client: Option<IpAddr>,
    /// What it was about, in words: the name of the thing, which fields changed, how a login was made. At most 1,000
    /// octets.
    pub detail: String,
}

/// A line of the audit with its key, which grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The key; later lines have larger ones.
    pub id: i64,
    /// The line.
    pub record: AuditRecord,
}

/// Which lines to show, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of this tenant only.
    pub tenant: Option<TenantId>,
    /// Of this account only.
    pub account: Option<AccountId>,
    /// Of this kind only.
    pub action: Option<AuditAction>,
    /// Only lines with a smaller key: the next page.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}
