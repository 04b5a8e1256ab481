//! Who is this, may they, how often may they try.
//!
//! Knows no protocol and no database. Start at [`Authenticator`] for logins, at [`Directory`] for look-ups.

mod audit;
mod audit_log;
mod authenticator;
mod directory;
mod fallback;
mod gate;
mod keyring;
mod limiter;
mod memory;
mod memory_limiter;
mod name;
pub mod password;
mod policy;
mod tenants;
mod token;
mod turnstile;
mod verify_cache;

pub use audit::{Actor, AuditAction, AuditEntry, AuditFilter, AuditRecord};
pub use audit_log::AuditLog;
pub use authenticator::{
    AuthLimits, AuthPorts, AuthSetupError, Authenticated, Authenticator, LoginContext, ScramTicket, Verdict,
};
pub use directory::{
    Account, AccountPatch, AccountState, Alias, AppCredential, AppPasswordId, AppPasswordInfo, AppScope,
    CertificateId, Credentials, Directory, DirectoryAdmin, DirectoryError, DirectoryErrorKind, Domain,
    LiveLogin, LoginNote, NewAccount, NewAppPassword, NewCertificate, NewPassword, Page, Recipient, Roster,
    Standing, StoredCertificate, Tenant, TenantPatch,
};
pub use fallback::FallbackLimiter;
pub use gate::{GateLimits, GateLoad};
pub use keyring::{Keyring, KeyringError};
pub use limiter::{
    Admission, Attempt, AttemptLimiter, Limiter, LimiterLost, NameKey, PLACE_LEASE, UsageLimiter,
};
pub use memory::MemoryDirectory;
pub use memory_limiter::{MemoryLimiter, pacing};
pub use name::{LoginName, NameError};
pub use policy::{OauthProvider, Policy, TlsRequirement, TokenCheck, Transport};
pub use tenants::{Extremes, Scope, TenantTable};
pub use token::{TokenError, TokenVerifier};
