//! `restante account`.

use anyhow::anyhow;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use restante_auth::{Account, AccountPatch, AccountState, LoginName, NewAccount, NewPassword};
use restante_types::{Octets, Secret};
use serde::Serialize;

use crate::administration::{Administration, At, Near};
use crate::cli::{Limit, ListArgs, limit_or_none};
use crate::output::{self, Failure, line};
use crate::password::{self, GivenPassword, PasswordSource};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account with an empty maildrop
    #[command(
        after_help = "Example:\n  restante account add alice@example.org --password-stdin < secret.txt\n  \
        restante account add bob@example.org --password-file hash.txt --password-is-hash"
    )]
    Add(AddArgs),
    /// List accounts
    #[command(
        after_help = "Example:\n  restante account list --domain example.org\n  restante account list --json"
    )]
    List {
        /// Of this domain only
        #[arg(long)]
        domain: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        at: At,
    },
    /// Show an account and how full its maildrop is
    #[command(after_help = "Example:\n  restante account show alice@example.org")]
    Show {
        /// Its name: user@domain
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Change an account
    #[command(
        after_help = "Example:\n  restante account set alice@example.org --state login-suspended\n  \
        restante account set alice@example.org --password-stdin < secret.txt\n  \
        restante account set alice@example.org --rename alice.smith@example.org"
    )]
    Set(SetArgs),
    /// Remove an account and its mail
    #[command(after_help = "Example:\n  restante account remove alice@example.org")]
    Remove {
        /// Its name: user@domain
        name: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// Its name: user@domain
    name: String,
    #[command(flatten)]
    password: PasswordSource,
    /// Octets it may hold, as in 2G; the tenant's quota if left out
    #[arg(long, value_parser = crate::cli::octets, value_name = "OCTETS")]
    quota: Option<u64>,
    /// Messages it may hold; the tenant's quota if left out
    #[arg(long, value_name = "MESSAGES")]
    quota_messages: Option<u64>,
    #[command(flatten)]
    at: At,
}

#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// Its name: user@domain
    name: String,
    /// What it may do
    #[arg(long, value_parser = PossibleValuesParser::new(AccountState::ALL.map(AccountState::as_str)))]
    state: Option<String>,
    /// Its new name, in a domain of the same tenant; its mail and its unique-ids stay
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[command(flatten)]
    password: PasswordSource,
    /// Octets it may hold, as in 2G; none takes the tenant's quota
    #[arg(long, value_parser = limit_or_none, value_name = "OCTETS")]
    quota: Option<Limit>,
    /// Messages it may hold; none takes the tenant's quota
    #[arg(long, value_parser = limit_or_none, value_name = "MESSAGES")]
    quota_messages: Option<Limit>,
    #[command(flatten)]
    at: At,
}

#[derive(Serialize)]
struct View {
    id: i64,
    tenant_id: i64,
    name: String,
    state: &'static str,
    storage: String,
    /// Its own quota; without one, its tenant's holds.
    quota_octets: Option<u64>,
    quota_messages: Option<u64>,
}

/// An account with what it holds and what it may hold, by its own or its tenant's quota.
#[derive(Serialize)]
struct FullView {
    #[serde(flatten)]
    account: View,
    held_octets: u64,
    held_messages: u64,
    limit_octets: Option<u64>,
    limit_messages: Option<u64>,
}

impl From<Account> for View {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.number(),
            tenant_id: account.id.tenant().get(),
            name: account.name.to_string(),
            state: account.state.as_str(),
            storage: account.storage,
            quota_octets: account.quota_octets.map(Octets::get),
            quota_messages: account.quota_messages,
        }
    }
}

