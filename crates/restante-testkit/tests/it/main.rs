//! What tests rely on when they use the fixtures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod controls;
mod fault_proxy;
mod identity_provider;
mod leftovers;
