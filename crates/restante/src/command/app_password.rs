//! `restante app-password`.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use restante_auth::password::AppPassword;
use restante_auth::{AppPasswordId, AppPasswordInfo, AppScope, LoginName, NewAppPassword};
use restante_config::IpNet;
use restante_types::{Clock, SystemClock};
use serde::Serialize;

use crate::administration::{Administration, At};
use crate::cli::duration;
use crate::output::{self, Failure, line, time};
use crate::password;

#[derive(Debug, Subcommand)]
pub(crate) enum AppPasswordCommand {
    /// Make a password for one program of an account's owner; it is shown once
    #[command(
        after_help = "Example:\n  restante app-password add alice@example.org --label Thunderbird\n  \
        restante app-password add alice@example.org --label backup --scope read-only --network 192.0.2.0/24 --expires 90d"
    )]
    Add(AddArgs),
    /// List the application passwords of an account
    #[command(after_help = "Example:\n  restante app-password list alice@example.org --json")]
    List {
        /// The account
        account: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Revoke an application password; sessions that were opened with it end within a minute
    #[command(after_help = "Example:\n  restante app-password remove alice@example.org 7")]
    Remove {
        /// The account
        account: String,
        /// Its number, as `list` shows it
        id: i64,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// The account
    account: String,
    /// What its owner calls it
    #[arg(long)]
    label: String,
    /// What it opens
    #[arg(long, default_value = "full", value_parser = PossibleValuesParser::new(AppScope::ALL.map(AppScope::as_str)))]
    scope: String,
    /// From where alone it is good; may be given several times
    #[arg(long, value_name = "NETWORK")]
    network: Vec<IpNet>,
    /// After how long it is good no more: 12h or 90d
    #[arg(long, value_parser = duration)]
    expires: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Serialize)]
struct View {
    id: i64,
    label: String,
    scope: &'static str,
    networks: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

/// A new one, with the only showing of its secret.
#[derive(Serialize)]
struct NewView {
    #[serde(flatten)]
    info: View,
    password: String,
}

impl From<AppPasswordInfo> for View {
    fn from(info: AppPasswordInfo) -> Self {
        Self {
            id: info.id.0,
            label: info.label,
            scope: info.scope.as_str(),
            networks: info.networks.iter().map(ToString::to_string).collect(),
            created_at: time(info.created_at),
            expires_at: info.expires_at.map(time),
            last_used_at: info.last_used_at.map(time),
        }
    }
}

pub(crate) async fn run(command: AppPasswordCommand) -> Result<(), Failure> {
    match command {
        AppPasswordCommand::Add(args) => add(args).await?,
        AppPasswordCommand::List { account, json, at } => {
            let office = at.open().await?;
            let passwords = office
                .directory()
                .app_passwords(&LoginName::parse(&account)?)
                .await?;
            let views: Vec<View> = passwords.into_iter().map(View::from).collect();
            let heading = ["ID", "LABEL", "SCOPE", "NETWORKS", "EXPIRES", "LAST USED"];
            output::rows(json, &views, &heading, |view| {
                let networks = if view.networks.is_empty() {
                    "everywhere".to_owned()
                } else {
                    view.networks.join(" ")
                };
                vec![
                    view.id.to_string(),
                    view.label.clone(),
                    view.scope.to_owned(),
                    networks,
                    view.expires_at.clone().unwrap_or_else(|| "never".to_owned()),
                    view.last_used_at.clone().unwrap_or_else(|| "never".to_owned()),
                ]
            })?;
        }
        AppPasswordCommand::Remove { account, id, at } => {
            let office = at.open().await?;
            let account = LoginName::parse(&account)?;
            office
                .directory()
                .remove_app_password(&account, AppPasswordId(id))
                .await?;
            line(format!("Application password {id} of {account} is revoked."))?;
        }
    }
    Ok(())
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let account = LoginName::parse(&args.account)?;
    let scope = AppScope::from_name(&args.scope).unwrap_or_default();
    let expires_at = args.expires.map(|expires| SystemClock.wall() + expires);
    let (info, shown) = match &office {
        Administration::Far(server) => {
            let made = server.make_app_password(&account, &args.label, scope, &args.network, expires_at);
            made.await?
        }
        Administration::Near(near) => {
            let rule = password::rule(&near.config.auth)?;
            let (shown, secret) = AppPassword::generate()?;
            let new = NewAppPassword {
                label: args.label,
                verifier: secret.verifier(rule.keyring()),
                scope,
                networks: args.network,
                expires_at,
            };
            let info = near.backends.directory.add_app_password(&account, new).await?;
            (info, shown)
        }
    };
    let view = NewView {
        info: View::from(info),
        password: shown.expose().clone(),
    };
    output::record(
        args.json,
        &view,
        &[
            ("number", view.info.id.to_string()),
            ("label", view.info.label.clone()),
            ("password", view.password.clone()),
        ],
    )?;
    if !args.json {
        line("It is shown this once. Hyphens, spaces and case do not matter when it is typed.")?;
    }
    Ok(())
}
