//! Calls to storages.

use std::time::Duration;

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry};

/// A call to a storage, or to the index, ended.
#[derive(Clone, Copy, Debug)]
pub struct StorageCalled<'a> {
    /// `index`, or the name in the configuration.
    pub storage: &'a str,
    /// The method.
    pub operation: &'static str,
    /// `ok`, `dropped`, or the kind of its error.
    pub result: &'static str,
    /// How long it took.
    pub elapsed: Duration,
    /// Octets of messages that were moved.
    pub octets: u64,
}

/// The octets that a storage gave were compared with what was delivered.
#[derive(Clone, Copy, Debug)]
pub struct BodyVerified<'a> {
    /// The storage's name in the configuration.
    pub storage: &'a str,
    /// Whether they are the same.
    pub is_whole: bool,
}

impl InternalEvent for BodyVerified<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let result = if self.is_whole { "ok" } else { "damaged" };
        let labels = [self.storage, "verify", result];
        telemetry.metrics().count(Counter::StorageCalls, &labels, 1);
    }
}

impl InternalEvent for StorageCalled<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let (metrics, call) = (telemetry.metrics(), [self.storage, self.operation]);
        metrics.count(
            Counter::StorageCalls,
            &[self.storage, self.operation, self.result],
            1,
        );
        metrics.observe(Histogram::StorageSeconds, &call, self.elapsed);
        if self.octets > 0 {
            metrics.count(Counter::StorageOctets, &call, self.octets);
        }
    }
}
