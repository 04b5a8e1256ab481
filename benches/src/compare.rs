//! Restante beside Dovecot, and beside what no server can be faster than, by turns in one run. Start at [`run`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::corpus::{Corpus, Plan, SEED};
use crate::figures::{median, spread};
use crate::server::{Contestant, Ground, Server};
use crate::work::{Mode, Outcome, Work, warm};

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to compare; everything but `postgres` if left out
    #[arg(long, value_delimiter = ',')]
    rows: Vec<Row>,
    /// How often, by turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
    /// How long one turn lasts, in seconds
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Idle sessions of a server that can hold many; those with a process for each have a tenth
    #[arg(long, default_value_t = 2_000)]
    idle: usize,
    /// Messages of the big maildrop
    #[arg(long, default_value_t = 100_000)]
    big: usize,
    /// What the messages are made of
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A load that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Row {
    /// Whole sessions
    Sessions,
    /// Whole sessions, a full handshake each
    SessionsTls,
    /// Whole sessions, Restante over Postgres
    Postgres,
    /// Sessions that read nothing
    Polls,
    /// Large messages
    Throughput,
    /// Large messages through TLS
    ThroughputTls,
    /// The first commands on a big maildrop
    Big,
    /// Memory of idle sessions
    Idle,
    /// Memory of idle sessions with TLS
    IdleTls,
    /// Many deletions, durable
    Deletes,
    /// Many small messages, pipelined
    Small,
}

/// What is taken from a load.
#[derive(Clone, Copy)]
struct Measure {
    what: &'static str,
    metric: Metric,
    /// At most this share of Dovecot's; `None` of what Dovecot has not.
    aim: Option<f64>,
}

#[derive(Clone, Copy)]
enum Metric {
    CpuPerThousand,
    /// Of the database behind a server.
    BesidePerThousand,
    CpuPerGigabyte,
    /// Milliseconds of processor time for each that was done.
    CpuMillis,
    PssKib,
    /// The median of a command, in milliseconds.
    Millis(&'static str),
}

impl Row {
    const ALL: [Self; 11] = [
        Self::Sessions,
        Self::SessionsTls,
        Self::Postgres,
        Self::Polls,
        Self::Throughput,
        Self::ThroughputTls,
        Self::Big,
        Self::Idle,
        Self::IdleTls,
        Self::Deletes,
        Self::Small,
    ];

    const fn mode(self) -> Mode {
        match self {
            Self::Sessions | Self::SessionsTls | Self::Postgres => Mode::Sessions,
            Self::Polls => Mode::Polls,
            Self::Throughput | Self::ThroughputTls => Mode::Throughput,
            Self::Big => Mode::Big,
            Self::Idle | Self::IdleTls => Mode::Idle,
            Self::Deletes => Mode::Deletes,
            Self::Small => Mode::Small,
        }
    }

    const fn is_tls(self) -> bool {
        matches!(self, Self::SessionsTls | Self::ThroughputTls | Self::IdleTls)
    }

