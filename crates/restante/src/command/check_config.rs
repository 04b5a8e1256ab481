//! `restante check-config`.

use std::path::Path;

use restante_config::{Config, Storage};

use crate::backends::{Backends, Probed};
use crate::output::{Failure, line, time};
use crate::server;

pub(crate) async fn run(path: &Path, offline: bool) -> Result<(), Failure> {
    let config = super::load(path)?;
    line(format!("ok    {}: every setting is valid", path.display()))?;
    config.check_files().map_err(Failure::setup)?;
    check_certificates(&config)?;
    if !offline {
        let backends = Backends::open(&config).await?;
        line(format!(
            "ok    database {}: open and up to date",
            config.database.url
        ))?;
        check_storages(&config, &backends).await?;
        server::bound_tenants(&config, &backends).await?;
    }
    Ok(())
}

async fn check_storages(config: &Config, backends: &Backends) -> Result<(), Failure> {
    let tried = backends.buckets.probe().await;
    for (name, storage) in &config.storage {
        if let Storage::Plugin(storage) = storage {
            check_plugin(name, &storage.plugin, backends).await?;
            continue;
        }
        match tried.iter().find(|(bucket, _)| bucket == name) {
            None => line(format!("ok    storage {name}: open"))?,
            Some((_, Ok(Probed { conditional_writes }))) => {
                line(format!("ok    storage {name}: writes, reads and removes"))?;
                if !conditional_writes {
                    line(format!(
                        "warn  storage {name}: the service ignores conditional writes; nothing depends on them"
                    ))?;
                }
            }
            Some((_, Err(error))) => return Err(Failure::setup_text(format!("storage.{name}: {error}"))),
        }
    }
    Ok(())
}

async fn check_plugin(storage: &str, plugin: &str, backends: &Backends) -> Result<(), Failure> {
    // Every plugin of a storage is configured, or the file would have been refused.
    let slot = backends.plugins.as_ref().and_then(|plugins| plugins.slot(plugin));
    if let Some(slot) = slot {
        let health = slot.health().await;
        health.map_err(|error| Failure::setup_text(format!("storage.{storage}: {error}")))?;
    }
    line(format!("ok    storage {storage}: plugin {plugin} is well"))?;
    Ok(())
}

fn check_certificates(config: &Config) -> Result<(), Failure> {
    if config.tls.certificate.is_empty() {
        return Ok(());
    }
    let (_, report) = server::open_certificates(config)?;
    for certificate in &report.certificates {
        line(format!(
            "ok    certificate {}: {}, until {}",
            certificate.source.display(),
            certificate.names.join(", "),
            time(certificate.not_after)
        ))?;
    }
    for notice in &report.notices {
        line(format!("warn  {notice}"))?;
    }
    Ok(())
}
