//! `restante plugin`.

mod bench;
mod check;
mod new;
mod run;
mod trial;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use restante_admin::StorageFacts;
use restante_auth::{AuditAction, AuditRecord, DirectoryAdmin};
use restante_plugin::{LARGEST_COMPONENT, hex};
use restante_store::InstalledPlugin;
use restante_types::{Clock as _, SystemClock};
use serde::Serialize;

use crate::administration::{Administration, At};
use crate::backends::{configured, operator};
use crate::cli::ConfigArg;
use crate::output::{self, Failure, line, time};

/// How much of a digest people compare.
const SHORT: usize = 12;

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Begin a plugin: a folder that builds and passes `plugin check`
    #[command(after_help = "Example:\n  restante plugin new archive\n  \
        restante plugin new archive --lang js --world maildrop\n\n\
        The README.md in the folder says how it is built and tried.")]
    New(new::NewArgs),
    /// Try a component: what it imports, whether it keeps the promises of its world, what it takes
    #[command(
        after_help = "Example:\n  restante plugin check archive.wasm --grant key-value\n  \
        restante plugin check seal.wasm --grant inner --secret key=./key --settings '{\"key\":\"key\"}'\n\n\
        Exit codes: 0 all is well; 1 something is not, and which is said."
    )]
    Check(check::CheckArgs),
    /// Serve POP3 on loopback over just this component, within the limits of production
    #[command(after_help = "Example:\n  restante plugin run archive.wasm --grant key-value")]
    Run(run::RunArgs),
    /// Measure a component beside the server's own storage in memory
    #[command(after_help = "Example:\n  restante plugin bench archive.wasm --grant key-value")]
    Bench(bench::BenchArgs),
    /// Install a component, or a new version, on all frontends; the configuration says what it may
    #[command(after_help = "Example:\n  restante plugin install archive archive.wasm\n\n\
        It is compiled, checked and tried first; whatever is wrong, nothing changes. Frontends take it over within \
        some seconds; sessions that read go on with the version before.")]
    Install(InstallArgs),
    /// List installed plugins
    #[command(after_help = "Example:\n  restante plugin list")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Let a plugin be called
    #[command(after_help = "Example:\n  restante plugin enable archive")]
    Enable(NameArgs),
    /// Let a plugin be called no more: its storages answer that they cannot be used
    #[command(after_help = "Example:\n  restante plugin disable archive")]
    Disable(NameArgs),
    /// Put the version before the present one in force again
    #[command(after_help = "Example:\n  restante plugin roll-back archive")]
    RollBack(NameArgs),
    /// Forget a plugin that no storage uses
    #[command(after_help = "Example:\n  restante plugin remove archive")]
    Remove(NameArgs),
}

#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// The name: there is a [plugin.NAME] in the configuration
    name: String,
    /// The component
    file: PathBuf,
    /// Do not ask it whether it can do its work, as when a service that it needs is down
    #[arg(long)]
    untried: bool,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Args, Debug)]
pub(crate) struct NameArgs {
    /// The plugin
    name: String,
    #[command(flatten)]
    at: At,
}

pub(crate) async fn run(command: PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Check(args) => check::run(args).await,
        PluginCommand::Run(args) => run::run(args).await,
        PluginCommand::Bench(args) => bench::run(args).await,
        PluginCommand::Install(args) => install(args).await,
        PluginCommand::List { json, at } => list(json, &at).await,
        PluginCommand::Enable(args) => set_enabled(args, true).await,
        PluginCommand::Disable(args) => set_enabled(args, false).await,
        PluginCommand::RollBack(args) => roll_back(args).await,
        PluginCommand::Remove(args) => remove(args).await,
    }
}

/// The octets of a component, if they are not too many for one.
fn component(file: &Path) -> anyhow::Result<Vec<u8>> {
    let at = || format!("{} cannot be read", file.display());
    let octets = std::fs::metadata(file).with_context(at)?.len();
    if octets > LARGEST_COMPONENT as u64 {
        bail!(
            "{} has {octets} octets; a component has at most {LARGEST_COMPONENT}",
            file.display()
        );
    }
    std::fs::read(file).with_context(at)
}