    /// What is measured, with the aim.
    const fn measures(self) -> &'static [Measure] {
        const fn one(what: &'static str, metric: Metric, aim: f64) -> Measure {
            Measure {
                what,
                metric,
                aim: Some(aim),
            }
        }
        match self {
            Self::Sessions => &const { [one("CPU s for 1,000 sessions", Metric::CpuPerThousand, 0.25)] },
            Self::SessionsTls => {
                &const { [one("CPU s for 1,000 sessions, TLS", Metric::CpuPerThousand, 0.20)] }
            }
            Self::Postgres => {
                &const {
                    [
                        one(
                            "CPU s for 1,000 sessions, over Postgres",
                            Metric::CpuPerThousand,
                            0.50,
                        ),
                        Measure {
                            what: "the same, of Postgres itself",
                            metric: Metric::BesidePerThousand,
                            aim: None,
                        },
                    ]
                }
            }
            Self::Polls => &const { [one("CPU s for 1,000 polls", Metric::CpuPerThousand, 0.25)] },
            Self::Throughput => &const { [one("CPU s for a GB", Metric::CpuPerGigabyte, 0.20)] },
            Self::ThroughputTls => &const { [one("CPU s for a GB, TLS", Metric::CpuPerGigabyte, 0.12)] },
            Self::Big => {
                &const {
                    [
                        one("login to STAT, ms", Metric::Millis("login to STAT"), 0.05),
                        one("UIDL, ms", Metric::Millis("UIDL"), 0.10),
                    ]
                }
            }
            Self::Idle => &const { [one("PSS KiB of an idle session", Metric::PssKib, 0.15)] },
            Self::IdleTls => &const { [one("PSS KiB of an idle session, TLS", Metric::PssKib, 0.15)] },
            Self::Deletes => {
                &const {
                    [one(
                        "DELE of 10,000 and QUIT, ms",
                        Metric::Millis("DELE of all and QUIT"),
                        0.30,
                    )]
                }
            }
            Self::Small => &const { [one("RETR of 10,000, CPU ms", Metric::CpuMillis, 0.30)] },
        }
    }

    /// Who takes part.
    const fn contestants(self) -> &'static [Contestant] {
        match self {
            Self::Deletes => &[
                Contestant::Restante,
                Contestant::DovecotDurable,
                Contestant::Ceiling,
            ],
            Self::Postgres => &[
                Contestant::RestantePostgres,
                Contestant::DovecotInstalled,
                Contestant::DovecotTuned,
                Contestant::DovecotShared,
                Contestant::Ceiling,
            ],
            _ => &[
                Contestant::Restante,
                Contestant::DovecotInstalled,
                Contestant::DovecotTuned,
                Contestant::DovecotShared,
                Contestant::Ceiling,
            ],
        }
    }
}

impl Metric {
    /// `None` where there is nothing of the kind.
    fn of(self, outcome: &Outcome) -> Option<f64> {
        let (figures, used) = (&outcome.figures, outcome.used);
        Some(match self {
            // So many seconds for a thousand are so many milliseconds for one.
            Self::CpuPerThousand | Self::CpuMillis => used.cpu_per(1_000, figures.done),
            Self::BesidePerThousand => used.beside_per(1_000, figures.done)?,
            Self::CpuPerGigabyte => used.cpu_per(1_000_000_000, figures.octets),
            Self::PssKib => outcome.pss_kib?,
            Self::Millis(command) => figures.percentile(command, 50.0)?.as_secs_f64() * 1e3,
        })
    }
}

/// Every value of one measure, by contestant, in the order of the rounds.
type Values = BTreeMap<(Row, usize), Vec<(Contestant, Vec<f64>)>>;

/// Compares, and prints two tables.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut rows = options.rows.clone();
    if rows.is_empty() {
        rows.extend(Row::ALL.into_iter().filter(|row| *row != Row::Postgres));
    }
    rows.sort_unstable();
    rows.dedup();
    ensure!(
        rows.len() == 1 || !rows.contains(&Row::Postgres),
        "`--rows postgres` stands alone: the maildrops of other rows are made in SQLite"
    );
    let mut ground = Ground::prepare(options.seed, plan(&rows, &options))?;
    let servers = start(&mut ground, &rows).await?;
    let mut values = Values::new();
    for round in 0..usize::from(options.rounds) {
        for row in &rows {
            let mut turn: Vec<&Contestant> = row.contestants().iter().collect();
            // Each comes first as often.
            let first = round % turn.len();
            turn.rotate_left(first);
            for contestant in turn {
                let server = servers
                    .iter()
                    .find(|(which, _)| which == contestant)
                    .map(|(_, server)| server)
                    .context("a server was not started")?;
                let outcome = one(*row, *contestant, server, &ground.corpus, &options).await?;
                note(&mut values, *row, *contestant, &outcome);
            }
        }
    }
    if options.json {
        println!("{}", as_json(&values));
    } else {
        println!("{}\n\n{}", ratios(&values), medians(&values));
    }
    Ok(())
}

