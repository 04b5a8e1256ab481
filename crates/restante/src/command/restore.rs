//! `restante restore`.

use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use clap::Args;
use restante_auth::{Account, AuditAction, LoginName};
use restante_store::{Custody, StoredMessage};
use restante_types::{Clock, SystemClock};
use serde::Serialize;

use crate::cli::{ConfigArg, duration};
use crate::output::{self, Failure, line, time};

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(crate) struct RestoreArgs {
    /// Whose messages: user@domain
    account: String,
    /// Say what could be restored, and restore nothing
    #[arg(long, group = "which")]
    list: bool,
    /// The message of this unique-id; may be given several times
    #[arg(long, group = "which", value_name = "UNIQUE-ID")]
    unique_id: Vec<String>,
    /// Everything that was deleted in this last time: 2h, 1d
    #[arg(long, group = "which", value_name = "TIME", value_parser = duration)]
    deleted_within: Option<Duration>,
    /// With --list: print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Serialize)]
struct View {
    unique_id: String,
    octets: u64,
    received: String,
    deleted: String,
}

impl RestoreArgs {
    fn wants(&self, message: &StoredMessage, deleted: SystemTime, now: SystemTime) -> bool {
        let is_named = self.unique_id.iter().any(|id| id == message.unique_id.as_str());
        let age = now.duration_since(deleted).unwrap_or_default();
        is_named || self.deleted_within.is_some_and(|within| age <= within)
    }
}

pub(crate) async fn run(args: RestoreArgs) -> Result<(), Failure> {
    let (_, backends) = super::open(&args.config.config).await?;
    let account = super::account_of(&*backends.directory, &LoginName::parse(&args.account)?).await?;
    let deleted = deleted(&*backends.custody, &account).await?;
    if args.list {
        let views: Vec<View> = deleted.iter().map(|(message, at)| view(message, *at)).collect();
        output::rows(
            args.json,
            &views,
            &["UNIQUE-ID", "OCTETS", "RECEIVED", "DELETED"],
            |view| {
                vec![
                    view.unique_id.clone(),
                    view.octets.to_string(),
                    view.received.clone(),
                    view.deleted.clone(),
                ]
            },
        )?;
        return Ok(());
    }
    let now = SystemClock.wall();
    let wanted = deleted
        .iter()
        .filter(|(message, at)| args.wants(message, *at, now));
    let keys: Vec<_> = wanted.map(|(message, _)| message.id).collect();
    let known = |id: &&String| {
        deleted
            .iter()
            .any(|(message, _)| message.unique_id.as_str() == id.as_str())
    };
    if let Some(unknown) = args.unique_id.iter().find(|id| !known(id)) {
        return Err(anyhow!(
            "{} has no deleted message {unknown:?}; see restante restore {} --list",
            account.name,
            account.name
        )
        .into());
    }
    let restored = backends.custody.restore(account.id.maildrop(), &keys).await?;
    let detail = format!("{restored} messages");
    super::note(
        &*backends.directory,
        &account,
        AuditAction::MessagesRestored,
        None,
        detail,
    )
    .await?;
    line(format!("{}: {restored} messages restored.", account.name))?;
    if restored < keys.len() {
        let lost = keys.len() - restored;
        return Err(anyhow!("{lost} messages were restored or removed for good meanwhile").into());
    }
    Ok(())
}

/// The deleted messages of an account whose retention lasts, and when each was deleted.
async fn deleted(
    custody: &dyn Custody,
    account: &Account,
) -> Result<Vec<(StoredMessage, SystemTime)>, Failure> {
    let mut found = Vec::new();
    let mut last = None;
    loop {
        let page = custody.stored(Some(account.id.maildrop()), last, 1_000).await?;
        let Some(end) = page.last() else {
            return Ok(found);
        };
        last = Some(end.id);
        found.extend(page.into_iter().filter_map(|message| {
            let at = message.deleted?;
            Some((message, at))
        }));
    }
}

fn view(message: &StoredMessage, deleted: SystemTime) -> View {
    View {
        unique_id: message.unique_id.to_string(),
        octets: message.body.octets.get(),
        received: time(message.received),
        deleted: time(deleted),
    }
}
