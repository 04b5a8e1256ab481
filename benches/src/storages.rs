//! Restante's storages beside each other: the same work, by turns in one run. Start at [`run`].

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::corpus::{Plan, SEED};
use crate::figures::{digits, median, ratios, shown};
use crate::metric::Metric;
use crate::server::restante::Storage;
use crate::server::{Ground, Server};
use crate::work::{Mode, Work, warm};

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which; all if left out. Ratios are to the first
    #[arg(long, value_delimiter = ',')]
    storages: Vec<Storage>,
    /// How often, by turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
    /// How long one turn lasts, in seconds
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Messages of the maildrop whose first STAT is timed
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    messages: u32,
    /// What the messages are made of
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const USERS: usize = 64;

/// One kind of work, and what is taken from it.
struct Part {
    mode: Mode,
    at_once: usize,
    measures: &'static [(&'static str, Metric)],
}

const PARTS: [Part; 4] = [
    Part {
        mode: Mode::Sessions,
        at_once: 8,
        measures: &[
            ("CPU s for 1,000 sessions", Metric::CpuPerThousand),
            ("the same, of the database", Metric::BesidePerThousand),
        ],
    },
    Part {
        mode: Mode::Throughput,
        at_once: 4,
        measures: &[("CPU s for a GB", Metric::CpuPerGigabyte)],
    },
    Part {
        mode: Mode::Big,
        at_once: 1,
        measures: &[("login to STAT, ms", Metric::Millis("login to STAT"))],
    },
    Part {
        mode: Mode::Deliver,
        at_once: 8,
        measures: &[
            ("deliveries a second", Metric::PerSecond),
            ("CPU s for 1,000 deliveries", Metric::CpuPerThousand),
        ],
    },
];

/// One line of the table: the values of each storage, in the order of the rounds.
struct Line {
    what: &'static str,
    values: Vec<Vec<f64>>,
}

/// Compares, and prints a table.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut storages = options.storages.clone();
    if storages.is_empty() {
        storages.extend(Storage::ALL);
    }
    for (nth, storage) in storages.iter().enumerate() {
        ensure!(!storages[..nth].contains(storage), "a storage is named twice");
    }
    let plan = Plan {
        users: USERS,
        // Where mail is delivered.
        idle: USERS,
        large: 4,
        big: usize::try_from(options.messages)?,
        ..Plan::default()
    };
    let mut ground = Ground::prepare(options.seed, plan)?;
    let mut servers: Vec<Server> = Vec::new();
    for storage in &storages {
        let server = ground
            .restante(*storage, 1)
            .await
            .with_context(|| storage.name())?;
        warm(&server, &ground.corpus).await?;
        servers.push(server);
    }
    let mut lines: Vec<Line> = PARTS
        .iter()
        .flat_map(|part| part.measures)
        .map(|(what, _)| Line {
            what,
            values: vec![Vec::new(); servers.len()],
        })
        .collect();
    for round in 0..usize::from(options.rounds) {
        let mut first = 0;
        for part in &PARTS {
            for turn in 0..servers.len() {
                // Each comes first as often.
                let nth = (turn + round) % servers.len();
                let work = Work::new(part.mode, part.at_once, Duration::from_secs(options.seconds));
                let outcome = work.on(&servers[nth], &ground.corpus).await?;
                for (line, (_, metric)) in lines[first..].iter_mut().zip(part.measures) {
                    line.values[nth].extend(metric.of(&outcome));
                }
            }
            first += part.measures.len();
        }
    }
    if options.json {
        println!("{}", as_json(&storages, &lines));
    } else {
        println!("{}", table(&storages, &lines));
    }
    Ok(())
}

/// Medians, with the median ratio to the first storage.
fn table(storages: &[Storage], lines: &[Line]) -> String {
    let names: Vec<&str> = storages.iter().map(|storage| storage.name()).collect();
    let mut rows = vec![
        format!("| medians (ratio to {}) | {} |", names[0], names.join(" | ")),
        format!("|---{}|", "|---".repeat(names.len())),
    ];
    for line in lines {
        let cells: Vec<String> = line
            .values
            .iter()
            .enumerate()
            .map(|(nth, values)| match median(&ratios(values, &line.values[0])) {
                Some(ratio) if nth > 0 => format!("{} ({})", shown(values), digits(ratio)),
                _ => shown(values),
            })
            .collect();
        rows.push(format!("| {} | {} |", line.what, cells.join(" | ")));
    }
    rows.join("\n")
}

fn as_json(storages: &[Storage], lines: &[Line]) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| {
            let by_name: serde_json::Map<String, serde_json::Value> = storages
                .iter()
                .zip(&line.values)
                .map(|(storage, values)| (storage.name().to_owned(), json!(values)))
                .collect();
            json!({ "what": line.what, "values": by_name })
        })
        .collect();
    json!({ "rows": rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_first_storage() {
        let lines = [
            Line {
                what: "CPU s for a GB",
                values: vec![vec![1.0, 1.0], vec![2.0, 3.0]],
            },
            Line {
                what: "the same, of the database",
                values: vec![vec![], vec![0.5]],
            },
        ];
        let table = table(&[Storage::Embedded, Storage::Postgres], &lines);
        assert!(
            table.contains("| CPU s for a GB | 1.00 | 3.00 (3.00) |"),
            "{table}"
        );
        assert!(
            table.contains("| the same, of the database | - | 0.500 |"),
            "{table}"
        );
    }
}
