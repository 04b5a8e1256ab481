//! The crate as its users see it: opening, poolers, faults on the way, races, large maildrops.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod faults;
mod forgetting;
mod large;
mod leases;
mod opening;
mod pooler;
mod proxy;
mod race;
#[path = "../scene/mod.rs"]
mod scene;
mod upgrading;
