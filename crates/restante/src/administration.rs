//! Where an operator's command works: on what a configuration names, beside its servers; or from anywhere, through the
//! admin interface of one of them.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use restante_admin::{AdminClient, AdminClientOptions, StorageFacts};
use restante_auth::{Account, DirectoryAdmin};
use restante_config::Config;
use restante_lock::LockDesk;
use restante_store::{PluginRegistry, Quota, Usage};
use restante_types::Secret;

use crate::backends::{Backends, configured};
use crate::cli::ConfigArg;
use crate::output::Failure;
use crate::password;

/// Where to work.
#[derive(Args, Debug)]
pub(crate) struct At {
    #[command(flatten)]
    config: ConfigArg,
    /// Work through the admin interface of this server, without a configuration: https://..., or http:// to loopback
    #[arg(long, value_name = "URL", env = "RESTANTE_SERVER", requires = "token_file")]
    server: Option<String>,
    /// The token for it: the first line of a file
    #[arg(long, value_name = "FILE", env = "RESTANTE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted for it besides the system's
    #[arg(long, value_name = "FILE", env = "RESTANTE_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// What a command works on.
pub(crate) enum Administration {
    /// The database and the storages themselves.
    Near(Box<Near>),
    /// A server that does what it is told.
    Far(AdminClient),
}

/// What a configuration names, open.
pub(crate) struct Near {
    pub(crate) config: Config,
    pub(crate) backends: Backends,
}

impl At {
    pub(crate) async fn open(&self) -> Result<Administration, Failure> {
        if let Some(client) = self.client()? {
            return Ok(Administration::Far(client));
        }
        let (config, backends) = crate::command::open(&self.config.config).await?;
        Ok(Administration::Near(Box::new(Near { config, backends })))
    }

    /// The server, if one is named.
    fn client(&self) -> Result<Option<AdminClient>, Failure> {
        let (Some(url), Some(token_file)) = (&self.server, &self.token_file) else {
            return Ok(None);
        };
        let token = password::first_line_of(token_file).map_err(Failure::setup)?;
        let token = str::from_utf8(token.expose()).context("the token is not text");
        let root = self.ca_file.as_deref().map(|file| {
            std::fs::read(file).with_context(|| format!("--ca-file: cannot read {}", file.display()))
        });
        let options = AdminClientOptions {
            url: url.clone(),
            token: Secret::new(token.map_err(Failure::setup)?.to_owned()),
            extra_roots: root.transpose().map_err(Failure::setup)?.into_iter().collect(),
        };
        AdminClient::new(&options).map(Some).map_err(Failure::setup)
    }

    /// The storages, without opening any.
    pub(crate) async fn storages(&self) -> Result<Vec<StorageFacts>, Failure> {
        match self.client()? {
            Some(client) => Ok(client.storages().await?),
            None => Ok(configured(&crate::command::load(&self.config.config)?).collect()),
        }
    }
}

impl Administration {
    pub(crate) fn directory(&self) -> &dyn DirectoryAdmin {
        match self {
            Self::Near(near) => &*near.backends.directory,
            Self::Far(client) => client,
        }
    }

    pub(crate) fn registry(&self) -> &dyn PluginRegistry {
        match self {
            Self::Near(near) => &*near.backends.registry,
            Self::Far(client) => client,
        }
    }

    /// The locks of all frontends.
    pub(crate) fn desk(&self) -> Result<&dyn LockDesk, Failure> {
        match self {
            Self::Near(near) => near.backends.desk.as_deref().ok_or_else(|| {
                Failure::setup_text(
                    "with sqlite:// the one server keeps its sessions to itself: ask it (--server), or end them with \
                     restante account set NAME --state login-suspended",
                )
            }),
            Self::Far(client) => Ok(client),
        }
    }

    /// The storages of the configuration.
    pub(crate) async fn storages(&self) -> Result<Vec<StorageFacts>, Failure> {
        Ok(match self {
            Self::Near(near) => configured(&near.config).collect(),
            Self::Far(client) => client.storages().await?,
        })
    }

    /// Where mail of new tenants goes.
    pub(crate) async fn default_storage(&self) -> Result<String, Failure> {
        let storages = self.storages().await?;
        let default = storages.into_iter().find(|storage| storage.is_default);
        let default = default
            .ok_or_else(|| anyhow!("there is no default storage that this token may see; name one"))?;
        Ok(default.name)
    }

    /// Refuses a storage that is in no configuration; a server refuses it by itself.
    pub(crate) fn check_storage(&self, name: &str) -> Result<(), Failure> {
        if let Self::Near(near) = self {
            near.backends.blobs.id(name)?;
        }
        Ok(())
    }

    /// How full the maildrop of an account is, and how full it may be.
    pub(crate) async fn usage(&self, account: &Account) -> Result<(Usage, Quota), Failure> {
        Ok(match self {
            Self::Near(near) => near.backends.index.usage(account.id.maildrop()).await?,
            Self::Far(client) => client.usage(&account.name).await?,
        })
    }
}