/// The maildrops of all rows.
fn plan(rows: &[Row], options: &Options) -> Plan {
    let mut plan = Plan::default();
    for row in rows {
        match row.mode() {
            Mode::Throughput => plan.large = 4,
            Mode::Big => plan.big = options.big,
            Mode::Idle => plan.idle = options.idle,
            Mode::Deletes => plan.wipe = 10_000,
            Mode::Small => plan.small = 10_000,
            _ => plan.users = 64,
        }
    }
    plan
}

/// Starts every server that a row needs.
async fn start(ground: &mut Ground, rows: &[Row]) -> anyhow::Result<Vec<(Contestant, Server)>> {
    let mut servers: Vec<(Contestant, Server)> = Vec::new();
    for contestant in rows.iter().flat_map(|row| row.contestants()) {
        if servers.iter().all(|(which, _)| which != contestant) {
            let server = ground.start(*contestant).await?;
            warm(&server, &ground.corpus).await?;
            servers.push((*contestant, server));
        }
    }
    Ok(servers)
}

/// One turn of one server.
async fn one(
    row: Row,
    contestant: Contestant,
    server: &Server,
    corpus: &Arc<Corpus>,
    options: &Options,
) -> anyhow::Result<Outcome> {
    let at_once = match row.mode() {
        Mode::Big | Mode::Deletes | Mode::Small => 1,
        Mode::Throughput => 4,
        Mode::Idle => match contestant {
            Contestant::DovecotInstalled | Contestant::DovecotTuned => options.idle.div_ceil(10),
            _ => options.idle,
        },
        _ => 8,
    };
    let work = Work {
        mode: row.mode(),
        is_tls: row.is_tls(),
        at_once,
        guessing: 0,
        lasting: Duration::from_secs(options.seconds),
    };
    work.on(server, corpus).await.with_context(|| format!("{row:?}"))
}

fn note(values: &mut Values, row: Row, contestant: Contestant, outcome: &Outcome) {
    for (nth, measure) in row.measures().iter().enumerate() {
        let Some(value) = measure.metric.of(outcome) else {
            continue;
        };
        let by_contestant = values.entry((row, nth)).or_default();
        match by_contestant.iter_mut().find(|(which, _)| *which == contestant) {
            Some((_, values)) => values.push(value),
            None => by_contestant.push((contestant, vec![value])),
        }
    }
}

/// Restante beside the best of Dovecot's set-ups: the one with the least median. Ratios are those of each round.
fn ratios(values: &Values) -> String {
    let mut lines = vec![
        "| what | restante | dovecot's best | which | ratio (least to most) | aim | ceiling |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for ((row, nth), by_contestant) in values {
        let measure = row.measures()[*nth];
        let of = |contestant| of(by_contestant, contestant);
        let own = own(by_contestant);
        let (Some((best, theirs)), Some(aim)) = (best(by_contestant), measure.aim) else {
            continue;
        };
        let each: Vec<f64> = own.iter().zip(theirs).map(|(own, their)| own / their).collect();
        let (Some(ratio), Some((least, most))) = (median(&each), spread(&each)) else {
            continue;
        };
        lines.push(format!(
            "| {} | {} | {} | {} | {ratio:.3} ({least:.3} to {most:.3}) | {aim} | {} |",
            measure.what,
            shown(own),
            shown(theirs),
            name(best),
            shown(of(Contestant::Ceiling)),
        ));
    }
    lines.join("\n")
}

