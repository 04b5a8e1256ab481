//! The reference page of the metrics, and their plain list for the checks of dashboards and rules.

use std::fmt::Write as _;

use crate::metric::{Counter, Gauge, Histogram, Spec};

/// All metrics with their kind, in the order of their names.
fn all() -> Vec<(&'static str, Spec)> {
    let counters = Counter::ALL.iter().map(|counter| ("counter", counter.spec()));
    let gauges = Gauge::ALL.iter().map(|gauge| ("gauge", gauge.spec()));
    let histograms = Histogram::ALL
        .iter()
        .map(|histogram| ("histogram", histogram.spec()));
    let mut all: Vec<_> = counters.chain(gauges).chain(histograms).collect();
    all.sort_by_key(|(_, spec)| spec.name);
    all
}

/// A line `name label1,label2 kind` for each metric; `-` where there are no labels.
pub fn metrics_list() -> String {
    all().iter().fold(String::new(), |mut list, (kind, spec)| {
        let labels = if spec.labels.is_empty() {
            "-".to_owned()
        } else {
            spec.labels.join(",")
        };
        // Writing to a string cannot fail.
        writeln!(list, "{} {labels} {kind}", spec.name).ok();
        list
    })
}

/// The page, as Markdown.
pub fn metrics_markdown() -> String {
    let head = "# Metrics\n\n\
        <!-- Written by `cargo xtask generate` from crates/restante-telemetry; change the table there. -->\n\n\
        What `/metrics` shows, in the text form of Prometheus. Values of labels come from closed sets of the code or from\n\
        the configuration (`listener`, `storage`, `plugin`), never from a client. Series with `tenant` exist only with\n\
        `telemetry.tenant_metrics`, and for `telemetry.tenant_limit` tenants at most; the number is the tenant's, as\n\
        `restante tenant list --json` shows it. Besides there are `process_cpu_seconds_total`, `process_open_fds`,\n\
        `process_max_fds`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_threads` and\n\
        `process_start_time_seconds`.\n\n\
        | name | kind | labels | what |\n|---|---|---|---|\n";
    all().iter().fold(head.to_owned(), |mut page, (kind, spec)| {
        let labels: Vec<String> = spec.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, help) = (spec.name, spec.help);
        writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(" ")).ok();
        page
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_metric_once_in_a_form_that_scripts_read() {
        let list = metrics_list();
        assert_eq!(
            list.lines().count(),
            Counter::ALL.len() + Gauge::ALL.len() + Histogram::ALL.len()
        );
        assert!(list.contains("restante_updates_total result counter\n"), "{list}");
        assert!(list.contains("restante_update_seconds - histogram\n"));
    }
}
