//! How each storage does, as the calls of sessions show: nothing is asked for this alone. Start at [`StorageWatch`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use restante_admin::{Health, StorageFacts};
use restante_config::{Config, Storage};
use restante_store::{CallResult, StoreCall, StoreErrorKind, StoreObserver};
use restante_telemetry::Telemetry;

/// Sees every call to a storage, and hands it on to be counted. Clones see the same.
#[derive(Clone)]
pub(crate) struct StorageWatch {
    telemetry: Telemetry,
    known: Arc<Mutex<BTreeMap<String, StorageFacts>>>,
}

impl StorageWatch {
    pub(super) fn new(config: &Config, telemetry: &Telemetry) -> Self {
        let known = configured(config).map(|facts| (facts.name.clone(), facts));
        Self {
            telemetry: telemetry.clone(),
            known: Arc::new(Mutex::new(known.collect())),
        }
    }

    /// The storages in the order of their names.
    pub(crate) fn facts(&self) -> Vec<StorageFacts> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }
}

/// The storages of a configuration, of which nothing is known yet.
pub(crate) fn configured(config: &Config) -> impl Iterator<Item = StorageFacts> {
    config.storage.iter().map(|(name, storage)| StorageFacts {
        name: name.clone(),
        kind: storage.kind().to_owned(),
        is_default: *name == config.default_storage,
        plugin: match storage {
            Storage::Plugin(plugin) => Some(plugin.plugin.clone()),
            _ => None,
        },
        health: Health::Unknown,
    })
}

impl StoreObserver for StorageWatch {
    fn called(&self, call: &StoreCall<'_>) {
        self.telemetry.called(call);
        let Some(health) = told_by(call) else { return };
        // One assignment.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(storage) = known.get_mut(call.store)
            && storage.health != health
        {
            storage.health = health;
        }
    }
}

/// What a call tells of its storage; nothing, if it is about one message or nobody waited for it.
fn told_by(call: &StoreCall<'_>) -> Option<Health> {
    match call.result {
        CallResult::Done => Some(Health::Well),
        CallResult::Failed(
            kind @ (StoreErrorKind::Denied
            | StoreErrorKind::Full
            | StoreErrorKind::Throttled
            | StoreErrorKind::Timeout
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Unknown),
        ) => Some(Health::Failing(format!("{} failed: {}", call.op, kind.as_str()))),
        CallResult::Failed(_) | CallResult::Dropped => None,
    }
}

impl fmt::Debug for StorageWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StorageWatch").field(&self.facts()).finish()
    }
}
