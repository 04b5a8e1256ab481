//! Names and verdicts, as the services see them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod app_password_logins;
mod app_passwords;
mod audit;
mod cached_logins;
mod cancelled_logins;
mod keyring;
mod limits;
mod names;
mod observed;
mod passwords;
mod refusals;
mod rehash;
mod scram_logins;
mod tenants;
mod token_logins;
mod world;
