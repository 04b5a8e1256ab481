//! `restante plugin bench`: the component beside the server's own storage in memory, in turns.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use restante_conformance::mail;
use restante_plugin::{PluginBlobStore, PluginMaildrops, World};
use restante_store::{
    BlobKey, BlobReader, BlobStore, BytesReader, ForeignMaildrops, MemoryBlobStore, MemoryForeignMaildrops,
    OctetRange, Owner, StoreError, StoreErrorKind,
};
use restante_types::{MaildropId, Octets, TenantId};
use tokio::time::Instant;

use super::trial::{Trial, TrialArgs};
use crate::output::{self, Failure};

/// A median message, and one with attachments.
const SIZES: [usize; 2] = [14 * 1024, 8 * 1024 * 1024];

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    trial: TrialArgs,
    /// How often each call is made
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    rounds: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Row {
    call: String,
    plugin_us: f64,
    memory_us: f64,
    ratio: f64,
}

pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    let trial = args.trial.load().await?;
    let mut rows = Vec::new();
    for octets in SIZES {
        // Few of the large ones: they are held in memory.
        let rounds = if octets > 1024 * 1024 {
            args.rounds.div_ceil(10).min(20)
        } else {
            args.rounds
        };
        rows.extend(match trial.plugin.world() {
            World::BlobStore => bench_blobs(&trial, octets, rounds).await?,
            World::Maildrop => bench_maildrops(&trial, octets, rounds).await?,
        });
    }
    let heading = ["CALL", "PLUGIN (us)", "MEMORY (us)", "RATIO"];
    output::rows(args.json, &rows, &heading, |row| {
        vec![
            row.call.clone(),
            format!("{:.1}", row.plugin_us),
            format!("{:.1}", row.memory_us),
            format!("{:.1}", row.ratio),
        ]
    })?;
    Ok(())
}

/// Times of one kind of call: the component's, and those of memory.
#[derive(Default)]
struct Times([Vec<Duration>; 2]);

impl Times {
    fn row(mut self, call: &str, octets: usize) -> Row {
        let [plugin_us, memory_us] = self.0.each_mut().map(|times| {
            times.sort_unstable();
            times
                .get(times.len() / 2)
                .map_or(0.0, |median| median.as_secs_f64() * 1e6)
        });
        Row {
            call: format!("{call}, {} KiB", octets / 1024),
            plugin_us,
            memory_us,
            ratio: plugin_us / memory_us,
        }
    }
}

async fn bench_blobs(trial: &Trial, octets: usize, rounds: u32) -> Result<Vec<Row>, StoreError> {
    let setting = trial.setting(&trial.ground());
    let stores: [Arc<dyn BlobStore>; 2] = [
        Arc::new(PluginBlobStore::new(Arc::clone(&trial.slot), setting)),
        Arc::new(MemoryBlobStore::new()),
    ];
    let (tenant, body) = (first_tenant()?, mail(1, octets));
    let (mut puts, mut gets, mut deletes) = (Times::default(), Times::default(), Times::default());
    for round in 0..rounds {
        let key = BlobKey {
            tenant,
            number: u128::from(round) + 1,
        };
        for (nth, store) in stores.iter().enumerate() {
            let begun = Instant::now();
            let mut reader = BytesReader::in_pieces(body.clone(), 64 * 1024);
            store.put(&key, Octets::of(&body), &mut reader).await?;
            puts.0[nth].push(begun.elapsed());
            let begun = Instant::now();
            drain(&mut *store.get(&key, OctetRange::first(Octets::of(&body))).await?).await?;
            gets.0[nth].push(begun.elapsed());
            let begun = Instant::now();
            store.delete(&key).await?;
            deletes.0[nth].push(begun.elapsed());
        }
    }
    Ok(vec![
        puts.row("put", octets),
        gets.row("get", octets),
        deletes.row("delete", octets),
    ])
}

async fn bench_maildrops(trial: &Trial, octets: usize, rounds: u32) -> Result<Vec<Row>, StoreError> {
    let setting = trial.setting(&trial.ground());
    let systems: [Arc<dyn ForeignMaildrops>; 2] = [
        Arc::new(PluginMaildrops::new(Arc::clone(&trial.slot), setting)),
        Arc::new(MemoryForeignMaildrops::new()),
    ];
    let owner = Owner {
        maildrop: MaildropId::new(first_tenant()?, 1).ok_or_else(invalid)?,
        name: "alice@example.org".to_owned(),
    };
    let body = mail(1, octets);
    let (mut appends, mut lists, mut opens) = (Times::default(), Times::default(), Times::default());
    for _ in 0..rounds {
        for (nth, system) in systems.iter().enumerate() {
            let begun = Instant::now();
            let mut reader = BytesReader::in_pieces(body.clone(), 64 * 1024);
            system.append(&owner, Octets::of(&body), &mut reader).await?;
            appends.0[nth].push(begun.elapsed());
            let begun = Instant::now();
            let entries = system.list(&owner).await?;
            lists.0[nth].push(begun.elapsed());
            let Some(last) = entries.last() else { continue };
            let begun = Instant::now();
            drain(&mut *system.open(&owner, &last.id, None).await?).await?;
            opens.0[nth].push(begun.elapsed());
        }
    }
    Ok(vec![
        appends.row("append", octets),
        lists.row("list", octets),
        opens.row("open", octets),
    ])
}

fn first_tenant() -> Result<TenantId, StoreError> {
    TenantId::new(1).ok_or_else(invalid)
}

fn invalid() -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, "bench", "plugin")
}

async fn drain(reader: &mut dyn BlobReader) -> Result<(), StoreError> {
    while reader.next().await?.is_some() {}
    Ok(())
}
