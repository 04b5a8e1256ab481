//! What runs: listeners, collector, signals; from assembly to the end of the drain.

mod admin;
mod gauges;
mod health;
mod listeners;
mod notify;
mod ports;
mod reload;
mod signals;
mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use restante_auth::Authenticator;
use restante_config::{Config, Protocol};
use restante_lmtp::LmtpService;
use restante_net::{Drain, ListenAddress, PassedSockets, raise_open_file_limit};
use restante_plugin::Plugins;
use restante_server::{Expiry, Oversight, Pop3Service};
use restante_store::{Collector, CollectorSettings, Custody, Deliverer};
use restante_telemetry::{LogControl, Telemetry};
use restante_types::{SystemClock, TenantId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use crate::backends::{Backends, node_name};
use crate::output::Failure;
use admin::{AdminSide, Shown};
use health::Health;
use listeners::{Bound, Budgets, Service, bind, lmtp_settings, pop3_settings};
use reload::Reloader;
use signals::{Leave, Signals};
use tls::{FileWatch, Tls};

pub(crate) use tls::open_certificates;

/// How long the end waits for the last lines of the audit.
const AUDIT_FLUSH: Duration = Duration::from_secs(5);

/// How long an operator's request may still take at the end.
const ADMIN_DEADLINE: Duration = Duration::from_secs(2);

/// A server that is bound and ready to run.
pub(crate) struct Server {
    listeners: Vec<Bound>,
    files: FileWatch,
    collector: Option<Collector>,
    custody: Arc<dyn Custody>,
    plugins: Option<Arc<Plugins>>,
    oversight: Oversight,
    expiry: Expiry,
    authenticator: Arc<Authenticator>,
    health: Health,
    admin: AdminSide,
    drain: Drain,
    leave: Leave,
    signals: Signals,
    reloader: Reloader,
    telemetry: Telemetry,
}

impl Server {
    /// Opens everything that can fail: certificates, locks, addresses. `file` is read again on SIGHUP.
    pub(crate) async fn assemble(
        config: &Config,
        backends: &Backends,
        file: Option<&Path>,
        telemetry: &Telemetry,
        logs: LogControl,
    ) -> Result<Self, Failure> {
        raise_open_file_limit();
        let mut passed = PassedSockets::take().map_err(Failure::setup)?;
        let tenants = bound_tenants(config, backends).await?;
        let ports = ports::ports(config, backends, telemetry).await?;
        let tls = Tls::open(config, telemetry)?;
        let certificates = tls.as_ref().map(|tls| Arc::clone(&tls.certificates));
        let oversight = ports::oversight(config, backends, &ports, certificates.clone())?;
        oversight.refresh().await.map_err(Failure::setup)?;
        oversight.seen.now();
        let budgets = Budgets::new(config);
        let deliverer = Deliverer::new(
            Arc::clone(&backends.index),
            Arc::clone(&backends.blobs),
            Arc::new(SystemClock),
        );
        let mut listeners = Vec::with_capacity(config.listener.len());
        for (listener, tenant) in config.listener.iter().zip(tenants) {
            let service = match listener.protocol {
                Protocol::Lmtp => {
                    let (directory, deliverer) = (Arc::clone(&backends.directory), deliverer.clone());
                    let settings = lmtp_settings(config)?;
                    let service = LmtpService::new(directory, deliverer, settings, telemetry.clone());
                    Service::Lmtp(service, tenant)
                }
                Protocol::Pop3 | Protocol::Pop3s => {
                    let settings = pop3_settings(config, listener, tenant, tls.as_ref())?;
                    Service::Pop3(Pop3Service::new(ports.clone(), settings))
                }
            };
            listeners.push(bind(config, listener, &budgets, service, &mut passed, telemetry)?);
        }
        let drain = Drain::new();
        let health = Health::new(&drain);
        let slots = backends
            .plugins
            .iter()
            .flat_map(|plugins| plugins.slots().cloned());
        let shown = Shown {
            config,
            backends,
            ports: &ports,
            listeners: &listeners,
            certificates: certificates.clone(),
            health: &health,
            node: node_name(config, file),
        };
        let admin = AdminSide::open(shown, &mut passed)?;
        refuse_left_over(&passed)?;
        gauges::watch(
            telemetry,
            &budgets,
            &ports.authenticator,
            &health,
            slots.collect(),
        );
        let (in_force, seen) = watch::channel(config.clone());
        let credentials = admin.credentials.clone();
        let files = FileWatch::new(certificates.clone(), credentials, seen, telemetry.clone());
        Ok(Self {
            listeners,
            files,
            authenticator: Arc::clone(&ports.authenticator),
            plugins: backends.plugins.clone(),
            oversight,
            expiry: Expiry {
                ledger: Arc::clone(&backends.ledger),
                tenants: Arc::clone(&ports.tenants),
                clock: Arc::new(SystemClock),
                telemetry: telemetry.clone(),
            },
            collector: config.collector.enabled.then(|| collector(config, backends)),
            custody: Arc::clone(&backends.custody),
            health,
            drain,
            leave: Leave {
                lame_duck: Duration::from_secs(config.drain.lame_duck_secs),
                deadline: Duration::from_secs(config.drain.deadline_secs),
            },
            signals: Signals::listen().map_err(Failure::setup)?,
            reloader: Reloader {
                path: file.map(Path::to_owned),
                config: in_force,
                certificates,
                admin: admin.credentials.clone(),
                budgets,
                logs,
                telemetry: telemetry.clone(),
            },
            admin,
            telemetry: telemetry.clone(),
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

    /// Where operators look, if anywhere.
    pub(crate) fn admin_address(&self) -> Option<ListenAddress> {
        self.admin.address()
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    pub(crate) async fn run(mut self) {
        for address in self.addresses() {
            info!(%address, "listening");
        }
        if let Some(plugins) = &self.plugins {
            info!(?plugins, "plugins");
        }
        for bound in std::mem::take(&mut self.listeners) {
            let Bound {
                listener,
                rules,
                service,
            } = bound;
            let handler = move |accepted| service.clone().serve(accepted);
            tokio::spawn(restante_net::serve(listener, rules, self.drain.clone(), handler));
        }
        let (drain, authenticator) = (self.drain.clone(), Arc::clone(&self.authenticator));
        let (admin, upkeep) = self.upkeep();
        notify::ready();
        let report = drain.finished().await;
        admin.start(ADMIN_DEADLINE);
        admin.finished().await;
        for task in upkeep {
            task.abort();
        }
        authenticator.flush_audit(AUDIT_FLUSH).await;
        info!(
            cut = report.n_cut,
            elapsed_ms = u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
            "stopped"
        );
    }

    /// What goes on beside the sessions, until it is drained or aborted.
    fn upkeep(self) -> (Drain, Vec<JoinHandle<()>>) {
        let Self {
            collector,
            custody,
            plugins,
            oversight,
            expiry,
            health,
            admin,
            drain,
            leave,
            signals,
            reloader,
            files,
            telemetry,
            ..
        } = self;
        let collects = collector.is_some();
        let watched = telemetry.clone();
        let mut tasks = vec![
            tokio::spawn(async move {
                expiry.run().await;
            }),
            tokio::spawn(oversight.run()),
            tokio::spawn(files.run()),
            tokio::spawn(health.watch(custody, collects, telemetry)),
            tokio::spawn(signals.follow(drain, leave, reloader)),
            tokio::spawn(notify::keep_alive()),
        ];
        if let Some(collector) = collector {
            tasks.push(tokio::spawn(async move {
                collector.run(&watched).await;
            }));
        }
        if let Some(plugins) = plugins {
            tasks.push(tokio::spawn(plugins.run()));
        }
        (admin.start(), tasks)
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

fn collector(config: &Config, backends: &Backends) -> Collector {
    let settings = CollectorSettings {
        interval: Duration::from_secs(config.collector.interval_secs),
        alarm: config.collector.alarm as usize,
        ..CollectorSettings::default()
    };
    let (ledger, blobs) = (Arc::clone(&backends.ledger), Arc::clone(&backends.blobs));
    Collector::new(ledger, blobs, Arc::new(SystemClock), settings)
}

/// A socket that nobody serves would take connections and never answer them.
fn refuse_left_over(passed: &PassedSockets) -> Result<(), Failure> {
    match passed.left_over().next() {
        None => Ok(()),
        Some(address) => Err(Failure::setup(anyhow!(
            "the service manager passed a socket on {address}, and no listener has that address; change the socket \
             unit or add a [[listener]]"
        ))),
    }
}
