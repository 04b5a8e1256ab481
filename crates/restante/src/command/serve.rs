//! `restante serve`.

use std::path::Path;

use crate::backends::{Backends, node_name};
use crate::logging;
use crate::output::Failure;
use crate::server::Server;

pub(crate) async fn run(path: &Path) -> Result<(), Failure> {
    let config = super::read(path)?;
    let telemetry = logging::telemetry(&config);
    let logs = logging::start_to_serve(&config, node_name(&config, Some(path)), &telemetry)?;
    let backends = Backends::open_to_serve(&config, Some(path), &telemetry).await?;
    let server = Server::assemble(&config, &backends, Some(path), &telemetry, logs).await?;
    server.run().await;
    backends.close().await;
    Ok(())
}
