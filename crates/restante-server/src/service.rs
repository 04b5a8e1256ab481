//! POP3 on the connections of one listener.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use restante_auth::{LoginContext, Scope, Transport};
use restante_lock::fresh_session_id;
use restante_net::{Accepted, CountedStream, MaybeTls, PacedStream, RateFloor, Stream, TlsStack, TlsVersion};
use restante_sasl::ChannelBinding;
use restante_session::{Channel, CloseReason, LoginDelay, Refusal, Session, SessionPolicy, TlsFacts};
use restante_telemetry::{OpenSession, SPAN_TARGET, SessionRecord, TlsHandshaken, sampled, trace_id};
use restante_types::{ClientAddr, SessionId, TenantId};
use restante_wire::Expire;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, error, field};

use crate::drive::{Connection, Driver, End};
use crate::{Entry, Ports, hold};

/// What a listener lays down for its connections.
#[derive(Clone, Debug)]
pub struct Pop3Settings {
    /// The listener's name in records.
    pub listener: Arc<str>,
    /// Whether and when TLS begins.
    pub entry: Entry,
    /// Limits, and the announcements where the tenant is not known before the login.
    pub policy: Arc<SessionPolicy>,
    /// Whose users are known here; `None`: those of the tenant whose server name the client asks for, else all
    /// tenants'.
    pub tenant: Option<TenantId>,
    /// The slowest client that is served.
    pub rate_floor: RateFloor,
    /// How long an open maildrop may go on once the server drains, until its client sends QUIT.
    pub drain_grace: Duration,
    /// Where messages of other mail systems wait while they are compared with what was listed.
    pub spool_directory: PathBuf,
    /// The share of sessions that are traced, 0 to 1.
    pub traced_share: f64,
}

/// Serves POP3 connections.
#[derive(Clone, Debug)]
pub struct Pop3Service {
    ports: Ports,
    settings: Arc<Pop3Settings>,
}

/// The stream of a session: counted, then paced, so that the slowness of a client is seen below TLS.
pub(crate) type Wire = PacedStream<CountedStream<Stream>>;

impl Pop3Service {
    /// A service over `ports`.
    pub fn new(ports: Ports, settings: Pop3Settings) -> Self {
        Self {
            ports,
            settings: Arc::new(settings),
        }
    }

    /// Serves one connection to its end.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection without UPDATE; a commit that has begun runs to its end, then the maildrop
    /// is free.
    pub async fn serve(self, accepted: Accepted) {
        let begun = Instant::now();
        let Some(session) = fresh_session_id() else {
            error!("no random octets from the system; connection closed");
            return;
        };
        let span = self.span(session, accepted.client);
        let trace = trace_id(&span);
        self.session(session, accepted, begun, trace)
            .instrument(span)
            .await;
    }

    /// The span of a session, if it is one of those that are traced.
    fn span(&self, session: SessionId, client: ClientAddr) -> Span {
        if !sampled(self.settings.traced_share) {
            return Span::none();
        }
        let span = tracing::info_span!(
            target: SPAN_TARGET,
            "session",
            %session,
            listener = &*self.settings.listener,
            client = %client.ip(),
            tenant = field::Empty,
            account = field::Empty,
            reason = field::Empty,
        );
        span
    }

    async fn session(self, session: SessionId, accepted: Accepted, begun: Instant, trace: Option<String>) {
        let telemetry = &self.ports.telemetry;
        let counted = CountedStream::new(accepted.stream);
        let octets = counted.octets();
        let wire = PacedStream::new(counted, self.settings.rate_floor);
        let Some((stream, channel)) = self.enter(wire, accepted.proxy.tls_by_proxy()).await else {
            return;
        };
        let connection = Connection {
            ports: &self.ports,
            settings: &self.settings,
            session_id: session,
            permit: accepted.permit,
            drain: accepted.drain,
            open: OpenSession::begin(telemetry, &self.settings.listener),
            begun,
        };
        let login = self.login(&stream, channel, accepted.client, session);
        let policy = self.policy(&login.scope);
        let machine = Session::new(policy, channel, facts(&stream), begun.into_std());
        let driver = Box::new(Driver::new(connection, machine, stream, login));
        let finished = self.run(driver, accepted.client).await;
        Span::current().record("reason", finished.reason.as_str());
        telemetry.emit(SessionRecord {
            session,
            listener: &self.settings.listener,
            client: accepted.client,
            account: finished.account,
            tls: finished.tls,
            received: octets.received(),
            sent: octets.sent(),
            elapsed: begun.elapsed(),
            reason: finished.reason,
            summary: finished.summary,
            trace,
        });
    }

    /// Shakes hands where TLS comes first.
    async fn enter(&self, wire: Wire, tls_by_proxy: bool) -> Option<(MaybeTls<Wire>, Channel)> {
        match &self.settings.entry {
            Entry::Tls(tls) => Some((Box::pin(self.shake_hands(tls, wire)).await?, Channel::Tls)),
            Entry::Clear { trusted, .. } => Some((
                MaybeTls::Plain(wire),
                Entry::clear_channel(*trusted, tls_by_proxy),
            )),
        }
    }

