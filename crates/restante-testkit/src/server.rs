//! A whole server in this process: every kind of listener on loopback, memory behind it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use restante_auth::{
    AuditLog, AuthLimits, AuthPorts, Authenticator, Directory, GateLimits, Limiter, TenantTable,
    TokenVerifier,
};
use restante_lmtp::{LmtpConnection, LmtpService, LmtpSettings};
use restante_lock::{LockManager, fresh_session_id};
use restante_net::{
    AcceptEvent, AcceptRules, Accepted, BudgetLimits, BudgetUsage, CertificateStore, ConnectionBudget, Drain,
    DrainReport, Listener, ListenerSpec, ProxyPolicy, RateFloor, TlsSettings, TlsStack, bind,
};
use restante_server::{Entry, LastSeen, Oversight, Pop3Service, Pop3Settings, Ports, refusal_line};
use restante_session::SessionPolicy;
use restante_store::{BlobStore, MailIndex};
use restante_telemetry::Telemetry;
use restante_types::{Clock, Octets, SystemClock, TenantId};
use tokio::task::AbortHandle;

use crate::backends::{Wraps, quick_rule};
use crate::{ALICE, BOB, Backends, LmtpClient, NoLimits, Pop3Client, TestCertificate};

/// A server under test. It stops, with everything it serves, when it is dropped.
#[derive(Debug)]
pub struct TestServer {
    /// What stands behind it.
    pub backends: Backends,
    /// What it shows in TLS.
    pub certificate: TestCertificate,
    /// Where the certificates are reloaded.
    pub certificates: Arc<CertificateStore>,
    /// Ends it gracefully.
    pub drain: Drain,
    /// What its sessions stand on.
    pub ports: Ports,
    oversight: AbortHandle,
    addresses: Addresses,
    budget: ConnectionBudget,
    events: Events,
}

type Events = Arc<Mutex<Vec<AcceptEvent>>>;

#[derive(Debug)]
struct Addresses {
    clear: SocketAddr,
    tls: SocketAddr,
    trusted: SocketAddr,
    lmtp: SocketAddr,
}

/// What may differ from one server under test to the next.
pub struct TestServerBuilder {
    policy: SessionPolicy,
    rate_floor: RateFloor,
    budget: BudgetLimits,
    proxy: ProxyPolicy,
    auth: AuthLimits,
    tls: TlsSettings,
    drain_grace: Duration,
    message_octets: Octets,
    limiter: Arc<dyn Limiter>,
    tokens: Option<Arc<dyn TokenVerifier>>,
    tenant: Option<TenantId>,
    wraps: Wraps,
}

impl std::fmt::Debug for TestServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestServerBuilder").finish_non_exhaustive()
    }
}

impl TestServer {
    /// A server with ordinary limits, except that passwords cost little and refusals come soon.
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder {
            policy: SessionPolicy::default(),
            rate_floor: RateFloor::default(),
            budget: BudgetLimits {
                total: 1000,
                per_client: 1000,
                unauthenticated: 1000,
            },
            proxy: ProxyPolicy::default(),
            auth: AuthLimits {
                gate: GateLimits {
                    queue: 1000,
                    wait: Duration::from_secs(20),
                    ..GateLimits::default()
                },
                deadline: Duration::from_secs(20),
                floor: Duration::from_millis(5),
            },
            tls: TlsSettings {
                alpn: Some("pop3"),
                ..TlsSettings::default()
            },
            drain_grace: Duration::from_secs(30),
            message_octets: Octets(256 << 20),
            limiter: Arc::new(NoLimits),
            tokens: None,
            tenant: None,
            wraps: Wraps::default(),
        }
    }

    /// A server with ordinary limits.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// The POP3 listener in the clear, with STLS and without plaintext login.
    pub const fn clear(&self) -> SocketAddr {
        self.addresses.clear
    }

    /// The POP3S listener.
    pub const fn tls(&self) -> SocketAddr {
        self.addresses.tls
    }

    /// The POP3 listener that is declared trusted: login without TLS.
    pub const fn trusted(&self) -> SocketAddr {
        self.addresses.trusted
    }

    /// The LMTP listener.
    pub const fn lmtp(&self) -> SocketAddr {
        self.addresses.lmtp
    }

    /// A client on the trusted listener, past the greeting.
    pub async fn client(&self) -> Pop3Client {
        Pop3Client::connect(self.trusted()).await
    }

    /// A client on the POP3S listener, past the greeting.
    pub async fn tls_client(&self) -> Pop3Client {
        Pop3Client::connect_tls(self.tls(), &self.certificate).await
    }

    /// A client that is logged in as Alice.
    pub async fn alice(&self) -> Pop3Client {
        self.client().await.login(ALICE).await
    }

    /// A client that is logged in as Bob.
    pub async fn bob(&self) -> Pop3Client {
        self.client().await.login(BOB).await
    }

    /// A client of the LMTP listener, past LHLO.
    pub async fn lmtp_client(&self) -> LmtpClient {
        LmtpClient::connect(self.lmtp()).await
    }

    /// Sees that the server serves strangers as if nothing had happened: a fresh login over TLS.
    ///
    /// # Panics
    /// If it does not.
    pub async fn still_serves(&self) {
        let mut client = self.tls_client().await.login(BOB).await;
        client.ok("STAT").await;
        client.quit().await;
    }

    /// What the listeners have told of so far.
    pub fn events(&self) -> Vec<AcceptEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connections that are open now.
    pub fn usage(&self) -> BudgetUsage {
        self.budget.usage()
    }

    /// The sessions that have a maildrop open.
    pub fn sessions(&self) -> restante_server::SessionRegistry {
        self.ports.sessions.clone()
    }

    /// Asks every connection to finish within `deadline`, and waits for the end.
    pub async fn drained(&self, deadline: Duration) -> DrainReport {
        self.drain.start(deadline);
        self.drain.finished().await
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.oversight.abort();
        self.drain.start(Duration::ZERO);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let drain = self.drain.clone();
            runtime.spawn(async move { drain.finished().await });
        }
    }
}