pub(crate) async fn run(command: AccountCommand) -> Result<(), Failure> {
    match command {
        AccountCommand::Add(args) => add(args).await?,
        AccountCommand::List { domain, list, at } => {
            let office = at.open().await?;
            let domain = domain.as_deref().map(LoginName::domain_form).transpose()?;
            let accounts = office
                .directory()
                .accounts(domain.as_deref(), list.page())
                .await?;
            let views: Vec<View> = accounts.into_iter().map(View::from).collect();
            output::rows(list.json, &views, &["ACCOUNT", "STATE", "QUOTA"], |view| {
                let quota = view
                    .quota_octets
                    .map_or_else(|| "tenant's".to_owned(), |n| n.to_string());
                vec![view.name.clone(), view.state.to_owned(), quota]
            })?;
        }
        AccountCommand::Show { name, json, at } => show(&name, json, &at).await?,
        AccountCommand::Set(args) => set(args).await?,
        AccountCommand::Remove { name, at } => {
            let office = at.open().await?;
            let name = LoginName::parse(&name)?;
            office.directory().remove_account(&name).await?;
            line(format!(
                "Account {name} removed; its mail is gone once the tenant's retention is over."
            ))?;
        }
    }
    Ok(())
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let name = LoginName::parse(&args.name)?;
    let given = args.password.given()?;
    let has_password = given.is_some();
    let (password, plain) = split(prepared(&office, &name, given).await?);
    let account = NewAccount {
        name,
        password,
        quota_octets: args.quota.map(Octets),
        quota_messages: args.quota_messages,
    };
    let account = match (&office, plain) {
        (Administration::Far(server), Some(plain)) => {
            server.add_account_with_password(account, &plain).await?
        }
        _ => office.directory().add_account(account).await?,
    };
    line(format!("Account {} added.", account.name))?;
    if !has_password {
        line(format!(
            "It has no password yet and cannot log in. Next: restante account set {} --password-stdin",
            account.name
        ))?;
    }
    Ok(())
}

/// Near, a plain password becomes its hash; a server far away hashes one itself, with its own pepper.
async fn prepared(
    office: &Administration,
    name: &LoginName,
    given: Option<GivenPassword>,
) -> anyhow::Result<Option<GivenPassword>> {
    let (Administration::Near(near), Some(GivenPassword::Plain(password))) = (office, &given) else {
        return Ok(given);
    };
    let rule = password::rule(&near.config.auth)?;
    let scram = wants_scram(near, name).await?;
    let hash = password::hash_octets(password.expose().as_bytes(), &rule, scram)?;
    Ok(Some(GivenPassword::Hash(hash)))
}

/// What goes into the record, and what a server is told beside it.
fn split(given: Option<GivenPassword>) -> (Option<NewPassword>, Option<Secret<String>>) {
    match given {
        None => (None, None),
        Some(GivenPassword::Hash(hash)) => (Some(hash), None),
        Some(GivenPassword::Plain(plain)) => (None, Some(plain)),
    }
}

/// Whether the tenant of a name wants SCRAM keys kept beside a password's hash.
async fn wants_scram(near: &Near, name: &LoginName) -> anyhow::Result<bool> {
    let directory = &near.backends.directory;
    let Some(domain) = directory.domain(name.domain()).await? else {
        return Ok(false);
    };
    let tenant = directory.tenant(&domain.tenant_name).await?;
    Ok(tenant.is_some_and(|tenant| tenant.policy.wants_scram()))
}

async fn show(name: &str, json: bool, at: &At) -> Result<(), Failure> {
    let office = at.open().await?;
    let account = office.directory().account(&LoginName::parse(name)?).await?;
    let account =
        account.ok_or_else(|| anyhow!("there is no account {name}; `restante account list` shows them"))?;
    let (usage, quota) = office.usage(&account).await?;
    let view = FullView {
        account: View::from(account),
        held_octets: usage.octets.get(),
        held_messages: usage.messages,
        limit_octets: quota.octets.map(Octets::get),
        limit_messages: quota.messages,
    };
    output::record(
        json,
        &view,
        &[
            ("account", view.account.name.clone()),
            ("state", view.account.state.to_owned()),
            ("storage", view.account.storage.clone()),
            ("messages", held_of(view.held_messages, view.limit_messages)),
            ("octets", held_of(view.held_octets, view.limit_octets)),
        ],
    )?;
    Ok(())
}

/// How full something is, in words.
fn held_of(held: u64, limit: Option<u64>) -> String {
    limit.map_or_else(
        || format!("{held}, no limit"),
        |limit| format!("{held} of {limit}"),
    )
}

async fn set(args: SetArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let name = LoginName::parse(&args.name)?;
    let given = args.password.given()?;
    let (password, plain) = split(prepared(&office, &name, given).await?);
    let patch = AccountPatch {
        state: args.state.as_deref().and_then(AccountState::from_name),
        name: args.rename.as_deref().map(LoginName::parse).transpose()?,
        password,
        quota_octets: args.quota.map(|limit| limit.0.map(Octets)),
        quota_messages: args.quota_messages.map(|limit| limit.0),
    };
    let account = match (&office, plain) {
        (Administration::Far(server), Some(plain)) => {
            server.set_account_with_password(&name, patch, &plain).await?
        }
        _ => office.directory().set_account(&name, patch).await?,
    };
    line(format!("Account {} changed.", account.name))?;
    Ok(())
}
