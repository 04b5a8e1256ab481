//! Names and verdicts, as the services see them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod logins;
mod names;
