//! The mechanisms from outside: their RFCs' examples, another implementation as the client, and clients that break
//! the rules.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver;
mod garbage;
mod oauth;
mod registry;
mod rsasl_client;
mod scram;
mod scram_faults;
