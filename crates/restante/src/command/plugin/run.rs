//! `restante plugin run`: the demo, with the component as its storage.

use std::path::PathBuf;

use clap::Args;
use restante_config::{Config, Storage};

use super::trial::{NAME, Trial, TrialArgs};
use crate::backends::{self, Backends};
use crate::command::demo::{self, DemoArgs};
use crate::output::Failure;

/// The storage beneath the component's.
const INNER: &str = "inner";

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    trial: TrialArgs,
    /// Where its data lies; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "restante-plugin-data")]
    data: PathBuf,
    /// Throw away what an earlier run left there and start anew
    #[arg(long)]
    fresh: bool,
    /// Port for POP3 with STLS; 0 takes a free one
    #[arg(long, default_value_t = 2110)]
    pop3_port: u16,
    /// Port for POP3S; 0 takes a free one
    #[arg(long, default_value_t = 2995)]
    pop3s_port: u16,
    /// Port for delivery by LMTP; 0 takes a free one
    #[arg(long, default_value_t = 2124)]
    lmtp_port: u16,
    /// Port for the status page and metrics; 0 takes a free one
    #[arg(long, default_value_t = 2180)]
    admin_port: u16,
}

pub(crate) async fn run(args: RunArgs) -> Result<(), Failure> {
    let trial = args.trial.load().await?;
    let demo = DemoArgs {
        data: args.data,
        fresh: args.fresh,
        pop3_port: args.pop3_port,
        pop3s_port: args.pop3s_port,
        lmtp_port: args.lmtp_port,
        admin_port: args.admin_port,
    };
    let (mut config, place) = demo::prepare(&demo)?;
    put_behind(&mut config, &args.trial, &trial);
    config.check().map_err(Failure::setup)?;
    backends::migrate(&config).await?;
    Backends::install_only(&config, NAME, &trial.component).await?;
    demo::serve(&config, &place).await
}

/// Makes the component the storage of the demo's tenant.
fn put_behind(config: &mut Config, args: &TrialArgs, trial: &Trial) {
    let beneath = config.storage.remove(&config.default_storage);
    let storage = args.storage(trial.plugin.world(), INNER);
    if let (Some(inner), Some(beneath)) = (&storage.inner, beneath) {
        config.storage.insert(inner.clone(), beneath);
    }
    NAME.clone_into(&mut config.default_storage);
    config.storage.insert(NAME.to_owned(), Storage::Plugin(storage));
    config.plugin.insert(NAME.to_owned(), args.plugin());
}
