//! What Restante costs as it is given more: messages, sessions, frontends. Tables and plots are written into a folder,
//! to be read where the project is. Start at [`run`].

mod frontends;
mod messages;
mod series;
mod sessions;

use std::fmt::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use self::series::Part;
use crate::corpus::SEED;

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Messages of a maildrop
    #[arg(long, value_delimiter = ',', default_values_t = [100, 10_000, 100_000, 1_000_000])]
    messages: Vec<u32>,
    /// Sessions at once that idle
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 10_000])]
    sessions: Vec<u32>,
    /// Frontends over one Postgres
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    frontends: Vec<u32>,
    /// How long each is measured, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What the messages are made of
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Where the page and its plots are written
    #[arg(long, default_value = "benches/growth")]
    folder: PathBuf,
}

/// Measures all of it, and writes the page.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    for (what, sizes) in [
        ("--messages", &options.messages),
        ("--sessions", &options.sessions),
        ("--frontends", &options.frontends),
    ] {
        ensure!(
            sizes.is_sorted_by(|one, next| one < next) && !sizes.contains(&0),
            "{what} are numbers above 0, each larger than the one before"
        );
    }
    let lasting = Duration::from_secs(options.seconds);
    let parts = [
        messages::measure(&options.messages, options.seed, lasting).await?,
        sessions::measure(&options.sessions, options.seed, lasting).await?,
        frontends::measure(&options.frontends, options.seed, lasting).await?,
    ];
    write(&options.folder, &parts)?;
    for part in &parts {
        println!("{}\n", part.table());
    }
    println!("{} is written", options.folder.join("README.md").display());
    Ok(())
}

/// Writes the page with its plots, over those that were there.
fn write(folder: &Path, parts: &[Part]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut page = format!(
        "# Cost against size\n\nWritten by `restante-bench growth`, in one run on {cores} cores, clients on the same \
         cores. [How it is measured](../README.md#growth).\n"
    );
    for part in parts {
        write!(page, "\n## {}\n\n{}\n\n{}\n", part.title, part.text, part.table())?;
        for (file, plot) in part.plots() {
            let path = folder.join(file);
            std::fs::write(&path, plot.svg()?).with_context(|| path.display().to_string())?;
            write!(page, "\n![{}]({file})\n", plot.title)?;
        }
    }
    let path = folder.join("README.md");
    std::fs::write(&path, page).with_context(|| path.display().to_string())
}
