//! Sessions that are open, by state.

use std::sync::Arc;

use restante_types::TenantId;

use crate::Telemetry;
use crate::metric::Gauge;

/// The states of RFC 1939 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Not logged in.
    Authorization,
    /// A maildrop is open.
    Transaction,
    /// Deletions are being written.
    Update,
}

impl SessionState {
    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Transaction => "transaction",
            Self::Update => "update",
        }
    }
}

/// A session in the gauges; dropped, it is out of them.
#[derive(Debug)]
pub struct OpenSession {
    telemetry: Telemetry,
    listener: Arc<str>,
    state: SessionState,
    tenant: Option<String>,
}

impl OpenSession {
    /// Counts a session that has begun on a listener.
    pub fn begin(telemetry: &Telemetry, listener: &Arc<str>) -> Self {
        let state = SessionState::Authorization;
        let open = Self {
            telemetry: telemetry.clone(),
            listener: Arc::clone(listener),
            state,
            tenant: None,
        };
        open.add(1.0);
        open
    }

    /// The session has opened a maildrop of this tenant.
    pub fn logged_in(&mut self, tenant: TenantId) {
        self.enter(SessionState::Transaction);
        self.tenant = self.telemetry.tenants().label(self.telemetry.metrics(), tenant);
        self.add_tenant(1.0);
    }

    /// The session is in another state.
    pub fn enter(&mut self, state: SessionState) {
        if self.state != state {
            self.add(-1.0);
            self.state = state;
            self.add(1.0);
        }
    }

    fn add(&self, by: f64) {
        let labels = [&*self.listener, self.state.as_str()];
        self.telemetry.metrics().add(Gauge::SessionsOpen, &labels, by);
    }

    fn add_tenant(&self, by: f64) {
        if let Some(tenant) = &self.tenant {
            self.telemetry
                .metrics()
                .add(Gauge::TenantSessionsOpen, &[tenant], by);
        }
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.add(-1.0);
        self.add_tenant(-1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_in_one_state_and_leaves_none_behind() {
        let telemetry = Telemetry::default();
        let listener: Arc<str> = "127.0.0.1:110".into();
        let mut session = OpenSession::begin(&telemetry, &listener);
        session.logged_in(TenantId::new(1).unwrap());
        session.enter(SessionState::Update);
        let shown = |state: &str, n: u32| {
            let line =
                format!("restante_sessions_open{{listener=\"127.0.0.1:110\",state=\"{state}\"}} {n}\n");
            let text = telemetry.scrape().unwrap();
            assert!(text.contains(&line), "{line}{text}");
        };
        shown("authorization", 0);
        shown("transaction", 0);
        shown("update", 1);
        drop(session);
        shown("update", 0);
    }
}
