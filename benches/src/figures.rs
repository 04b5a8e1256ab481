//! What a run has measured: times of commands, what was done, and what the server used for it. Start at [`Figures`].

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longer times are noted as this one: nobody waits so long.
const LONGEST_MICROS: u64 = 600_000_000;

/// Times of one worker, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// In microseconds, by command.
    times: BTreeMap<&'static str, Histogram<u64>>,
    /// Sessions, logins or deliveries, as the mode has it.
    pub(crate) done: u64,
    /// Octets of messages that were compared with what they should be.
    pub(crate) octets: u64,
}

/// What a server used while a run lasted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Of the database that worked for it.
    pub(crate) beside: Option<Duration>,
}

impl Figures {
    /// Notes what a command took.
    pub(crate) fn took(&mut self, command: &'static str, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        self.times
            .entry(command)
            .or_insert_with(histogram)
            .saturating_record(micros);
    }

    /// Adds those of another worker.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (command, times) in &other.times {
            // Made by the same function, so never of another shape.
            self.times
                .entry(command)
                .or_insert_with(histogram)
                .add(times)
                .unwrap_or(());
        }
        self.done += other.done;
        self.octets += other.octets;
    }

    /// A percentile of a command, if there was one.
    pub(crate) fn percentile(&self, command: &str, percent: f64) -> Option<Duration> {
        let micros = self.times.get(command)?.value_at_percentile(percent);
        Some(Duration::from_micros(micros))
    }

    /// Lines for people.
    pub(crate) fn table(&self) -> String {
        let mut lines = vec![
            "| command | times | median, ms | p90 | p99 | p99.9 | longest |".to_owned(),
            "|---|---|---|---|---|---|---|".to_owned(),
        ];
        for (command, times) in &self.times {
            let [median, p90, p99, p999] =
                [50.0, 90.0, 99.0, 99.9].map(|percent| float(times.value_at_percentile(percent)) / 1e3);
            lines.push(format!(
                "| {command} | {} | {median:.2} | {p90:.2} | {p99:.2} | {p999:.2} | {:.2} |",
                times.len(),
                float(times.max()) / 1e3
            ));
        }
        lines.join("\n")
    }

    /// The same for programs: microseconds.
    pub(crate) fn json(&self) -> Value {
        let commands: serde_json::Map<String, Value> = self
            .times
            .iter()
            .map(|(command, times)| {
                let value = json!({
                    "n": times.len(),
                    "p50_us": times.value_at_percentile(50.0),
                    "p90_us": times.value_at_percentile(90.0),
                    "p99_us": times.value_at_percentile(99.0),
                    "p999_us": times.value_at_percentile(99.9),
                    "max_us": times.max(),
                });
                ((*command).to_owned(), value)
            })
            .collect();
        json!({ "done": self.done, "octets": self.octets, "commands": commands })
    }
}

impl Used {
    /// Processor seconds for so many of what was done, out of `done`.
    pub(crate) fn cpu_per(&self, unit: u64, done: u64) -> f64 {
        share(self.cpu, unit, done)
    }

    /// The same of the database.
    pub(crate) fn beside_per(&self, unit: u64, done: u64) -> Option<f64> {
        self.beside.map(|time| share(time, unit, done))
    }
}

fn share(time: Duration, unit: u64, done: u64) -> f64 {
    time.as_secs_f64() * float(unit) / float(done.max(1))
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("three digits can be kept")
}

/// A count as a number to reckon with; past 2^53 the last digits are lost.
pub(crate) fn float(n: u64) -> f64 {
    let [high, low] = [n >> 32, n & 0xFFFF_FFFF].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
    f64::from(high).mul_add(4_294_967_296.0, f64::from(low))
}

/// The middle one; of an even number, the upper.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The least and the largest.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().reduce(f64::min)?;
    let most = values.iter().copied().reduce(f64::max)?;
    Some((least, most))
}

/// Ratios round by round.
pub(crate) fn ratios(own: &[f64], theirs: &[f64]) -> Vec<f64> {
    own.iter().zip(theirs).map(|(own, their)| own / their).collect()
}

/// The median with three digits.
pub(crate) fn shown(values: &[f64]) -> String {
    median(values).map_or_else(|| "-".to_owned(), digits)
}

/// A number with three digits.
pub(crate) fn digits(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_workers() {
        let (mut one, mut other) = (Figures::default(), Figures::default());
        for millis in 1..=99 {
            one.took("STAT", Duration::from_millis(millis));
        }
        other.took("STAT", Duration::from_secs(1));
        other.done = 3;
        one.merge(&other);
        let median = one.percentile("STAT", 50.0).unwrap().as_secs_f64();
        assert!((median - 0.050).abs() < 0.001, "{median}");
        assert!(one.percentile("STAT", 100.0).unwrap() >= Duration::from_millis(999));
        assert_eq!(one.done, 3);
        assert_eq!(one.percentile("RETR", 50.0), None);
        assert!(one.table().contains("| STAT | 100 |"), "{}", one.table());
    }

    #[test]
    fn counts_become_numbers() {
        assert!((float(1 << 40) - 1_099_511_627_776.0).abs() < 1.0);
        assert!((float(7) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn median_and_spread() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 3.0)));
        assert_eq!(median(&[]), None);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn cpu_is_per_thousand() {
        let used = Used {
            wall: Duration::from_secs(1),
            cpu: Duration::from_secs(3),
            beside: None,
        };
        assert!((used.cpu_per(1_000, 2_000) - 1.5).abs() < 1e-9);
    }
}
