//! Connections before their session.

use std::time::Duration;

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry};

/// What became of a connection before its session.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionJudged<'a> {
    /// The listener, as configured.
    pub listener: &'a str,
    /// `accepted`, or why not.
    pub result: &'static str,
}

impl InternalEvent for ConnectionJudged<'_> {
    fn emit(self, telemetry: &Telemetry) {
        tracing::debug!(listener = self.listener, result = self.result, "connection");
        telemetry.count(Counter::Connections, &[self.listener, self.result]);
    }
}

/// A TLS handshake ended.
#[derive(Clone, Copy, Debug)]
pub struct TlsHandshaken<'a> {
    /// The listener, as configured.
    pub listener: &'a str,
    /// The version, or why it failed.
    pub result: Result<&'static str, &'static str>,
    /// How long it took.
    pub elapsed: Duration,
}

impl InternalEvent for TlsHandshaken<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let (Ok(result) | Err(result)) = self.result;
        telemetry.count(Counter::TlsHandshakes, &[self.listener, result]);
        match self.result {
            Ok(_) => telemetry
                .metrics()
                .observe(Histogram::TlsHandshakeSeconds, &[], self.elapsed),
            Err(fault) => tracing::debug!(listener = self.listener, fault, "TLS handshake failed"),
        }
    }
}
