//! The project's own chores: tests with everything they need, the rules of the house, the whole of CI.
//!
//! Nothing here is part of the product. Start at [`Chore`]; `tidy` has a file per rule.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool for developers speaks to them"
)]

mod ci;
mod deny;
mod deploy;
mod generate;
mod packages;
mod plugins;
mod shell;
mod suite;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::shell::Workspace;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "A first run: cargo xtask test"
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Bring what the tests need, then run all of them
    ///
    /// Real POP3 clients and Postfix are Debian packages. They are installed when this runs as root; otherwise it
    /// says which are missing and how to install them. A test without its service fails: nothing is skipped.
    #[command(after_help = "Example: cargo xtask test -- -p restante-session dele")]
    Test {
        /// Passed on to `cargo test` in place of `--workspace`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Check what lies in deploy/ with the tools it is made for
    #[command(after_help = "Example: cargo xtask deploy")]
    Deploy,
    /// Build every plugin of `plugins/` from source into target/plugins
    Plugins,
    /// Begin a plugin in each language and world, build it and check it, as its author would
    Author,
    /// Check the rules of the house: floors, absences, landed migrations, fresh pages
    Tidy,
    /// Write the pages that are made from the code: deploy/CONFIGURATION.md, deploy/restante.example.toml
    Generate,
    /// Check licences, banned crates and sources of every dependency with cargo-deny
    Deny,
    /// Everything that must be green before a change lands: fmt, clippy, tidy, test, deny, doc
    Ci,
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("xtask: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Test { arguments } => suite::run(&workspace, &arguments),
        Chore::Deploy => deploy::check(&workspace),
        Chore::Plugins => plugins::build(&workspace),
        Chore::Author => plugins::author::check(&workspace),
        Chore::Tidy => tidy::run(&workspace),
        Chore::Generate => generate::run(&workspace),
        Chore::Deny => deny::run(&workspace),
        Chore::Ci => ci::run(&workspace),
    }
}
