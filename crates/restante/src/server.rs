//! What runs: listeners, collector, signals; from assembly to the end of the drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_auth::{
    AuditLog, AuthLimits, AuthPorts, Authenticator, Directory, GateLimits, Keyring, Limiter, Roster,
    TenantTable,
};
use restante_config::{Config, Listener as ListenerConfig, Mechanism, OldestVersion, Protocol, UnknownName};
use restante_lmtp::{LmtpConnection, LmtpService, LmtpSettings};
use restante_lock::fresh_session_id;
use restante_net::{
    AcceptEvent, AcceptRules, Accepted, BudgetLimits, CertificateFiles, CertificateReport, CertificateStore,
    ClientAuthority, ConnectionBudget, Drain, ListenAddress, Listener, ListenerSpec, ProxyPolicy, RateFloor,
    TlsFloor, TlsSettings, TlsStack, open_file_limit, pairs_in, raise_open_file_limit,
};
use restante_oauth::{OauthLimits, OauthOptions, OauthVerifier};
use restante_plugin::Plugins;
use restante_sasl::LoginMechanism;
use restante_server::{Entry, Expiry, Oversight, Pop3Service, Pop3Settings, Ports, refusal_line};
use restante_session::SessionPolicy;
use restante_store::{Collector, CollectorSettings, Deliverer};
use restante_types::{Clock, Octets, SystemClock, TenantId};
use rustix::system::uname;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{debug, error, info, warn};

use crate::backends::{Backends, limiter, spool_directory};
use crate::certificates;
use crate::output::Failure;
use crate::password;

/// Open files that are not for connections.
const RESERVED_FILES: u64 = 128;
/// How long the end waits for the last lines of the audit.
const AUDIT_FLUSH: Duration = Duration::from_secs(5);
/// How often certificate files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(20);

/// A server that is bound and ready to run.
pub(crate) struct Server {
    listeners: Vec<Bound>,
    certificates: Option<Arc<CertificateStore>>,
    collector: Option<Collector>,
    plugins: Option<Arc<Plugins>>,
    oversight: Oversight,
    expiry: Expiry,
    authenticator: Arc<Authenticator>,
    drain: Drain,
    deadline: Duration,
    signals: Signals,
    files: Vec<WatchedFile>,
    config: Config,
    config_path: Option<PathBuf>,
}

/// The signals that are followed, from the moment this exists.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// A listener with what serves its connections.
struct Bound {
    listener: Listener,
    rules: AcceptRules,
    service: Service,
}

#[derive(Clone)]
enum Service {
    Pop3(Pop3Service),
    Lmtp(LmtpService, Option<TenantId>),
}

impl Server {
    /// Opens everything that can fail: certificates, locks, addresses. `config_path` is read again on SIGHUP.
    pub(crate) async fn assemble(
        config: &Config,
        backends: &Backends,
        config_path: Option<&Path>,
    ) -> Result<Self, Failure> {
        raise_open_file_limit();
        let tenants = bound_tenants(config, backends).await?;
        let ports = ports(config, backends).await?;
        let tls = Tls::open(config)?;
        let certificates = tls.as_ref().map(|tls| Arc::clone(&tls.certificates));
        let oversight = oversight(config, backends, &ports, certificates.clone())?;
        oversight.refresh().await.map_err(Failure::setup)?;
        let (budget, delivery_budget) = budgets(config);
        let deliverer = Deliverer::new(
            Arc::clone(&backends.index),
            Arc::clone(&backends.blobs),
            Arc::new(SystemClock),
        );
        let mut listeners = Vec::with_capacity(config.listener.len());
        for (listener, tenant) in config.listener.iter().zip(tenants) {
            let service = match listener.protocol {
                Protocol::Lmtp => {
                    let directory = Arc::clone(&backends.directory);
                    let service = LmtpService::new(directory, deliverer.clone(), lmtp_settings(config)?);
                    Service::Lmtp(service, tenant)
                }
                Protocol::Pop3 | Protocol::Pop3s => {
                    let settings = pop3_settings(config, listener, tenant, tls.as_ref())?;
                    Service::Pop3(Pop3Service::new(ports.clone(), settings))
                }
            };
            let budget = match listener.protocol {
                Protocol::Lmtp => &delivery_budget,
                Protocol::Pop3 | Protocol::Pop3s => &budget,
            };
            listeners.push(bind(config, listener, budget, service)?);
        }
        Ok(Self {
            listeners,
            files: watched(config),
            certificates,
            authenticator: Arc::clone(&ports.authenticator),
            plugins: backends.plugins.clone(),
            oversight,
            expiry: Expiry {
                ledger: Arc::clone(&backends.ledger),
                tenants: Arc::clone(&ports.tenants),
                clock: Arc::new(SystemClock),
            },
            collector: config.collector.enabled.then(|| collector(config, backends)),
            drain: Drain::new(),
            deadline: Duration::from_secs(config.drain.deadline_secs),
            signals: Signals::listen().map_err(Failure::setup)?,
            config: config.clone(),
            config_path: config_path.map(Path::to_owned),
        })
    }

