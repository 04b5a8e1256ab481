//! What logins leave in the metrics: counts, and never a name.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::world::{ALICE, PASSWORD, World, after};

/// How many names of a million have their password verified. The others are turned away before: the attempt limits do
/// so with whoever tries so many, and a million hashes would take many minutes.
const N_VERIFIED: u32 = 10_000;
const N_NAMES: u32 = 1_000_000;

/// The series of a scrape, without their values.
fn series(world: &World) -> BTreeSet<String> {
    let metrics = world.telemetry.scrape().unwrap();
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series.to_owned())
        .collect()
}

/// Tries names, and scrapes a hundred times meanwhile.
async fn try_names(world: &Arc<World>, numbers: Range<u32>, expected: &BTreeSet<String>) {
    let every = u32::try_from(numbers.len()).unwrap() / 100;
    let half = numbers.start + u32::try_from(numbers.len()).unwrap() / 2;
    let tries = [numbers.start..half, half..numbers.end].map(|numbers| {
        let (world, expected) = (Arc::clone(world), expected.clone());
        tokio::spawn(async move {
            for number in numbers {
                let name = format!("user-{number}@one.example");
                world.log_in(&name, b"guess").await.unwrap_err();
                if number % every == 0 {
                    assert_eq!(series(&world), expected);
                }
            }
        })
    });
    for tried in tries {
        tried.await.unwrap();
    }
}

/// FAULTS.md F29: whoever tries names makes no series, however many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_a_million_names_make_no_series() {
    let world = Arc::new(World::new().await);
    world.log_in(ALICE, PASSWORD).await.unwrap();
    let told = world.log_in("nobody@one.example", PASSWORD).await;
    assert_eq!(told, Err("refused"));
    let before = series(&world);
    assert!(
        before
            .iter()
            .any(|series| series.starts_with("restante_logins_total{"))
    );
    try_names(&world, 0..N_VERIFIED, &before).await;
    let only_app_passwords = after(Duration::ZERO, true);
    world.limiter.set(Some(only_app_passwords));
    try_names(&world, N_VERIFIED..N_NAMES, &before).await;

    let metrics = world.telemetry.scrape().unwrap();
    for (result, n) in [("refused", N_VERIFIED + 1), ("throttled", N_NAMES - N_VERIFIED)] {
        let line = format!("restante_logins_total{{mechanism=\"PLAIN\",result=\"{result}\"}} {n}");
        assert!(metrics.lines().any(|shown| shown == line), "{line}: {metrics}");
    }
}
