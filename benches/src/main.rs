//! What is measured, each as a command: see `benches/README.md`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures are the result"
)]

mod client;
mod compare;
mod corpus;
mod counts;
mod crowd;
mod figures;
mod growth;
mod hash;
mod load;
mod metric;
mod pair;
mod plot;
mod plugins;
mod process;
mod refusals;
mod server;
mod storages;
mod strace;
mod work;

use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Measures Restante: ratios within one run.")]
struct Arguments {
    #[command(subcommand)]
    what: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Writes a large message from memory, for `compare`.
    #[command(hide = true)]
    Bare(server::child::Arguments),
    /// Serves messages from memory, for `compare`.
    #[command(hide = true)]
    Ceiling(server::child::Arguments),
    /// What does Restante cost beside Dovecot, on the same work in the same run?
    Compare(compare::Options),
    /// How many system calls does Restante make for a session, and for a message?
    Counts(counts::Options),
    /// What does Restante cost as messages, sessions and frontends grow? Writes tables and plots
    Growth(growth::Options),
    /// What does a server take under load, and is every octet right?
    Load(load::Options),
    /// What does storage in a plugin cost, and what one that never ends its neighbours?
    Plugins {
        /// How often sessions and messages are read, by turns.
        #[arg(long, default_value_t = 300)]
        rounds: usize,
    },
    /// Does the time of a refusal tell why?
    Refusals {
        /// How often each is refused.
        #[arg(long, default_value_t = 20_000)]
        times: usize,
        /// The shortest time of a refusal.
        #[arg(long, default_value_t = 0)]
        floor_millis: u64,
        /// How many are refused at the same time.
        #[arg(long, default_value_t = 1)]
        at_once: usize,
    },
    /// What does the same work cost over each of Restante's storages?
    Storages(storages::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // What was started ends with the measurement.
    tokio::select! {
        outcome = Box::pin(measure(Arguments::parse().what)) => outcome,
        asked = interrupted() => {
            asked?;
            anyhow::bail!("interrupted")
        }
    }
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        asked = tokio::signal::ctrl_c() => asked,
        _ = terminate.recv() => Ok(()),
    }
}

async fn measure(what: Measurement) -> anyhow::Result<()> {
    // Every session is a file here and a file there.
    if restante_net::raise_open_file_limit().is_none() {
        eprintln!("the limit of open files stays as it is");
    }
    match what {
        Measurement::Bare(arguments) => {
            tokio::task::spawn_blocking(move || server::bare::serve(&arguments)).await?
        }
        Measurement::Ceiling(arguments) => server::ceiling::serve(arguments).await,
        Measurement::Compare(options) => compare::run(options).await,
        Measurement::Counts(options) => counts::run(options).await,
        Measurement::Growth(options) => growth::run(options).await,
        Measurement::Load(options) => load::run(options).await,
        Measurement::Plugins { rounds } => plugins::run(rounds).await,
        Measurement::Refusals {
            times,
            floor_millis,
            at_once,
        } => refusals::run(times, Duration::from_millis(floor_millis), at_once).await,
        Measurement::Storages(options) => storages::run(options).await,
    }
}
