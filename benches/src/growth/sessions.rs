//! More and more sessions at once. Start at [`measure`].

use std::time::Duration;

use anyhow::Context as _;

use super::series::{Drawing, Part};
use crate::corpus::Plan;
use crate::crowd::Crowd;
use crate::metric::Metric;
use crate::server::Ground;
use crate::server::restante::Storage;
use crate::work::{Mode, Work, warm};

const USERS: usize = 64;

const MEASURED: [Metric; 3] = [
    Metric::PerSecond,
    Metric::CpuPerThousand,
    Metric::P99Millis("RETR"),
];

/// A server for each size.
pub(super) async fn measure(sizes: &[u32], seed: u64, lasting: Duration) -> anyhow::Result<Part> {
    let mut rows = Vec::new();
    for size in sizes {
        let row = one(usize::try_from(*size)?, seed, lasting).await;
        rows.push((*size, row.with_context(|| format!("{size} sessions"))?));
    }
    Ok(Part {
        title: "Sessions at once",
        text: "So many are logged in and idle, and answer at the end. Beside them eight clients have whole sessions: USER \
               and PASS, STAT, UIDL, five RETR, QUIT.",
        of: "idle sessions",
        columns: &[
            "memory of each, KiB",
            "whole sessions a second beside",
            "CPU for 1,000 of them, s",
            "p99 of their RETR, ms",
        ],
        rows,
        drawings: &[
            Drawing {
                file: "sessions-memory.svg",
                title: "Memory of an idle session",
                y: "KiB",
                columns: &[0],
            },
            Drawing {
                file: "sessions-rate.svg",
                title: "Whole sessions a second beside idle ones",
                y: "sessions a second",
                columns: &[1],
            },
            Drawing {
                file: "sessions-cpu.svg",
                title: "Processor time of 1,000 whole sessions beside idle ones",
                y: "s",
                columns: &[2],
            },
        ],
    })
}

async fn one(size: usize, seed: u64, lasting: Duration) -> anyhow::Result<Vec<f64>> {
    let plan = Plan {
        users: USERS,
        idle: size,
        ..Plan::default()
    };
    let mut ground = Ground::prepare(seed, plan)?;
    let server = ground.restante(Storage::Embedded, 1).await?;
    // The idle ones come first: a server that has let go of something larger has room for them.
    let crowd = Crowd::gather(&server, &ground.corpus, size, false).await?;
    let memory = crowd.pss_kib;
    warm(&server, &ground.corpus).await?;
    let work = Work::new(Mode::Sessions, 8, lasting);
    let outcome = work.on(&server, &ground.corpus).await?;
    crowd.leave().await?;
    let measured = MEASURED.map(|metric| metric.of(&outcome).context("it was measured"));
    let mut values = vec![memory];
    values.extend(measured.into_iter().collect::<anyhow::Result<Vec<f64>>>()?);
    Ok(values)
}