impl TestServerBuilder {
    /// Changes the limits of sessions.
    #[must_use]
    pub fn policy(mut self, change: impl FnOnce(&mut SessionPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    /// The slowest client that is served.
    #[must_use]
    pub const fn rate_floor(mut self, floor: RateFloor) -> Self {
        self.rate_floor = floor;
        self
    }

    /// How many connections there may be.
    #[must_use]
    pub const fn budget(mut self, limits: BudgetLimits) -> Self {
        self.budget = limits;
        self
    }

    /// Whose PROXY header is taken, on the POP3 listeners.
    #[must_use]
    pub fn proxy(mut self, policy: ProxyPolicy) -> Self {
        self.proxy = policy;
        self
    }

    /// Changes how logins are verified.
    #[must_use]
    pub fn auth(mut self, change: impl FnOnce(&mut AuthLimits)) -> Self {
        change(&mut self.auth);
        self
    }

    /// Changes how hands are shaken.
    #[must_use]
    pub fn tls(mut self, change: impl FnOnce(&mut TlsSettings)) -> Self {
        change(&mut self.tls);
        self
    }

    /// How long an open maildrop may go on once the server drains.
    #[must_use]
    pub const fn drain_grace(mut self, grace: Duration) -> Self {
        self.drain_grace = grace;
        self
    }

    /// Limits attempts and usage; without it nothing is limited.
    #[must_use]
    pub fn limiter(mut self, limiter: Arc<dyn Limiter>) -> Self {
        self.limiter = limiter;
        self
    }

    /// Checks access tokens.
    #[must_use]
    pub fn tokens(mut self, tokens: Arc<dyn TokenVerifier>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// The tenant whose listeners the POP3 listeners are.
    #[must_use]
    pub const fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Puts something around the index.
    #[must_use]
    pub fn wrap_index(
        mut self,
        wrap: impl FnOnce(Arc<dyn MailIndex>) -> Arc<dyn MailIndex> + Send + 'static,
    ) -> Self {
        self.wraps.index = Box::new(wrap);
        self
    }

    /// Puts something around the blob store.
    #[must_use]
    pub fn wrap_blobs(
        mut self,
        wrap: impl FnOnce(Arc<dyn BlobStore>) -> Arc<dyn BlobStore> + Send + 'static,
    ) -> Self {
        self.wraps.blobs = Box::new(wrap);
        self
    }

    /// Puts something around the lock manager.
    #[must_use]
    pub fn wrap_locks(
        mut self,
        wrap: impl FnOnce(Arc<dyn LockManager>) -> Arc<dyn LockManager> + Send + 'static,
    ) -> Self {
        self.wraps.locks = Box::new(wrap);
        self
    }

    /// Puts something around the directory.
    #[must_use]
    pub fn wrap_directory(
        mut self,
        wrap: impl FnOnce(Arc<dyn Directory>) -> Arc<dyn Directory> + Send + 'static,
    ) -> Self {
        self.wraps.directory = Box::new(wrap);
        self
    }

    /// Binds the listeners and serves.
    ///
    /// # Panics
    /// If this host cannot: no loopback, no temporary directory.
    pub async fn start(self) -> TestServer {
        let certificate = TestCertificate::new();
        let (certificates, _) = CertificateStore::open(&[certificate.files()], SystemClock.wall())
            .expect("the certificate can be loaded");
        let stack = TlsStack::new(&self.tls, Arc::clone(&certificates)).expect("TLS can be set up");
        let backends = Backends::new(self.wraps).await;
        let telemetry = Telemetry::default();
        let auth = AuthPorts {
            directory: Arc::clone(&backends.directory),
            limiter: self.limiter.clone(),
            tokens: self.tokens,
            audit: AuditLog::start(Arc::clone(&backends.directory), telemetry.clone()),
            rule: quick_rule(),
            clock: Arc::new(SystemClock),
            telemetry: telemetry.clone(),
        };
        let authenticator = Authenticator::open(auth, self.auth).await;
        let authenticator = Arc::new(authenticator.expect("memory answers, and quick hashing is possible"));
        let usage = self.limiter;
        let ports = Ports::new(
            Arc::clone(&authenticator),
            Arc::clone(&backends.locks),
            Arc::clone(&backends.index),
            Arc::clone(&backends.blobs),
            usage.clone(),
            Arc::new(TenantTable::new()),
            telemetry.clone(),
        );
        let oversight = Oversight {
            directory: Arc::clone(&backends.directory),
            tenants: Arc::clone(&ports.tenants),
            sessions: ports.sessions.clone(),
            locks: Arc::clone(&ports.locks),
            usage,
            authenticator,
            clock: Arc::new(SystemClock),
            on_roster: Box::new(|_| {}),
            seen: LastSeen::default(),
        };
        oversight.refresh().await.expect("the directory answers");
        let oversight = tokio::spawn(oversight.run()).abort_handle();
        let listening = Listening {
            ports: ports.clone(),
            tenant: self.tenant,
            policy: self.policy,
            rate_floor: self.rate_floor,
            drain_grace: self.drain_grace,
            budget: ConnectionBudget::new(self.budget),
            proxy: self.proxy,
            events: Events::default(),
            drain: Drain::new(),
        };
        let stack = Arc::new(stack);
        let clear = |stls, trusted| Entry::Clear { stls, trusted };
        let addresses = Addresses {
            clear: listening.pop3("pop3", clear(Some(Arc::clone(&stack)), false)),
            tls: listening.pop3("pop3s", Entry::Tls(stack)),
            trusted: listening.pop3("trusted", clear(None, true)),
            lmtp: listening.lmtp(&backends, self.message_octets),
        };
        TestServer {
            backends,
            certificate,
            certificates,
            drain: listening.drain,
            ports,
            oversight,
            addresses,
            budget: listening.budget,
            events: listening.events,
        }
    }
}

/// What the listeners share.
struct Listening {
    ports: Ports,
    tenant: Option<TenantId>,
    policy: SessionPolicy,
    rate_floor: RateFloor,
    drain_grace: Duration,
    budget: ConnectionBudget,
    proxy: ProxyPolicy,
    events: Events,
    drain: Drain,
}

impl Listening {
    fn pop3(&self, name: &str, entry: Entry) -> SocketAddr {
        let mut policy = self.policy.clone();
        policy.stls = matches!(&entry, Entry::Clear { stls: Some(_), .. });
        let refusal = match &entry {
            Entry::Tls(_) => Arc::from([]),
            Entry::Clear { .. } => refusal_line(),
        };
        let settings = Pop3Settings {
            listener: name.into(),
            entry,
            policy: Arc::new(policy),
            tenant: self.tenant,
            rate_floor: self.rate_floor,
            drain_grace: self.drain_grace,
            spool_directory: std::env::temp_dir(),
            traced_share: 0.0,
        };
        let service = Pop3Service::new(self.ports.clone(), settings);
        let rules = self.rules(self.proxy.clone(), refusal);
        self.serve(rules, move |accepted| service.clone().serve(accepted))
    }

    fn lmtp(&self, backends: &Backends, message_octets: Octets) -> SocketAddr {
        let mut settings = LmtpSettings::new("mx.test", backends.spool_directory());
        settings.message_octets = message_octets;
        let directory = Arc::clone(&backends.directory);
        let service = LmtpService::new(
            directory,
            backends.deliverer().clone(),
            settings,
            self.ports.telemetry.clone(),
        );
        let rules = self.rules(ProxyPolicy::default(), restante_lmtp::refusal_line());
        self.serve(rules, move |accepted| serve_lmtp(service.clone(), accepted))
    }

    fn rules(&self, proxy: ProxyPolicy, refusal: Arc<[u8]>) -> AcceptRules {
        let events = Arc::clone(&self.events);
        AcceptRules {
            proxy,
            budget: self.budget.clone(),
            refusal,
            on_event: Arc::new(move |event| {
                events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }),
        }
    }

    fn serve<H, F>(&self, rules: AcceptRules, handler: H) -> SocketAddr
    where
        H: Fn(Accepted) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = listen();
        let address = listener.tcp_address().expect("a TCP listener");
        tokio::spawn(restante_net::serve(listener, rules, self.drain.clone(), handler));
        address
    }
}

fn listen() -> Listener {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    bind(&ListenerSpec::tcp(anywhere)).expect("loopback can be listened on")
}

async fn serve_lmtp(service: LmtpService, accepted: Accepted) {
    let connection = LmtpConnection {
        session: fresh_session_id().expect("the system gives random octets"),
        peer: Some(accepted.client),
        tenant: None,
        drain: accepted.drain.clone(),
    };
    service.serve(accepted.stream, connection).await;
}
