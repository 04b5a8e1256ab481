//! `restante audit`.

use anyhow::anyhow;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use restante_auth::{AuditAction, AuditEntry, AuditFilter, LoginName};
use serde::Serialize;

use crate::administration::At;
use crate::output::{self, Failure, time};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who did what, newest first
    #[command(
        after_help = "Example:\n  restante audit list --account alice@example.org\n  \
        restante audit list --tenant acme --action login-refused --json\n  restante audit list --before 4711"
    )]
    List {
        /// About this tenant only
        #[arg(long)]
        tenant: Option<String>,
        /// About this account only
        #[arg(long)]
        account: Option<String>,
        /// Of this kind only
        #[arg(long, value_parser = PossibleValuesParser::new(AuditAction::ALL.iter().map(|action| action.as_str())))]
        action: Option<String>,
        /// Only lines with a smaller number: the next page
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Serialize)]
struct View {
    id: i64,
    at: String,
    actor: String,
    action: &'static str,
    tenant_id: Option<i64>,
    account_id: Option<i64>,
    session: Option<String>,
    client: Option<String>,
    detail: String,
}

impl From<AuditEntry> for View {
    fn from(entry: AuditEntry) -> Self {
        let record = entry.record;
        Self {
            id: entry.id,
            at: time(record.at),
            actor: record.actor,
            action: record.action.as_str(),
            tenant_id: record.tenant.map(restante_types::TenantId::get),
            account_id: record.account.map(restante_types::AccountId::number),
            session: record.session.map(|session| session.to_string()),
            client: record.client.map(|client| client.to_string()),
            detail: record.detail,
        }
    }
}

pub(crate) async fn run(command: AuditCommand) -> Result<(), Failure> {
    let AuditCommand::List {
        tenant,
        account,
        action,
        before,
        limit,
        json,
        at,
    } = command;
    let office = at.open().await?;
    let tenant = match tenant {
        Some(name) => {
            let found = office.directory().tenant(&name).await?;
            let missing = || anyhow!("there is no tenant {name}; `restante tenant list` shows them");
            Some(found.ok_or_else(missing)?.id)
        }
        None => None,
    };
    let account = match account {
        Some(name) => {
            let found = office.directory().account(&LoginName::parse(&name)?).await?;
            let missing = || anyhow!("there is no account {name}; `restante account list` shows them");
            Some(found.ok_or_else(missing)?.id)
        }
        None => None,
    };
    let filter = AuditFilter {
        tenant,
        account,
        action: action.as_deref().and_then(AuditAction::from_name),
        before,
        limit,
    };
    let entries = office.directory().audit(filter).await?;
    let views: Vec<View> = entries.into_iter().map(View::from).collect();
    let heading = ["ID", "AT", "WHO", "WHAT", "ACCOUNT", "CLIENT", "DETAIL"];
    output::rows(json, &views, &heading, |view| {
        vec![
            view.id.to_string(),
            view.at.clone(),
            view.actor.clone(),
            view.action.to_owned(),
            view.account_id.map(|id| id.to_string()).unwrap_or_default(),
            view.client.clone().unwrap_or_default(),
            view.detail.clone(),
        ]
    })?;
    Ok(())
}
