//! The parts, and how each is ended and begun again.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use restante_testkit::cluster::{Frontend, Workload};
use restante_testkit::{FaultProxy, PgBouncer, PgDatabase, Postgres, PostgresOptions, Redis, S3, free_port};
use tempfile::TempDir;
use tokio::sync::MutexGuard;
use tokio::time::sleep;

use crate::support::{PATIENCE, now, restante, succeed};

pub(super) const PASSWORD: &str = "correct horse";
const N_FRONTENDS: usize = 3;
const N_ACCOUNTS: usize = 12;

/// What is otherwise than usual.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// Whether mail is kept in the database instead of the bucket.
    pub(super) in_rows: bool,
    /// Whether Postgres has a synchronous standby, and frontends insist on one.
    pub(super) has_standby: bool,
}

/// A rig has some fifteen processes: one at a time.
static TURNS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// All of it. It ends, with its processes, when this is dropped.
pub(super) struct Rig {
    pub(super) postgres: Postgres,
    pub(super) standby: Option<Postgres>,
    /// Between PgBouncer, or who goes past it, and the primary.
    to_primary: FaultProxy,
    pub(super) s3: S3,
    pub(super) redis: Redis,
    /// Between the frontends and PgBouncer.
    pub(super) to_database: FaultProxy,
    processes: Vec<Mutex<Process>>,
    pub(super) database: PgDatabase,
    tool: PathBuf,
    _bouncer: PgBouncer,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// A frontend and how to start it again.
struct Process {
    configuration: PathBuf,
    log: PathBuf,
    addresses: Frontend,
    child: Option<Child>,
    /// Whether it is to run: then it is started again when it has ended, as by the init of a host.
    is_wanted: bool,
    n_starts: u32,
}

impl Rig {
    /// `None` without PostgreSQL, PgBouncer or Redis on this host.
    pub(super) async fn start(options: Options) -> Option<Self> {
        let turn = TURNS.lock().await;
        // Crashes are of the process and not of the machine: what is written need not be on the disk.
        let postgres = Postgres::start(PostgresOptions::default()).await?;
        let to_primary = FaultProxy::to(postgres.address()).await;
        let database = PgDatabase {
            port: to_primary.address().port(),
            ..postgres.database().await
        };
        let standby = if options.has_standby {
            Some(postgres.standby().await)
        } else {
            None
        };
        let bouncer = PgBouncer::start(&database, 12).await?;
        let (redis, s3) = (Redis::start().await?, S3::start().await);
        let to_database = FaultProxy::to(local(port_of(&bouncer.url()))).await;
        let folder = tempfile::tempdir().unwrap();
        let pooled = bouncer.url().replace(
            &port_of(&bouncer.url()).to_string(),
            &to_database.address().port().to_string(),
        );
        let shared = shared(&s3, &redis, options);
        let tool = folder.path().join("tool.toml");
        fs::write(
            &tool,
            configuration(&shared, &format!("url = \"{}\"", database.url()), (1, 2)),
        )
        .unwrap();
        let mut rig = Self {
            postgres,
            standby,
            to_primary,
            s3,
            redis,
            to_database,
            processes: Vec::new(),
            database,
            tool,
            _bouncer: bouncer,
            folder,
            _turn: turn,
        };
        rig.prepare();
        for nth in 0..N_FRONTENDS {
            let standby = options.has_standby;
            let through = format!(
                "high_availability = {standby}\nurl = \"{pooled}\"\ndirect_url = \"{}\"\npooler = \"transaction\"",
                rig.database.url()
            );
            let process = Process::new(rig.folder.path(), nth, &shared, &through);
            rig.processes.push(Mutex::new(process));
            rig.begin(nth, None);
        }
        rig.settled().await;
        Some(rig)
    }

    fn prepare(&self) {
        self.fleet_tool(&["migrate"]);
        self.fleet_tool(&["tenant", "add", "acme"]);
        self.fleet_tool(&["domain", "add", "acme.example", "--tenant", "acme"]);
        // What is deleted is collected at once, so that the collector takes part.
        self.fleet_tool(&["tenant", "set", "acme", "--retention", "0s"]);
        for name in accounts() {
            let mut add = self.command(&["account", "add", &name, "--password-stdin"]);
            succeed(&mut add, PASSWORD.as_bytes());
        }
    }

