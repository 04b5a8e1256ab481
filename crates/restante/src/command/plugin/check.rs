//! `restante plugin check`: the conformance cases of the component's world, within the limits of production.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;
use clap::Args;
use restante_conformance::{
    BlobStoreFixture, ForeignMaildropsFixture, blob_store_cases, foreign_maildrops_cases,
};
use restante_plugin::{PluginBlobStore, PluginMaildrops, World};
use restante_store::{BlobStore, ForeignMaildrops};
use tokio::task::JoinError;

use super::trial::{Ground, Trial, TrialArgs};
use crate::output::{Failure, line};

/// How long one case may take.
const CASE: Duration = Duration::from_mins(5);

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    trial: TrialArgs,
    /// Leave a case out, where what stands behind the plugin cannot offer it
    #[arg(long, value_name = "CASE")]
    except: Vec<String>,
}

pub(crate) async fn run(args: CheckArgs) -> Result<(), Failure> {
    let trial = Arc::new(args.trial.load().await?);
    let limits = restante_plugin::Limits::default();
    line(format!(
        "ok    component: world {}, {} octets, ready after {} ms",
        trial.plugin.world().as_str(),
        trial.component.len(),
        trial.loading.as_millis()
    ))?;
    line("ok    imports: all are granted")?;
    let ground = trial.ground();
    let mut report = Report::new(args.except);
    match trial.plugin.world() {
        World::BlobStore => {
            let _store = PluginBlobStore::new(Arc::clone(&trial.slot), trial.setting(&ground));
            trial.slot.try_out(&trial.plugin).await?;
            line("ok    lifecycle: configured and well")?;
            check_blob_store(&trial, &mut report).await;
        }
        World::Maildrop => {
            let _maildrops = PluginMaildrops::new(Arc::clone(&trial.slot), trial.setting(&ground));
            trial.slot.try_out(&trial.plugin).await?;
            line("ok    lifecycle: configured and well")?;
            check_maildrops(&trial, &mut report).await;
        }
    }
    let peaks = trial.slot.peaks();
    line(format!(
        "      an instance took {} of {} KiB at most, a call computed for {} of {} ms",
        peaks.memory / 1024,
        args.trial.plugin().memory_mib * 1024,
        peaks.computing.as_millis(),
        limits.computing.as_millis()
    ))?;
    report.end()
}

async fn check_blob_store(trial: &Arc<Trial>, report: &mut Report) {
    let trial = Arc::clone(trial);
    let open = move || {
        let ground = trial.ground();
        Blobs {
            store: Arc::new(PluginBlobStore::new(
                Arc::clone(&trial.slot),
                trial.setting(&ground),
            )),
            trial: Arc::clone(&trial),
            ground,
        }
    };
    blob_store_cases! { emit_reports { open, CASE, |case, run| report.take(case, run) } }
}

async fn check_maildrops(trial: &Arc<Trial>, report: &mut Report) {
    let trial = Arc::clone(trial);
    let open = move || {
        let ground = trial.ground();
        Maildrops {
            system: Arc::new(PluginMaildrops::new(
                Arc::clone(&trial.slot),
                trial.setting(&ground),
            )),
            trial: Arc::clone(&trial),
            ground,
        }
    };
    foreign_maildrops_cases! { emit_reports { open, CASE, |case, run| report.take(case, run) } }
}

/// An empty storage of the component.
struct Blobs {
    trial: Arc<Trial>,
    ground: Ground,
    store: Arc<PluginBlobStore>,
}

#[async_trait]
impl BlobStoreFixture for Blobs {
    fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store) as _
    }

    async fn restart(&mut self) {
        let setting = self.trial.setting(&self.ground);
        self.store = Arc::new(PluginBlobStore::new(Arc::clone(&self.trial.slot), setting));
    }
}

/// Empty maildrops of the component.
struct Maildrops {
    trial: Arc<Trial>,
    ground: Ground,
    system: Arc<PluginMaildrops>,
}

#[async_trait]
impl ForeignMaildropsFixture for Maildrops {
    fn system(&self) -> Arc<dyn ForeignMaildrops> {
        Arc::clone(&self.system) as _
    }

    async fn restart(&mut self) {
        let setting = self.trial.setting(&self.ground);
        self.system = Arc::new(PluginMaildrops::new(Arc::clone(&self.trial.slot), setting));
    }
}

/// How the cases went, said as they go.
struct Report {
    except: Vec<String>,
    n_ok: usize,
    n_failed: usize,
    printed: std::io::Result<()>,
}

impl Report {
    fn new(except: Vec<String>) -> Self {
        // A case that fails panics, and is told by its line.
        std::panic::set_hook(Box::new(|_| {}));
        Self {
            except,
            n_ok: 0,
            n_failed: 0,
            printed: Ok(()),
        }
    }

    fn take(&mut self, case: &str, run: Result<bool, JoinError>) {
        let name = case.replace('_', " ");
        if let Some(nth) = self.except.iter().position(|except| except == case) {
            self.except.remove(nth);
            return self.say(format!("      left out: {name} ({case})"));
        }
        match run {
            Ok(true) => {
                self.n_ok += 1;
                self.say(format!("ok    {name}"));
            }
            Ok(false) => self.fail(&name, case, "it does not end"),
            Err(error) => {
                let why = error
                    .try_into_panic()
                    .map(|panic| words(&*panic))
                    .unwrap_or_default();
                self.fail(&name, case, &why);
            }
        }
    }

    fn fail(&mut self, name: &str, case: &str, why: &str) {
        self.n_failed += 1;
        self.say(format!("FAIL  {name} ({case})"));
        for text in why.lines() {
            self.say(format!("      {text}"));
        }
    }

    fn say(&mut self, text: String) {
        if self.printed.is_ok() {
            self.printed = line(text);
        }
    }

    fn end(self) -> Result<(), Failure> {
        self.printed?;
        if let Some(unknown) = self.except.first() {
            return Err(Failure::setup_text(format!(
                "--except {unknown}: there is no such case"
            )));
        }
        match self.n_failed {
            0 => Ok(line(format!("{} cases passed.", self.n_ok))?),
            n => Err(anyhow!("{n} of {} cases failed", n + self.n_ok).into()),
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it broke off").to_owned()
}
