//! `restante serve`.

use std::path::Path;

use crate::backends::Backends;
use crate::output::Failure;
use crate::server::Server;

pub(crate) async fn run(path: &Path) -> Result<(), Failure> {
    let config = super::load(path)?;
    let backends = Backends::open_to_serve(&config, Some(path)).await?;
    let server = Server::assemble(&config, &backends, Some(path)).await?;
    server.run().await;
    Ok(())
}