/// The medians of everybody.
fn medians(values: &Values) -> String {
    let others = [
        Contestant::DovecotInstalled,
        Contestant::DovecotTuned,
        Contestant::DovecotShared,
        Contestant::DovecotDurable,
        Contestant::Ceiling,
    ];
    let names: Vec<&str> = others.into_iter().map(name).collect();
    let mut lines = vec![
        format!("| medians | restante | {} |", names.join(" | ")),
        format!("|---|---{}|", "|---".repeat(others.len())),
    ];
    for ((row, nth), by_contestant) in values {
        let cells: Vec<String> = others
            .iter()
            .map(|which| shown(of(by_contestant, *which)))
            .collect();
        lines.push(format!(
            "| {} | {} | {} |",
            row.measures()[*nth].what,
            shown(own(by_contestant)),
            cells.join(" | ")
        ));
    }
    lines.join("\n")
}

fn of(by_contestant: &[(Contestant, Vec<f64>)], which: Contestant) -> &[f64] {
    by_contestant
        .iter()
        .find(|(contestant, _)| *contestant == which)
        .map_or(&[], |(_, values)| values)
}

/// Those of Restante, over whatever storage the row has.
fn own(by_contestant: &[(Contestant, Vec<f64>)]) -> &[f64] {
    by_contestant
        .iter()
        .find(|(contestant, _)| contestant.is_restante())
        .map_or(&[], |(_, values)| values)
}

/// Dovecot's set-up with the least median.
fn best(by_contestant: &[(Contestant, Vec<f64>)]) -> Option<(Contestant, &[f64])> {
    by_contestant
        .iter()
        .filter(|(contestant, _)| contestant.is_dovecot())
        .filter_map(|(contestant, values)| Some((median(values)?, *contestant, &values[..])))
        .min_by(|(one, ..), (other, ..)| one.total_cmp(other))
        .map(|(_, contestant, values)| (contestant, values))
}

const fn name(contestant: Contestant) -> &'static str {
    match contestant {
        Contestant::Restante => "restante",
        Contestant::RestantePostgres => "restante over Postgres",
        Contestant::DovecotInstalled => "as installed",
        Contestant::DovecotTuned => "tuned",
        Contestant::DovecotShared => "shared",
        Contestant::DovecotDurable => "tuned, fsync on",
        Contestant::Ceiling => "ceiling",
    }
}

/// The median with three digits.
fn shown(values: &[f64]) -> String {
    match median(values) {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) if value >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}

fn as_json(values: &Values) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = values
        .iter()
        .map(|((row, nth), by_contestant)| {
            let measure = row.measures()[*nth];
            let by_name: serde_json::Map<String, serde_json::Value> = by_contestant
                .iter()
                .map(|(contestant, values)| (name(*contestant).to_owned(), json!(values)))
                .collect();
            json!({ "what": measure.what, "aim": measure.aim, "values": by_name })
        })
        .collect();
    json!({ "rows": rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_to_the_best_of_dovecot_round_by_round() {
        let mut values = Values::new();
        values.insert(
            (Row::Sessions, 0),
            vec![
                (Contestant::Restante, vec![1.0, 2.0, 3.0]),
                (Contestant::DovecotInstalled, vec![20.0, 20.0, 20.0]),
                (Contestant::DovecotTuned, vec![4.0, 4.0, 4.0]),
                (Contestant::Ceiling, vec![0.25]),
            ],
        );
        let table = ratios(&values);
        let line = table.lines().last().unwrap();
        assert_eq!(
            line,
            "| CPU s for 1,000 sessions | 2.00 | 4.00 | tuned | 0.500 (0.250 to 0.750) | 0.25 | 0.250 |"
        );
        assert!(medians(&values).contains("| 2.00 | 20.0 | 4.00 | - | - | 0.250 |"));
    }

    #[test]
    fn every_row_has_maildrops_restante_and_a_dovecot() {
        for row in Row::ALL {
            assert!(!row.measures().is_empty());
            assert!(row.contestants()[0].is_restante());
            assert!(row.contestants().iter().any(|contestant| contestant.is_dovecot()));
        }
    }
}
