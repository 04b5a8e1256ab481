//! Restante as it is installed: the release binary over one of its storages. Start at [`start`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use restante_auth::password::HashParams;
use restante_testkit::{PgDatabase, Postgres, PostgresOptions, S3};
use sqlx::Connection as _;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::rows::Rows;
use super::{DOMAIN, Frontend, Refill, Server, folder, hash, login_name, params};
use crate::client::Lmtp;
use crate::corpus::{Corpus, Kind, Maildrop, Plan};
use crate::pair::Pair;
use crate::process::{Ending, Process, parent};

/// The least that the settings take, so that it is never hashed anew at a login.
const CHEAP: HashParams = HashParams {
    memory_kib: 8_192,
    iterations: 1,
    parallelism: 1,
};
const DELIVERING_AT_ONCE: usize = 16;

/// Where it keeps its mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Storage {
    /// SQLite and a folder
    Embedded,
    /// Everything in Postgres, on loopback
    Postgres,
    /// SQLite and a bucket, over HTTP on loopback
    S3,
    /// SQLite and the plugin `memory`, which keeps octets in SQLite too
    Plugin,
}

/// A storage that is there to be used.
pub(crate) enum Place<'a> {
    Folder,
    Postgres(PgDatabase),
    Bucket(&'a S3),
    /// The component.
    Plugin(PathBuf),
}

impl Storage {
    pub(crate) const ALL: [Self; 4] = [Self::Embedded, Self::Postgres, Self::S3, Self::Plugin];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Postgres => "Postgres",
            Self::S3 => "S3",
            Self::Plugin => "plugin",
        }
    }
}

impl Place<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Folder => "restante",
            Self::Postgres(_) => "restante over Postgres",
            Self::Bucket(_) => "restante over S3",
            Self::Plugin(_) => "restante over a plugin",
        }
    }

    /// Its tables of the `nth` frontend's configuration.
    fn tables(&self, folder: &Path, nth: usize) -> String {
        let sqlite = format!(
            "[database]\nurl = \"sqlite://{}/restante.db\"\n",
            folder.display()
        );
        let spool = format!("[lmtp]\nspool_path = \"{}/spool-{nth}\"\n", folder.display());
        match self {
            Self::Folder => format!(
                "{sqlite}[storage.main]\nkind = \"file\"\npath = \"{}/blobs\"\n",
                folder.display()
            ),
            Self::Postgres(database) => format!(
                "[database]\nurl = \"{}\"\n[storage.main]\nkind = \"postgres\"\n{spool}",
                database.url()
            ),
            Self::Bucket(s3) => format!(
                "{sqlite}[storage.main]\nkind = \"s3\"\nbucket = \"{}\"\nregion = \"{}\"\nendpoint = \"{}\"\n\
                 credentials_file = \"{}\"\n{spool}",
                s3.bucket(),
                s3.region(),
                s3.endpoint(),
                s3.credentials_file().display()
            ),
            Self::Plugin(_) => format!(
                "{sqlite}[plugin.keeper]\ngrants = [\"key-value\"]\n\
                 [storage.main]\nkind = \"plugin\"\nplugin = \"keeper\"\n\
                 [plugin_host]\ncache_path = \"{}/plugins\"\n{spool}",
                folder.display()
            ),
        }
    }

    fn rows(&self, folder: &Path) -> Rows {
        match self {
            Self::Postgres(database) => Rows::Postgres(database.clone()),
            _ => Rows::Sqlite(folder.join("restante.db")),
        }
    }
}

/// Starts it with all maildrops of the corpus, as so many frontends; more than one need Postgres.
pub(crate) async fn start(
    program: &Path,
    within: &Path,
    corpus: &Arc<Corpus>,
    place: Place<'_>,
    frontends: usize,
) -> anyhow::Result<Server> {
    let name = place.name();
    let folder = folder(within, name)?;
    let pair = Pair::of(within);
    let configurations: Vec<PathBuf> = (0..frontends)
        .map(|nth| {
            let file = folder.join(format!("restante-{nth}.toml"));
            std::fs::write(&file, configuration(&place.tables(&folder, nth), &pair, nth))?;
            Ok(file)
        })
        .collect::<std::io::Result<_>>()?;
    let config = configurations.first().context("a server has a frontend")?;
    let rows = place.rows(&folder);
    set_up(program, config, &place)?;
    add_accounts(program, config, &rows, corpus.plan()).await?;
    let mut running = Vec::new();
    let mut lmtp = None;
    for (nth, config) in configurations.iter().enumerate() {
        let arguments = ["serve", "--config", &config.display().to_string()].map(str::to_owned);
        let log = folder.join(format!("log-{nth}"));
        let mut process = Process::start(program, &arguments, &log, Ending::Kill)?;
        let ports = process.ports(3).await.context("restante")?;
        let &[plain, tls, delivery, ..] = &ports[..] else {
            bail!("restante listens on {ports:?}")
        };
        lmtp.get_or_insert(delivery);
        running.push(Frontend::new(process, plain, tls, pair.client()?));
    }
    let delivery = lmtp.context("a server has a frontend")?;
    for kind in [Kind::User, Kind::Large, Kind::Small] {
        deliver(delivery, corpus, kind).await?;
    }
    for kind in [Kind::Big, Kind::Few, Kind::Wipe] {
        let n = corpus.plan().messages(kind);
        if n > 0 {
            deliver_first(delivery, corpus, kind).await?;
            rows.clone_message(kind, n).await?;
        }
    }
    let beside = match &place {
        Place::Postgres(database) => Some(postmaster(database).await?),
        _ => None,
    };
    Ok(Server {
        name,
        frontends: running,
        beside,
        lmtp,
        refill: Refill::Rows(rows),
    })
}

