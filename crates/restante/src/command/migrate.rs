//! `restante migrate`.

use std::path::Path;

use crate::backends;
use crate::output::{Failure, line};

pub(crate) async fn run(path: &Path) -> Result<(), Failure> {
    let config = super::load(path)?;
    let applied = backends::migrate(&config).await?;
    for migration in &applied {
        line(format!("applied {migration}"))?;
    }
    line("The database is up to date.")?;
    Ok(())
}
