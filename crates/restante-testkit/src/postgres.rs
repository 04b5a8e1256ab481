//! A real PostgreSQL on loopback, with a database for every test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::service::{Folder, Service, free_port, postgres_program, unprivileged, unprivileged_on};
use crate::{Cable, PATIENCE, SmallDisk, require};

/// The role that owns the databases: an ordinary one, because row-level security does not hold for a superuser.
const ROLE: &str = "app";
const SUPERUSER: &str = "keeper";

/// Whether a standby takes part in every commit.
const FOLLOWS: &str = "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'";

/// How a cluster is to be.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Whether it syncs to the disk: for tests that crash it.
    pub fsync: bool,
    /// Whether it listens at the near end of a cable too.
    pub at_cable: bool,
    /// What of it is where there is little room.
    pub cramped: Option<Cramped>,
}

/// What of a cluster is on a small disk.
#[derive(Clone, Debug)]
pub enum Cramped {
    /// Its write-ahead log, in segments of 1 MiB.
    Log(Arc<SmallDisk>),
    /// All of it.
    Everything(Arc<SmallDisk>),
}

impl PostgresOptions {
    /// A command that sees the cluster's files.
    fn command(&self, program: &Path) -> Command {
        match &self.cramped {
            None => unprivileged(program),
            Some(Cramped::Log(disk) | Cramped::Everything(disk)) => unprivileged_on(disk, program),
        }
    }

    /// Where the cluster's files are to be, given a folder for it.
    fn data(&self, folder: &Path) -> PathBuf {
        match &self.cramped {
            Some(Cramped::Everything(disk)) => disk.path().join("data"),
            _ => folder.join("data"),
        }
    }

    fn initdb(&self, program: &Path, data: &Path) -> Command {
        let mut command = self.command(program);
        command.args(["-U", SUPERUSER, "--auth=trust", "--no-sync", "-E", "UTF8"]);
        command.args(["--locale=C", "-D"]).arg(data);
        if let Some(Cramped::Log(disk)) = &self.cramped {
            command
                .args(["--wal-segsize=1", "--waldir"])
                .arg(disk.path().join("log"));
        }
        command
    }
}

/// A running cluster. It stops, and its data is gone, when it is dropped or the test process ends.
#[derive(Debug)]
pub struct Postgres {
    service: std::sync::Mutex<Option<Service>>,
    options: PostgresOptions,
    data: PathBuf,
    port: u16,
    last: AtomicU32,
    folder: Folder,
}

/// A database that nobody else uses.
#[derive(Clone, Debug)]
pub struct PgDatabase {
    /// Its name.
    pub name: String,
    /// The port of its cluster on 127.0.0.1.
    pub port: u16,
}

impl PgDatabase {
    /// How the application connects: as an ordinary role that owns the database.
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// How a superuser connects, to look and to break things.
    pub fn superuser_url(&self) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// A connection of the application's role, past everything that is tested.
    ///
    /// # Panics
    /// If the cluster does not answer.
    pub async fn connect(&self) -> PgConnection {
        let options = PgConnectOptions::from_str(&self.url()).expect("a URL");
        options
            .disable_statement_logging()
            .connect()
            .await
            .expect("the cluster answers")
    }

    /// Runs a statement as a superuser while the cluster may be in trouble; how many rows it changed, or `None`.
    pub async fn try_execute(&self, statement: &str) -> Option<u64> {
        let running = async {
            let mut keeper = PgConnection::connect(&self.superuser_url()).await?;
            keeper.execute(AssertSqlSafe(statement)).await
        };
        let done = tokio::time::timeout(PATIENCE, running).await.ok()?;
        done.ok().map(|done| done.rows_affected())
    }

    /// The one text that a query answers.
    ///
    /// # Panics
    /// If the cluster does not answer, or answers something else.
    pub async fn ask(&self, query: &str) -> String {
        let mut conn = self.connect().await;
        sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(&mut conn)
            .await
            .expect("one text")
    }

    /// Runs statements as a superuser, whom no row-level security holds: to break what is stored.
    ///
    /// # Panics
    /// If the cluster does not answer, or refuses.
    pub async fn execute(&self, statements: &str) {
        let mut keeper = PgConnection::connect(&self.superuser_url())
            .await
            .expect("the cluster answers");
        keeper
            .execute(AssertSqlSafe(statements))
            .await
            .expect("the statements are right");
    }
}

