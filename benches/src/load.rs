//! Load on one server, from clients that check every answer. Start at [`run`].

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::corpus::{Plan, SEED};
use crate::figures::float;
use crate::server::restante::Storage;
use crate::server::{Contestant, Ground};
use crate::work::{Mode, Outcome, Work, warm};

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What clients do
    mode: Mode,
    /// Whether they begin with a TLS handshake, each time a full one
    #[arg(long)]
    tls: bool,
    /// How long, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Clients at the same time; of `idle`, sessions
    #[arg(long)]
    at_once: Option<usize>,
    /// Clients among them that guess passwords, in `logins`
    #[arg(long, default_value_t = 0)]
    guessing: usize,
    /// Maildrops, or messages of the one maildrop, as the mode has it
    #[arg(long)]
    size: Option<usize>,
    /// The server: a dovecot is started as `compare` does it
    #[arg(long, default_value = "restante")]
    server: Contestant,
    /// Where Restante keeps its mail; with Postgres, few maildrops
    #[arg(long, default_value = "embedded")]
    storage: Storage,
    /// What the messages are made of
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Starts the server, loads it, prints what it took.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let (at_once, size) = extent(options.mode);
    let (at_once, size) = (
        options.at_once.unwrap_or(at_once),
        options.size.unwrap_or(size.max(options.at_once.unwrap_or(0))),
    );
    ensure!(
        at_once > options.guessing && size > 0,
        "--at-once must be at least 1 and more than --guessing, --size at least 1"
    );
    let is_one_maildrop = matches!(options.mode, Mode::Big | Mode::Few | Mode::Small | Mode::Deletes);
    ensure!(
        if is_one_maildrop {
            at_once == 1
        } else {
            size >= at_once
        },
        "a maildrop has one session at a time: --at-once {at_once} needs as many maildrops"
    );
    let work = Work {
        mode: options.mode,
        is_tls: options.tls,
        at_once,
        guessing: options.guessing,
        first: 0,
        accounts: size,
        lasting: Duration::from_secs(options.seconds),
    };
    let mut ground = Ground::prepare(options.seed, plan(options.mode, size))?;
    let server = match options.server {
        Contestant::Restante => ground.restante(options.storage, 1).await?,
        server => ground.start(server).await?,
    };
    warm(&server, &ground.corpus).await?;
    let outcome = work.on(&server, &ground.corpus).await?;
    if options.json {
        println!("{}", as_json(server.name, work, &outcome));
    } else {
        report(server.name, work, &ground, &outcome);
    }
    Ok(())
}

/// Clients at once, and maildrops or messages, if nobody says.
pub(crate) const fn extent(mode: Mode) -> (usize, usize) {
    match mode {
        Mode::Sessions | Mode::Polls | Mode::Deliver => (8, 64),
        Mode::Logins => (8, 1_000),
        Mode::Idle => (1_000, 1_000),
        Mode::Big => (1, 100_000),
        Mode::Few => (1, 100),
        Mode::Throughput | Mode::Bare => (4, 4),
        Mode::Small | Mode::Deletes => (1, 10_000),
    }
}

/// The maildrops of a mode.
pub(crate) fn plan(mode: Mode, size: usize) -> Plan {
    let nothing = Plan::default();
    match mode {
        Mode::Sessions | Mode::Polls => Plan {
            users: size,
            ..nothing
        },
        Mode::Deliver => Plan {
            users: size,
            idle: size,
            ..nothing
        },
        Mode::Logins => Plan {
            login: size,
            ..nothing
        },
        Mode::Idle => Plan {
            idle: size,
            ..nothing
        },
        Mode::Big => Plan { big: size, ..nothing },
        Mode::Few => Plan { few: size, ..nothing },
        Mode::Throughput | Mode::Bare => Plan {
            large: size,
            ..nothing
        },
        Mode::Small => Plan {
            small: size,
            ..nothing
        },
        Mode::Deletes => Plan {
            wipe: size,
            ..nothing
        },
    }
}

fn report(server: &str, work: Work, ground: &Ground, outcome: &Outcome) {
    let (figures, used) = (&outcome.figures, outcome.used);
    let (median, mean) = ground.corpus.sizes();
    println!(
        "{server}: {:?}, {}, {} at once, {:.1} s: {} done, {:.1} a second, {:.3} GB compared, no error",
        work.mode,
        if work.is_tls { "TLS" } else { "plain" },
        work.at_once,
        used.wall.as_secs_f64(),
        figures.done,
        float(figures.done) / used.wall.as_secs_f64(),
        float(figures.octets) / 1e9,
    );
    if mean > 0 {
        println!("messages: median {median} octets, mean {mean}");
    }
    println!(
        "server CPU: {:.2} s, {:.3} s for 1,000",
        used.cpu.as_secs_f64(),
        used.cpu_per(1_000, figures.done)
    );
    if let Some(beside) = used.beside_per(1_000, figures.done) {
        println!("CPU of its database: {beside:.3} s for 1,000");
    }
    if figures.octets > 0 {
        println!(
            "server CPU: {:.3} s for a GB",
            used.cpu_per(1_000_000_000, figures.octets)
        );
    }
    if let Some(hash) = outcome.hash {
        println!("one hash by itself: {:.1} ms", hash.as_secs_f64() * 1e3);
    }
    if let Some(kib) = outcome.pss_kib {
        println!("memory (PSS): {kib:.1} KiB for a session");
    }
    println!("\n{}", figures.table());
}

fn as_json(server: &str, work: Work, outcome: &Outcome) -> serde_json::Value {
    let used = outcome.used;
    json!({
        "server": server,
        "mode": format!("{:?}", work.mode),
        "tls": work.is_tls,
        "at_once": work.at_once,
        "wall_seconds": used.wall.as_secs_f64(),
        "server_cpu_seconds": used.cpu.as_secs_f64(),
        "database_cpu_seconds": used.beside.map(|time| time.as_secs_f64()),
        "pss_kib_per_session": outcome.pss_kib,
        "hash_seconds": outcome.hash.map(|time| time.as_secs_f64()),
        "errors": 0,
        "figures": outcome.figures.json(),
    })
}