    /// Where it listens, in the order of the configuration.
    pub(crate) fn addresses(&self) -> Vec<ListenAddress> {
        self.listeners
            .iter()
            .map(|bound| match bound.listener.tcp_address() {
                Some(address) => ListenAddress::Tcp(address),
                None => bound.listener.address().clone(),
            })
            .collect()
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    pub(crate) async fn run(self) {
        for address in self.addresses() {
            info!(%address, "listening");
        }
        let Self {
            listeners,
            certificates,
            collector,
            plugins,
            oversight,
            expiry,
            authenticator,
            drain,
            deadline,
            signals,
            files,
            config,
            config_path,
        } = self;
        for bound in listeners {
            let Bound {
                listener,
                rules,
                service,
            } = bound;
            let handler = move |accepted| service.clone().serve(accepted);
            tokio::spawn(restante_net::serve(listener, rules, drain.clone(), handler));
        }
        let collecting = tokio::spawn(async move {
            if let Some(collector) = collector {
                collector.run().await;
            }
        });
        let expiring = tokio::spawn(async move {
            expiry.run().await;
        });
        if let Some(plugins) = &plugins {
            info!(?plugins, "plugins");
        }
        let following_plugins = tokio::spawn(async move {
            if let Some(plugins) = plugins {
                plugins.run().await;
            }
        });
        let overseeing = tokio::spawn(oversight.run());
        let watching = tokio::spawn(watch_files(certificates.clone(), config, files));
        let following = follow(signals, drain.clone(), deadline, certificates, config_path);
        let signals = tokio::spawn(following);
        let report = drain.finished().await;
        for task in [
            signals,
            collecting,
            expiring,
            following_plugins,
            overseeing,
            watching,
        ] {
            task.abort();
        }
        authenticator.flush_audit(AUDIT_FLUSH).await;
        info!(
            cut = report.n_cut,
            elapsed_ms = u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
            "stopped"
        );
    }
}

impl Service {
    async fn serve(self, accepted: Accepted) {
        match self {
            Self::Pop3(service) => service.serve(accepted).await,
            Self::Lmtp(service, tenant) => {
                let Some(session) = fresh_session_id() else {
                    error!("no random octets from the system; connection closed");
                    return;
                };
                let Accepted {
                    stream,
                    client,
                    permit: _permit,
                    drain,
                    ..
                } = accepted;
                let connection = LmtpConnection {
                    session,
                    peer: Some(client),
                    tenant,
                    drain,
                };
                service.serve(stream, connection).await;
            }
        }
    }
}

/// The TLS side of all POP3 listeners.
struct Tls {
    stack: Arc<TlsStack>,
    certificates: Arc<CertificateStore>,
}

impl Tls {
    fn open(config: &Config) -> Result<Option<Self>, Failure> {
        if config.tls.certificate.is_empty() {
            return Ok(None);
        }
        let (certificates, report) = open_certificates(config)?;
        log_report(&report);
        let settings = TlsSettings {
            alpn: Some("pop3"),
            unknown_name: match config.tls.unknown_name {
                UnknownName::Default => restante_net::UnknownName::Default,
                UnknownName::Refuse => restante_net::UnknownName::Refuse,
            },
            floor: match config.tls.oldest_version {
                OldestVersion::Tls12 => TlsFloor::Tls12,
                OldestVersion::Tls13 => TlsFloor::Tls13,
            },
            handshake_timeout: Duration::from_secs(config.tls.handshake_timeout_secs),
            client_authority: config
                .tls
                .client_authority_file
                .clone()
                .map(|file| ClientAuthority {
                    file,
                    required: false,
                }),
            ..TlsSettings::default()
        };
        let stack = TlsStack::new(&settings, Arc::clone(&certificates)).map_err(Failure::setup)?;
        Ok(Some(Self {
            stack: Arc::new(stack),
            certificates,
        }))
    }
}

/// Loads the certificates that the configuration names.
pub(crate) fn open_certificates(
    config: &Config,
) -> Result<(Arc<CertificateStore>, CertificateReport), Failure> {
    CertificateStore::open(&certificate_files(config), SystemClock.wall()).map_err(Failure::setup)
}

/// The pairs that the configuration names, then those of its folder.
fn certificate_files(config: &Config) -> Vec<CertificateFiles> {
    let named = config.tls.certificate.iter().map(|pair| CertificateFiles {
        names: pair.names.clone(),
        certificate: pair.certificate_file.clone(),
        key: pair.key_file.clone(),
    });
    let mut files: Vec<CertificateFiles> = named.collect();
    if let Some(folder) = &config.tls.certificate_directory {
        match pairs_in(folder) {
            Ok(found) => files.extend(found),
            Err(error) => error!(%error, "certificates of the folder not loaded"),
        }
    }
    files
}

/// A certificate or key file, and when it was last changed.
type WatchedFile = (PathBuf, Option<SystemTime>);

fn watched(config: &Config) -> Vec<WatchedFile> {
    let pairs = certificate_files(config).into_iter();
    let files = pairs.flat_map(|pair| [pair.certificate, pair.key]);
    files
        .map(|file| {
            let changed = std::fs::metadata(&file).and_then(|about| about.modified());
            (file, changed.ok())
        })
        .collect()
}

/// Reloads certificates whose files change, for ever.
async fn watch_files(
    certificates: Option<Arc<CertificateStore>>,
    config: Config,
    mut known: Vec<WatchedFile>,
) {
    let Some(certificates) = certificates else {
        return;
    };
    loop {
        tokio::time::sleep(LOOK_AT_FILES).await;
        let (store, settings, before) = (Arc::clone(&certificates), config.clone(), known.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let now = watched(&settings);
            if now != before {
                info!("certificate files changed");
                log_report(&store.reload(&certificate_files(&settings), SystemClock.wall()));
            }
            now
        });
        if let Ok(now) = looking.await {
            known = now;
        }
    }
}

