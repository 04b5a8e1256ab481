//! Programs of this measurement's own that it starts beside the servers, as children, so that they are measured as the
//! others are. Start at [`start`].

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Frontend, Refill, Server, folder};
use crate::corpus::{Corpus, Plan};
use crate::pair::Pair;
use crate::process::{Ending, Process};

/// Arguments of a child.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder with the certificate.
    #[arg(long)]
    pub(super) folder: PathBuf,
    /// What the messages are made of.
    #[arg(long)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) plan: Plan,
}

/// Starts the child of that name, which prints two ports: a plain one, and one with TLS.
pub(crate) async fn start(
    name: &'static str,
    within: &Path,
    seed: u64,
    corpus: &Corpus,
) -> anyhow::Result<Server> {
    let folder = folder(within, name)?;
    let mut arguments = vec![
        name.to_owned(),
        "--folder".to_owned(),
        within.display().to_string(),
        "--seed".to_owned(),
        seed.to_string(),
    ];
    arguments.extend(corpus.plan().arguments());
    let program = std::env::current_exe()?;
    let mut process = Process::start(&program, &arguments, &folder.join("log"), Ending::Kill)?;
    let ports = process.ports(2).await.context(name)?;
    let client = Pair::of(within).client()?;
    Ok(Server {
        name,
        frontends: vec![Frontend::new(process, ports[0], ports[1], client)],
        beside: None,
        lmtp: None,
        refill: Refill::Never,
    })
}
