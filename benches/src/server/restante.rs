//! Restante as it is installed: the release binary over SQLite and a folder, or over Postgres. Start at [`start`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use restante_auth::password::HashParams;
use restante_testkit::{PgDatabase, Postgres};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};
use tokio::task::JoinSet;

use super::{DOMAIN, Refill, Server, doors, folder, hash, login_name, params};
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
}

/// The index of an embedded server, for what would take long over its front door.
pub(crate) struct Rows(PathBuf);

/// Starts it with all maildrops of the corpus.
pub(crate) async fn start(
    program: &Path,
    within: &Path,
    corpus: &Arc<Corpus>,
    storage: Storage,
) -> anyhow::Result<Server> {
    let name = match storage {
        Storage::Embedded => "restante",
        Storage::Postgres => "restante over Postgres",
    };
    let folder = folder(within, name)?;
    let pair = Pair::of(within);
    let config = folder.join("restante.toml");
    let (rows, database) = match storage {
        Storage::Embedded => (Some(Rows(folder.join("restante.db"))), None),
        Storage::Postgres => (None, Some(database().await?)),
    };
    let url = database.as_ref().map(PgDatabase::url);
    std::fs::write(&config, configuration(&folder, &pair, url.as_deref()))?;
    add_accounts(program, &config, rows.as_ref(), corpus.plan()).await?;
    let arguments = ["serve", "--config", &config.display().to_string()].map(str::to_owned);
    let mut process = Process::start(program, &arguments, &folder.join("log"), Ending::Kill)?;
    let ports = process.ports(3).await.context("restante")?;
    let &[plain, tls, lmtp, ..] = &ports[..] else {
        bail!("restante listens on {ports:?}")
    };
    for kind in [Kind::User, Kind::Large, Kind::Small] {
        deliver(lmtp, corpus, kind).await?;
    }
    for (kind, n) in [(Kind::Big, corpus.plan().big), (Kind::Wipe, corpus.plan().wipe)] {
        if n > 0 {
            let rows = rows.as_ref().context("such a maildrop is made in SQLite only")?;
            deliver_first(lmtp, corpus, kind).await?;
            rows.clone_message(kind, n).await?;
        }
    }
    let (plain, tls) = doors(plain, tls, &pair.client()?);
    let beside = match &database {
        None => None,
        Some(database) => Some(postmaster(database).await?),
    };
    Ok(Server {
        name,
        process,
        beside,
        plain,
        tls,
        lmtp: Some(lmtp),
        refill: rows.map_or(Refill::Never, Refill::Rows),
    })
}

