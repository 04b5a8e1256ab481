//! What every plugin may import, and the values it may keep: log, clock, random, key-value, secrets.

use restante_store::{StoreError, StoreErrorKind};
use restante_telemetry::LogLinesDropped;
use tracing::{debug, error, info, trace, warn};

use crate::bindings::v1::restante::storage::{clock, key_value, log, random, secrets, types};
use crate::instance::Guest;

/// Most octets that a plugin may ask of `random` at once.
const RANDOM: u32 = 4096;
/// Most keys that a plugin may list at once.
const KEYS: u32 = 1000;
/// Longest key, in octets.
const KEY: usize = 512;
/// Longest value, in octets.
const VALUE: usize = 256 * 1024;

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let Some(line) = self.log.admit(&message) else {
            return;
        };
        let (storage, tenant) = (&*self.space.storage, self.space.tenant);
        match level {
            log::Level::Trace => trace!(storage, %tenant, "plugin: {line}"),
            log::Level::Debug => debug!(storage, %tenant, "plugin: {line}"),
            log::Level::Info => info!(storage, %tenant, "plugin: {line}"),
            log::Level::Warn => warn!(storage, %tenant, "plugin: {line}"),
            log::Level::Error => error!(storage, %tenant, "plugin: {line}"),
        }
    }
}

impl Guest {
    /// Tells how many lines were too many: all of them in the metrics, in the log no more than once a second. Asked after
    /// every call.
    pub(crate) fn tell_dropped_lines(&mut self) {
        let n_dropped = self.log.take_dropped();
        if n_dropped == 0 {
            return;
        }
        self.terms.telemetry.emit(LogLinesDropped {
            plugin: &self.terms.name,
            n_dropped,
        });
        if self.log.may_tell() {
            let (storage, tenant) = (&*self.space.storage, self.space.tenant);
            warn!(storage, %tenant, dropped = n_dropped, "the plugin logs too much");
        }
    }
}

/// A call that was cancelled has no end but this.
impl Drop for Guest {
    fn drop(&mut self) {
        self.tell_dropped_lines();
    }
}

impl clock::Host for Guest {
    fn now(&mut self) -> u64 {
        use restante_types::Clock as _;
        let now = restante_types::SystemClock.wall();
        let since = now
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl random::Host for Guest {
    fn octets(&mut self, n: u32) -> wasmtime::Result<Vec<u8>> {
        if n > RANDOM {
            return Err(wasmtime::Error::msg(
                "it asked for more random octets than it may",
            ));
        }
        let mut octets = vec![0; n as usize];
        getrandom::fill(&mut octets).map_err(|_| wasmtime::Error::msg("there are no random octets"))?;
        Ok(octets)
    }
}

impl key_value::Host for Guest {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, types::Error> {
        check_key(&key)?;
        self.setting
            .values
            .get(&self.space, &key)
            .await
            .map_err(|error| told(&error))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), types::Error> {
        check_key(&key)?;
        check_value(&value)?;
        self.setting
            .values
            .set(&self.space, &key, value)
            .await
            .map_err(|error| told(&error))
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        old: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, types::Error> {
        check_key(&key)?;
        check_value(&value)?;
        let answer = self.setting.values.compare_and_set(&self.space, &key, old, value);
        answer.await.map_err(|error| told(&error))
    }

    async fn delete(&mut self, key: String) -> Result<(), types::Error> {
        check_key(&key)?;
        self.setting
            .values
            .delete(&self.space, &key)
            .await
            .map_err(|error| told(&error))
    }

    async fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<String>, types::Error> {
        if limit == 0 || limit > KEYS {
            return Err(types::Error::Invalid("limit: 1 to 1000 keys".to_owned()));
        }
        let answer = self
            .setting
            .values
            .keys(&self.space, &prefix, after.as_deref(), limit as usize);
        answer.await.map_err(|error| told(&error))
    }
}

fn check_key(key: &str) -> Result<(), types::Error> {
    if key.is_empty() || key.len() > KEY || key.contains('\0') {
        return Err(types::Error::Invalid(
            "key: 1 to 512 octets, none of them zero".to_owned(),
        ));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), types::Error> {
    if value.len() > VALUE {
        return Err(types::Error::Invalid("value: at most 256 KiB".to_owned()));
    }
    Ok(())
}

/// What a plugin learns of a fault of the host's: the kind, not the words, which may name other tenants' things.
pub(crate) fn told(error: &StoreError) -> types::Error {
    match error.kind {
        StoreErrorKind::Full => types::Error::Full,
        StoreErrorKind::Denied => types::Error::Denied("the host's storage refuses".to_owned()),
        kind if kind.outcome_unknown() => types::Error::Unknown(kind.to_string()),
        kind => types::Error::Unavailable(kind.to_string()),
    }
}

impl secrets::Host for Guest {
    fn get(&mut self, name: String) -> Option<Vec<u8>> {
        self.terms
            .grants
            .secrets
            .get(&name)
            .map(|secret| secret.expose().clone())
    }
}
