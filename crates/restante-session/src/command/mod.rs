//! Commands whose answer takes more than a line or two of code, a file each. Which command is valid in which state
//! stands in the states: `authorization.rs` and `transaction.rs`.

pub(crate) mod auth;
pub(crate) mod capa;
pub(crate) mod lang;
pub(crate) mod list;