    async fn shake_hands(&self, tls: &TlsStack, wire: Wire) -> Option<MaybeTls<Wire>> {
        let begun = Instant::now();
        let shaken = tls.accept(wire).await;
        let shaken = shaken.map(|stream| MaybeTls::Tls(Box::new(stream)));
        let result = match &shaken {
            Ok(stream) => Ok(version(stream)),
            Err(error) => Err(error.fault.label()),
        };
        self.ports.telemetry.emit(TlsHandshaken {
            listener: &self.settings.listener,
            result,
            elapsed: begun.elapsed(),
        });
        shaken.ok()
    }

    /// On what conditions somebody logs in on a connection.
    fn login(
        &self,
        stream: &MaybeTls<Wire>,
        channel: Channel,
        client: ClientAddr,
        session: SessionId,
    ) -> LoginContext {
        let handshake = stream.handshake();
        let server_name = handshake.and_then(|handshake| handshake.sni.as_deref());
        LoginContext {
            scope: self.ports.tenants.scope(self.settings.tenant, server_name),
            client,
            transport: match (handshake.map(|handshake| handshake.version), channel) {
                (Some(TlsVersion::Tls13), _) => Transport::Tls13,
                // A proxy that ends TLS does not say which version it was.
                (Some(TlsVersion::Tls12), _) | (None, Channel::Tls) => Transport::Tls12,
                (None, Channel::Clear | Channel::Trusted) => Transport::Trusted,
            },
            session,
            certificate_names: stream.client_mail_addresses(),
        }
    }

    /// What is announced before a login: by the tenant's rules where it is known.
    fn policy(&self, scope: &Scope) -> Arc<SessionPolicy> {
        let listener = &self.settings.policy;
        let Some(tenant) = &scope.policy else {
            let extremes = self.ports.tenants.extremes();
            if extremes == restante_auth::Extremes::default() {
                return Arc::clone(listener);
            }
            return Arc::new(SessionPolicy {
                login_delay: LoginDelay {
                    at_most: extremes.login_delay,
                    per_user: extremes.login_delay_differs,
                },
                expire: Some(match extremes.expire_days {
                    None => Expire::Never,
                    Some(days) if extremes.expire_differs => Expire::PerUser { days },
                    Some(days) => Expire::Days(days),
                }),
                ..(**listener).clone()
            });
        };
        Arc::new(SessionPolicy {
            mechanisms: tenant.announced(),
            login_delay: LoginDelay {
                at_most: tenant.login_delay(),
                per_user: false,
            },
            expire: Some(hold::expire(tenant.expire_days)),
            ..(**listener).clone()
        })
    }

    /// Drives the session; after STLS, a new one over the same connection.
    async fn run(&self, driver: Box<Driver<'_>>, client: ClientAddr) -> Finished {
        let (connection, wire, closed) = match Box::pin(driver.run()).await {
            End::Closed(closed) => return closed,
            End::StartTls {
                connection,
                wire,
                summary,
            } => (connection, wire, summary),
        };
        let failed = Finished {
            reason: CloseReason::TlsFailed,
            summary: closed,
            account: None,
            tls: "none",
        };
        let Entry::Clear { stls: Some(tls), .. } = &self.settings.entry else {
            return failed;
        };
        let Some(stream) = Box::pin(self.shake_hands(tls, wire)).await else {
            return failed;
        };
        let login = self.login(&stream, Channel::Tls, client, connection.session_id);
        let policy = self.policy(&login.scope);
        let (begun, now) = (connection.begun.into_std(), Instant::now().into_std());
        let machine = Session::after_stls(policy, facts(&stream), begun, now);
        let driver = Box::new(Driver::new(*connection, machine, stream, login));
        match Box::pin(driver.run()).await {
            End::Closed(finished) => finished,
            End::StartTls { .. } => failed,
        }
    }
}

/// How a session ended.
pub(crate) struct Finished {
    pub(crate) reason: CloseReason,
    pub(crate) summary: restante_session::SessionSummary,
    pub(crate) account: Option<restante_types::AccountId>,
    pub(crate) tls: &'static str,
}

/// The TLS version, for records and metrics.
pub(crate) fn version(stream: &MaybeTls<Wire>) -> &'static str {
    stream
        .handshake()
        .map_or("none", |handshake| handshake.version.label())
}

/// What the handshake offers to a login.
fn facts(stream: &MaybeTls<Wire>) -> TlsFacts {
    TlsFacts {
        binding: stream
            .channel_binding()
            .map_or_else(ChannelBinding::none, ChannelBinding::exporter),
        certificate: stream.has_client_certificate(),
    }
}

/// What a connection without a place is told.
pub fn refusal_line() -> Arc<[u8]> {
    let mut line = Vec::new();
    Refusal::TooManyConnections.write(&mut line);
    line.into()
}