fn log_report(report: &CertificateReport) {
    for error in &report.errors {
        error!(%error, "certificate not loaded; the pair in force stays");
    }
    for notice in &report.notices {
        warn!(%notice, "certificate");
    }
}

/// The tenant that each listener is bound to, in order.
pub(crate) async fn bound_tenants(
    config: &Config,
    backends: &Backends,
) -> Result<Vec<Option<TenantId>>, Failure> {
    let mut tenants = Vec::with_capacity(config.listener.len());
    for (nth, listener) in config.listener.iter().enumerate() {
        tenants.push(match &listener.tenant {
            None => None,
            Some(name) => match backends.directory.tenant(name).await.map_err(Failure::setup)? {
                Some(tenant) => Some(tenant.id),
                None => {
                    return Err(Failure::setup_text(format!(
                        "listener[{nth}].tenant: there is no tenant {name:?}; add it with `restante tenant add`"
                    )));
                }
            },
        });
    }
    Ok(tenants)
}

async fn ports(config: &Config, backends: &Backends) -> Result<Ports, Failure> {
    let auth = &config.auth;
    let mut gate = GateLimits::default();
    if auth.verify_permits > 0 {
        gate.permits = auth.verify_permits as usize;
    }
    gate.queue = auth.verify_queue as usize;
    gate.wait = Duration::from_secs(auth.verify_wait_secs);
    let limits = AuthLimits {
        gate,
        ..AuthLimits::default()
    };
    let directory: Arc<dyn Directory> = backends.directory.clone();
    let rule = password::rule(auth).map_err(Failure::setup)?;
    let limiter: Arc<dyn Limiter> = limiter(config)?;
    let auth = AuthPorts {
        audit: AuditLog::start(Arc::clone(&directory)),
        limiter: limiter.clone(),
        tokens: Some(Arc::new(tokens(config, rule.keyring.clone())?)),
        rule,
        clock: Arc::new(SystemClock),
        directory,
    };
    let authenticator = Authenticator::open(auth, limits).await.map_err(Failure::setup)?;
    let locks = backends.locks.clone();
    let locks = locks.ok_or_else(|| Failure::setup_text("the database was not opened to serve"))?;
    let (index, blobs) = (Arc::clone(&backends.index), Arc::clone(&backends.blobs));
    let tenants = Arc::new(TenantTable::new());
    Ok(Ports::new(
        Arc::new(authenticator),
        locks,
        index,
        blobs,
        limiter,
        tenants,
    ))
}