    /// Runs a command of the operator, past everything that fails.
    pub(super) fn fleet_tool(&self, arguments: &[&str]) -> String {
        succeed(&mut self.command(arguments), b"")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = restante();
        command.args(arguments).arg("--config").arg(&self.tool);
        command
    }

    pub(super) fn workload(&self, seed: u64) -> Workload {
        let database = self.database.clone();
        Workload {
            seed,
            frontends: self
                .processes
                .iter()
                .map(|it| it.lock().unwrap().addresses)
                .collect(),
            accounts: accounts().collect(),
            password: PASSWORD.to_owned(),
            kick: Arc::new(move |account| {
                let database = database.clone();
                Box::pin(async move { kick(&database, &account).await })
            }),
        }
    }

    pub(super) const fn n_frontends(&self) -> usize {
        self.processes.len()
    }

    /// Makes maildrops empty for the next workload, which knows of no mail.
    pub(super) async fn empty(&self, accounts: &[String]) {
        for account in accounts {
            let end = "UPDATE message SET deleted_at = now() WHERE deleted_at IS NULL AND maildrop_id =";
            let count = "UPDATE maildrop SET messages = 0, octets = 0 WHERE maildrop_id =";
            for statement in [end, count] {
                let of = format!("(SELECT account_id FROM address WHERE address = '{account}')");
                self.database.execute(&format!("{statement} {of}")).await;
            }
        }
    }

    /// Starts a frontend that does not run; `failpoint` ends it again.
    pub(super) fn begin(&self, nth: usize, failpoint: Option<&str>) {
        self.processes[nth].lock().unwrap().begin(failpoint);
    }

    /// Ends a frontend as the kernel does that has no memory left.
    pub(super) fn kill(&self, nth: usize) {
        self.processes[nth].lock().unwrap().kill();
    }

    /// How often a frontend was started.
    pub(super) fn n_starts(&self, nth: usize) -> u32 {
        self.processes[nth].lock().unwrap().n_starts
    }