impl Postgres {
    /// The cluster that all tests of this process share; `None`, after a loud line, without PostgreSQL on this host.
    ///
    /// # Panics
    /// If it cannot be started, or is missing where everything is required.
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<Postgres>> = OnceCell::const_new();
        let start = || Self::start(PostgresOptions::default());
        SHARED.get_or_init(start).await.as_ref()
    }

    /// A cluster of one's own.
    ///
    /// # Panics
    /// As [`Postgres::shared`].
    pub async fn start(options: PostgresOptions) -> Option<Self> {
        let found = (postgres_program("initdb"), postgres_program("postgres"));
        let (Some(initdb), Some(_)) = found else {
            require::missing("PostgreSQL not found (apt-get install postgresql)");
            return None;
        };
        let folder = Folder::new();
        let data = options.data(folder.path());
        let made = options
            .initdb(&initdb, &data)
            .output()
            .expect("initdb can be started");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        if options.at_cable {
            trust_the_cable(&data);
        }
        let cluster = Self::over(data, folder, options);
        cluster.start_again().await;
        let mut keeper = cluster.keeper().await;
        keeper
            .execute(AssertSqlSafe(format!("CREATE ROLE {ROLE} LOGIN")))
            .await
            .expect("a role can be made");
        Some(cluster)
    }

    fn over(data: PathBuf, folder: Folder, options: PostgresOptions) -> Self {
        Self {
            service: std::sync::Mutex::new(None),
            options,
            data,
            port: free_port(),
            last: AtomicU32::new(0),
            folder,
        }
    }

    /// A synchronous standby: from now on every commit of this cluster waits for it.
    ///
    /// # Panics
    /// If it cannot be made, or does not follow in time.
    pub async fn standby(&self) -> Self {
        let program = postgres_program("pg_basebackup").expect("it comes with PostgreSQL");
        let folder = Folder::new();
        let data = folder.path().join("data");
        let copied = unprivileged(&program)
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                SUPERUSER,
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
                "-p",
            ])
            .arg(self.port.to_string())
            .arg("-D")
            .arg(&data)
            .output()
            .expect("pg_basebackup can be started");
        assert!(
            copied.status.success(),
            "pg_basebackup: {}",
            String::from_utf8_lossy(&copied.stderr)
        );
        let standby = Self::over(data, folder, PostgresOptions::default());
        standby.start_again().await;
        let mut keeper = self.keeper().await;
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        ] {
            keeper.execute(statement).await.expect("a setting can be changed");
        }
        let deadline = Instant::now() + PATIENCE;
        while !sqlx::query_scalar::<_, bool>(FOLLOWS)
            .fetch_one(&mut keeper)
            .await
            .expect("the cluster answers")
        {
            assert!(Instant::now() < deadline, "the standby does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        standby
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    /// If it does not become one.
    pub async fn promote(&self) {
        let promoted: bool = sqlx::query_scalar("SELECT pg_promote()")
            .fetch_one(&mut self.keeper().await)
            .await
            .expect("the standby answers");
        assert!(promoted, "the standby stays one");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// An empty database.
    ///
    /// # Panics
    /// If the cluster does not answer.
    pub async fn database(&self) -> PgDatabase {
        let name = format!("t{}", self.last.fetch_add(1, Ordering::Relaxed));
        let statement = format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE template0");
        let mut keeper = self.keeper().await;
        keeper
            .execute(AssertSqlSafe(statement))
            .await
            .expect("a database can be made");
        PgDatabase {
            name,
            port: self.port,
        }
    }

    /// A database as another one is now, put back from a backup. Whoever is connected to it is cut.
    ///
    /// # Panics
    /// If the cluster does not answer.
    pub async fn copy_of(&self, database: &PgDatabase) -> PgDatabase {
        let name = format!("t{}", self.last.fetch_add(1, Ordering::Relaxed));
        let original = &database.name;
        let mut keeper = self.keeper().await;
        for statement in [
            format!("ALTER DATABASE {original} ALLOW_CONNECTIONS false"),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{original}'"),
            format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {original}"),
            format!("ALTER DATABASE {original} ALLOW_CONNECTIONS true"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        ] {
            keeper
                .execute(AssertSqlSafe(statement))
                .await
                .expect("a database can be copied");
        }
        PgDatabase {
            name,
            port: self.port,
        }
    }

    /// Stops it as a crash does: nothing is written any more.
    ///
    /// # Panics
    /// If another thread panicked in here.
    pub fn stop_immediately(&self) {
        let service = self.service.lock().expect("nobody panicked").take();
        if let Some(mut service) = service {
            service.end(Signal::QUIT);
        }
    }

    /// Stops all of it from answering; connections stay open, and new ones are neither taken nor refused. Not for the
    /// cluster that tests share.
    ///
    /// # Panics
    /// If another thread panicked in here.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If another thread panicked in here.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(service) = &*self.service.lock().expect("nobody panicked") {
            service.signal_family(signal);
        }
    }

    /// Starts it again after [`Postgres::stop_immediately`], and waits until it answers.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub async fn start_again(&self) {
        let program = postgres_program("postgres").expect("it was found before");
        let log = self.folder.path().join("log");
        let started = Service::start(self.command(&program), &log);
        *self.service.lock().expect("nobody panicked") = Some(started);
        let deadline = Instant::now() + PATIENCE;
        while PgConnection::connect_with(&self.connecting()).await.is_err() {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not answer: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn command(&self, program: &Path) -> Command {
        let sync = if self.options.fsync { "on" } else { "off" };
        let cable = if self.options.at_cable {
            format!(",{}", Cable::NEAR)
        } else {
            String::new()
        };
        let mut command = self.options.command(program);
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-k")
            .arg(self.folder.path());
        command.arg("-p").arg(self.port.to_string());
        for setting in [
            format!("listen_addresses=127.0.0.1{cable}"),
            "max_connections=200".to_owned(),
            format!("fsync={sync}"),
        ] {
            command.arg("-c").arg(setting);
        }
        command
    }

    fn connecting(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(SUPERUSER)
            .database("postgres")
            .disable_statement_logging()
    }

    async fn keeper(&self) -> PgConnection {
        PgConnection::connect_with(&self.connecting())
            .await
            .expect("the cluster answers")
    }
}

/// The far end of a cable comes in as whoever it says.
fn trust_the_cable(data: &Path) {
    let rules = data.join("pg_hba.conf");
    let known = std::fs::read_to_string(&rules).expect("initdb has made it");
    let with_cable = format!("{known}host all all {}/30 trust\n", Cable::NEAR);
    std::fs::write(&rules, with_cable).expect("it can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn databases_are_apart_and_the_role_is_an_ordinary_one() {
        let Some(cluster) = Postgres::shared().await else {
            return;
        };
        let (a, b) = (cluster.database().await, cluster.database().await);
        a.connect()
            .await
            .execute("CREATE TABLE only_here (x int)")
            .await
            .unwrap();
        assert!(
            b.connect()
                .await
                .execute("SELECT * FROM only_here")
                .await
                .is_err()
        );
        let is_super: (String,) = sqlx::query_as("SELECT current_setting('is_superuser')")
            .fetch_one(&mut a.connect().await)
            .await
            .unwrap();
        assert_eq!(is_super.0, "off");
    }

    #[tokio::test]
    async fn a_cluster_comes_back_after_a_crash() {
        let Some(cluster) = Postgres::start(PostgresOptions {
            fsync: true,
            ..PostgresOptions::default()
        })
        .await
        else {
            return;
        };
        let database = cluster.database().await;
        database
            .connect()
            .await
            .execute("CREATE TABLE kept (x int)")
            .await
            .unwrap();
        cluster.stop_immediately();
        assert!(PgConnection::connect(&database.url()).await.is_err());
        cluster.start_again().await;
        database
            .connect()
            .await
            .execute("SELECT * FROM kept")
            .await
            .unwrap();
    }
    #[tokio::test]
    async fn a_paused_cluster_answers_nobody_until_it_is_resumed() {
        let Some(cluster) = Postgres::start(PostgresOptions::default()).await else {
            return;
        };
        let mut open = cluster.database().await.connect().await;
        cluster.pause();
        let wait = Duration::from_millis(200);
        let mut answer = Box::pin(open.execute("SELECT 1"));
        assert!(tokio::time::timeout(wait, &mut answer).await.is_err());
        cluster.resume();
        answer.await.unwrap();
    }
}
