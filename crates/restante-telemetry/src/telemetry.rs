//! The handle through which everything is observed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::InternalEvent;
use crate::metric::{Counter, Gauge};
use crate::metrics::Metrics;
use crate::tenants::Tenants;

/// What is observed beyond the closed sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct TelemetrySettings {
    /// Whether tenants have series of their own.
    pub tenants: bool,
    /// After so many tenants the others share `tenant="other"`.
    pub tenant_limit: usize,
}

/// What a pool of connections to the database holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolLoad {
    /// Connections that wait for work.
    pub n_idle: usize,
    /// Connections at work.
    pub n_used: usize,
    /// Connections that there may be.
    pub limit: usize,
}

type Sampler = Box<dyn Fn(&Metrics) + Send + Sync>;

/// Takes events and answers scrapes. Clones share everything.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    tenants: Tenants,
    samplers: Mutex<Vec<Sampler>>,
}

impl Telemetry {
    /// With all metrics at nought, and no export of traces.
    pub fn new(settings: TelemetrySettings) -> Self {
        let metrics = Metrics::new();
        metrics.set(Gauge::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
        Self(Arc::new(Inner {
            metrics,
            tenants: Tenants::new(settings),
            samplers: Mutex::default(),
        }))
    }

    /// Takes an event: one log line, if it has one, and its metrics.
    pub fn emit(&self, event: impl InternalEvent) {
        event.emit(self);
    }

    /// The numbers, for the events.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    pub(crate) fn count(&self, counter: Counter, labels: &[&str]) {
        self.metrics().count(counter, labels, 1);
    }

    /// Has gauges brought up to date before each scrape, where they are states of something else. Must be quick and
    /// must not block.
    pub fn before_scrape(&self, sampler: impl Fn(&Metrics) + Send + Sync + 'static) {
        let mut samplers = self.0.samplers.lock().unwrap_or_else(PoisonError::into_inner);
        samplers.push(Box::new(sampler));
    }

    /// What a counter stands at.
    pub fn counter(&self, counter: Counter, labels: &[&str]) -> u64 {
        self.metrics().counter(counter, labels)
    }

    /// How many things a gauge counts.
    pub fn gauge(&self, gauge: Gauge, labels: &[&str]) -> u64 {
        let n = self.metrics().gauge(gauge, labels);
        // Gauges of things are moved by one, and far below where a float skips numbers.
        format!("{:.0}", n.max(0.0)).parse().unwrap_or(0)
    }

    /// Has the pool of the database looked at before each scrape.
    pub fn watch_database(&self, load: impl Fn() -> PoolLoad + Send + Sync + 'static) {
        self.before_scrape(move |metrics| {
            let load = load();
            metrics.set(Gauge::DatabaseConnections, &["idle"], number(load.n_idle));
            metrics.set(Gauge::DatabaseConnections, &["used"], number(load.n_used));
            metrics.set(Gauge::DatabaseConnectionsLimit, &[], number(load.limit));
        });
    }

    /// What a scrape of `/metrics` answers.
    ///
    /// # Errors
    /// The library's, as a text.
    pub fn scrape(&self) -> Result<String, String> {
        let samplers = self.0.samplers.lock().unwrap_or_else(PoisonError::into_inner);
        for sampler in samplers.iter() {
            sampler(&self.0.metrics);
        }
        drop(samplers);
        self.0.metrics.render().map_err(|error| error.to_string())
    }
}

/// A count as a gauge takes it.
pub fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new(TelemetrySettings::default())
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}