/// What checks access tokens.
fn tokens(config: &Config, keyring: Option<Arc<Keyring>>) -> Result<OauthVerifier, Failure> {
    let extra_roots = match &config.auth.token_authority_file {
        Some(file) => vec![std::fs::read(file).map_err(Failure::setup)?],
        None => Vec::new(),
    };
    let options = OauthOptions {
        open_secret: Arc::new(move |provider| certificates::client_secret(keyring.as_deref(), provider)),
        extra_roots,
        clock: Arc::new(SystemClock),
        limits: OauthLimits::default(),
    };
    OauthVerifier::new(options).map_err(Failure::setup)
}

/// What keeps the server in step with its directory.
fn oversight(
    config: &Config,
    backends: &Backends,
    ports: &Ports,
    certificates: Option<Arc<CertificateStore>>,
) -> Result<Oversight, Failure> {
    let keyring = password::rule(&config.auth).map_err(Failure::setup)?.keyring;
    let on_roster = move |roster: &Roster| {
        if let Some(store) = &certificates {
            let held = certificates::held(roster, keyring.as_deref());
            log_report(&store.hold(&held, SystemClock.wall()));
        }
    };
    Ok(Oversight {
        directory: backends.directory.clone(),
        tenants: Arc::clone(&ports.tenants),
        sessions: ports.sessions.clone(),
        usage: Arc::clone(&ports.usage),
        authenticator: Arc::clone(&ports.authenticator),
        clock: Arc::new(SystemClock),
        on_roster: Box::new(on_roster),
    })
}

const fn mechanism(mechanism: Mechanism) -> LoginMechanism {
    match mechanism {
        Mechanism::External => LoginMechanism::External,
        Mechanism::ScramSha256Plus => LoginMechanism::ScramSha256Plus,
        Mechanism::ScramSha256 => LoginMechanism::ScramSha256,
        Mechanism::OauthBearer => LoginMechanism::OauthBearer,
        Mechanism::Xoauth2 => LoginMechanism::Xoauth2,
        Mechanism::Plain => LoginMechanism::Plain,
        Mechanism::Login => LoginMechanism::Login,
        Mechanism::User => LoginMechanism::User,
    }
}

/// The places for sessions, and those for deliveries: strangers at the one must not keep mail out at the other.
fn budgets(config: &Config) -> (ConnectionBudget, ConnectionBudget) {
    let limits = &config.limits;
    // A session may have a file open beside its socket, and the database and the logs need some, too.
    let sockets = open_file_limit().map_or(u64::MAX, |files| files.saturating_sub(RESERVED_FILES));
    let total = limits.connections.min(u32::try_from(sockets).unwrap_or(u32::MAX));
    if total < limits.connections {
        warn!(
            total,
            configured = limits.connections,
            "limits.connections is lowered: too few open files are permitted"
        );
    }
    let share = u64::from(total) * u64::from(limits.unauthenticated_share_percent) / 100;
    let unauthenticated = u32::try_from(share).unwrap_or(u32::MAX).max(1);
    let sessions = BudgetLimits {
        total,
        per_client: limits.connections_per_address,
        unauthenticated,
    };
    let deliveries = BudgetLimits {
        total,
        per_client: total,
        unauthenticated: total,
    };
    (ConnectionBudget::new(sessions), ConnectionBudget::new(deliveries))
}

fn pop3_settings(
    config: &Config,
    listener: &ListenerConfig,
    tenant: Option<TenantId>,
    tls: Option<&Tls>,
) -> Result<Pop3Settings, Failure> {
    let stack = tls.map(|tls| Arc::clone(&tls.stack));
    let entry = match (listener.protocol, stack) {
        (Protocol::Pop3s, Some(stack)) => Entry::Tls(stack),
        (Protocol::Pop3s, None) => {
            return Err(Failure::setup_text(
                "a pop3s listener needs a certificate under [[tls.certificate]]",
            ));
        }
        (_, stack) => Entry::Clear {
            stls: stack.filter(|_| listener.stls),
            trusted: listener.allow_plaintext_login,
        },
    };
    let limits = &config.limits;
    let mut policy = SessionPolicy {
        stls: matches!(&entry, Entry::Clear { stls: Some(_), .. }),
        utf8: listener.utf8,
        login_timeout: Duration::from_secs(limits.login_timeout_secs),
        idle_timeout: Duration::from_secs(limits.idle_timeout_secs),
        session_max: Duration::from_secs(limits.session_max_secs),
        bad_commands: limits.bad_commands,
        failed_logins: limits.failed_logins,
        mechanisms: config.auth.mechanisms.iter().copied().map(mechanism).collect(),
        ..SessionPolicy::default()
    };
    policy.limits.command = limits.command_line_octets as usize;
    policy.limits.sasl = limits.sasl_line_octets as usize;
    policy.limits.accept_bare_lf = listener.accept_bare_lf;
    Ok(Pop3Settings {
        listener: listener.address.to_string().into(),
        entry,
        policy: Arc::new(policy),
        tenant,
        rate_floor: RateFloor {
            octets_per_second: Octets(limits.minimum_read_octets_per_sec),
            window: Duration::from_secs(limits.minimum_read_window_secs),
        },
        drain_grace: Duration::from_secs(config.drain.grace_secs),
        spool_directory: spool_directory(config).map_err(Failure::setup)?,
    })
}

