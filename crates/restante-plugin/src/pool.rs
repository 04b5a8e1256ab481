//! Instances of one plugin for one tenant, kept between calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult};
use restante_store::{ComponentDigest, StoreError, StoreErrorKind};
use restante_telemetry::{InstanceDropped, PluginPassedOver};
use restante_types::TenantId;

use crate::breaker::Breaker;
use crate::engine::Plugin;
use crate::error::{Fault, STORE};
use crate::instance::Instance;
use crate::slot::{PluginSlot, Setting};

/// The pools of one storage, one for each tenant: no instance ever serves two.
#[derive(Debug)]
pub(crate) struct Pools {
    slot: Arc<PluginSlot>,
    setting: Arc<Setting>,
    pools: Arc<ByTenant>,
}

/// The pools of a storage.
pub(crate) type ByTenant = Mutex<HashMap<TenantId, Arc<Pool>>>;

impl Pools {
    pub(crate) fn new(slot: Arc<PluginSlot>, setting: Setting) -> Self {
        let setting = Arc::new(setting);
        let pools = Arc::default();
        slot.add(&setting, &pools);
        Self { slot, setting, pools }
    }

    pub(crate) fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The tenant's pool of what is in force now. One of another version is left to those who hold something of it.
    pub(crate) fn of(&self, tenant: TenantId, op: &'static str) -> Result<Arc<Pool>, StoreError> {
        let plugin = self.slot.plugin(op);
        // Each change is one call.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let plugin = plugin.inspect_err(|_| pools.clear())?;
        if let Some(pool) = pools.get(&tenant)
            && pool.digest == *plugin.sha256()
        {
            return Ok(Arc::clone(pool));
        }
        let pool = Arc::new(Pool::new(Maker {
            plugin,
            slot: Arc::clone(&self.slot),
            setting: Arc::clone(&self.setting),
            tenant,
        })?);
        pools.insert(tenant, Arc::clone(&pool));
        Ok(pool)
    }
}

/// Makes instances, and throws away those that must not be used again.
#[derive(Debug)]
pub(crate) struct Maker {
    plugin: Plugin,
    slot: Arc<PluginSlot>,
    setting: Arc<Setting>,
    tenant: TenantId,
}

impl managed::Manager for Maker {
    type Type = Instance;
    type Error = Fault;

    async fn create(&self) -> Result<Instance, Fault> {
        Instance::start(&self.plugin, &self.slot.terms, &self.setting, self.tenant).await
    }

    async fn recycle(&self, instance: &mut Instance, _: &Metrics) -> RecycleResult<Fault> {
        if instance.is_fresh() {
            return Ok(());
        }
        let terms = &self.slot.terms;
        terms.telemetry.emit(InstanceDropped {
            plugin: &terms.name,
            cause: instance.end_cause(),
        });
        Err(RecycleError::message("not to be used again"))
    }
}

/// The pool with its circuit breaker.
#[derive(Debug)]
pub(crate) struct Pool {
    digest: ComponentDigest,
    instances: managed::Pool<Maker>,
    breaker: Mutex<Breaker>,
}

pub(crate) type Held = managed::Object<Maker>;

impl Pool {
    pub(crate) fn new(maker: Maker) -> Result<Self, StoreError> {
        let limits = maker.slot.terms.limits;
        let digest = *maker.plugin.sha256();
        let instances = managed::Pool::builder(maker)
            .max_size(limits.instances)
            .wait_timeout(Some(limits.wait))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Invalid, "open", STORE).because(error.to_string())
            })?;
        Ok(Self {
            digest,
            instances,
            breaker: Mutex::default(),
        })
    }

    /// An instance for a call or a few that belong together.
    pub(crate) async fn hold(&self, op: &'static str) -> Result<Held, StoreError> {
        self.with_breaker(Breaker::admit).map_err(|wait: Duration| {
            self.tell(op, "resting");
            StoreError::new(StoreErrorKind::Unavailable, op, STORE)
                .because("the plugin broke too often and is given a rest")
                .retry_after(wait)
        })?;
        self.instances.get().await.map_err(|error| match error {
            PoolError::Backend(fault) => self.note(op, fault),
            PoolError::Timeout(_) => {
                self.tell(op, "busy");
                StoreError::new(StoreErrorKind::Unavailable, op, STORE)
                    .because("all instances of the plugin are busy")
            }
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                StoreError::new(StoreErrorKind::Unavailable, op, STORE).because("the pool is closed")
            }
        })
    }

    /// Takes note of how a call went.
    pub(crate) fn noted<T>(&self, op: &'static str, answer: Result<T, Fault>) -> Result<T, StoreError> {
        match answer {
            Ok(value) => {
                self.with_breaker(Breaker::succeeded);
                Ok(value)
            }
            Err(fault) => Err(self.note(op, fault)),
        }
    }

    /// Counts a call that was not made, or whose answer is not taken.
    fn tell(&self, function: &'static str, result: &'static str) {
        let terms = &self.instances.manager().slot.terms;
        terms.telemetry.emit(PluginPassedOver {
            plugin: &terms.name,
            function,
            result,
        });
    }

    fn note(&self, op: &'static str, fault: Fault) -> StoreError {
        if matches!(fault, Fault::Nonsense(_)) {
            self.tell(op, fault.label());
        }
        if fault.is_breakage() {
            self.with_breaker(Breaker::failed);
        } else {
            self.with_breaker(Breaker::succeeded);
        }
        fault.into_error(op)
    }

    /// Instances that are idle and used, and whether the breaker lets no call through.
    pub(crate) fn load(&self) -> (usize, usize, bool) {
        let status = self.instances.status();
        let idle = status.available.min(status.size);
        (
            idle,
            status.size - idle,
            self.with_breaker(|breaker| breaker.is_open()),
        )
    }

    fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        // A breaker is whole between any two statements that change it.
        act(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
