//! The port for operators, put together: what it may ask, who may ask it, where it listens. Start at [`AdminSide::open`].

use std::sync::Arc;

use anyhow::Context as _;
use restante_admin::{
    AdminLimits, AdminPorts, AdminService, AdminToken, CertificateFacts, ListenerFacts, LoginFacts,
    NodeFacts, PluginFacts, PluginState, SessionFacts, Tokens,
};
use restante_config::Config;
use restante_net::{
    CertificateFiles, CertificateStore, Drain, ListenAddress, Listener, PassedSockets, TlsSettings, TlsStack,
};
use restante_plugin::{PluginSlot, SlotLoad};
use restante_sasl::LoginMechanism;
use restante_server::Ports;
use restante_telemetry::{AdminAnswered, Counter, Gauge, SessionState, Telemetry};
use restante_types::{Clock as _, SystemClock};
use tracing::{error, info};

use super::health::Health;
use super::listeners::{Bound, spec};
use crate::backends::Backends;
use crate::output::Failure;
use crate::password;

/// The port for operators, bound.
pub(super) struct AdminSide {
    service: AdminService,
    whole: Option<(Listener, Option<Arc<TlsStack>>)>,
    metrics: Option<Listener>,
    /// What SIGHUP changes.
    pub(super) credentials: AdminCredentials,
    drain: Drain,
}

/// Who may use the port, and with which certificate it is served. Clones are the same.
#[derive(Clone)]
pub(super) struct AdminCredentials {
    tokens: Tokens,
    certificates: Option<Arc<CertificateStore>>,
}

/// What the port shows.
pub(super) struct Shown<'a> {
    pub(super) config: &'a Config,
    pub(super) backends: &'a Backends,
    pub(super) ports: &'a Ports,
    pub(super) listeners: &'a [Bound],
    pub(super) certificates: Option<Arc<CertificateStore>>,
    pub(super) health: &'a Health,
    pub(super) node: String,
}

impl AdminSide {
    pub(super) fn open(shown: Shown<'_>, passed: &mut PassedSockets) -> Result<Self, Failure> {
        let config = shown.config;
        let tokens = Tokens::new(read_tokens(config).map_err(Failure::setup)?).map_err(Failure::setup)?;
        let certificates = match files(config) {
            None => None,
            Some(files) => {
                let opened = CertificateStore::open(&[files], SystemClock.wall()).map_err(Failure::setup)?;
                Some(opened.0)
            }
        };
        let tls = certificates.as_ref().map(tls).transpose()?;
        let mut listen = |address: &Option<restante_config::ListenAddress>| {
            let bound = address.as_ref().map(|address| passed.bind(&spec(address)));
            bound.transpose().map_err(Failure::setup)
        };
        let whole = listen(&config.admin.address)?.map(|listener| (listener, tls));
        let metrics = listen(&config.admin.metrics_address)?;
        Ok(Self {
            service: AdminService::new(ports(shown)?, tokens.clone(), AdminLimits::default()),
            whole,
            metrics,
            credentials: AdminCredentials { tokens, certificates },
            drain: Drain::new(),
        })
    }

    /// Where the whole port is.
    pub(super) fn address(&self) -> Option<ListenAddress> {
        self.whole
            .as_ref()
            .map(|(listener, _)| listener.address().clone())
    }

    /// Serves until the answer is drained, which outlasts the sessions: operators look on while they end.
    pub(super) fn start(self) -> Drain {
        let Self {
            service,
            whole,
            metrics,
            drain,
            ..
        } = self;
        if let Some((listener, tls)) = whole {
            info!(admin = %listener.address(), "listening");
            let (service, drain) = (service.clone(), drain.clone());
            tokio::spawn(async move { service.serve(listener, tls, drain).await });
        }
        if let Some(listener) = metrics {
            info!(metrics = %listener.address(), "listening");
            let drain = drain.clone();
            tokio::spawn(async move { service.serve_metrics(listener, drain).await });
        }
        drain
    }
}

impl AdminCredentials {
    /// Puts the tokens and the certificate of a configuration in force. What is broken leaves the old in force, and is
    /// told; `false` then.
    pub(super) fn reload(&self, config: &Config) -> bool {
        let tokens = read_tokens(config).and_then(|tokens| Ok(self.tokens.replace(tokens)?));
        if let Err(error) = &tokens {
            error!(%error, "tokens not reloaded; the old ones stay in force");
        }
        self.reload_certificate(config) && tokens.is_ok()
    }

    /// The same of the certificate alone.
    pub(super) fn reload_certificate(&self, config: &Config) -> bool {
        let (Some(store), Some(files)) = (&self.certificates, files(config)) else {
            return true;
        };
        let report = store.reload(&[files], SystemClock.wall());
        for error in &report.errors {
            error!(%error, "certificate of the admin port not loaded; the pair in force stays");
        }
        report.errors.is_empty()
    }

    /// Whether the pair that a configuration names can be put in force: the port has TLS from its start or never.
    pub(super) fn follows_pair(&self, config: &Config) -> bool {
        self.certificates.is_some() && files(config).is_some()
    }
}

/// The pair that the configuration names for the port.
pub(super) fn files(config: &Config) -> Option<CertificateFiles> {
    let (certificate, key) = config
        .admin
        .certificate_file
        .clone()
        .zip(config.admin.key_file.clone())?;
    Some(CertificateFiles {
        names: Vec::new(),
        certificate,
        key,
    })
}

fn tls(certificates: &Arc<CertificateStore>) -> Result<Arc<TlsStack>, Failure> {
    let settings = TlsSettings {
        alpn: Some("http/1.1"),
        ..TlsSettings::default()
    };
    let stack = TlsStack::new(&settings, Arc::clone(certificates)).map_err(Failure::setup)?;
    Ok(Arc::new(stack))
}

