//! Restante beside Dovecot, and beside what bounds any server, by turns in one run. Start at [`run`].

mod row;
mod table;

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use self::row::Row;
use self::table::Values;
use crate::corpus::{Corpus, Plan, SEED};
use crate::server::{Contestant, Ground, Server};
use crate::work::{Mode, Outcome, Work, warm};

/// Clients where nothing else limits them.
const AT_ONCE: usize = 8;
/// Of them, those that guess.
const GUESSING: usize = AT_ONCE / 4;
/// More logins than a core does in a second.
const LOGINS_PER_SECOND: usize = 100;

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to compare; everything but `postgres` if left out
    #[arg(long, value_delimiter = ',')]
    rows: Vec<Row>,
    /// How often, by turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
    /// How long one turn lasts, in seconds
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Idle sessions of a server that can hold many; those with a process for each have a tenth
    #[arg(long, default_value_t = 2_000)]
    idle: usize,
    /// Messages of the big maildrop
    #[arg(long, default_value_t = 100_000)]
    big: usize,
    /// What the messages are made of
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares, and prints tables.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut rows = options.rows.clone();
    if rows.is_empty() {
        rows.extend(Row::ALL.into_iter().filter(|row| *row != Row::Postgres));
    }
    let partners: Vec<Row> = rows.iter().filter_map(|row| row.partner()).collect();
    rows.extend(partners);
    rows.sort_unstable();
    rows.dedup();
    ensure!(
        rows.len() == 1 || !rows.contains(&Row::Postgres),
        "`--rows postgres` stands alone: the maildrops of other rows are made in SQLite"
    );
    let mut ground = Ground::prepare(options.seed, plan(&rows, &options))?;
    let servers = start(&mut ground, &rows).await?;
    let mut values = Values::default();
    for round in 0..usize::from(options.rounds) {
        for row in &rows {
            let mut turn: Vec<&Contestant> = row.contestants().iter().collect();
            // Each comes first as often.
            let first = round % turn.len();
            turn.rotate_left(first);
            for contestant in turn {
                let server = servers
                    .iter()
                    .find(|(which, _)| which == contestant)
                    .map(|(_, server)| server)
                    .context("a server was not started")?;
                let outcome = one(*row, *contestant, server, &ground.corpus, &options, round).await?;
                values.note(*row, *contestant, &outcome);
            }
        }
    }
    if options.json {
        println!("{}", values.json());
    } else {
        let tables = [values.ratios(), values.bounds(), values.medians()];
        let full: Vec<&str> = tables
            .iter()
            .map(String::as_str)
            .filter(|table| !table.is_empty())
            .collect();
        println!("{}", full.join("\n\n"));
    }
    Ok(())
}

/// The maildrops of all rows.
fn plan(rows: &[Row], options: &Options) -> Plan {
    let mut plan = Plan::default();
    for row in rows {
        match row.mode() {
            Mode::Throughput => plan.large = 4,
            Mode::Big => plan.big = options.big,
            Mode::Few => plan.few = 100,
            Mode::Idle => plan.idle = options.idle,
            Mode::Deletes => plan.wipe = 10_000,
            Mode::Small => plan.small = 10_000,
            // Each is logged in to for the first time once.
            Mode::Logins => plan.login = 2 * usize::from(options.rounds) * logins(options),
            _ => plan.users = 64,
        }
    }
    plan
}

/// Accounts for the logins of one turn.
fn logins(options: &Options) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    usize::try_from(options.seconds).unwrap_or(usize::MAX) * cores * LOGINS_PER_SECOND
}

/// Starts every server that a row needs.
async fn start(ground: &mut Ground, rows: &[Row]) -> anyhow::Result<Vec<(Contestant, Server)>> {
    let mut servers: Vec<(Contestant, Server)> = Vec::new();
    for contestant in rows.iter().flat_map(|row| row.contestants()) {
        if servers.iter().all(|(which, _)| which != contestant) {
            let server = ground.start(*contestant).await?;
            if *contestant != Contestant::Bare {
                warm(&server, &ground.corpus).await?;
            }
            servers.push((*contestant, server));
        }
    }
    Ok(servers)
}

/// One turn of one server.
async fn one(
    row: Row,
    contestant: Contestant,
    server: &Server,
    corpus: &Arc<Corpus>,
    options: &Options,
    round: usize,
) -> anyhow::Result<Outcome> {
    let at_once = match row.mode() {
        Mode::Big | Mode::Few | Mode::Deletes | Mode::Small => 1,
        Mode::Throughput => 4,
        Mode::Idle => match contestant {
            Contestant::DovecotInstalled | Contestant::DovecotTuned => options.idle.div_ceil(10),
            _ => options.idle,
        },
        // Those who log in are as many as beside the guessing.
        Mode::Logins if row == Row::Logins => AT_ONCE - GUESSING,
        _ => AT_ONCE,
    };
    let work = Work {
        mode: match contestant {
            Contestant::Bare => Mode::Bare,
            _ => row.mode(),
        },
        is_tls: row.is_tls(),
        at_once,
        guessing: if row == Row::Guessed { GUESSING } else { 0 },
        first: (2 * round + usize::from(row == Row::Guessed)) * logins(options),
        accounts: logins(options),
        lasting: Duration::from_secs(options.seconds),
    };
    work.on(server, corpus).await.with_context(|| format!("{row:?}"))
}
