//! Several frontends over one Postgres, PgBouncer and Redis, as a provider runs them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use restante_testkit::{FaultProxy, PgBouncer, PgDatabase, Postgres, Redis};
use tempfile::TempDir;

use super::{PATIENCE, POP3S, Pop3, Server, now, restante, succeed};

/// A user of every fleet.
pub(crate) const ALICE: &str = "alice@acme.example";
/// Her password.
pub(crate) const PASSWORD: &str = "correct horse";

/// So many failures of an account are enough.
const GUESSES_THAT_CLOSE: usize = 20;

/// The listener for POP3S, and one whose clients come through a load balancer on the inside.
const BALANCED: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3\"\nallow_plaintext_login = true\n\
     trusted_proxies = [\"127.0.0.0/8\"]\n";

/// How a fleet is to be.
pub(crate) struct Layout {
    /// Whether PgBouncer in transaction mode stands before Postgres.
    pub(crate) pooled: bool,
    pub(crate) n_frontends: usize,
    /// Listeners besides the two of every frontend.
    pub(crate) listeners: String,
    /// Tables of the configuration.
    pub(crate) tables: String,
    /// Keys of `[auth]`.
    pub(crate) auth: String,
    /// How long a frontend waits for Redis before it goes by its own limits.
    pub(crate) redis_millis: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            pooled: true,
            n_frontends: 2,
            listeners: String::new(),
            tables: String::new(),
            auth: String::new(),
            redis_millis: 500,
        }
    }
}

/// Frontends over one database with tenant `acme` and its user alice. All of it ends when this is dropped.
pub(crate) struct Fleet {
    frontends: Vec<Server>,
    /// Between the frontends and the database or its pooler.
    pub(crate) to_database: FaultProxy,
    /// Between the frontends and Redis.
    pub(crate) to_redis: FaultProxy,
    pub(crate) database: PgDatabase,
    configuration: PathBuf,
    settings: String,
    listeners: String,
    more: String,
    folder: TempDir,
    strangers: AtomicU16,
    _redis: Redis,
    _bouncer: Option<PgBouncer>,
}

impl Fleet {
    /// Two frontends behind a pooler. `None` without PostgreSQL, PgBouncer or Redis on this host.
    pub(crate) async fn start() -> Option<Self> {
        Self::of(Layout::default()).await
    }

    pub(crate) async fn of(layout: Layout) -> Option<Self> {
        Self::over(Postgres::shared().await?, layout).await
    }

