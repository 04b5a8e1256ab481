//! Who is this, may they, how often may they try.
//!
//! Knows no protocol and no database. Start at `Authenticator` for logins, at [`Directory`] for look-ups.

mod directory;
mod name;

pub use directory::{
    Account, AccountPatch, AccountState, Credentials, Directory, DirectoryAdmin, DirectoryError,
    DirectoryErrorKind, Domain, NewAccount, Page, Tenant, TenantPatch,
};
pub use name::{LoginName, NameError};
