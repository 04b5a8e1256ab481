//! Internal events: what happens, as values. Each emits its log line, if it has one, and its metrics.
//!
//! One file per part of the server. Fields are numbers, closed sets and names from the configuration.

mod body;
mod connection;
mod delivery;
mod login;
mod plugin;
mod session;
mod storage;
mod update;
mod upkeep;

pub use body::{BodyBroken, BodySent};
pub use connection::{ConnectionJudged, TlsHandshaken};
pub use delivery::{DeliveryJudged, RecipientRefused};
pub use login::{
    LoginJudged, LoginRefusedFor, LoginStage, LoginVerdict, MaildropOpened, MaildropTakenOver, OpenResult,
    PasswordLookedUp, Stage,
};
pub use plugin::{InstanceDropped, LogLinesDropped, PluginCalled, PluginLoaded, PluginPassedOver};
pub use storage::{BodyVerified, StorageCalled};
pub use update::{UpdateDecided, UpdateResult};
pub use upkeep::{
    AdminAnswered, AuditStored, AuditTold, BlobsCollected, CertificatesLoaded, CollectorSeen,
    CollectorSwitched, MessagesExpired, ReloadDone,
};

use crate::Telemetry;

/// Something that happened.
pub trait InternalEvent {
    /// Writes the log line and moves the metrics. Does not block.
    fn emit(self, telemetry: &Telemetry);
}
