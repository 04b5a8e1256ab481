//! How many system calls Restante makes for a session and for a message. Start at [`run`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::corpus::{Plan, SEED};
use crate::figures::{digits, float};
use crate::server::restante::Storage;
use crate::server::{Ground, Server};
use crate::strace::Trace;
use crate::work::{Mode, READ, Work, warm};

/// Calls that are made less often than this in a session are added up as the others.
const SELDOM: f64 = 0.2;
const AT_ONCE: usize = 8;

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each kind of session is looked at, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Where Restante keeps its mail
    #[arg(long, default_value = "embedded")]
    storage: Storage,
    /// What the messages are made of
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Calls of one session, by name.
type Each = BTreeMap<String, f64>;

/// What is counted: a session with and without messages, and what makes the difference.
type Kinds = [&'static str; 3];

const PLAIN: Kinds = ["session", "without RETR", "one RETR"];
const TLS: Kinds = ["session, TLS", "without RETR, TLS", "one RETR, TLS"];

/// Counts, and prints a table.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let plan = Plan {
        users: 64,
        ..Plan::default()
    };
    let mut ground = Ground::prepare(options.seed, plan)?;
    let server = ground.restante(options.storage, 1).await?;
    warm(&server, &ground.corpus).await?;
    let mut counted = Vec::new();
    for kinds in [PLAIN, TLS] {
        let work = Work {
            is_tls: kinds == TLS,
            ..Work::new(Mode::Sessions, AT_ONCE, Duration::from_secs(options.seconds))
        };
        let session = calls(&server, &ground, work).await?;
        let mode = Mode::Polls;
        let poll = calls(&server, &ground, Work { mode, ..work }).await?;
        let retr = of_one(&session, &poll);
        counted.extend(kinds.into_iter().zip([session, poll, retr]));
    }
    if options.json {
        let kinds: serde_json::Map<String, serde_json::Value> = counted
            .iter()
            .map(|(kind, each)| ((*kind).to_owned(), json!(each)))
            .collect();
        println!("{}", json!(kinds));
    } else {
        println!("{}", table(&counted));
    }
    Ok(())
}

/// What the server calls for each session of a load.
async fn calls(server: &Server, ground: &Ground, work: Work) -> anyhow::Result<Each> {
    let frontend = &server.frontends[0];
    let trace = Trace::attach(frontend.process.pid()).await?;
    let outcome = work.on(server, &ground.corpus).await?;
    let done = float(outcome.figures.done);
    let calls = trace.calls().await?;
    Ok(calls
        .into_iter()
        .map(|(name, n)| (name, float(n) / done))
        .collect())
}

/// What one RETR adds to a session. A call that became rarer is counted as such: clients that read wait elsewhere.
fn of_one(session: &Each, poll: &Each) -> Each {
    let n_read = float(u64::try_from(READ).unwrap_or(u64::MAX));
    let of = |each: &Each, name: &String| each.get(name).copied().unwrap_or(0.0);
    session
        .keys()
        .chain(poll.keys())
        .map(|name| (name.clone(), (of(session, name) - of(poll, name)) / n_read))
        .collect()
}

fn table(counted: &[(&'static str, Each)]) -> String {
    let kinds: Vec<&str> = counted.iter().map(|(kind, _)| *kind).collect();
    let is_often = |name: &String| {
        counted
            .iter()
            .any(|(_, each)| each.get(name).is_some_and(|n| *n >= SELDOM))
    };
    let mut names: Vec<&String> = counted.iter().flat_map(|(_, each)| each.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let (often, seldom): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_often(name));
    let line = |what: &str, names: &[&String]| {
        let sums = counted.iter().map(|(_, each)| {
            let n: f64 = names.iter().filter_map(|name| each.get(*name)).sum();
            // No negative nought: an empty sum is one, and so is noise.
            digits((n * 1e3).round() / 1e3 + 0.0)
        });
        format!("| {what} | {} |", sums.collect::<Vec<String>>().join(" | "))
    };
    let mut lines = vec![
        format!("| calls for each | {} |", kinds.join(" | ")),
        format!("|---{}|", "|---".repeat(kinds.len())),
        line("all", &names),
    ];
    lines.extend(often.iter().map(|name| line(name, &[name])));
    if !seldom.is_empty() {
        lines.push(line("others", &seldom));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(calls: &[(&str, f64)]) -> Each {
        calls.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    #[test]
    fn one_retr_is_a_fifth_of_what_five_add() {
        let session = each(&[("pread64", 5.0), ("sendto", 20.0)]);
        let poll = each(&[("sendto", 10.0)]);
        assert_eq!(
            of_one(&session, &poll),
            each(&[("pread64", 1.0), ("sendto", 2.0)])
        );
    }

    #[test]
    fn seldom_calls_are_added_up() {
        let table = table(&[("session", each(&[("sendto", 20.0), ("brk", 0.1), ("mmap", 0.05)]))]);
        assert!(table.contains("| all | 20.1 |"), "{table}");
        assert!(table.contains("| sendto | 20.0 |"), "{table}");
        assert!(table.contains("| others | 0.150 |"), "{table}");
        assert!(!table.contains("brk"), "{table}");
    }
}
