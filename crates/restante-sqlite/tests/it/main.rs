//! The crate as its users see it: opening, several processes, sudden death, large maildrops.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod directory;
mod killed;
mod large;
mod opening;
mod processes;
mod scene;
mod upgrading;
