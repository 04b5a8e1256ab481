//! The numbers themselves, in a registry of their own for every [`Metrics`]. Start at [`Metrics::count`].

use std::fmt;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use restante_sasl::LoginMechanism;

use crate::metric::{Counter, Gauge, Histogram, Spec};

/// One set of all metrics. Every call is a look-up and an atomic.
pub struct Metrics {
    registry: Registry,
    counters: Vec<IntCounterVec>,
    gauges: Vec<GaugeVec>,
    histograms: Vec<HistogramVec>,
}

impl Metrics {
    /// All of them at nought.
    ///
    /// # Panics
    /// If the table in `metric.rs` has a name twice or a malformed one; a test sees that it has not.
    #[expect(
        clippy::expect_used,
        reason = "the table is constant and a test makes every row"
    )]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = Counter::ALL
            .iter()
            .map(|counter| registered(&registry, counter.spec(), IntCounterVec::new))
            .collect();
        let gauges = Gauge::ALL
            .iter()
            .map(|gauge| registered(&registry, gauge.spec(), GaugeVec::new))
            .collect();
        let histograms = Histogram::ALL
            .iter()
            .map(|histogram| {
                let spec = histogram.spec();
                registered(&registry, spec, |opts, labels| {
                    HistogramVec::new(HistogramOpts::from(opts).buckets(spec.buckets.to_vec()), labels)
                })
            })
            .collect();
        registry
            .register(Box::new(ProcessCollector::for_self()))
            .expect("nothing else is called process_*");
        let metrics = Self {
            registry,
            counters,
            gauges,
            histograms,
        };
        metrics.prime();
        metrics
    }

    /// Adds to a counter.
    pub fn count(&self, counter: Counter, labels: &[&str], n: u64) {
        if let Some(child) = child(self.counters[counter as usize].get_metric_with_label_values(labels)) {
            child.inc_by(n);
        }
    }

    /// What a counter stands at.
    pub fn counter(&self, counter: Counter, labels: &[&str]) -> u64 {
        let found = self.counters[counter as usize].get_metric_with_label_values(labels);
        child(found).map_or(0, |child| child.get())
    }

    /// What a gauge of things stands at.
    pub fn gauge(&self, gauge: Gauge, labels: &[&str]) -> f64 {
        let found = self.gauges[gauge as usize].get_metric_with_label_values(labels);
        child(found).map_or(0.0, |child| child.get())
    }

    /// Puts a gauge where it is now.
    pub fn set(&self, gauge: Gauge, labels: &[&str], value: f64) {
        if let Some(child) = child(self.gauges[gauge as usize].get_metric_with_label_values(labels)) {
            child.set(value);
        }
    }

    /// Moves a gauge.
    pub fn add(&self, gauge: Gauge, labels: &[&str], by: f64) {
        if let Some(child) = child(self.gauges[gauge as usize].get_metric_with_label_values(labels)) {
            child.add(by);
        }
    }

    /// Takes a series away.
    pub fn remove(&self, gauge: Gauge, labels: &[&str]) {
        // An error means that it was not there.
        self.gauges[gauge as usize].remove_label_values(labels).ok();
    }

    /// Adds a measured time.
    pub fn observe(&self, histogram: Histogram, labels: &[&str], elapsed: Duration) {
        self.observe_number(histogram, labels, elapsed.as_secs_f64());
    }

    /// Adds a measured number.
    pub fn observe_number(&self, histogram: Histogram, labels: &[&str], value: f64) {
        if let Some(child) = child(self.histograms[histogram as usize].get_metric_with_label_values(labels)) {
            child.observe(value);
        }
    }

    /// All of it, in the text form of Prometheus.
    ///
    /// # Errors
    /// The library's.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Makes series visible at nought that alerts look at: `increase()` does not see a series begin.
    fn prime(&self) {
        let series: &[(Counter, &[&str])] = &[
            (Counter::Updates, &["committed", "fenced", "failed", "unknown"]),
            (
                Counter::MaildropOpens,
                &[
                    "opened",
                    "in_use",
                    "unavailable",
                    "login_delay",
                    "too_many_sessions",
                ],
            ),
            (Counter::VerifyCache, &["hit", "miss"]),
            (
                Counter::AdminRequests,
                &["ok", "unauthorized", "refused", "failed"],
            ),
            (Counter::AuditRecords, &["written", "lost"]),
            (Counter::TelemetryDropped, &["logs", "spans"]),
            (Counter::Reloads, &["ok", "failed"]),
            (Counter::SpansExported, &["ok", "failed"]),
            (Counter::BlobsCollected, &["removed", "failed"]),
        ];
        for (counter, values) in series {
            for value in *values {
                self.count(*counter, &[value], 0);
            }
        }
        for mechanism in LoginMechanism::ALL {
            for verdict in ["granted", "refused", "throttled", "busy", "unavailable"] {
                self.count(Counter::Logins, &[mechanism.name(), verdict], 0);
            }
        }
        // Until something is reloaded, nothing has failed to be.
        self.set(Gauge::LastReloadSuccessful, &[], 1.0);
        for counter in Counter::ALL
            .iter()
            .filter(|counter| counter.spec().labels.is_empty())
        {
            self.count(*counter, &[], 0);
        }
        for gauge in Gauge::ALL.iter().filter(|gauge| gauge.spec().labels.is_empty()) {
            self.add(*gauge, &[], 0.0);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[expect(clippy::expect_used, reason = "as at Metrics::new")]
fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    spec: Spec,
    make: impl FnOnce(Opts, &[&str]) -> prometheus::Result<C>,
) -> C {
    let collector = make(Opts::new(spec.name, spec.help), spec.labels).expect("a well-formed row");
    registry
        .register(Box::new(collector.clone()))
        .expect("a name that is not there twice");
    collector
}

/// A wrong number of labels is a mistake of an event, which its test sees; a session must not end for it.
fn child<T>(found: prometheus::Result<T>) -> Option<T> {
    debug_assert!(found.is_ok(), "{:?}", found.as_ref().err());
    found.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_well_formed_and_bears_its_unit() {
        // Names and labels are checked by the registry, which refuses what is malformed or there twice.
        let metrics = Metrics::new();
        let text = metrics.render().unwrap();
        for counter in Counter::ALL {
            let spec = counter.spec();
            assert!(
                spec.name.starts_with("restante_") && spec.name.ends_with("_total"),
                "{}",
                spec.name
            );
            let zeros = vec!["x"; spec.labels.len()];
            metrics.count(*counter, &zeros, 1);
        }
        for histogram in Histogram::ALL {
            let spec = histogram.spec();
            assert!(
                spec.buckets.is_sorted() && spec.buckets.len() > 3,
                "{}",
                spec.name
            );
            metrics.observe(
                *histogram,
                &vec!["x"; spec.labels.len()],
                Duration::from_millis(3),
            );
        }
        for gauge in Gauge::ALL {
            assert!(!gauge.spec().name.ends_with("_total"));
            metrics.set(*gauge, &vec!["x"; gauge.spec().labels.len()], 7.0);
        }
        assert!(
            text.contains("restante_updates_total{result=\"unknown\"} 0"),
            "primed"
        );
        let text = metrics.render().unwrap();
        for name in Counter::ALL.iter().map(|counter| counter.spec().name) {
            assert!(
                text.contains(&format!("\n{name}")) || text.starts_with(name),
                "{name}"
            );
        }
        assert!(text.contains("process_resident_memory_bytes"));
    }
}