/// A database that nobody else uses, in a cluster that ends with this process.
async fn database() -> anyhow::Result<PgDatabase> {
    let cluster = Postgres::shared()
        .await
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

fn configuration(folder: &Path, pair: &Pair, postgres: Option<&str>) -> String {
    let folder = folder.display();
    let storage = match postgres {
        None => format!(
            "[database]\nurl = \"sqlite://{folder}/restante.db\"\n\
             [storage.main]\nkind = \"file\"\npath = \"{folder}/blobs\"\n"
        ),
        Some(url) => format!(
            "[database]\nurl = \"{url}\"\n[storage.main]\nkind = \"postgres\"\n\
             [lmtp]\nspool_path = \"{folder}/spool\"\n"
        ),
    };
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
{storage}
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

/// One account of each kind by the command line, the others as copies of its rows, or in the same way.
async fn add_accounts(program: &Path, config: &Path, rows: Option<&Rows>, plan: &Plan) -> anyhow::Result<()> {
    let run = |arguments: &[&str]| run(program, config, arguments);
    run(&["migrate"])?;
    run(&["tenant", "add", "bench"])?;
    run(&["domain", "add", DOMAIN, "--tenant", "bench"])?;
    for kind in Kind::ALL {
        let n = plan.maildrops(kind);
        if n == 0 {
            continue;
        }
        let file = config.with_file_name("hash");
        std::fs::write(&file, hash(params(kind, CHEAP))?)?;
        let file = file.display().to_string();
        let by_hand = if rows.is_some() { 1 } else { n };
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
        if let Some(rows) = rows {
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

impl Rows {
    async fn open(&self) -> anyhow::Result<SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(&self.0);
        Ok(SqliteConnection::connect_with(&options).await?)
    }

    /// Makes `n` accounts of a kind out of its first.
    async fn clone_account(&self, kind: Kind, n: usize) -> anyhow::Result<()> {
        let mut db = self.open().await?;
        let (first, last) = (format!("{}-0", kind.prefix()), i64::try_from(n)? - 1);
        let mut tx = db.begin().await?;
        for sql in [CLONE_MAILDROP, CLONE_ACCOUNT] {
            let query = sqlx::query(sql).bind(last).bind(&first).bind(kind.prefix());
            tx.execute(query).await?;
        }
        tx.commit().await?;
        Ok(db.close().await?)
    }

    /// Makes `n` messages out of the one that was delivered: rows alone, to be listed and deleted and not read.
    async fn clone_message(&self, kind: Kind, n: usize) -> anyhow::Result<()> {
        let mut db = self.open().await?;
        let (account, last) = (format!("{}-0", kind.prefix()), i64::try_from(n)? - 1);
        let mut tx = db.begin().await?;
        for sql in [CLONE_UNIQUE_ID, CLONE_MESSAGE, COUNT] {
            tx.execute(sqlx::query(sql).bind(last).bind(&account)).await?;
        }
        tx.commit().await?;
        Ok(db.close().await?)
    }

    /// Puts deleted messages back.
    pub(super) async fn refill(&self, plan: &Plan) -> anyhow::Result<()> {
        let mut db = self.open().await?;
        let (account, n) = (format!("{}-0", Kind::Wipe.prefix()), i64::try_from(plan.wipe)?);
        let mut tx = db.begin().await?;
        for sql in [RESTORE, COUNT] {
            tx.execute(sqlx::query(sql).bind(n).bind(&account)).await?;
        }
        tx.commit().await?;
        Ok(db.close().await?)
    }
}

const CLONE_MAILDROP: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO maildrop (maildrop_id, tenant_id)
    SELECT account_id + i, tenant_id FROM account, n WHERE local_part = ?2 AND ?3 IS NOT NULL";

const CLONE_ACCOUNT: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO account (account_id, tenant_id, domain_id, domain_name, local_part, password)
    SELECT account_id + i, tenant_id, domain_id, domain_name, ?3 || '-' || i, password
    FROM account, n WHERE local_part = ?2";

const CLONE_UNIQUE_ID: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO unique_id (maildrop_id, unique_id)
    SELECT account_id, printf('00000000000000000%09d', i) FROM account, n WHERE local_part = ?2";

const CLONE_MESSAGE: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8, crc64,
        header_crc64, sha256, storage_id, blob, received_at)
    SELECT m.tenant_id, m.maildrop_id, printf('00000000000000000%09d', i), m.octets, m.header_octets,
        m.has_dot_lines, m.needs_utf8, m.crc64, m.header_crc64, m.sha256, m.storage_id, randomblob(16), m.received_at
    FROM (SELECT message.* FROM message JOIN account ON maildrop_id = account_id WHERE local_part = ?2) m, n";

const RESTORE: &str = "\
    UPDATE message SET deleted_at = NULL
    WHERE ?1 > 0 AND maildrop_id = (SELECT account_id FROM account WHERE local_part = ?2)";

const COUNT: &str = "\
    UPDATE maildrop SET
        messages = (SELECT count(*) FROM message WHERE maildrop_id = maildrop.maildrop_id AND deleted_at IS NULL),
        octets = (SELECT coalesce(sum(octets), 0) FROM message
            WHERE maildrop_id = maildrop.maildrop_id AND deleted_at IS NULL)
    WHERE ?1 >= 0 AND maildrop_id = (SELECT account_id FROM account WHERE local_part = ?2)";
