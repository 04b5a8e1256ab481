//! The commands, a file each.

pub(crate) mod account;
pub(crate) mod alias;
pub(crate) mod app_password;
pub(crate) mod audit;
pub(crate) mod certificate;
mod check_config;
pub(crate) mod deliver;
pub(crate) mod demo;
pub(crate) mod domain;
mod migrate;
pub(crate) mod policy;
mod serve;
pub(crate) mod tenant;

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use restante_config::Config;

use crate::backends::Backends;
use crate::cli::{Cli, Command};
use crate::logging;
use crate::output::Failure;

pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve { config } => serve::run(&config.config).await,
        Command::CheckConfig { config, offline } => check_config::run(&config.config, offline).await,
        Command::Migrate { config } => migrate::run(&config.config).await,
        Command::Tenant(command) => tenant::run(command).await,
        Command::Domain(command) => domain::run(command).await,
        Command::Account(command) => account::run(command).await,
        Command::Alias(command) => alias::run(command).await,
        Command::AppPassword(command) => app_password::run(command).await,
        Command::Certificate(command) => certificate::run(command).await,
        Command::Policy(command) => policy::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Deliver(args) => deliver::run(args).await,
        Command::Completions { shell } => {
            // Into memory first: the generator panics where it cannot write, as into a closed pipe.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "restante", &mut script);
            Ok(std::io::stdout().lock().write_all(&script)?)
        }
    }
}

/// Reads a configuration; every fault in it is told at once.
fn load(path: &Path) -> Result<Config, Failure> {
    let config = Config::load(path, std::env::vars()).map_err(Failure::setup)?;
    logging::start(&config.log);
    Ok(config)
}

/// Opens what the configuration names, for a command that works on it while a server may be running.
async fn open(path: &Path) -> Result<(Config, Backends), Failure> {
    let config = load(path)?;
    let backends = Backends::open(&config).await?;
    Ok((config, backends))
}
