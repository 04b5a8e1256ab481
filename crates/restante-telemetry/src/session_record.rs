//! The one record at the end of a session.

use std::time::Duration;

use restante_session::{CloseReason, SessionSummary};
use restante_types::{AccountId, ClientAddr, Octets, SessionId};

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry};

/// What a session was and did: counts and identities, no name and no octet of a client.
#[derive(Debug)]
pub struct SessionRecord<'a> {
    /// Its key.
    pub session: SessionId,
    /// The listener, as configured.
    pub listener: &'a str,
    /// Who was connected.
    pub client: ClientAddr,
    /// Who was logged in.
    pub account: Option<AccountId>,
    /// The TLS version; `none` in the clear.
    pub tls: &'static str,
    /// Octets from and to the client, TLS included.
    pub received: Octets,
    /// The same, the other way.
    pub sent: Octets,
    /// From accept to close.
    pub elapsed: Duration,
    /// Why it ended.
    pub reason: CloseReason,
    /// What it did.
    pub summary: SessionSummary,
    /// The trace it can be found under, if it was traced.
    pub trace: Option<String>,
}

impl InternalEvent for SessionRecord<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let summary = &self.summary;
        tracing::info!(
            session = %self.session,
            listener = self.listener,
            client = %self.client.ip(),
            tenant = self.account.map(|account| account.tenant().get()),
            account = self.account.map(tracing::field::display),
            tls = self.tls,
            reason = self.reason.as_str(),
            commands = summary.n_commands,
            bad = summary.n_bad_commands,
            refused_logins = summary.n_refused_logins,
            messages = summary.n_messages,
            maildrop = summary.maildrop.get(),
            retr = summary.n_retrieved,
            retr_octets = summary.retrieved.get(),
            top = summary.n_tops,
            deleted = summary.n_deleted,
            octets_in = self.received.get(),
            octets_out = self.sent.get(),
            elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            trace = self.trace,
            "session ended"
        );
        let metrics = telemetry.metrics();
        metrics.count(Counter::Sessions, &[self.listener, self.reason.as_str()], 1);
        metrics.observe(Histogram::SessionSeconds, &[self.listener], self.elapsed);
        metrics.count(
            Counter::ConnectionOctets,
            &[self.listener, "in"],
            self.received.get(),
        );
        metrics.count(
            Counter::ConnectionOctets,
            &[self.listener, "out"],
            self.sent.get(),
        );
        if let Some(tenant) = self
            .account
            .and_then(|account| telemetry.tenants().label(metrics, account.tenant()))
        {
            metrics.count(Counter::TenantSessions, &[&tenant], 1);
        }
    }
}
