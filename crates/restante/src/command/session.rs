//! `restante sessions`, `restante kick` and `restante unlock`.

use anyhow::anyhow;
use clap::Args;
use restante_auth::{AuditAction, LoginName};
use restante_lock::HeldMaildrop;
use serde::Serialize;

use crate::administration::At;
use crate::output::{self, Failure, line, time};

#[derive(Args, Debug)]
pub(crate) struct SessionsArgs {
    /// Of this account only: user@domain
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Args, Debug)]
pub(crate) struct EndArgs {
    /// Whose session: user@domain
    account: String,
    #[command(flatten)]
    at: At,
}

#[derive(Serialize)]
struct View {
    account: Option<String>,
    account_id: i64,
    tenant_id: i64,
    session: String,
    frontend: String,
    since: String,
    is_alive: bool,
}

impl From<HeldMaildrop> for View {
    fn from(held: HeldMaildrop) -> Self {
        Self {
            account: held.name,
            account_id: held.maildrop.number(),
            tenant_id: held.maildrop.tenant().get(),
            session: held.session.to_string(),
            frontend: held.frontend,
            since: time(held.opened),
            is_alive: held.is_alive,
        }
    }
}

pub(crate) async fn sessions(args: SessionsArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let desk = office.desk()?;
    let maildrop = match &args.account {
        Some(name) => Some(
            super::account_of(office.directory(), &LoginName::parse(name)?)
                .await?
                .id
                .maildrop(),
        ),
        None => None,
    };
    let held = desk.held(maildrop, None, args.limit as usize).await?;
    let views: Vec<View> = held.into_iter().map(View::from).collect();
    let heading = ["ACCOUNT", "SINCE", "FRONTEND", "SESSION", "ALIVE"];
    output::rows(args.json, &views, &heading, |view| {
        vec![
            view.account
                .clone()
                .unwrap_or_else(|| format!("number {}", view.account_id)),
            view.since.clone(),
            view.frontend.clone(),
            view.session.clone(),
            if view.is_alive { "yes" } else { "no" }.to_owned(),
        ]
    })?;
    Ok(())
}

/// Ends a session, whether it lives or not.
pub(crate) async fn kick(args: EndArgs) -> Result<(), Failure> {
    end(&args, false).await
}

/// Frees a maildrop whose frontend gives no sign of life.
pub(crate) async fn unlock(args: EndArgs) -> Result<(), Failure> {
    end(&args, true).await
}

async fn end(args: &EndArgs, only_dead: bool) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let desk = office.desk()?;
    let account = super::account_of(office.directory(), &LoginName::parse(&args.account)?).await?;
    let held = desk.held(Some(account.id.maildrop()), None, 1).await?;
    let Some(held) = held.into_iter().next() else {
        line(format!("{} is not in use.", account.name))?;
        return Ok(());
    };
    if only_dead && held.is_alive {
        return Err(anyhow!(
            "{} is in use since {} on {}, which is alive; restante kick {} ends the session",
            account.name,
            time(held.opened),
            held.frontend,
            account.name
        )
        .into());
    }
    if !desk.free(&held).await? {
        return Err(anyhow!("the session of {} has just ended, look again", account.name).into());
    }
    let detail = format!("on {}", held.frontend);
    super::note(
        office.directory(),
        &account,
        AuditAction::SessionKicked,
        Some(held.session),
        detail,
    )
    .await?;
    line(format!(
        "{} is free. Its session on {} can delete nothing any more, and ends within 30 seconds if it lives.",
        account.name, held.frontend
    ))?;
    Ok(())
}
