//! The one record at the end of a session.

use std::time::Duration;

use restante_net::StreamOctets;
use restante_session::{CloseReason, SessionSummary};
use restante_types::{AccountId, ClientAddr, SessionId};
use tracing::info;

/// What is known of a session apart from what it did.
#[derive(Debug)]
pub(crate) struct SessionRecord<'a> {
    pub(crate) session: SessionId,
    pub(crate) listener: &'a str,
    pub(crate) client: ClientAddr,
    pub(crate) account: Option<AccountId>,
    pub(crate) tls: &'static str,
    pub(crate) octets: StreamOctets,
    pub(crate) elapsed: Duration,
}

impl SessionRecord<'_> {
    /// Writes the record: counts and identities, no name and no octet of a client.
    pub(crate) fn write(&self, reason: CloseReason, summary: &SessionSummary) {
        info!(
            session = %self.session,
            listener = self.listener,
            client = %self.client.ip(),
            account = self.account.map(tracing::field::display),
            tls = self.tls,
            reason = reason.as_str(),
            commands = summary.n_commands,
            bad = summary.n_bad_commands,
            refused_logins = summary.n_refused_logins,
            messages = summary.n_messages,
            maildrop = summary.maildrop.get(),
            retr = summary.n_retrieved,
            retr_octets = summary.retrieved.get(),
            top = summary.n_tops,
            deleted = summary.n_deleted,
            octets_in = self.octets.received().get(),
            octets_out = self.octets.sent().get(),
            elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "session ended"
        );
    }
}
