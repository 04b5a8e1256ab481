//! One instance of a plugin: its limits, what it imports, and one call at a time.

use std::fmt;
use std::sync::Arc;

use restante_store::{StoreError, StoreErrorKind};
use tokio::time::Instant;
use tracing::{debug, error, info, trace, warn};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::bindings::v1;
use crate::bindings::v1::restante::storage::{clock, key_value, log, random, types};
use crate::engine::{Plugin, TICK};
use crate::error::Fault;
use crate::key_value::{KEY, KeySpace, KeyValueStore, VALUE};
use crate::limits::Limits;
use crate::log_gate::LogGate;

/// Most octets that a plugin may ask of `random` at once.
const RANDOM: u32 = 4096;
/// Most keys that a plugin may list at once.
const KEYS: u32 = 1000;

/// What the host keeps beside an instance.
pub(crate) struct Guest {
    space: KeySpace,
    values: Arc<dyn KeyValueStore>,
    log: LogGate,
    limits: Limits,
    memory: usize,
    /// Looks at the instance that found it computing, since the call began.
    ticks: u32,
}

/// An instance that has been configured.
pub(crate) struct Instance {
    pub(crate) store: Store<Guest>,
    pub(crate) bindings: v1::BlobStore,
    pub(crate) uses: u64,
    pub(crate) octets: u64,
    pub(crate) born: Instant,
    /// A call is under way, or one ended so that no other may follow.
    is_broken: bool,
    limits: Limits,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance({} uses)", self.uses)
    }
}

/// Calls an export within the limits: `$call` is a call that gives `Result<Result<T, types::Error>, wasmtime::Error>`.
/// A trap, a time-out or a cancellation leaves the instance broken.
macro_rules! call {
    ($instance:expr, $call:expr) => {{
        $instance.begin();
        let limit = $instance.limit();
        let answer = tokio::time::timeout(limit, $call).await;
        $instance.end(answer)
    }};
}
pub(crate) use call;

impl Instance {
    pub(crate) async fn start(
        plugin: &Plugin,
        limits: Limits,
        space: KeySpace,
        values: Arc<dyn KeyValueStore>,
        config: &str,
    ) -> Result<Self, Fault> {
        let guest = Guest {
            space,
            values,
            log: LogGate::new(),
            limits,
            memory: 0,
            ticks: 0,
        };
        let mut store = Store::new(plugin.pre.engine(), guest);
        store.limiter(|guest| guest);
        store.set_epoch_deadline(1);
        let most = u32::try_from(limits.computing.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        store.epoch_deadline_callback(move |mut context| {
            let guest = context.data_mut();
            guest.ticks += 1;
            if guest.ticks > most {
                return Err(wasmtime::Error::msg("it computed for longer than it may"));
            }
            Ok(UpdateDeadline::Yield(1))
        });
        let started = tokio::time::timeout(limits.call, plugin.pre.instantiate_async(&mut store)).await;
        let bindings = match started {
            Ok(Ok(bindings)) => bindings,
            Ok(Err(error)) => return Err(trapped(&error)),
            Err(_) => return Err(Fault::Late(limits.call)),
        };
        let mut instance = Self {
            store,
            bindings,
            uses: 0,
            octets: 0,
            born: Instant::now(),
            is_broken: false,
            limits,
        };
        let lifecycle = instance.bindings.restante_storage_lifecycle().clone();
        call!(instance, lifecycle.call_configure(&mut instance.store, config))?;
        Ok(instance)
    }

    pub(crate) async fn health(&mut self) -> Result<(), Fault> {
        let lifecycle = self.bindings.restante_storage_lifecycle().clone();
        call!(self, lifecycle.call_health(&mut self.store))
    }

    /// Whether it may serve another call.
    pub(crate) fn is_fresh(&self) -> bool {
        let limits = &self.limits;
        !self.is_broken
            && self.uses < limits.uses
            && self.octets < limits.octets
            && self.born.elapsed() < limits.age
            && self.store.data().memory <= limits.memory / 2
    }

    pub(crate) fn begin(&mut self) {
        self.is_broken = true;
        let guest = self.store.data_mut();
        guest.ticks = 0;
        self.store.set_epoch_deadline(1);
    }

    pub(crate) const fn limit(&self) -> std::time::Duration {
        self.limits.call
    }

    pub(crate) fn end<T>(
        &mut self,
        answer: Result<Result<Result<T, types::Error>, wasmtime::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, Fault> {
        match answer {
            Err(_) => Err(Fault::Late(self.limits.call)),
            Ok(Err(error)) => Err(trapped(&error)),
            Ok(Ok(answer)) => {
                self.is_broken = false;
                answer.map_err(Fault::Refused)
            }
        }
    }
}

fn trapped(error: &wasmtime::Error) -> Fault {
    // The root says what happened; what is around it is a trace through the plugin's code.
    Fault::Trap(crate::log_gate::printable(&error.root_cause().to_string(), 300))
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let is_granted = desired <= self.limits.memory;
        if is_granted {
            self.memory = self.memory.max(desired);
        }
        Ok(is_granted)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.limits.table_elements)
    }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let Some((line, dropped)) = self.log.admit(&message) else {
            return;
        };
        let (storage, tenant) = (&*self.space.storage, self.space.tenant);
        if dropped > 0 {
            warn!(storage, %tenant, dropped, "the plugin logs too much");
        }
        match level {
            log::Level::Trace => trace!(storage, %tenant, "plugin: {line}"),
            log::Level::Debug => debug!(storage, %tenant, "plugin: {line}"),
            log::Level::Info => info!(storage, %tenant, "plugin: {line}"),
            log::Level::Warn => warn!(storage, %tenant, "plugin: {line}"),
            log::Level::Error => error!(storage, %tenant, "plugin: {line}"),
        }
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
        self.values
            .get(&self.space, &key)
            .await
            .map_err(|error| told(&error))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), types::Error> {
        check_key(&key)?;
        check_value(&value)?;
        self.values
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
        let answer = self.values.compare_and_set(&self.space, &key, old, value);
        answer.await.map_err(|error| told(&error))
    }

    async fn delete(&mut self, key: String) -> Result<(), types::Error> {
        check_key(&key)?;
        self.values
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
fn told(error: &StoreError) -> types::Error {
    match error.kind {
        StoreErrorKind::Full => types::Error::Full,
        StoreErrorKind::Denied => types::Error::Denied("the host's storage refuses".to_owned()),
        kind if kind.outcome_unknown() => types::Error::Unknown(kind.to_string()),
        kind => types::Error::Unavailable(kind.to_string()),
    }
}
