//! A server under measurement, whoever wrote it. Start at [`Server`].

pub(crate) mod bare;
pub(crate) mod ceiling;
pub(crate) mod child;
pub(crate) mod dovecot;
pub(crate) mod restante;
pub(crate) mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use restante_auth::password::{HashParams, Password, Rule};
use restante_testkit::{S3, component};
use rustls::ClientConfig;

use crate::client::Door;
use crate::corpus::{Corpus, Kind, Maildrop, Plan};
use crate::pair::Pair;
use crate::process::Process;
use crate::server::restante::{Place, Storage};

/// The domain of all accounts.
pub(crate) const DOMAIN: &str = "bench.test";
/// The password of all accounts.
pub(crate) const PASSWORD: &str = "correct horse";

/// A running server with its maildrops.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// At least one; clients are dealt among them.
    pub(crate) frontends: Vec<Frontend>,
    /// The first process of a database that works for it.
    pub(crate) beside: Option<u32>,
    /// Where mail is delivered, if it takes any.
    pub(crate) lmtp: Option<u16>,
    /// Puts back what [`Kind::Wipe`] has lost.
    pub(crate) refill: Refill,
}

/// One process that clients connect to.
pub(crate) struct Frontend {
    pub(crate) process: Process,
    pub(crate) plain: Door,
    pub(crate) tls: Door,
}

/// How messages come back into the maildrop that is emptied.
pub(crate) enum Refill {
    /// It never loses any.
    Never,
    /// Files of a Maildir.
    Files(dovecot::Store),
    /// Rows of an index.
    Rows(rows::Rows),
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Contestant {
    /// Ours, the release binary, over SQLite and a folder.
    Restante,
    /// Ours, over Postgres.
    RestantePostgres,
    /// Dovecot as the package leaves it.
    DovecotInstalled,
    /// Dovecot with processes that wait and are used again.
    DovecotTuned,
    /// Dovecot with many sessions in each process.
    DovecotShared,
    /// Dovecot, tuned, that syncs what it writes.
    DovecotDurable,
    /// The same octets from memory, without storage, lock or hash.
    Ceiling,
    /// Large messages alone, unasked, and nothing else: a writer of memory, or rustls over it.
    #[value(skip)]
    Bare,
}

/// What servers of one measurement share: a folder that goes with it, the certificate, the messages.
pub(crate) struct Ground {
    folder: tempfile::TempDir,
    seed: u64,
    pub(crate) corpus: Arc<Corpus>,
    maildirs: Option<dovecot::Store>,
    /// What keeps the objects of servers that were started.
    buckets: Vec<S3>,
}

impl Contestant {
    const fn setup(self) -> Option<dovecot::Setup> {
        match self {
            Self::Restante | Self::RestantePostgres | Self::Ceiling | Self::Bare => None,
            Self::DovecotInstalled => Some(dovecot::Setup::Installed),
            Self::DovecotTuned => Some(dovecot::Setup::Tuned),
            Self::DovecotShared => Some(dovecot::Setup::Shared),
            Self::DovecotDurable => Some(dovecot::Setup::Durable),
        }
    }

    /// Whether it is ours.
    pub(crate) const fn is_restante(self) -> bool {
        matches!(self, Self::Restante | Self::RestantePostgres)
    }

    /// Whether it is Dovecot, in whatever set-up.
    pub(crate) const fn is_dovecot(self) -> bool {
        self.setup().is_some()
    }
}

impl Ground {
    /// Makes the folder and the messages.
    pub(crate) fn prepare(seed: u64, plan: Plan) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("restante-bench-").tempdir()?;
        Pair::make(folder.path())?;
        Ok(Self {
            folder,
            seed,
            corpus: Arc::new(Corpus::new(seed, plan)),
            maildirs: None,
            buckets: Vec::new(),
        })
    }

