//! `restante storage`.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use restante_admin::{Health, StorageFacts};
use restante_auth::{Account, AuditAction, LoginName, Page, TenantPatch};
use restante_store::{MoveEvent, Mover, Usage};
use serde::Serialize;

use crate::administration::At;
use crate::backends::Backends;
use crate::cli::ConfigArg;
use crate::output::{self, Failure, line};
use crate::progress::Progress;

/// Names that one call of the directory answers at most.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// List the storages of the configuration, or of a server
    #[command(after_help = "Example:\n  restante storage list")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Move messages to another storage, while mail is read and delivered
    #[command(
        after_help = "Example:\n  restante storage move --tenant acme --to archive\n  \
        restante storage move --account alice@example.org --to archive\n\n\
        Unique-ids stay. It may be stopped and run again. The old octets are kept for a day, for sessions that are \
        open.\n\nExit codes: 0 everything is there; 1 something is not, and which is said."
    )]
    Move(MoveArgs),
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("whose").required(true))]
pub(crate) struct MoveArgs {
    /// All messages of this tenant; its new mail goes to the new storage too
    #[arg(long, group = "whose", value_name = "NAME")]
    tenant: Option<String>,
    /// The messages that this account has now: user@domain
    #[arg(long, group = "whose", value_name = "NAME")]
    account: Option<String>,
    /// The storage that they go to
    #[arg(long, value_name = "STORAGE")]
    to: String,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Serialize)]
struct View {
    name: String,
    kind: String,
    is_default: bool,
    /// As the server has seen it; unknown from a configuration.
    health: &'static str,
    trouble: Option<String>,
}

impl From<StorageFacts> for View {
    fn from(storage: StorageFacts) -> Self {
        Self {
            health: storage.health.as_str(),
            trouble: match storage.health {
                Health::Failing(trouble) => Some(trouble),
                Health::Well | Health::Unknown => None,
            },
            name: storage.name,
            kind: storage.kind,
            is_default: storage.is_default,
        }
    }
}

pub(crate) async fn run(command: StorageCommand) -> Result<(), Failure> {
    match command {
        StorageCommand::List { json, at } => {
            let views: Vec<View> = at.storages().await?.into_iter().map(View::from).collect();
            output::rows(json, &views, &["STORAGE", "KIND", "DEFAULT", "HEALTH"], |view| {
                let default = if view.is_default { "yes" } else { "no" };
                vec![
                    view.name.clone(),
                    view.kind.clone(),
                    default.to_owned(),
                    view.trouble.clone().unwrap_or_else(|| view.health.to_owned()),
                ]
            })?;
        }
        StorageCommand::Move(args) => move_messages(args).await?,
    }
    Ok(())
}

async fn move_messages(args: MoveArgs) -> Result<(), Failure> {
    let (_, backends) = super::open(&args.config.config).await?;
    let to = backends.blobs.id(&args.to)?;
    let accounts = match (&args.tenant, &args.account) {
        (Some(tenant), _) => {
            // New mail first: what is delivered from now on need not be moved.
            let patch = TenantPatch {
                storage: Some(args.to.clone()),
                ..TenantPatch::default()
            };
            backends.directory.set_tenant(tenant, patch).await?;
            accounts_of(&backends, tenant).await?
        }
        (None, Some(account)) => {
            vec![super::account_of(&*backends.directory, &LoginName::parse(account)?).await?]
        }
        (None, None) => Vec::new(),
    };
    let mut expected = Usage::default();
    for account in &accounts {
        let (usage, _) = backends.index.usage(account.id.maildrop()).await?;
        expected.messages += usage.messages;
    }
    let mover = Mover::new(backends.custody.clone(), backends.blobs.clone(), to);
    let mut moving = Moving {
        progress: Progress::new("move", expected.messages),
        n_moved: 0,
        n_failed: 0,
        printed: Ok(()),
    };
    for account in &accounts {
        let before = moving.n_moved;
        let mut tell = |event| moving.take(account, event);
        mover.run(account.id.maildrop(), &mut tell).await?;
        let n_moved = moving.n_moved - before;
        if n_moved > 0 {
            let detail = format!("{n_moved} messages to {}", args.to);
            super::note(
                &*backends.directory,
                account,
                AuditAction::MessagesMoved,
                None,
                detail,
            )
            .await?;
        }
    }
    moving.end(&args.to)
}

async fn accounts_of(backends: &Backends, tenant: &str) -> Result<Vec<Account>, Failure> {
    let page = |after| Page { after, limit: PAGE };
    let (mut domains, mut accounts) = (Vec::new(), Vec::new());
    loop {
        let after = domains.last().cloned();
        let names = backends.directory.domains(Some(tenant), page(after)).await?;
        if names.is_empty() {
            break;
        }
        domains.extend(names.into_iter().map(|domain| domain.name));
    }
    for domain in &domains {
        let mut after = None;
        loop {
            let more = backends.directory.accounts(Some(domain), page(after)).await?;
            let Some(last) = more.last() else {
                break;
            };
            after = Some(last.name.to_string());
            accounts.extend(more);
        }
    }
    Ok(accounts)
}

struct Moving {
    progress: Progress,
    n_moved: u64,
    n_failed: u64,
    printed: Result<(), std::io::Error>,
}

impl Moving {
    fn take(&mut self, account: &Account, event: MoveEvent) {
        match event {
            MoveEvent::Moved(octets) => {
                self.n_moved += 1;
                self.progress.message(octets);
            }
            MoveEvent::There(octets) | MoveEvent::Gone(octets) => self.progress.message(octets),
            MoveEvent::Failed(message, error) => {
                self.n_failed += 1;
                let text = format!("{}: {} not moved: {error}", account.name, message.unique_id);
                let printed = self.progress.aside(|| line(text));
                if self.printed.is_ok() {
                    self.printed = printed;
                }
            }
        }
    }

    fn end(self, to: &str) -> Result<(), Failure> {
        self.progress.end();
        self.printed?;
        line(format!("{} messages moved to {to}.", self.n_moved))?;
        match self.n_failed {
            0 => Ok(()),
            n => Err(anyhow!("{n} messages are where they were; run the same command again").into()),
        }
    }
}
