//! `restante collector`.

use clap::Subcommand;

use crate::cli::ConfigArg;
use crate::output::{Failure, line, time};

#[derive(Debug, Subcommand)]
pub(crate) enum CollectorCommand {
    /// Say whether octets of deleted messages are removed
    #[command(after_help = "Example:\n  restante collector status")]
    Status {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Remove nothing any more, on any frontend; deleted messages can be restored however old they are
    #[command(after_help = "Example:\n  restante collector stop")]
    Stop {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Let removals go on
    #[command(after_help = "Example:\n  restante collector resume")]
    Resume {
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(crate) async fn run(command: CollectorCommand) -> Result<(), Failure> {
    let (config, is_stopped) = match command {
        CollectorCommand::Status { config } => (config, None),
        CollectorCommand::Stop { config } => (config, Some(true)),
        CollectorCommand::Resume { config } => (config, Some(false)),
    };
    let (_, backends) = super::open(&config.config).await?;
    if let Some(is_stopped) = is_stopped {
        backends.custody.stop_collection(is_stopped).await?;
    }
    match backends.custody.collection_stopped().await? {
        Some(since) => line(format!("Stopped since {}: nothing is removed.", time(since)))?,
        None => line("Working: octets of deleted messages are removed once their retention is over.")?,
    }
    Ok(())
}
