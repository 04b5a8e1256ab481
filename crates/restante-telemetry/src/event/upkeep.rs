//! What the server does beside its sessions: audit, certificates, reloads, collection, the admin API.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::metric::{Counter, Gauge};
use crate::{InternalEvent, Telemetry, number};

/// A record of the audit, as it is made, for whoever follows the log.
#[derive(Clone, Copy, Debug)]
pub struct AuditTold<'a> {
    /// What was done.
    pub action: &'static str,
    /// By whom.
    pub actor: &'a str,
    /// The tenant's key.
    pub tenant: Option<i64>,
    /// The account's key.
    pub account: Option<i64>,
    /// The session, as in its own record.
    pub session: Option<&'a str>,
    /// The address it came from.
    pub client: Option<std::net::IpAddr>,
    /// The rest.
    pub detail: &'a str,
}

impl InternalEvent for AuditTold<'_> {
    fn emit(self, _telemetry: &Telemetry) {
        tracing::info!(
            target: "audit",
            action = self.action,
            actor = self.actor,
            tenant = self.tenant,
            account = self.account,
            session = self.session,
            client = self.client.map(tracing::field::display),
            detail = self.detail,
            "audit"
        );
    }
}

/// Records of the audit were written to the directory, or are lost.
#[derive(Clone, Copy, Debug)]
pub struct AuditStored {
    /// How many.
    pub n_records: u64,
    /// Whether they are kept.
    pub is_written: bool,
}

impl InternalEvent for AuditStored {
    fn emit(self, telemetry: &Telemetry) {
        let result = if self.is_written { "written" } else { "lost" };
        telemetry
            .metrics()
            .count(Counter::AuditRecords, &[result], self.n_records);
    }
}

/// Certificates were loaded.
#[derive(Clone, Copy, Debug)]
pub struct CertificatesLoaded {
    /// `files` or `tenants`.
    pub source: &'static str,
    /// How many are in force.
    pub n_certificates: usize,
    /// How many could not be loaded.
    pub n_errors: usize,
    /// When the first of them ends.
    pub first_end: Option<SystemTime>,
}

impl InternalEvent for CertificatesLoaded {
    fn emit(self, telemetry: &Telemetry) {
        let (metrics, labels) = (telemetry.metrics(), [self.source]);
        metrics.set(Gauge::Certificates, &labels, number(self.n_certificates));
        metrics.set(Gauge::CertificateErrors, &labels, number(self.n_errors));
        if let Some(end) = self.first_end {
            metrics.set(Gauge::CertificateExpiry, &labels, seconds(end));
        }
    }
}

/// A reload ended.
#[derive(Clone, Copy, Debug)]
pub struct ReloadDone {
    /// Whether everything was taken over that can be.
    pub is_complete: bool,
    /// When.
    pub at: SystemTime,
}

impl InternalEvent for ReloadDone {
    fn emit(self, telemetry: &Telemetry) {
        let result = if self.is_complete { "ok" } else { "failed" };
        telemetry.count(Counter::Reloads, &[result]);
        let metrics = telemetry.metrics();
        metrics.set(
            Gauge::LastReloadSuccessful,
            &[],
            f64::from(u8::from(self.is_complete)),
        );
        metrics.set(Gauge::LastReload, &[], seconds(self.at));
    }
}

/// The collector removed blobs.
#[derive(Clone, Copy, Debug)]
pub struct BlobsCollected {
    /// Blobs that are gone.
    pub n_collected: u64,
    /// Blobs that are to be tried again.
    pub n_failed: u64,
    /// Blobs that still wait.
    pub n_waiting: u64,
}

impl InternalEvent for BlobsCollected {
    fn emit(self, telemetry: &Telemetry) {
        let metrics = telemetry.metrics();
        metrics.count(Counter::BlobsCollected, &["removed"], self.n_collected);
        metrics.count(Counter::BlobsCollected, &["failed"], self.n_failed);
        let waiting = u32::try_from(self.n_waiting).unwrap_or(u32::MAX);
        metrics.set(Gauge::CollectorBacklog, &[], f64::from(waiting));
    }
}

/// The collector got through its list.
#[derive(Clone, Copy, Debug)]
pub struct CollectorSeen {
    /// When.
    pub finished: SystemTime,
}

impl InternalEvent for CollectorSeen {
    fn emit(self, telemetry: &Telemetry) {
        telemetry
            .metrics()
            .set(Gauge::CollectorLastRound, &[], seconds(self.finished));
    }
}

/// Whether the collector may work.
#[derive(Clone, Copy, Debug)]
pub struct CollectorSwitched {
    /// It may not, by the configuration or by an operator.
    pub is_stopped: bool,
}

impl InternalEvent for CollectorSwitched {
    fn emit(self, telemetry: &Telemetry) {
        let is_stopped = f64::from(u8::from(self.is_stopped));
        telemetry.metrics().set(Gauge::CollectorStopped, &[], is_stopped);
    }
}

/// Messages were removed because their tenant keeps them no longer.
#[derive(Clone, Copy, Debug)]
pub struct MessagesExpired {
    /// How many.
    pub n_expired: u64,
}

impl InternalEvent for MessagesExpired {
    fn emit(self, telemetry: &Telemetry) {
        telemetry
            .metrics()
            .count(Counter::MessagesExpired, &[], self.n_expired);
    }
}

/// The admin port answered.
#[derive(Clone, Copy, Debug)]
pub struct AdminAnswered {
    /// `ok`, `unauthorized`, `refused` or `failed`.
    pub class: &'static str,
}

impl InternalEvent for AdminAnswered {
    fn emit(self, telemetry: &Telemetry) {
        telemetry.count(Counter::AdminRequests, &[self.class]);
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
