//! Broken memory back-ends: for every promise one that breaks it, and the cases that must notice.
//!
//! A case that no longer bites has lost its teeth; a mutant that nobody bites is a promise that nobody checks.

#![allow(clippy::unwrap_used, reason = "a mutant that cannot work fails its test")]
#![allow(clippy::unused_async, reason = "a suite opens its fixtures asynchronously")]

#[path = "../fixture/mod.rs"]
mod fixture;

mod blob_store;
mod custody;
mod directory;
mod foreign_maildrops;
mod key_value;
mod lock_manager;
mod mail_index;

/// Fails unless every one of `expected` is among the cases that noticed.
#[track_caller]
fn assert_bitten(bitten: &[&str], expected: &[&str]) {
    assert!(!expected.is_empty());
    for case in expected {
        assert!(
            bitten.contains(case),
            "{case} did not notice; noticed by {bitten:?}"
        );
    }
}
