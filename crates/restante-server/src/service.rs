//! POP3 on the connections of one listener.

use std::sync::Arc;
use std::time::Duration;

use restante_lock::fresh_session_id;
use restante_net::{Accepted, CountedStream, MaybeTls, PacedStream, RateFloor, Stream, TlsStack};
use restante_session::{Channel, CloseReason, Refusal, Session, SessionPolicy};
use restante_types::TenantId;
use tokio::time::Instant;
use tracing::{debug, error};

use crate::drive::{Connection, Driver, End};
use crate::record::SessionRecord;
use crate::{Entry, Ports};

/// What a listener lays down for its connections.
#[derive(Clone, Debug)]
pub struct Pop3Settings {
    /// The listener's name in records.
    pub listener: Arc<str>,
    /// Whether and when TLS begins.
    pub entry: Entry,
    /// Limits and announcements.
    pub policy: Arc<SessionPolicy>,
    /// Whose users are known here; `None` for all tenants'.
    pub tenant: Option<TenantId>,
    /// The slowest client that is served.
    pub rate_floor: RateFloor,
    /// How long an open maildrop may go on once the server drains, until its client sends QUIT.
    pub drain_grace: Duration,
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
            begun,
        };
        let machine = Session::new(Arc::clone(&self.settings.policy), channel, begun.into_std());
        let finished = self.run(Driver::new(connection, machine, stream)).await;
        let record = SessionRecord {
            session,
            listener: &self.settings.listener,
            client: accepted.client,
            account: finished.account,
            tls: finished.tls,
            octets,
            elapsed: begun.elapsed(),
        };
        record.write(finished.reason, &finished.summary);
    }

    /// Shakes hands where TLS comes first.
    async fn enter(&self, wire: Wire, tls_by_proxy: bool) -> Option<(MaybeTls<Wire>, Channel)> {
        match &self.settings.entry {
            Entry::Tls(tls) => Some((Box::pin(shake_hands(tls, wire)).await?, Channel::Tls)),
            Entry::Clear { trusted, .. } => Some((
                MaybeTls::Plain(wire),
                Entry::clear_channel(*trusted, tls_by_proxy),
            )),
        }
    }

    /// Drives the session; after STLS, a new one over the same connection.
    async fn run(&self, driver: Driver<'_>) -> Finished {
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
        let Some(stream) = Box::pin(shake_hands(tls, wire)).await else {
            return failed;
        };
        let policy = Arc::clone(&self.settings.policy);
        let machine = Session::after_stls(policy, connection.begun.into_std(), Instant::now().into_std());
        match Box::pin(Driver::new(connection, machine, stream).run()).await {
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

async fn shake_hands(tls: &TlsStack, wire: Wire) -> Option<MaybeTls<Wire>> {
    match tls.accept(wire).await {
        Ok(stream) => Some(MaybeTls::Tls(Box::new(stream))),
        Err(error) => {
            debug!(%error, fault = error.fault.label(), "TLS handshake failed");
            None
        }
    }
}

/// What a connection without a place is told.
pub fn refusal_line() -> Arc<[u8]> {
    let mut line = Vec::new();
    Refusal::TooManyConnections.write(&mut line);
    line.into()
}