async fn install(args: InstallArgs) -> Result<(), Failure> {
    let component = component(&args.file)?;
    let (config, backends) = super::open(&args.config.config).await?;
    let plugins = backends.plugins.as_ref();
    let Some((plugins, slot)) = plugins.and_then(|plugins| Some((plugins, plugins.slot(&args.name)?))) else {
        return Err(anyhow!(
            "there is no [plugin.{}] in {}; add it, with what the plugin is granted",
            args.name,
            args.config.config.display()
        )
        .into());
    };
    let plugin = plugins.load(&component, slot).await?;
    if !args.untried {
        slot.try_out(&plugin).await?;
    }
    let (octets, sha256) = (component.len(), *plugin.sha256());
    let registry = &backends.registry;
    registry
        .install(&args.name, sha256, component, SystemClock.wall())
        .await?;
    let detail = format!("{}: sha256 {}", args.name, hex(&sha256));
    note(&*backends.directory, AuditAction::PluginInstalled, detail).await?;
    line(format!(
        "{} is installed: world {}, {octets} octets, sha256 {}.",
        args.name,
        plugin.world().as_str(),
        short(&hex(&sha256))
    ))?;
    if storages_of(&configured(&config).collect::<Vec<_>>(), &args.name).is_empty() {
        line(format!(
            "No storage uses it yet: add a [storage.NAME] with kind = \"plugin\" and plugin = \"{}\".",
            args.name
        ))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct View {
    name: String,
    enabled: bool,
    sha256: String,
    octets: u64,
    installed_at: String,
    previous_sha256: Option<String>,
    /// Those of this configuration.
    storages: Vec<String>,
}

async fn list(json: bool, at: &At) -> Result<(), Failure> {
    let office = at.open().await?;
    let storages = office.storages().await?;
    let plugins = office.registry().plugins().await?;
    let views: Vec<View> = plugins.iter().map(|plugin| view(&storages, plugin)).collect();
    let heading = [
        "PLUGIN",
        "ENABLED",
        "SHA256",
        "OCTETS",
        "INSTALLED",
        "PREVIOUS",
        "STORAGES",
    ];
    output::rows(json, &views, &heading, |view| {
        vec![
            view.name.clone(),
            if view.enabled { "yes" } else { "no" }.to_owned(),
            short(&view.sha256),
            view.octets.to_string(),
            view.installed_at.clone(),
            view.previous_sha256
                .as_deref()
                .map_or_else(|| "-".to_owned(), short),
            view.storages.join(","),
        ]
    })?;
    Ok(())
}

fn short(sha256: &str) -> String {
    sha256.chars().take(SHORT).collect()
}

fn view(storages: &[StorageFacts], plugin: &InstalledPlugin) -> View {
    View {
        name: plugin.name.clone(),
        enabled: plugin.is_enabled,
        sha256: hex(&plugin.component),
        octets: plugin.octets.get(),
        installed_at: time(plugin.installed_at),
        previous_sha256: plugin.previous.as_ref().map(hex),
        storages: storages_of(storages, &plugin.name),
    }
}

fn storages_of(storages: &[StorageFacts], plugin: &str) -> Vec<String> {
    let using = storages
        .iter()
        .filter(|storage| storage.plugin.as_deref() == Some(plugin));
    using.map(|storage| storage.name.clone()).collect()
}

async fn set_enabled(args: NameArgs, is_enabled: bool) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let is_there = office.registry().set_enabled(&args.name, is_enabled).await?;
    let word = if is_enabled { "enabled" } else { "disabled" };
    done(&office, is_there, &args.name, AuditAction::PluginChanged, word).await
}

async fn roll_back(args: NameArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let is_done = office
        .registry()
        .roll_back(&args.name, SystemClock.wall())
        .await?;
    if !is_done {
        return Err(anyhow!("{} has no previous version; see restante plugin list", args.name).into());
    }
    let word = "back at its previous version";
    done(&office, is_done, &args.name, AuditAction::PluginChanged, word).await
}

async fn remove(args: NameArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    if let Some(storage) = storages_of(&office.storages().await?, &args.name).first() {
        return Err(anyhow!(
            "storage {storage} uses it; take [storage.{storage}] out of the configuration of every frontend first"
        )
        .into());
    }
    let was_there = office.registry().remove(&args.name).await?;
    done(
        &office,
        was_there,
        &args.name,
        AuditAction::PluginRemoved,
        "removed",
    )
    .await
}

async fn done(
    office: &Administration,
    is_there: bool,
    name: &str,
    action: AuditAction,
    word: &str,
) -> Result<(), Failure> {
    if !is_there {
        return Err(anyhow!("no plugin {name} is installed; see restante plugin list").into());
    }
    note(office.directory(), action, format!("{name}: {word}")).await?;
    Ok(line(format!(
        "{name} is {word}; frontends follow within some seconds."
    ))?)
}

async fn note(directory: &dyn DirectoryAdmin, action: AuditAction, detail: String) -> Result<(), Failure> {
    let record = AuditRecord {
        at: SystemClock.wall(),
        actor: operator().name,
        action,
        tenant: None,
        account: None,
        session: None,
        client: None,
        detail,
    };
    Ok(directory.record(&[record]).await?)
}
