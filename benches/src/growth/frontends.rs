//! More and more frontends over one Postgres. Start at [`measure`].

use std::time::Duration;

use anyhow::Context as _;

use super::series::{Drawing, Part};
use crate::corpus::Plan;
use crate::metric::Metric;
use crate::server::Ground;
use crate::server::restante::Storage;
use crate::work::{Mode, Work, warm};

/// Clients, and maildrops: the same number for each of up to four frontends.
const AT_ONCE: usize = 12;
const USERS: usize = 5 * AT_ONCE;

const MEASURED: [Metric; 3] = [
    Metric::PerSecond,
    Metric::CpuPerThousand,
    Metric::BesidePerThousand,
];

/// Frontends and a database of their own for each number.
pub(super) async fn measure(sizes: &[u32], seed: u64, lasting: Duration) -> anyhow::Result<Part> {
    let mut rows = Vec::new();
    for size in sizes {
        let row = one(usize::try_from(*size)?, seed, lasting).await;
        rows.push((*size, row.with_context(|| format!("{size} frontends"))?));
    }
    Ok(Part {
        title: "Frontends over one Postgres",
        text: "Twelve clients, dealt among the frontends, have whole sessions. Index, locks and octets are in Postgres, \
               which syncs. All of it shares this machine: where the rate does not grow, its processor is full, and the \
               processor time says what a frontend more costs.",
        of: "frontends",
        columns: &[
            "whole sessions a second",
            "frontends, CPU s for 1,000",
            "Postgres, CPU s for 1,000",
        ],
        rows,
        drawings: &[
            Drawing {
                file: "frontends-cpu.svg",
                title: "Processor time of 1,000 whole sessions",
                y: "s",
                columns: &[1, 2],
            },
            Drawing {
                file: "frontends-rate.svg",
                title: "Whole sessions a second",
                y: "sessions a second",
                columns: &[0],
            },
        ],
    })
}

async fn one(size: usize, seed: u64, lasting: Duration) -> anyhow::Result<Vec<f64>> {
    let plan = Plan {
        users: USERS,
        ..Plan::default()
    };
    let mut ground = Ground::prepare(seed, plan)?;
    let server = ground.restante(Storage::Postgres, size).await?;
    warm(&server, &ground.corpus).await?;
    let work = Work::new(Mode::Sessions, AT_ONCE, lasting);
    let outcome = work.on(&server, &ground.corpus).await?;
    MEASURED
        .into_iter()
        .map(|metric| metric.of(&outcome).context("it was measured"))
        .collect()
}
