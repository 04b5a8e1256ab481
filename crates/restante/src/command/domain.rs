//! `restante domain`.

use anyhow::anyhow;
use clap::Subcommand;
use restante_auth::{Domain, LoginName};
use serde::Serialize;

use crate::administration::At;
use crate::cli::ListArgs;
use crate::output::{self, Failure, line};

#[derive(Debug, Subcommand)]
pub(crate) enum DomainCommand {
    /// Add a domain to a tenant
    #[command(after_help = "Example:\n  restante domain add example.org --tenant acme")]
    Add {
        /// The domain, in letters or as an A-label
        name: String,
        /// The tenant that owns it
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        at: At,
    },
    /// List domains
    #[command(after_help = "Example:\n  restante domain list --tenant acme\n  restante domain list --json")]
    List {
        /// Of this tenant only
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        at: At,
    },
    /// Show a domain
    #[command(after_help = "Example:\n  restante domain show example.org")]
    Show {
        /// The domain
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Move a domain without accounts to another tenant
    #[command(after_help = "Example:\n  restante domain set example.org --tenant globex")]
    Set {
        /// The domain
        name: String,
        /// The tenant that is to own it
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        at: At,
    },
    /// Remove a domain that has no accounts
    #[command(after_help = "Example:\n  restante domain remove example.org")]
    Remove {
        /// The domain
        name: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Serialize)]
struct View {
    id: i64,
    name: String,
    tenant: String,
}

impl From<Domain> for View {
    fn from(domain: Domain) -> Self {
        Self {
            id: domain.id.get(),
            name: domain.name,
            tenant: domain.tenant_name,
        }
    }
}

pub(crate) async fn run(command: DomainCommand) -> Result<(), Failure> {
    match command {
        DomainCommand::Add { name, tenant, at } => {
            let office = at.open().await?;
            let domain = office
                .directory()
                .add_domain(&tenant, &LoginName::domain_form(&name)?)
                .await?;
            line(format!(
                "Domain {} added. Next: restante account add USER@{} --password-stdin",
                domain.name, domain.name
            ))?;
        }
        DomainCommand::List { tenant, list, at } => {
            let office = at.open().await?;
            let domains = office.directory().domains(tenant.as_deref(), list.page()).await?;
            let views: Vec<View> = domains.into_iter().map(View::from).collect();
            output::rows(list.json, &views, &["DOMAIN", "TENANT"], |view| {
                vec![view.name.clone(), view.tenant.clone()]
            })?;
        }
        DomainCommand::Show { name, json, at } => {
            let office = at.open().await?;
            let domain = office.directory().domain(&LoginName::domain_form(&name)?).await?;
            let view =
                View::from(domain.ok_or_else(|| {
                    anyhow!("there is no domain {name}; `restante domain list` shows them")
                })?);
            output::record(
                json,
                &view,
                &[("domain", view.name.clone()), ("tenant", view.tenant.clone())],
            )?;
        }
        DomainCommand::Set { name, tenant, at } => {
            let office = at.open().await?;
            let domain = office
                .directory()
                .set_domain(&LoginName::domain_form(&name)?, &tenant)
                .await?;
            line(format!(
                "Domain {} belongs to {} now.",
                domain.name, domain.tenant_name
            ))?;
        }
        DomainCommand::Remove { name, at } => {
            let office = at.open().await?;
            office
                .directory()
                .remove_domain(&LoginName::domain_form(&name)?)
                .await?;
            line(format!("Domain {name} removed."))?;
        }
    }
    Ok(())
}