    /// The same over a cluster of the test's own.
    pub(crate) async fn over(cluster: &Postgres, layout: Layout) -> Option<Self> {
        let database = cluster.database().await;
        let redis = Redis::start().await?;
        let bouncer = if layout.pooled {
            Some(PgBouncer::start(&database, 4).await?)
        } else {
            None
        };
        let to_redis = FaultProxy::to(address(&redis.url())).await;
        let pool_url = bouncer.as_ref().map_or_else(|| database.url(), PgBouncer::url);
        let to_database = FaultProxy::to(address(&pool_url)).await;

        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let keys = folder.path().join("keys");
        std::fs::write(&keys, format!("1:{}\n", "5a".repeat(32))).unwrap();
        succeed(Command::new("chmod").arg("600").arg(&keys), b"");
        let pool_url = through(&to_database, &pool_url);
        let settings = match bouncer {
            None => format!("url = \"{pool_url}\""),
            Some(_) => format!(
                "url = \"{pool_url}\"\ndirect_url = \"{}\"\npooler = \"transaction\"",
                database.url()
            ),
        };
        let more = format!(
            "{}\n[redis]\nurl = \"{}\"\ntimeout_millis = {}\n[auth]\nargon2_memory_kib = 8192\nargon2_iterations = 1\n\
             keys_file = \"{place}/keys\"\n{}",
            layout.tables,
            through(&to_redis, &redis.url()),
            layout.redis_millis,
            layout.auth
        );
        let blobs = folder.path().join("blobs");
        let listeners = format!("{POP3S}{BALANCED}{}", layout.listeners);
        // The operator does not go through what tests break.
        let configuration = folder.path().join("tool.toml");
        let text = format!(
            "{listeners}[[tls.certificate]]\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n[database]\n\
             url = \"{}\"\n[storage.main]\nkind = \"file\"\npath = \"{}\"\n{more}",
            database.url(),
            blobs.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let mut fleet = Self {
            frontends: Vec::new(),
            to_database,
            to_redis,
            database,
            configuration,
            settings,
            listeners,
            more,
            folder,
            strangers: AtomicU16::new(0),
            _redis: redis,
            _bouncer: bouncer,
        };
        fleet.tool(&["migrate"], b"");
        fleet.tenant("acme");
        fleet.account(ALICE, PASSWORD);
        for n in 0..layout.n_frontends {
            let server = fleet.frontend_by(restante(), &format!("frontend-{n}"), &fleet.settings);
            fleet.frontends.push(server);
        }
        Some(fleet)
    }

    /// Another frontend, run by a command of [`restante_by`](super::restante_by), with its own `[database]`.
    pub(crate) fn frontend_by(&self, serve: Command, name: &str, database: &str) -> Server {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let blobs = self.folder.path().join("blobs");
        Server::start_by(serve, &folder, database, &blobs, &self.listeners, &self.more)
    }

    /// A frontend with listeners of its own, and with more than the others have.
    pub(crate) fn server_at(&self, serve: Command, name: &str, listeners: &str, more: &str) -> Server {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let blobs = self.folder.path().join("blobs");
        let more = format!("{more}{}", self.more);
        Server::start_by(serve, &folder, &self.settings, &blobs, listeners, &more)
    }

    /// What frontends have as their `[database]`.
    pub(crate) fn settings(&self) -> &str {
        &self.settings
    }

    /// Runs a command of the operator.
    pub(crate) fn tool(&self, arguments: &[&str], input: &[u8]) -> String {
        succeed(&mut self.command(arguments), input)
    }

    /// A command of the operator that has not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = restante();
        command.args(arguments).arg("--config").arg(&self.configuration);
        command
    }

    /// The same with the configuration of a frontend.
    pub(crate) fn command_of_frontend(&self, frontend: usize, arguments: &[&str]) -> Command {
        let configuration = self.folder.path().join(format!("frontend-{frontend}/serve.toml"));
        let mut command = restante();
        command.args(arguments).arg("--config").arg(configuration);
        command
    }

