//! What one hash of a password costs by itself, as all of `logins` are hashed. Start at [`alone`].

use std::num::NonZero;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use restante_auth::password::{HashParams, Password, Rule};
use rustix::time::{ClockId, clock_gettime};

use crate::server::PASSWORD;

const TIMES: u32 = 25;

/// Processor time of one hash while every core hashes, as under load: they share caches and the way to memory. Blocks.
pub(crate) fn alone() -> anyhow::Result<Duration> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let each = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(on_one_core)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a hash panicked"))?)
            .collect::<anyhow::Result<Vec<Duration>>>()
    })?;
    Ok(each.iter().sum::<Duration>() / u32::try_from(cores)?)
}

fn on_one_core() -> anyhow::Result<Duration> {
    let password = Password::prepare(PASSWORD.as_bytes()).context("the password")?;
    let rule = Rule {
        params: HashParams::default(),
        keyring: None,
    };
    let before = used()?;
    for _ in 0..TIMES {
        restante_auth::password::hash(&password, &rule)?;
    }
    Ok(used()?.saturating_sub(before) / TIMES)
}

/// Processor time of this thread.
fn used() -> anyhow::Result<Duration> {
    Ok(Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))?)
}
