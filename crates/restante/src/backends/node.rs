//! The name by which other frontends know this one.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use restante_config::Config;
use restante_postgres::NodeName;
use rustix::system::uname;

use crate::output::Failure;

/// The name of a frontend: who starts under a name frees what an earlier process of that name held, so there must be
/// no second one beside it.
#[derive(Debug)]
pub(crate) struct Node {
    name: NodeName,
    /// The configuration file, locked until the process ends, however it ends. Of a name that was given the provider
    /// answers for its being the only one; the lease tells when it is not.
    _claim: Option<File>,
}

impl Node {
    /// Takes the name: nobody else on this host may have it from the same file.
    pub(super) fn claim(config: &Config, file: Option<&Path>) -> Result<Self, Failure> {
        let text = name(config, file);
        let claim = match (&config.lock.node, file) {
            (None, Some(file)) => Some(lock(file)?),
            _ => None,
        };
        let name = NodeName::new(&text)
            .ok_or_else(|| Failure::setup(anyhow!("lock.node: {text:?} is no name of 1 to 255 octets")))?;
        Ok(Self { name, _claim: claim })
    }

    pub(super) fn name(&self) -> NodeName {
        self.name.clone()
    }
}

/// The configured name, or one made of this host's and the configuration file's.
pub(crate) fn name(config: &Config, file: Option<&Path>) -> String {
    match (&config.lock.node, file) {
        (Some(name), _) => name.clone(),
        (None, Some(file)) => {
            let path = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
            format!("{}:{}", host(), path.display())
        }
        (None, None) => format!("{}/{}", host(), std::process::id()),
    }
}

fn host() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

fn lock(path: &Path) -> Result<File, Failure> {
    let file = File::open(path)
        .with_context(|| format!("{} cannot be read", path.display()))
        .map_err(Failure::setup)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::setup(anyhow!(
            "{} is served already on this host: give each of the two a name of its own with lock.node",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Failure::setup(
            anyhow!(error).context(format!("{} cannot be locked; set lock.node", path.display())),
        )),
    }
}
