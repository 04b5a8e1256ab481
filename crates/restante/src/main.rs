//! The one binary: serve, demo and every operator command.
//!
//! The only place that names concrete technologies; which they are stands in [`backends`]. Start at [`cli`] for what
//! can be asked, at [`server`] for what runs.

mod administration;
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
    // Before a runtime is there: compiling takes away most of what the process may use.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == backends::COMPILE)
    {
        return ExitCode::from(restante_plugin::compile_for_parent());
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::setup(error)),
    };
    let done = runtime.block_on(command::run(cli));
    drop(runtime);
    logging::finish();
    match done {
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
