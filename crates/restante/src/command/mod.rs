//! The commands, a file each.

pub(crate) mod account;
pub(crate) mod alias;
pub(crate) mod app_password;
pub(crate) mod audit;
pub(crate) mod certificate;
mod check_config;
pub(crate) mod collector;
pub(crate) mod deliver;
pub(crate) mod demo;
pub(crate) mod domain;
mod migrate;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod restore;
mod serve;
pub(crate) mod session;
pub(crate) mod storage;
pub(crate) mod tenant;
pub(crate) mod verify;

use std::io::Write;
use std::path::Path;

use anyhow::anyhow;
use clap::CommandFactory;
use restante_auth::{Account, AuditAction, AuditRecord, DirectoryAdmin, LoginName};
use restante_config::Config;
use restante_types::{Clock, SessionId, SystemClock};

use crate::backends::{Backends, operator};
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
        Command::Plugin(command) => plugin::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Deliver(args) => deliver::run(args).await,
        Command::Storage(command) => storage::run(command).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Restore(args) => restore::run(args).await,
        Command::Collector(command) => collector::run(command).await,
        Command::Sessions(args) => session::sessions(args).await,
        Command::Kick(args) => session::kick(args).await,
        Command::Unlock(args) => session::unlock(args).await,
        Command::Completions { shell } => {
            // Into memory first: the generator panics where it cannot write, as into a closed pipe.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "restante", &mut script);
            Ok(std::io::stdout().lock().write_all(&script)?)
        }
    }
}

/// Reads a configuration; every fault in it is told at once.
fn read(path: &Path) -> Result<Config, Failure> {
    Config::load(path, std::env::vars()).map_err(Failure::setup)
}

/// The same for a command beside a server, which logs as the server does.
pub(crate) fn load(path: &Path) -> Result<Config, Failure> {
    let config = read(path)?;
    logging::start(&config.log)?;
    Ok(config)
}

/// Opens what the configuration names, for a command that works on it while a server may be running.
pub(crate) async fn open(path: &Path) -> Result<(Config, Backends), Failure> {
    let config = load(path)?;
    let backends = Backends::open(&config).await?;
    Ok((config, backends))
}

/// The account of a name.
async fn account_of(directory: &dyn DirectoryAdmin, name: &LoginName) -> Result<Account, Failure> {
    let account = directory.account(name).await?;
    account.ok_or_else(|| anyhow!("there is no account {name}; see restante account list").into())
}

/// Writes into the audit what was done to an account's mail or session.
async fn note(
    directory: &dyn DirectoryAdmin,
    account: &Account,
    action: AuditAction,
    session: Option<SessionId>,
    detail: String,
) -> Result<(), Failure> {
    let record = AuditRecord {
        at: SystemClock.wall(),
        actor: operator().name,
        action,
        tenant: Some(account.id.tenant()),
        account: Some(account.id),
        session,
        client: None,
        detail,
    };
    Ok(directory.record(&[record]).await?)
}