fn read_tokens(config: &Config) -> anyhow::Result<Vec<AdminToken>> {
    let tokens = config.admin.token.iter().enumerate();
    tokens
        .map(|(nth, token)| {
            let at = || format!("admin.token[{nth}].token_file");
            let secret = password::first_line_of(&token.token_file).with_context(at)?;
            let text = String::from_utf8(secret.expose().clone()).map_err(|_| anyhow::anyhow!("not text"));
            let text = text.with_context(at)?;
            let tenant = token.tenant.clone();
            AdminToken::new(&token.name, text.into(), tenant, token.read_only)
                .with_context(|| format!("admin.token[{nth}]"))
        })
        .collect()
}

fn ports(shown: Shown<'_>) -> Result<AdminPorts, Failure> {
    let Shown {
        config,
        backends,
        ports,
        health,
        ..
    } = shown;
    let telemetry = ports.telemetry.clone();
    let (scraped, answered) = (telemetry.clone(), telemetry.clone());
    let (health, storages) = (health.clone(), backends.storages.clone());
    Ok(AdminPorts {
        directory: Arc::clone(&backends.directory),
        index: Arc::clone(&backends.index),
        desk: backends.desk.clone(),
        sessions: ports.sessions.clone(),
        registry: Arc::clone(&backends.registry),
        rule: password::rule(&config.auth).map_err(Failure::setup)?,
        clock: Arc::new(SystemClock),
        storages: Arc::new(move || storages.facts()),
        unready: Arc::new(move || health.reasons().into_iter().map(str::to_owned).collect()),
        metrics: Arc::new(move || scrape(&scraped)),
        on_answer: Arc::new(move |class| {
            answered.emit(AdminAnswered {
                class: class.as_str(),
            });
        }),
        node: node(shown, telemetry),
    })
}

fn scrape(telemetry: &Telemetry) -> String {
    telemetry.scrape().unwrap_or_else(|error| {
        error!(error, "metrics cannot be written");
        String::new()
    })
}

/// What the status page says, anew each time it is asked.
fn node(shown: Shown<'_>, telemetry: Telemetry) -> Arc<dyn Fn() -> NodeFacts + Send + Sync> {
    let configured = shown.config.listener.iter().zip(shown.listeners);
    let listeners: Vec<(String, String, String)> = configured
        .map(|(listener, bound)| {
            let protocol = listener.protocol.as_str().to_owned();
            (
                listener.address.to_string(),
                bound.listener.address().to_string(),
                protocol,
            )
        })
        .collect();
    let slots: Vec<Arc<PluginSlot>> = match &shown.backends.plugins {
        Some(plugins) => plugins.slots().cloned().collect(),
        None => Vec::new(),
    };
    let (certificates, node, started) = (shown.certificates, shown.node, SystemClock.wall());
    Arc::new(move || NodeFacts {
        node: node.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        listeners: listeners
            .iter()
            .map(|(label, address, protocol)| ListenerFacts {
                address: address.clone(),
                protocol: protocol.clone(),
                sessions: (protocol != "lmtp").then(|| sessions(&telemetry, label).iter().sum()),
            })
            .collect(),
        sessions: all_sessions(&telemetry, listeners.iter().map(|(label, ..)| label.as_str())),
        logins: logins(&telemetry),
        certificates: certificates
            .iter()
            .flat_map(|store| shown_certificates(store))
            .collect(),
        plugins: slots.iter().map(|slot| plugin(slot)).collect(),
    })
}

/// In AUTHORIZATION, TRANSACTION and UPDATE.
fn sessions(telemetry: &Telemetry, listener: &str) -> [u64; 3] {
    [
        SessionState::Authorization,
        SessionState::Transaction,
        SessionState::Update,
    ]
    .map(|state| telemetry.gauge(Gauge::SessionsOpen, &[listener, state.as_str()]))
}

fn all_sessions<'a>(telemetry: &Telemetry, listeners: impl Iterator<Item = &'a str>) -> SessionFacts {
    listeners.fold(SessionFacts::default(), |sum, listener| {
        let [authorization, transaction, update] = sessions(telemetry, listener);
        SessionFacts {
            authorization: sum.authorization + authorization,
            transaction: sum.transaction + transaction,
            update: sum.update + update,
        }
    })
}

fn logins(telemetry: &Telemetry) -> LoginFacts {
    let of = |verdicts: &[&str]| -> u64 {
        let each = LoginMechanism::ALL.iter().flat_map(|mechanism| {
            verdicts
                .iter()
                .map(|verdict| telemetry.counter(Counter::Logins, &[mechanism.name(), verdict]))
        });
        each.sum()
    };
    LoginFacts {
        granted: of(&["granted"]),
        refused: of(&["refused", "throttled"]),
        faulty: of(&["busy", "unavailable"]),
    }
}

fn shown_certificates(store: &CertificateStore) -> Vec<CertificateFacts> {
    let in_force = store.status().into_iter();
    in_force
        .map(|status| CertificateFacts {
            source: status.source.display().to_string(),
            names: status.names,
            not_after: status.not_after,
        })
        .collect()
}

fn plugin(slot: &PluginSlot) -> PluginFacts {
    let SlotLoad {
        is_ready, n_resting, ..
    } = slot.load();
    PluginFacts {
        name: slot.name().to_owned(),
        state: match is_ready {
            Some(true) if n_resting == 0 => PluginState::Ready,
            Some(_) => PluginState::Failing,
            None if slot.is_disabled() => PluginState::Disabled,
            None => PluginState::Absent,
        },
        detail: match n_resting {
            0 => format!("{slot:?}"),
            n => format!("{slot:?}; given a rest for {n} tenants, since it broke too often"),
        },
    }
}
