//! `restante tenant`.

use std::time::Duration;

use anyhow::anyhow;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use restante_auth::{AccountState, Tenant, TenantPatch};
use restante_types::Octets;
use serde::Serialize;

use crate::administration::At;
use crate::cli::{Limit, ListArgs, duration, limit_or_none};
use crate::output::{self, Failure, line};

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Add a tenant
    #[command(
        after_help = "Example:\n  restante tenant add acme\n  restante tenant add acme --storage archive"
    )]
    Add {
        /// Its name: 1 to 63 of a-z, 0-9 and -
        name: String,
        /// The storage for its mail; the configuration's default_storage if left out
        #[arg(long)]
        storage: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// List tenants
    #[command(after_help = "Example:\n  restante tenant list\n  restante tenant list --json --limit 50")]
    List {
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        at: At,
    },
    /// Show a tenant
    #[command(after_help = "Example:\n  restante tenant show acme")]
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Change a tenant
    #[command(after_help = "Example:\n  restante tenant set acme --quota 2G --retention 30d")]
    Set(SetArgs),
    /// Remove a tenant that has no domains
    #[command(after_help = "Example:\n  restante tenant remove acme")]
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// Its name
    name: String,
    /// What its accounts may do at most; of this and an account's own state the stricter holds
    #[arg(long, value_parser = PossibleValuesParser::new(AccountState::ALL.map(AccountState::as_str)))]
    state: Option<String>,
    /// The domain of login names without one, where the tenant is known by the listener or the server's name; or none
    #[arg(long, value_name = "DOMAIN")]
    default_domain: Option<String>,
    /// A name of the server that is this tenant's: clients that ask for it are its users. May be given several times
    #[arg(long, value_name = "NAME")]
    add_server_name: Vec<String>,
    /// A name of the server that is this tenant's no more
    #[arg(long, value_name = "NAME")]
    remove_server_name: Vec<String>,
    /// The storage for new mail; older mail stays where it is
    #[arg(long)]
    storage: Option<String>,
    /// How long a deleted message is kept before its octets are removed: 90s, 15m, 24h or 30d
    #[arg(long, value_parser = duration)]
    retention: Option<Duration>,
    /// Octets that each account may hold, as in 2G, or none
    #[arg(long, value_parser = limit_or_none, value_name = "OCTETS")]
    quota: Option<Limit>,
    /// Messages that each account may hold, or none
    #[arg(long, value_parser = limit_or_none, value_name = "MESSAGES")]
    quota_messages: Option<Limit>,
    #[command(flatten)]
    at: At,
}

#[derive(Serialize)]
struct View {
    id: i64,
    name: String,
    state: &'static str,
    default_domain: Option<String>,
    server_names: Vec<String>,
    storage: String,
    retention_secs: u64,
    quota_octets: Option<u64>,
    quota_messages: Option<u64>,
}

impl From<Tenant> for View {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.get(),
            name: tenant.name,
            state: tenant.state.as_str(),
            default_domain: tenant.default_domain,
            server_names: tenant.server_names,
            storage: tenant.storage,
            retention_secs: tenant.retention.as_secs(),
            quota_octets: tenant.quota_octets.map(Octets::get),
            quota_messages: tenant.quota_messages,
        }
    }
}

pub(crate) async fn run(command: TenantCommand) -> Result<(), Failure> {
    match command {
        TenantCommand::Add { name, storage, at } => {
            let office = at.open().await?;
            let storage = match storage {
                Some(storage) => office.check_storage(&storage).map(|()| storage)?,
                None => office.default_storage().await?,
            };
            let tenant = office.directory().add_tenant(&name, &storage).await?;
            line(format!(
                "Tenant {} added. Next: restante domain add DOMAIN --tenant {}",
                tenant.name, tenant.name
            ))?;
        }
        TenantCommand::List { list, at } => {
            let office = at.open().await?;
            let tenants = office.directory().tenants(list.page()).await?;
            let views: Vec<View> = tenants.into_iter().map(View::from).collect();
            output::rows(
                list.json,
                &views,
                &["NAME", "STATE", "STORAGE", "RETENTION", "QUOTA"],
                |view| {
                    vec![
                        view.name.clone(),
                        view.state.to_owned(),
                        view.storage.clone(),
                        format!("{}s", view.retention_secs),
                        limit(view.quota_octets),
                    ]
                },
            )?;
        }
        TenantCommand::Show { name, json, at } => {
            let office = at.open().await?;
            let tenant = office.directory().tenant(&name).await?;
            let view =
                View::from(tenant.ok_or_else(|| {
                    anyhow!("there is no tenant {name}; `restante tenant list` shows them")
                })?);
            output::record(
                json,
                &view,
                &[
                    ("name", view.name.clone()),
                    ("state", view.state.to_owned()),
                    (
                        "default domain",
                        view.default_domain.clone().unwrap_or_else(|| "none".to_owned()),
                    ),
                    ("server names", view.server_names.join(" ")),
                    ("storage", view.storage.clone()),
                    ("retention", format!("{}s", view.retention_secs)),
                    ("quota octets", limit(view.quota_octets)),
                    ("quota messages", limit(view.quota_messages)),
                ],
            )?;
        }
        TenantCommand::Set(args) => {
            let office = args.at.open().await?;
            if let Some(storage) = &args.storage {
                office.check_storage(storage)?;
            }
            for name in &args.add_server_name {
                office.directory().add_server_name(&args.name, name).await?;
            }
            for name in &args.remove_server_name {
                office.directory().remove_server_name(&args.name, name).await?;
            }
            let patch = TenantPatch {
                state: args.state.as_deref().and_then(AccountState::from_name),
                default_domain: args
                    .default_domain
                    .map(|domain| (domain != "none").then_some(domain)),
                policy: None,
                storage: args.storage,
                retention: args.retention,
                quota_octets: args.quota.map(|limit| limit.0.map(Octets)),
                quota_messages: args.quota_messages.map(|limit| limit.0),
            };
            let tenant = office.directory().set_tenant(&args.name, patch).await?;
            line(format!("Tenant {} changed.", tenant.name))?;
        }
        TenantCommand::Remove { name, at } => {
            let office = at.open().await?;
            office.directory().remove_tenant(&name).await?;
            line(format!("Tenant {name} removed."))?;
        }
    }
    Ok(())
}

/// A limit in words.
fn limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}
