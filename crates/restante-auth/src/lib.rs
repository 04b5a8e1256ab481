//! Who is this, may they, how often may they try.
//!
//! Knows no protocol and no database. Start at [`Authenticator`] for logins, at [`Directory`] for look-ups.

mod authenticator;
mod directory;
mod gate;
mod memory;
mod name;
mod pace;
pub mod password;

pub use authenticator::{AuthLimits, Authenticated, Authenticator, Verdict};
pub use directory::{
    Account, AccountPatch, AccountState, Credentials, Directory, DirectoryAdmin, DirectoryError,
    DirectoryErrorKind, Domain, NewAccount, Page, Tenant, TenantPatch,
};
pub use gate::{GateBusy, GateLimits, HashGate};
pub use memory::MemoryDirectory;
pub use name::{LoginName, NameError};
