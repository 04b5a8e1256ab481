//! Listeners with what serves their connections.

use std::sync::Arc;
use std::time::Duration;

use restante_config::{Config, Listener as ListenerConfig, Mechanism, Protocol};
use restante_lmtp::{LmtpConnection, LmtpService, LmtpSettings};
use restante_lock::fresh_session_id;
use restante_net::{
    AcceptRules, Accepted, BudgetLimits, ConnectionBudget, Listener, ListenerSpec, PassedSockets,
    ProxyPolicy, RateFloor, open_file_limit,
};
use restante_sasl::LoginMechanism;
use restante_server::{Entry, Pop3Service, Pop3Settings, refusal_line};
use restante_session::SessionPolicy;
use restante_telemetry::{ConnectionJudged, Telemetry};
use restante_types::{Octets, TenantId};
use rustix::system::uname;
use tracing::{error, warn};

use super::tls::Tls;
use crate::backends::spool_directory;
use crate::output::Failure;

/// Open files that are not for connections.
const RESERVED_FILES: u64 = 128;

/// A listener with what serves its connections.
pub(super) struct Bound {
    pub(super) listener: Listener,
    pub(super) rules: AcceptRules,
    pub(super) service: Service,
}

#[derive(Clone)]
pub(super) enum Service {
    Pop3(Pop3Service),
    Lmtp(LmtpService, Option<TenantId>),
}

impl Service {
    pub(super) async fn serve(self, accepted: Accepted) {
        // Boxed, so that a connection of one kind does not keep room for the other.
        match self {
            Self::Pop3(service) => Box::pin(service.serve(accepted)).await,
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
                Box::pin(service.serve(stream, connection)).await;
            }
        }
    }
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
#[derive(Clone, Debug)]
pub(super) struct Budgets {
    pub(super) sessions: ConnectionBudget,
    pub(super) deliveries: ConnectionBudget,
}

impl Budgets {
    pub(super) fn new(config: &Config) -> Self {
        let (sessions, deliveries) = places(config);
        Self {
            sessions: ConnectionBudget::new(sessions),
            deliveries: ConnectionBudget::new(deliveries),
        }
    }

    /// Puts other limits in force. Connections that are there stay.
    pub(super) fn set(&self, config: &Config) {
        let (sessions, deliveries) = places(config);
        self.sessions.set_limits(sessions);
        self.deliveries.set_limits(deliveries);
    }
}

fn places(config: &Config) -> (BudgetLimits, BudgetLimits) {
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
    let sessions = BudgetLimits {
        total,
        per_client: limits.connections_per_address,
        unauthenticated: u32::try_from(share).unwrap_or(u32::MAX).max(1),
    };
    let deliveries = BudgetLimits {
        total,
        per_client: total,
        unauthenticated: total,
    };
    (sessions, deliveries)
}

pub(super) fn pop3_settings(
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
        traced_share: match config.telemetry.otlp_endpoint {
            Some(_) => config.telemetry.sample_percent / 100.0,
            None => 0.0,
        },
    })
}

pub(super) fn lmtp_settings(config: &Config) -> Result<LmtpSettings, Failure> {
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

/// Where a setting says to listen.
pub(super) fn spec(address: &restante_config::ListenAddress) -> ListenerSpec {
    match address {
        restante_config::ListenAddress::Tcp(address) => ListenerSpec::tcp(*address),
        restante_config::ListenAddress::Unix(path) => ListenerSpec::unix(path),
    }
}

pub(super) fn bind(
    config: &Config,
    listener: &ListenerConfig,
    budgets: &Budgets,
    service: Service,
    passed: &mut PassedSockets,
    telemetry: &Telemetry,
) -> Result<Bound, Failure> {
    let budget = match listener.protocol {
        Protocol::Lmtp => &budgets.deliveries,
        Protocol::Pop3 | Protocol::Pop3s => &budgets.sessions,
    };
    let refusal = match listener.protocol {
        Protocol::Pop3 => refusal_line(),
        // Where TLS comes first no word can be said; LMTP has its own.
        Protocol::Pop3s => Arc::from([]),
        Protocol::Lmtp => restante_lmtp::refusal_line(),
    };
    let (address, telemetry) = (listener.address.to_string(), telemetry.clone());
    let rules = AcceptRules {
        proxy: ProxyPolicy {
            trusted: listener.trusted_proxies.clone(),
            timeout: Duration::from_secs(config.limits.proxy_header_timeout_secs),
        },
        budget: budget.clone(),
        refusal,
        on_event: Arc::new(move |event| {
            telemetry.emit(ConnectionJudged {
                listener: &address,
                result: event.label(),
            });
        }),
    };
    let listener = passed.bind(&spec(&listener.address)).map_err(Failure::setup)?;
    Ok(Bound {
        listener,
        rules,
        service,
    })
}
