//! Where an operator's command works: on what a configuration names, beside its servers; or from anywhere, through the
//! admin interface of one of them.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};
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

/// Where to work: what is typed, and else what the environment says.
#[derive(Debug)]
pub(crate) enum At {
    /// On what a configuration names.
    Near(PathBuf),
    /// Through a server.
    Far(AdminPort),
}

/// The admin interface of a server.
#[derive(Debug)]
pub(crate) struct AdminPort {
    url: String,
    token_file: PathBuf,
    ca_file: Option<PathBuf>,
}

/// How the place is named.
#[derive(Args, Debug)]
struct Named {
    #[command(flatten)]
    config: ConfigArg,
    /// Work through the admin interface of this server, without a configuration: https://..., or http:// to loopback
    #[arg(long, value_name = "URL", env = "RESTANTE_SERVER")]
    server: Option<String>,
    /// The token for it: the first line of a file
    #[arg(long, value_name = "FILE", env = "RESTANTE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted for it besides the system's
    #[arg(long, value_name = "FILE", env = "RESTANTE_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// By hand, since it matters whether a value was typed: no command may work elsewhere than it says.
impl FromArgMatches for At {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = Named::from_arg_matches(matches)?;
        let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let conflict = |why: &str| Err(clap::Error::raw(ErrorKind::ArgumentConflict, why));
        if is_typed("config") && is_typed("server") {
            return conflict("--config works here and --server elsewhere: name one of them\n");
        }
        let server = named.server.filter(|_| !is_typed("config"));
        match (server, named.token_file) {
            (Some(url), Some(token_file)) => Ok(Self::Far(AdminPort {
                url,
                token_file,
                ca_file: named.ca_file,
            })),
            (Some(_), None) => conflict("--server needs a --token-file\n"),
            (None, _) if is_typed("token_file") || is_typed("ca_file") => {
                conflict("--token-file and --ca-file are for a server: name it with --server\n")
            }
            (None, _) => Ok(Self::Near(named.config.config)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for At {
    fn augment_args(command: clap::Command) -> clap::Command {
        Named::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Named::augment_args_for_update(command)
    }
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
        match self {
            Self::Near(config) => {
                let (config, backends) = crate::command::open(config).await?;
                Ok(Administration::Near(Box::new(Near { config, backends })))
            }
            Self::Far(port) => Ok(Administration::Far(port.client()?)),
        }
    }

    /// The storages, without opening any.
    pub(crate) async fn storages(&self) -> Result<Vec<StorageFacts>, Failure> {
        match self {
            Self::Near(config) => Ok(configured(&crate::command::load(config)?).collect()),
            Self::Far(port) => Ok(port.client()?.storages().await?),
        }
    }
}

impl AdminPort {
    fn client(&self) -> Result<AdminClient, Failure> {
        let token = password::first_line_of(&self.token_file).map_err(Failure::setup)?;
        let token = str::from_utf8(token.expose()).context("the token is not text");
        let root = self.ca_file.as_deref().map(|file| {
            std::fs::read(file).with_context(|| format!("--ca-file: cannot read {}", file.display()))
        });
        let options = AdminClientOptions {
            url: self.url.clone(),
            token: Secret::new(token.map_err(Failure::setup)?.to_owned()),
            extra_roots: root.transpose().map_err(Failure::setup)?.into_iter().collect(),
        };
        AdminClient::new(&options).map_err(Failure::setup)
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