    /// Starts frontends again that have ended by themselves, for ever.
    pub(super) async fn supervise(&self) -> std::convert::Infallible {
        loop {
            for process in &self.processes {
                process.lock().unwrap().revive();
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// What a frontend has said once it has ended by itself.
    pub(super) async fn log_after_end(&self, nth: usize) -> String {
        let until = now() + PATIENCE;
        while !self.processes[nth].lock().unwrap().has_ended() {
            assert!(now() < until, "frontend {nth} goes on");
            sleep(Duration::from_millis(50)).await;
        }
        fs::read_to_string(&self.processes[nth].lock().unwrap().log).unwrap()
    }

    /// The last that each frontend has said.
    pub(super) fn logs(&self) -> String {
        let mut told = String::new();
        for (nth, process) in self.processes.iter().enumerate() {
            let log = fs::read_to_string(&process.lock().unwrap().log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(12);
            told.extend([&format!("frontend {nth}:\n"), &*lines[last..].join("\n"), "\n"]);
        }
        told
    }

    pub(super) fn signal(&self, nth: usize, name: &str) {
        let process = self.processes[nth].lock().unwrap();
        if let Some(child) = &process.child {
            succeed(
                Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]),
                b"",
            );
        }
    }

    /// Everything runs again and nothing fails any more.
    pub(super) async fn mend(&self) {
        self.s3.mend();
        self.to_database.set(&restante_testkit::Fault::Pass);
        for process in &self.processes {
            let mut process = process.lock().unwrap();
            process.is_wanted = true;
            process.revive();
        }
        self.settled().await;
    }

    /// The primary is lost with its host, and the standby takes over.
    pub(super) async fn fail_over(&self) {
        let standby = self.standby.as_ref().unwrap();
        self.postgres.stop_immediately();
        standby.promote().await;
        self.to_primary.lead_to(standby.address());
    }

    /// Every frontend answers.
    async fn settled(&self) {
        let until = now() + PATIENCE;
        for process in &self.processes {
            let (address, log) = {
                let process = process.lock().unwrap();
                (process.addresses.pop3, process.log.clone())
            };
            while tokio::net::TcpStream::connect(address).await.is_err() {
                process.lock().unwrap().revive();
                let told = fs::read_to_string(&log).unwrap_or_default();
                assert!(now() < until, "a frontend does not answer: {told}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

impl Process {
    fn new(folder: &Path, nth: usize, shared: &str, database: &str) -> Self {
        let ports = (free_port(), free_port());
        let configuration_file = folder.join(format!("frontend-{nth}.toml"));
        fs::write(&configuration_file, configuration(shared, database, ports)).unwrap();
        Self {
            configuration: configuration_file,
            log: folder.join(format!("frontend-{nth}.log")),
            addresses: Frontend {
                pop3: local(ports.0),
                lmtp: local(ports.1),
            },
            child: None,
            is_wanted: false,
            n_starts: 0,
        }
    }

    fn begin(&mut self, failpoint: Option<&str>) {
        self.is_wanted = true;
        self.n_starts += 1;
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let mut serve = restante();
        serve
            .arg("serve")
            .arg("--config")
            .arg(&self.configuration)
            .stderr(Stdio::from(log));
        if let Some(failpoint) = failpoint {
            serve.env("RESTANTE_FAILPOINT", failpoint);
        }
        self.child = Some(serve.spawn().unwrap());
    }

    fn kill(&mut self) {
        self.is_wanted = false;
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn revive(&mut self) {
        if self.is_wanted && self.has_ended() {
            self.begin(None);
        }
    }

    fn has_ended(&mut self) -> bool {
        let Some(child) = &mut self.child else {
            return true;
        };
        let has_ended = child.try_wait().unwrap().is_some();
        if has_ended {
            self.child = None;
        }
        has_ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accounts() -> impl Iterator<Item = String> {
    (0..N_ACCOUNTS).map(|n| format!("user{n}@acme.example"))
}

/// As `restante kick` does, without starting a process for it.
async fn kick(database: &PgDatabase, account: &str) -> bool {
    let free = format!(
        "UPDATE maildrop_lock SET token = token + 1, session_id = NULL WHERE session_id IS NOT NULL
         AND maildrop_id = (SELECT account_id FROM address WHERE address = '{account}')"
    );
    database.try_execute(&free).await == Some(1)
}

fn shared(s3: &S3, redis: &Redis, options: Options) -> String {
    let default = if options.in_rows { "rows" } else { "bucket" };
    format!(
        "default_storage = \"{default}\"\nLISTENERS\n[redis]\nurl = \"{}\"\ntimeout_millis = 500\n\
         [auth]\nargon2_memory_kib = 8192\nargon2_iterations = 1\n[storage.rows]\nkind = \"postgres\"\n\
         [storage.bucket]\nkind = \"s3\"\nbucket = \"{}\"\nregion = \"{}\"\nendpoint = \"{}\"\nprefix = \"cluster-{}\"\n\
         credentials_file = \"{}\"\n[limits]\nconnections_per_address = 2000\n[collector]\ninterval_secs = 1\n[log]\nlevel = \"warn\"\n",
        redis.url(),
        s3.bucket(),
        s3.region(),
        s3.endpoint(),
        std::process::id(),
        s3.credentials_file().display(),
    )
}

fn configuration(shared: &str, database: &str, (pop3, lmtp): (u16, u16)) -> String {
    let listeners = format!(
        "[[listener]]\naddress = \"127.0.0.1:{pop3}\"\nprotocol = \"pop3\"\nstls = false\nallow_plaintext_login = true\n\
         [[listener]]\naddress = \"127.0.0.1:{lmtp}\"\nprotocol = \"lmtp\"\n[database]\n{database}\n"
    );
    shared.replace("LISTENERS", &listeners)
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn port_of(url: &str) -> u16 {
    let (_, rest) = url.split_once("127.0.0.1:").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}
