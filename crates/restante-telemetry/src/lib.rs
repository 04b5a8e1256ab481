//! What is observed: metric names, internal events, the record of a session, logs and traces.
//!
//! An event emits its log line and its metric together, so that the two cannot disagree. Nothing here blocks a session:
//! metrics are atomics, log lines and spans go through bounded queues whose drops are counted. No event holds a name, a
//! password or an octet of a client. Start at [`Telemetry`]; the events are in `event`, the names in `metric`.

mod event;
mod logs;
mod metric;
mod metrics;
mod reference;
mod session_record;
mod sessions;
mod span;
mod telemetry;
mod tenants;
mod traces;

pub use event::{
    AdminAnswered, AuditStored, AuditTold, BlobsCollected, BodyBroken, BodySent, BodyVerified,
    CertificatesLoaded, CollectorSeen, CollectorSwitched, ConnectionJudged, DeliveryJudged, InstanceDropped,
    InternalEvent, LogLinesDropped, LoginJudged, LoginRefusedFor, LoginStage, LoginVerdict, MaildropOpened,
    MaildropTakenOver, MessagesExpired, OpenResult, PasswordLookedUp, PluginCalled, PluginLoaded,
    PluginPassedOver, RecipientRefused, ReloadDone, Stage, StorageCalled, TlsHandshaken, UpdateDecided,
    UpdateResult,
};
pub use logs::{LogControl, LogForm, LogLevel, LogSettings, Pipeline, PipelineError, start};
pub use metric::{Counter, Gauge, Histogram, Spec};
pub use metrics::Metrics;
pub use reference::{metrics_list, metrics_markdown};
pub use session_record::SessionRecord;
pub use sessions::{OpenSession, SessionState};
pub use span::{SPAN_TARGET, in_session, sampled, trace_id};
pub use telemetry::{PoolLoad, Telemetry, TelemetrySettings, number};
pub use traces::TraceSettings;
