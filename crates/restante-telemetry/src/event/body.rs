//! Messages on their way out.

use restante_types::{SessionId, TenantId};
use restante_wire::Verb;

use crate::metric::Counter;
use crate::{InternalEvent, Telemetry};

/// A message, or the top of one, was sent to its end.
#[derive(Clone, Copy, Debug)]
pub struct BodySent {
    /// RETR or TOP.
    pub verb: Verb,
    /// Its octets, before dot-stuffing.
    pub octets: u64,
    /// Whose it is.
    pub tenant: TenantId,
}

impl InternalEvent for BodySent {
    fn emit(self, telemetry: &Telemetry) {
        let metrics = telemetry.metrics();
        metrics.count(Counter::MessagesSent, &[self.verb.as_str()], 1);
        metrics.count(Counter::BodyOctets, &[self.verb.as_str()], self.octets);
        if let Some(tenant) = telemetry.tenants().label(metrics, self.tenant) {
            metrics.count(Counter::TenantBodyOctets, &[&tenant], self.octets);
        }
    }
}

/// A message broke off behind `+OK`: the connection is dropped without the terminator.
#[derive(Clone, Copy, Debug)]
pub struct BodyBroken<'a> {
    /// In which session.
    pub session: SessionId,
    /// `client`, or the kind of the storage's error.
    pub cause: &'static str,
    /// What happened.
    pub error: &'a dyn std::error::Error,
}

impl InternalEvent for BodyBroken<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let Self {
            session,
            cause,
            error,
        } = self;
        if cause == Self::CLIENT {
            tracing::debug!(%session, %error, "client gone while reading a body");
        } else {
            tracing::error!(%session, cause, %error, "body broke off; connection dropped");
        }
        telemetry.count(Counter::BodiesBroken, &[cause]);
    }
}

impl BodyBroken<'_> {
    /// The cause that is no fault of ours.
    pub const CLIENT: &'static str = "client";
}
