//! One maildrop with more and more messages. Start at [`measure`].

use std::time::Duration;

use anyhow::Context as _;
use restante_types::{Clock as _, SystemClock};

use super::series::{Drawing, Part};
use crate::corpus::{Kind, Maildrop, Plan};
use crate::figures::{Figures, float};
use crate::metric::Metric;
use crate::server::Ground;
use crate::server::restante::Storage;
use crate::work::{Mode, Work, log_in, look, stat};

const MEASURED: [Metric; 4] = [
    Metric::Millis("login to STAT"),
    Metric::Millis("UIDL"),
    Metric::Millis("LIST"),
    Metric::CpuMillis,
];

/// A server for each size.
pub(super) async fn measure(sizes: &[u32], seed: u64, lasting: Duration) -> anyhow::Result<Part> {
    let mut rows = Vec::new();
    for size in sizes {
        let row = one(usize::try_from(*size)?, seed, lasting).await;
        rows.push((*size, row.with_context(|| format!("{size} messages"))?));
    }
    Ok(Part {
        title: "Messages of a maildrop",
        text: "The first login is the one that finds nothing in memory; what memory is for is to hold the session that \
               it opens. The others are medians of sessions that log in, ask for STAT, UIDL and LIST, and leave; CPU is \
               the server's for each of them. A listing larger than `limits.listing_cache_mib` (64: half a million \
               messages) is not kept, and read anew.",
        of: "messages",
        columns: &[
            "first login to STAT, ms",
            "memory, KiB",
            "login to STAT, ms",
            "UIDL, ms",
            "LIST, ms",
            "CPU of a session, ms",
        ],
        rows,
        drawings: &[
            Drawing {
                file: "messages.svg",
                title: "Times against messages of the maildrop",
                y: "ms",
                columns: &[0, 2, 3, 4],
            },
            Drawing {
                file: "messages-memory.svg",
                title: "Memory for an open maildrop",
                y: "KiB",
                columns: &[1],
            },
        ],
    })
}

async fn one(size: usize, seed: u64, lasting: Duration) -> anyhow::Result<Vec<f64>> {
    let plan = Plan {
        big: size,
        idle: 1,
        ..Plan::default()
    };
    let mut ground = Ground::prepare(seed, plan)?;
    let server = ground.restante(Storage::Embedded, 1).await?;
    let door = server.door(0, false);
    // What the first session of all costs is not the maildrop's.
    let other = Maildrop {
        kind: Kind::Idle,
        nth: 0,
    };
    look(door, &ground.corpus, other).await?;
    let before = server.pss_kib()?;
    let maildrop = Maildrop {
        kind: Kind::Big,
        nth: 0,
    };
    let mut figures = Figures::default();
    let begun = SystemClock.now();
    let mut client = log_in(door, maildrop, 0, &mut figures).await?;
    stat(&mut client, &ground.corpus, maildrop, &mut figures).await?;
    let first = begun.elapsed().as_secs_f64() * 1e3;
    let memory = float(server.pss_kib()?.saturating_sub(before));
    client.command("QUIT").await?;
    let work = Work::new(Mode::Big, 1, lasting);
    let outcome = work.on(&server, &ground.corpus).await?;
    let measured = MEASURED.map(|metric| metric.of(&outcome).context("it was measured"));
    let mut values = vec![first, memory];
    values.extend(measured.into_iter().collect::<anyhow::Result<Vec<f64>>>()?);
    Ok(values)
}