/// A database that nobody else uses, in a cluster that ends with this process. It syncs to the disk, as SQLite does.
pub(super) async fn database() -> anyhow::Result<PgDatabase> {
    static CLUSTER: OnceCell<Option<Postgres>> = OnceCell::const_new();
    let options = PostgresOptions {
        fsync: true,
        ..PostgresOptions::default()
    };
    let cluster = CLUSTER
        .get_or_init(|| Postgres::start(options))
        .await
        .as_ref()
        .context("PostgreSQL is needed: apt-get install postgresql")?;
    Ok(cluster.database().await)
}

/// The process that all of a cluster's processes come from.
async fn postmaster(database: &PgDatabase) -> anyhow::Result<u32> {
    let mut db = database.connect().await;
    let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut db)
        .await?;
    let parent = parent(u32::try_from(own)?);
    db.close().await?;
    parent.context("the process of a connection is gone")
}

fn configuration(tables: &str, pair: &Pair, nth: usize) -> String {
    format!(
        r#"
[[listener]]
address = "127.0.0.1:0"
protocol = "pop3"
allow_plaintext_login = true
[[listener]]
address = "127.0.0.1:0"
protocol = "pop3s"
[[listener]]
address = "127.0.0.1:0"
protocol = "lmtp"
[[tls.certificate]]
certificate_file = "{certificate}"
key_file = "{key}"
{tables}
[lock]
node = "frontend-{nth}"
[limits]
connections = 15000
connections_per_address = 15000
unauthenticated_share_percent = 100
[auth]
argon2_memory_kib = {memory}
argon2_iterations = {iterations}
"#,
        certificate = pair.certificate.display(),
        key = pair.key.display(),
        memory = CHEAP.memory_kib,
        iterations = CHEAP.iterations,
    )
}

/// The tables, the plugin, and whose accounts there will be.
fn set_up(program: &Path, config: &Path, place: &Place<'_>) -> anyhow::Result<()> {
    let run = |arguments: &[&str]| run(program, config, arguments);
    run(&["migrate"])?;
    if let Place::Plugin(component) = place {
        run(&["plugin", "install", "keeper", &component.display().to_string()])?;
    }
    run(&["tenant", "add", "bench"])?;
    run(&["domain", "add", DOMAIN, "--tenant", "bench"])
}

/// One account of each kind by the command line, the others as copies of its rows, or in the same way.
async fn add_accounts(program: &Path, config: &Path, rows: &Rows, plan: &Plan) -> anyhow::Result<()> {
    let run = |arguments: &[&str]| run(program, config, arguments);
    for kind in Kind::ALL {
        let n = plan.maildrops(kind);
        if n == 0 {
            continue;
        }
        let file = config.with_file_name("hash");
        std::fs::write(&file, hash(params(kind, CHEAP))?)?;
        let file = file.display().to_string();
        // Of Postgres, one by one: there, an account is more than one row.
        let by_hand = match rows {
            Rows::Sqlite(_) => 1,
            Rows::Postgres(_) => n,
        };
        for maildrop in plan.all(kind).take(by_hand) {
            let name = login_name(maildrop);
            run(&[
                "account",
                "add",
                &name,
                "--password-file",
                &file,
                "--password-is-hash",
            ])?;
        }
        if by_hand < n {
            rows.clone_account(kind, n).await?;
        }
    }
    Ok(())
}

fn run(program: &Path, config: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.display().to_string())?;
    ensure!(
        output.status.success(),
        "restante {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Delivers all messages of a kind.
async fn deliver(port: u16, corpus: &Arc<Corpus>, kind: Kind) -> anyhow::Result<()> {
    let all: Arc<[(Maildrop, usize)]> = corpus
        .plan()
        .all(kind)
        .flat_map(|maildrop| (0..corpus.len(maildrop)).map(move |index| (maildrop, index)))
        .collect();
    // A maildrop's messages in their order: over one connection.
    let lanes = corpus.plan().maildrops(kind).min(DELIVERING_AT_ONCE);
    let mut workers = JoinSet::new();
    for lane in 0..lanes {
        let (all, corpus) = (Arc::clone(&all), Arc::clone(corpus));
        workers.spawn(async move {
            let mut lmtp = Lmtp::connect(port, lane).await?;
            for (maildrop, index) in all.iter().filter(|(maildrop, _)| maildrop.nth % lanes == lane) {
                lmtp.deliver(&login_name(*maildrop), corpus.message(*maildrop, *index))
                    .await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker?.context("delivering")?;
    }
    Ok(())
}

/// Delivers the first message of a maildrop.
async fn deliver_first(port: u16, corpus: &Corpus, kind: Kind) -> anyhow::Result<()> {
    let maildrop = Maildrop { kind, nth: 0 };
    let mut lmtp = Lmtp::connect(port, 0).await?;
    lmtp.deliver(&login_name(maildrop), corpus.message(maildrop, 0))
        .await
}
