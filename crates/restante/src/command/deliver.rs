//! `restante deliver`.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use restante_auth::{Account, LoginName};
use restante_config::Config;
use restante_store::{Deliverer, Delivery, Spool, SpoolSettings, Spooled};
use restante_types::{Octets, SystemClock, UniqueId};

use crate::backends::{Backends, spool_directory};
use crate::cli::ConfigArg;
use crate::output::{Failure, line};

#[derive(Args, Debug)]
pub(crate) struct DeliverArgs {
    /// Who receives it: user@domain; may be given several times
    #[arg(long, required = true, value_name = "ADDRESS")]
    to: Vec<String>,
    /// Read the message from a file instead of standard input
    #[arg(value_name = "FILE")]
    file: Option<std::path::PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

pub(crate) async fn run(args: DeliverArgs) -> Result<(), Failure> {
    let (config, backends) = super::open(&args.config.config).await?;
    let mut recipients = Vec::with_capacity(args.to.len());
    for address in &args.to {
        recipients.push(recipient(&backends, address).await?);
    }
    let message = match &args.file {
        Some(file) => {
            let opened =
                std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            spool(&config, opened).await?
        }
        None => spool(&config, std::io::stdin()).await?,
    };
    let mut n_failed = 0;
    for account in &recipients {
        match deliver(&backends, account, &message).await {
            Ok(unique_id) => line(format!(
                "{}: delivered, {} octets, unique-id {unique_id}",
                account.name,
                message.measured().octets
            ))?,
            Err(error) => {
                n_failed += 1;
                line(format!("{}: not delivered: {error:#}", account.name))?;
            }
        }
    }
    if n_failed > 0 {
        return Err(anyhow!(
            "{n_failed} of {} recipients did not get the message",
            recipients.len()
        )
        .into());
    }
    Ok(())
}

/// The account behind an address, if it receives mail.
async fn recipient(backends: &Backends, address: &str) -> anyhow::Result<Account> {
    let name = LoginName::parse(address).with_context(|| format!("{address:?} is no address"))?;
    let found = backends.directory.recipient(&name).await?;
    let account = found.map(|found| found.account);
    let account =
        account.ok_or_else(|| anyhow!("there is no account {name}; `restante account list` shows them"))?;
    if !account.may_receive() {
        bail!(
            "account {name} is {}, its tenant {}: it receives no mail",
            account.state.as_str(),
            account.tenant_state.as_str()
        );
    }
    Ok(account)
}

/// Takes a message in canonical form, however long it is, without holding it in memory.
pub(crate) async fn spool(config: &Config, mut source: impl Read + Send) -> anyhow::Result<Spooled> {
    let settings = SpoolSettings {
        directory: spool_directory(config)?,
        max_octets: Octets(config.lmtp.max_message_octets),
    };
    let mut spool = Spool::new(settings);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match source.read(&mut piece).context("cannot read the message")? {
            0 => break,
            n => spool.write(&piece[..n]).await,
        }
    }
    Ok(spool.finish().await?)
}

/// Delivers to one account.
pub(crate) async fn deliver(
    backends: &Backends,
    account: &Account,
    message: &Spooled,
) -> anyhow::Result<UniqueId> {
    let deliverer = Deliverer::new(
        Arc::clone(&backends.index),
        Arc::clone(&backends.blobs),
        Arc::new(SystemClock),
    );
    let storage = backends.blobs.id(&account.storage)?;
    let delivery = Delivery::new(account.id.maildrop(), account.name.to_string(), storage);
    Ok(deliverer.deliver(delivery, message).await?.unique_id)
}