    /// Starts a server with all its maildrops.
    pub(crate) async fn start(&mut self, contestant: Contestant) -> anyhow::Result<Server> {
        let within = self.folder.path();
        let Some(setup) = contestant.setup() else {
            return match contestant {
                Contestant::Ceiling => child::start("ceiling", within, self.seed, &self.corpus).await,
                Contestant::Bare => child::start("bare", within, self.seed, &self.corpus).await,
                Contestant::RestantePostgres => self.restante(Storage::Postgres, 1).await,
                _ => self.restante(Storage::Embedded, 1).await,
            };
        };
        dovecot::ensure_installed()?;
        let store = match &self.maildirs {
            Some(store) => store.clone(),
            None => dovecot::Store::fill(within, &self.corpus)?,
        };
        let server = dovecot::start(setup, within, &store, &self.corpus).await?;
        self.maildirs = Some(store);
        Ok(server)
    }

    /// Starts Restante over a storage, as so many frontends.
    pub(crate) async fn restante(&mut self, storage: Storage, frontends: usize) -> anyhow::Result<Server> {
        let place = match storage {
            Storage::Embedded => Place::Folder,
            Storage::Postgres => Place::Postgres(restante::database().await?),
            Storage::S3 => {
                self.buckets.push(S3::start().await);
                Place::Bucket(self.buckets.last().context("it was just started")?)
            }
            Storage::Plugin => Place::Plugin(component("memory")),
        };
        restante::start(&binary()?, self.folder.path(), &self.corpus, place, frontends).await
    }
}

/// The server, built as this program is, beside it.
fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("restante");
    anyhow::ensure!(
        binary.is_file(),
        "{} is not there: cargo build --profile dist -p restante",
        binary.display()
    );
    Ok(binary)
}

impl Server {
    /// Where the `nth` client connects.
    pub(crate) fn door(&self, nth: usize, is_tls: bool) -> &Door {
        let frontend = &self.frontends[nth % self.frontends.len()];
        if is_tls { &frontend.tls } else { &frontend.plain }
    }

    /// Processor time of all frontends.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.frontends.iter().map(|frontend| frontend.process.cpu()).sum()
    }

    /// Memory of all frontends, in KiB.
    pub(crate) fn pss_kib(&self) -> anyhow::Result<u64> {
        self.frontends
            .iter()
            .map(|frontend| frontend.process.pss_kib())
            .sum()
    }

    /// Fills the maildrop that is emptied.
    pub(crate) async fn refill(&self, corpus: &Corpus) -> anyhow::Result<()> {
        match &self.refill {
            Refill::Never => Ok(()),
            Refill::Files(store) => store.refill(corpus),
            Refill::Rows(rows) => rows.refill(corpus.plan()).await,
        }
    }
}

/// The login name of a maildrop.
pub(crate) fn login_name(maildrop: Maildrop) -> String {
    format!("{}@{DOMAIN}", maildrop.local_part())
}

impl Frontend {
    /// A process that listens on two ports.
    fn new(process: Process, plain: u16, tls: u16, client: Arc<ClientConfig>) -> Self {
        Self {
            process,
            plain: Door {
                port: plain,
                tls: None,
            },
            tls: Door {
                port: tls,
                tls: Some(client),
            },
        }
    }
}

/// A hash of the password, as dear as `params` say.
fn hash(params: HashParams) -> anyhow::Result<String> {
    let password = Password::prepare(PASSWORD.as_bytes()).context("the password")?;
    let rule = Rule {
        params,
        keyring: None,
    };
    Ok(restante_auth::password::hash(&password, &rule)?.expose().clone())
}

/// What the hash of a kind's passwords costs where it must not weigh.
fn params(kind: Kind, cheap: HashParams) -> HashParams {
    if kind == Kind::Login {
        HashParams::default()
    } else {
        cheap
    }
}

/// The names that a plan needs, each with the kind it is of.
fn names(plan: &Plan) -> impl Iterator<Item = Maildrop> + '_ {
    Kind::ALL.into_iter().flat_map(|kind| plan.all(kind))
}

/// A folder of a server within that of the measurement.
fn folder(within: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = within.join(name.replace([' ', ','], "-"));
    std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}
