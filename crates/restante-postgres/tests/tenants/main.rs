//! What keeps tenants apart in Postgres, what a login costs, and how soon a change is known: what the cases that every
//! directory passes cannot see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod cost;
mod locks;
mod logins;
#[path = "../scene/mod.rs"]
mod scene;
mod views;
mod watch;
mod world;
