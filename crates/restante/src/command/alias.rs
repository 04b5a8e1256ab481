//! `restante alias`.

use clap::Subcommand;
use restante_auth::{Alias, LoginName};
use serde::Serialize;

use crate::administration::At;
use crate::cli::ListArgs;
use crate::output::{self, Failure, line};

#[derive(Debug, Subcommand)]
pub(crate) enum AliasCommand {
    /// Give an account a second address
    #[command(
        after_help = "Example:\n  restante alias add sales@example.org --account alice@example.org\n  \
        restante alias add alice@example.net --account alice@example.org --login"
    )]
    Add {
        /// The address, in a domain of the account's tenant
        address: String,
        /// The account that gets its mail
        #[arg(long)]
        account: String,
        /// Whether it is also a login name
        #[arg(long)]
        login: bool,
        #[command(flatten)]
        at: At,
    },
    /// List aliases
    #[command(
        after_help = "Example:\n  restante alias list --account alice@example.org\n  restante alias list --domain example.org --json"
    )]
    List {
        /// Of this account only
        #[arg(long)]
        account: Option<String>,
        /// In this domain only
        #[arg(long)]
        domain: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        at: At,
    },
    /// Remove an alias
    #[command(after_help = "Example:\n  restante alias remove sales@example.org")]
    Remove {
        /// The address
        address: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Serialize)]
struct View {
    address: String,
    account: String,
    login: bool,
}

impl From<Alias> for View {
    fn from(alias: Alias) -> Self {
        Self {
            address: alias.address.to_string(),
            account: alias.account.to_string(),
            login: alias.may_log_in,
        }
    }
}

pub(crate) async fn run(command: AliasCommand) -> Result<(), Failure> {
    match command {
        AliasCommand::Add {
            address,
            account,
            login,
            at,
        } => {
            let office = at.open().await?;
            let alias = Alias {
                address: LoginName::parse(&address)?,
                account: LoginName::parse(&account)?,
                may_log_in: login,
            };
            let alias = office.directory().add_alias(alias).await?;
            line(format!(
                "Alias {} added: its mail goes to {}.",
                alias.address, alias.account
            ))?;
        }
        AliasCommand::List {
            account,
            domain,
            list,
            at,
        } => {
            let office = at.open().await?;
            let account = account.as_deref().map(LoginName::parse).transpose()?;
            let domain = domain.as_deref().map(LoginName::domain_form).transpose()?;
            let aliases = office
                .directory()
                .aliases(account.as_ref(), domain.as_deref(), list.page())
                .await?;
            let views: Vec<View> = aliases.into_iter().map(View::from).collect();
            output::rows(list.json, &views, &["ADDRESS", "ACCOUNT", "LOGIN"], |view| {
                let login = if view.login { "yes" } else { "no" };
                vec![view.address.clone(), view.account.clone(), login.to_owned()]
            })?;
        }
        AliasCommand::Remove { address, at } => {
            let office = at.open().await?;
            let address = LoginName::parse(&address)?;
            office.directory().remove_alias(&address).await?;
            line(format!("Alias {address} removed."))?;
        }
    }
    Ok(())
}
