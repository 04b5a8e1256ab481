//! `restante check-config`.

use std::path::Path;

use restante_config::Config;

use crate::backends::Backends;
use crate::output::{Failure, line};
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
        for name in config.storage.keys() {
            line(format!("ok    storage {name}: open"))?;
        }
        server::bound_tenants(&config, &backends).await?;
    }
    Ok(())
}

fn check_certificates(config: &Config) -> Result<(), Failure> {
    if config.tls.certificate.is_empty() {
        return Ok(());
    }
    let (_, report) = server::open_certificates(config)?;
    for certificate in &report.certificates {
        line(format!(
            "ok    certificate {}: {}",
            certificate.source.display(),
            certificate.names.join(", ")
        ))?;
    }
    for notice in &report.notices {
        line(format!("warn  {notice}"))?;
    }
    Ok(())
}
