//! Runs the oracle `session` on any script.
#![no_main]
// The tests use more of this world than the oracle does.
#![allow(dead_code)]

#[path = "../../tests/it/oracle.rs"]
mod oracle;
#[path = "../../tests/it/world.rs"]
mod world;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::session(data));
