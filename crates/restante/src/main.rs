//! The one binary: serve, demo and every operator command.
//!
//! The only place that names concrete technologies; which they are stands in [`backends`]. Start at [`cli`] for what
//! can be asked, at [`server`] for what runs.

mod backends;
mod certificates;
mod cli;
mod command;
mod logging;
mod output;
mod password;
mod progress;
mod server;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::output::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::setup(error)),
    };
    match runtime.block_on(command::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where a failed command says why"
)]
fn report(failure: &Failure) -> ExitCode {
    eprintln!("restante: {failure}");
    failure.code()
}
