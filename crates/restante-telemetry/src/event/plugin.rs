//! Storage plugins at work.

use std::time::Duration;

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry};

/// A call into a plugin ended.
#[derive(Clone, Copy, Debug)]
pub struct PluginCalled<'a> {
    /// The plugin's name in the configuration.
    pub plugin: &'a str,
    /// The function of its world.
    pub function: &'static str,
    /// `ok`, or what went wrong.
    pub result: &'static str,
    /// How long it took.
    pub elapsed: Duration,
}

impl InternalEvent for PluginCalled<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let (metrics, call) = (telemetry.metrics(), [self.plugin, self.function]);
        metrics.count(
            Counter::PluginCalls,
            &[self.plugin, self.function, self.result],
            1,
        );
        metrics.observe(Histogram::PluginSeconds, &call, self.elapsed);
    }
}

/// A call that was not made, or whose answer was not taken. It has no time of its own.
#[derive(Clone, Copy, Debug)]
pub struct PluginPassedOver<'a> {
    /// The plugin's name in the configuration.
    pub plugin: &'a str,
    /// What was to be done.
    pub function: &'static str,
    /// `busy`, `resting` or `nonsense`.
    pub result: &'static str,
}

impl InternalEvent for PluginPassedOver<'_> {
    fn emit(self, telemetry: &Telemetry) {
        telemetry.count(Counter::PluginCalls, &[self.plugin, self.function, self.result]);
    }
}

/// An instance of a plugin was thrown away.
#[derive(Clone, Copy, Debug)]
pub struct InstanceDropped<'a> {
    /// The plugin's name in the configuration.
    pub plugin: &'a str,
    /// Why.
    pub cause: &'static str,
}

impl InternalEvent for InstanceDropped<'_> {
    fn emit(self, telemetry: &Telemetry) {
        telemetry.count(Counter::PluginInstancesDropped, &[self.plugin, self.cause]);
    }
}

/// A plugin logged more than it may.
#[derive(Clone, Copy, Debug)]
pub struct LogLinesDropped<'a> {
    /// The plugin's name in the configuration.
    pub plugin: &'a str,
    /// Lines that were not written.
    pub n_dropped: u64,
}

impl InternalEvent for LogLinesDropped<'_> {
    fn emit(self, telemetry: &Telemetry) {
        telemetry
            .metrics()
            .count(Counter::PluginLogLinesDropped, &[self.plugin], self.n_dropped);
    }
}

/// A version of a plugin was taken over from the registry, or could not be.
#[derive(Clone, Copy, Debug)]
pub struct PluginLoaded<'a> {
    /// The plugin's name in the configuration.
    pub plugin: &'a str,
    /// Whether it is in force.
    pub is_loaded: bool,
}

impl InternalEvent for PluginLoaded<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let result = if self.is_loaded { "ok" } else { "failed" };
        telemetry.count(Counter::PluginLoads, &[self.plugin, result]);
    }
}
