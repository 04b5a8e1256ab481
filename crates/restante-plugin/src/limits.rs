//! How much a plugin may take.

use std::time::Duration;

/// Limits of a plugin's instances. The defaults suit plugins in Rust and C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of an instance, in octets. More is refused to the plugin, which most languages answer by a trap.
    pub memory: usize,
    /// Elements of all tables of an instance.
    pub table_elements: usize,
    /// Instances of one tenant at the same time: calls above wait.
    pub instances: usize,
    /// How long a call waits for a free instance.
    pub wait: Duration,
    /// How long a call may take in all.
    pub call: Duration,
    /// How long of this it may compute.
    pub computing: Duration,
    /// After so many uses an instance is replaced.
    pub uses: u64,
    /// After so long an instance is replaced.
    pub age: Duration,
    /// After it has moved so many octets an instance is replaced: some languages' run-times leak what they return.
    pub octets: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            memory: 64 * MIB,
            table_elements: 50_000,
            instances: 16,
            wait: Duration::from_secs(5),
            call: Duration::from_secs(10),
            computing: Duration::from_secs(2),
            uses: 1_000,
            age: Duration::from_mins(10),
            octets: 256 * 1024 * 1024,
        }
    }
}