fn lmtp_settings(config: &Config) -> Result<LmtpSettings, Failure> {
    let lmtp = &config.lmtp;
    let hostname = lmtp
        .hostname
        .clone()
        .unwrap_or_else(|| uname().nodename().to_string_lossy().into_owned());
    let mut settings = LmtpSettings::new(hostname, spool_directory(config).map_err(Failure::setup)?);
    settings.message_octets = Octets(lmtp.max_message_octets);
    settings.recipients = lmtp.max_recipients as usize;
    settings.command_timeout = Duration::from_secs(lmtp.command_timeout_secs);
    settings.return_path = lmtp.return_path;
    settings.deduplicate = lmtp.deduplicate;
    Ok(settings)
}

fn bind(
    config: &Config,
    listener: &ListenerConfig,
    budget: &ConnectionBudget,
    service: Service,
) -> Result<Bound, Failure> {
    let spec = match &listener.address {
        restante_config::ListenAddress::Tcp(address) => ListenerSpec::tcp(*address),
        restante_config::ListenAddress::Unix(path) => ListenerSpec::unix(path),
    };
    let refusal = match listener.protocol {
        Protocol::Pop3 => refusal_line(),
        // Where TLS comes first no word can be said; LMTP has its own.
        Protocol::Pop3s => Arc::from([]),
        Protocol::Lmtp => restante_lmtp::refusal_line(),
    };
    let address = listener.address.to_string();
    let rules = AcceptRules {
        proxy: ProxyPolicy {
            trusted: listener.trusted_proxies.clone(),
            timeout: Duration::from_secs(config.limits.proxy_header_timeout_secs),
        },
        budget: budget.clone(),
        refusal,
        on_event: Arc::new(move |event| {
            if let AcceptEvent::Refused(refusal) = event {
                debug!(
                    listener = address,
                    refusal = refusal.label(),
                    "connection turned away"
                );
            }
        }),
    };
    let listener = restante_net::bind(&spec).map_err(Failure::setup)?;
    Ok(Bound {
        listener,
        rules,
        service,
    })
}

fn collector(config: &Config, backends: &Backends) -> Collector {
    let settings = CollectorSettings {
        interval: Duration::from_secs(config.collector.interval_secs),
        alarm: config.collector.alarm as usize,
        ..CollectorSettings::default()
    };
    let (ledger, blobs) = (Arc::clone(&backends.ledger), Arc::clone(&backends.blobs));
    Collector::new(ledger, blobs, Arc::new(SystemClock), settings)
}

/// SIGHUP reloads certificates; SIGTERM and SIGINT drain, a second one hurries.
async fn follow(
    mut signals: Signals,
    drain: Drain,
    deadline: Duration,
    certificates: Option<Arc<CertificateStore>>,
    config_path: Option<PathBuf>,
) {
    loop {
        tokio::select! {
            Some(()) = signals.hangup.recv() => reload(certificates.as_ref(), config_path.as_deref()).await,
            () = either(&mut signals.terminate, &mut signals.interrupt) => {
                info!("draining; a second signal hurries");
                drain.start(deadline);
            }
        }
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Puts the certificates of the configuration file in force, as it is now. What is broken leaves the old in force.
async fn reload(certificates: Option<&Arc<CertificateStore>>, config_path: Option<&Path>) {
    let (Some(certificates), Some(path)) = (certificates, config_path) else {
        info!("nothing to reload");
        return;
    };
    let config = match Config::load(path, std::env::vars()) {
        Ok(config) => config,
        Err(error) => {
            error!(%error, "configuration not reloaded; the old one stays in force");
            return;
        }
    };
    let certificates = Arc::clone(certificates);
    let reading = tokio::task::spawn_blocking(move || {
        certificates.reload(&certificate_files(&config), SystemClock.wall())
    });
    match reading.await {
        Ok(report) => {
            log_report(&report);
            info!(
                certificates = report.certificates.len(),
                errors = report.errors.len(),
                "certificates reloaded; every other setting takes effect at the next start"
            );
        }
        Err(error) => error!(%error, "certificates not reloaded; the old ones stay in force"),
    }
}
