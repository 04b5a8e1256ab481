//! What is measured, each as a command: see `benches/README.md`.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

mod refusals;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Restante: ratios within one run.")]
struct Arguments {
    #[command(subcommand)]
    what: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Does the time of a refusal tell why?
    Refusals {
        /// How often each is refused.
        #[arg(long, default_value_t = 20_000)]
        times: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        Measurement::Refusals { times } => refusals::run(times).await,
    }
}