    /// Where the messages of the storage `main` are; half-written ones are left out.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.folder.path().join("blobs").join("1")
    }

    /// The database as it is now, under another name.
    pub(crate) async fn copy_of_the_database(&self) -> PgDatabase {
        Postgres::shared().await.unwrap().copy_of(&self.database).await
    }

    /// A command of the operator over another database.
    pub(crate) fn command_over(&self, database: &PgDatabase, arguments: &[&str]) -> Command {
        let text = std::fs::read_to_string(&self.configuration).unwrap();
        let text = text.replace(&self.database.url(), &database.url());
        let configuration = self.write(&format!("{}.toml", database.name), &text);
        let mut command = restante();
        command.args(arguments).arg("--config").arg(configuration);
        command
    }

    /// A frontend over another database and the same messages.
    pub(crate) fn serve_over(&self, database: &PgDatabase) -> Server {
        let name = format!("frontend-of-{}", database.name);
        self.frontend_by(restante(), &name, &format!("url = \"{}\"", database.url()))
    }

    /// What a frontend was started with, in a file of its own.
    pub(crate) fn copy_of_configuration(&self, frontend: usize) -> PathBuf {
        let original = self.folder.path().join(format!("frontend-{frontend}/serve.toml"));
        self.write("copy.toml", &std::fs::read_to_string(original).unwrap())
    }

    /// A tenant with the domain `NAME.example`.
    pub(crate) fn tenant(&self, name: &str) {
        self.tool(&["tenant", "add", name], b"");
        let domain = format!("{name}.example");
        self.tool(&["domain", "add", &domain, "--tenant", name], b"");
    }

    pub(crate) fn account(&self, name: &str, password: &str) {
        self.tool(&["account", "add", name, "--password-stdin"], password.as_bytes());
    }

    pub(crate) fn deliver(&self, to: &str, message: &[u8]) {
        self.tool(&["deliver", "--to", to], message);
    }

    /// Guesses from everywhere, by turns at `frontends`, until only application passwords are evaluated for `name`.
    pub(crate) fn close_password(&self, name: &str, frontends: &[usize]) {
        let mut n_refused = 0;
        while n_refused < GUESSES_THAT_CLOSE {
            let mut strangers: Vec<_> = frontends
                .iter()
                .cycle()
                .take(GUESSES_THAT_CLOSE + 4)
                .map(|frontend| self.stranger(*frontend))
                .collect();
            for (nth, stranger) in strangers.iter_mut().enumerate() {
                stranger.ok(&format!("USER {name}"));
                stranger.send(&format!("PASS guess {n_refused}.{nth}\r\n"));
            }
            for stranger in &mut strangers {
                match stranger.line().as_str() {
                    "-ERR [AUTH] Authentication failed" => n_refused += 1,
                    "-ERR [SYS/TEMP] Too many attempts, try later" => {}
                    other => panic!("{other}"),
                }
            }
        }
    }

    /// Changes rules of `acme`, and waits until every frontend has learned of them by `is_known`.
    pub(crate) fn policy(&self, rules: &[&str], is_known: impl Fn(&mut Pop3) -> bool) {
        self.tool(&[&["policy", "set", "acme"], rules].concat(), b"");
        for frontend in 0..self.frontends.len() {
            eventually("the rules are known", || is_known(&mut self.connect(frontend)));
        }
    }

    pub(crate) fn frontend(&self, n: usize) -> &Server {
        &self.frontends[n]
    }

    /// The port for POP3S.
    pub(crate) fn port(&self, frontend: usize) -> u16 {
        self.frontends[frontend].ports[0]
    }

    /// A file that is gone with the fleet and that only its owner may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        succeed(Command::new("chmod").arg("600").arg(&file), b"");
        file
    }

    /// Over TLS.
    pub(crate) fn connect(&self, frontend: usize) -> Pop3 {
        self.frontends[frontend].connect()
    }

    /// Over TLS, with USER and PASS.
    pub(crate) fn log_in(&self, frontend: usize, name: &str, password: &str) -> (Pop3, String) {
        let mut pop3 = self.connect(frontend);
        let reply = pop3.try_login(name, password);
        (pop3, reply)
    }

    /// Through the load balancer, from that address.
    pub(crate) fn from(&self, frontend: usize, client: Ipv4Addr) -> Pop3 {
        Pop3::behind_balancer(self.frontends[frontend].ports[1], client)
    }

    /// Through the load balancer, from a network of its own: nobody's failures delay it.
    pub(crate) fn stranger(&self, frontend: usize) -> Pop3 {
        let [high, low] = self.strangers.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        self.from(frontend, Ipv4Addr::new(10, high, low, 1))
    }
}

/// Where a URL leads.
fn address(url: &str) -> SocketAddr {
    let (_, rest) = url.split_once("127.0.0.1:").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()))
}

/// The same by way of a proxy.
fn through(proxy: &FaultProxy, url: &str) -> String {
    url.replace(&address(url).to_string(), &proxy.address().to_string())
}

/// Tries until it holds: a change of the directory takes a moment to arrive.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = now() + PATIENCE;
    while !holds() {
        assert!(now() < until, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
