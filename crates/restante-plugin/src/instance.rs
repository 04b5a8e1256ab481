//! One instance of a plugin: its limits, what it imports, and one call at a time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use restante_store::KeySpace;
use restante_telemetry::{PluginCalled, SPAN_TARGET, in_session};
use restante_types::TenantId;
use tokio::time::Instant;
use tracing::Span;
use wasmtime::component::{ResourceAny, ResourceTable};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::bindings::v1::restante::storage::types;
use crate::bindings::{v1, v1_maildrop};
use crate::engine::{Exports, Plugin, TICK};
use crate::error::Fault;
use crate::limits::Limits;
use crate::log_gate::LogGate;
use crate::slot::{Setting, Terms};
use crate::turn::{InTurn, Turn};

/// Largest piece that passes in or out at once.
pub(crate) const PIECE: u32 = 256 * 1024;
/// Things of the host's that an instance may hold at the same time.
const RESOURCES: usize = 256;

/// What the host keeps beside an instance. What it imports is implemented in `imports`, `inner` and `http`.
pub(crate) struct Guest {
    pub(crate) setting: Arc<Setting>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) space: KeySpace,
    pub(crate) log: LogGate,
    pub(crate) table: ResourceTable,
    memory: usize,
    /// Looks at the instance that found it computing, since the call began.
    ticks: u32,
}

enum Bindings {
    BlobStore(v1::BlobStore),
    Maildrop(v1_maildrop::Maildrop),
}

/// An instance that has been configured.
pub(crate) struct Instance {
    pub(crate) store: Store<Guest>,
    bindings: Bindings,
    pub(crate) uses: u64,
    pub(crate) octets: u64,
    pub(crate) born: Instant,
    /// A call is under way, or one ended so that no other may follow: why it may not.
    broken_by: Option<&'static str>,
    limits: Limits,
    turn: Arc<Turn>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance({} uses)", self.uses)
    }
}

/// Calls the export `$name` within the limits: `$call` gives `Result<Result<T, types::Error>, wasmtime::Error>`. A trap, a time-out or a cancellation leaves the instance broken.
macro_rules! call {
    ($instance:expr, $name:literal, $call:expr) => {{
        let begun = $instance.begin();
        let (limit, turn, span) = ($instance.limit(), $instance.turn(), $instance.span($name));
        let answer = tokio::time::timeout(
            limit,
            tracing::Instrument::instrument($crate::turn::InTurn::new(turn, $call), span),
        )
        .await;
        $instance.end($name, begun, answer)
    }};
}
pub(crate) use call;

impl Instance {
    pub(crate) async fn start(
        plugin: &Plugin,
        terms: &Arc<Terms>,
        setting: &Arc<Setting>,
        tenant: TenantId,
    ) -> Result<Self, Fault> {
        let limits = terms.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let guest = Guest {
            setting: Arc::clone(setting),
            terms: Arc::clone(terms),
            space: KeySpace {
                storage: Arc::clone(&setting.storage),
                tenant,
            },
            log: LogGate::new(),
            table,
            memory: 0,
            ticks: 0,
        };
        let mut store = Store::new(plugin.exports.engine(), guest);
        store.limiter(|guest| guest);
        store.set_epoch_deadline(1);
        let most = u32::try_from(limits.computing.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        let turn = Arc::new(Turn::default());
        let taken = Arc::clone(&turn);
        store.epoch_deadline_callback(move |mut context| {
            // It may have waited for the host until just now.
            if taken.computing() < TICK {
                return Ok(UpdateDeadline::Continue(1));
            }
            let guest = context.data_mut();
            guest.ticks += 1;
            if guest.ticks > most {
                return Err(wasmtime::Error::msg("it computed for longer than it may"));
            }
            Ok(UpdateDeadline::YieldCustom(1, taken.next()))
        });
        let starting = InTurn::new(Arc::clone(&turn), instantiate(plugin, &mut store));
        let started = tokio::time::timeout(limits.call, starting).await;
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
            broken_by: None,
            limits,
            turn,
        };
        instance.configure(&setting.config).await?;
        Ok(instance)
    }

    async fn configure(&mut self, config: &str) -> Result<(), Fault> {
        let config = config.to_owned();
        match &self.bindings {
            Bindings::BlobStore(world) => {
                let lifecycle = world.restante_storage_lifecycle().clone();
                call!(
                    self,
                    "configure",
                    lifecycle.call_configure(&mut self.store, &config)
                )
            }
            Bindings::Maildrop(world) => {
                let lifecycle = world.restante_storage_lifecycle().clone();
                call!(
                    self,
                    "configure",
                    lifecycle.call_configure(&mut self.store, &config)
                )
            }
        }
    }

