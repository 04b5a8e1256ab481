//! What is measured, each as a command: see `benches/README.md`.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

mod plugins;
mod refusals;

use std::time::Duration;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Restante: ratios within one run.")]
struct Arguments {
    #[command(subcommand)]
    what: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
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
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        Measurement::Plugins { rounds } => plugins::run(rounds).await,
        Measurement::Refusals {
            times,
            floor_millis,
            at_once,
        } => refusals::run(times, Duration::from_millis(floor_millis), at_once).await,
    }
}