    pub(crate) async fn health(&mut self) -> Result<(), Fault> {
        match &self.bindings {
            Bindings::BlobStore(world) => {
                let lifecycle = world.restante_storage_lifecycle().clone();
                call!(self, "health", lifecycle.call_health(&mut self.store))
            }
            Bindings::Maildrop(world) => {
                let lifecycle = world.restante_storage_lifecycle().clone();
                call!(self, "health", lifecycle.call_health(&mut self.store))
            }
        }
    }

    /// The calls of the world `blob-store`.
    pub(crate) fn blobs(&self) -> Result<v1::exports::restante::storage::blobs::Guest, Fault> {
        match &self.bindings {
            Bindings::BlobStore(world) => Ok(world.restante_storage_blobs().clone()),
            Bindings::Maildrop(_) => Err(Fault::Nonsense("the plugin is of the world maildrop")),
        }
    }

    /// The calls of the world `maildrop`.
    pub(crate) fn maildrops(
        &self,
    ) -> Result<v1_maildrop::exports::restante::storage::maildrops::Guest, Fault> {
        match &self.bindings {
            Bindings::Maildrop(world) => Ok(world.restante_storage_maildrops().clone()),
            Bindings::BlobStore(_) => Err(Fault::Nonsense("the plugin is of the world blob-store")),
        }
    }

    /// Lets go of a reader or writer of the plugin's.
    pub(crate) async fn drop_resource(&mut self, resource: ResourceAny) -> Result<(), Fault> {
        call!(self, "drop", async {
            resource.resource_drop_async(&mut self.store).await.map(Ok)
        })
    }

    /// Whether it may serve another call.
    pub(crate) fn is_fresh(&self) -> bool {
        let limits = &self.limits;
        self.broken_by.is_none()
            && self.uses < limits.uses
            && self.octets < limits.octets
            && self.born.elapsed() < limits.age
            && self.store.data().memory <= limits.memory / 2
    }

    /// Why it is thrown away.
    pub(crate) fn end_cause(&self) -> &'static str {
        self.broken_by.unwrap_or("worn_out")
    }

    pub(crate) fn span(&self, function: &'static str) -> Span {
        let plugin = &*self.store.data().terms.name;
        in_session(|| tracing::info_span!(target: SPAN_TARGET, "plugin", plugin, function))
    }

    pub(crate) fn begin(&mut self) -> Instant {
        // Until it has ended in order.
        self.broken_by = Some("cancelled");
        let guest = self.store.data_mut();
        guest.ticks = 0;
        self.store.set_epoch_deadline(1);
        Instant::now()
    }

    pub(crate) fn turn(&self) -> Arc<Turn> {
        Arc::clone(&self.turn)
    }

    pub(crate) const fn limit(&self) -> std::time::Duration {
        self.limits.call
    }

    pub(crate) fn end<T>(
        &mut self,
        function: &'static str,
        begun: Instant,
        answer: Result<Result<Result<T, types::Error>, wasmtime::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, Fault> {
        let guest = self.store.data_mut();
        guest.tell_dropped_lines();
        guest.terms.peak_memory.fetch_max(guest.memory, Ordering::Relaxed);
        guest.terms.peak_ticks.fetch_max(guest.ticks, Ordering::Relaxed);
        let answer = match answer {
            Err(_) => Err(Fault::Late(self.limits.call)),
            Ok(Err(error)) => Err(trapped(&error)),
            Ok(Ok(answer)) => answer.map_err(Fault::Refused),
        };
        let terms = &guest.terms;
        terms.telemetry.emit(PluginCalled {
            plugin: &terms.name,
            function,
            result: answer.as_ref().map_or_else(Fault::label, |_| "ok"),
            elapsed: begun.elapsed(),
        });
        self.broken_by = match &answer {
            Err(fault) if fault.is_breakage() => Some(fault.label()),
            _ => None,
        };
        answer
    }
}

async fn instantiate(plugin: &Plugin, store: &mut Store<Guest>) -> wasmtime::Result<Bindings> {
    match &*plugin.exports {
        Exports::BlobStore(pre) => pre.instantiate_async(store).await.map(Bindings::BlobStore),
        Exports::Maildrop(pre) => pre.instantiate_async(store).await.map(Bindings::Maildrop),
    }
}

fn trapped(error: &wasmtime::Error) -> Fault {
    // The root says what happened; what is around it is a trace through the plugin's code.
    Fault::Trap(crate::log_gate::printable(&error.root_cause().to_string(), 300))
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let is_granted = desired <= self.terms.limits.memory;
        if is_granted {
            self.memory = self.memory.max(desired);
        }
        Ok(is_granted)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.terms.limits.table_elements)
    }
}
