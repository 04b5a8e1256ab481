//! The plugin of a name, as it is now: another version may take its place at any time.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use restante_store::{BlobStore, KeyValueStore, StoreError, StoreErrorKind};
use restante_telemetry::Telemetry;
use restante_types::TenantId;

use crate::engine::{Plugin, TICK, World};
use crate::error::{Fault, STORE};
use crate::grants::Grants;
use crate::instance::Instance;
use crate::limits::Limits;
use crate::pool::ByTenant;

/// The tenants that a storage may have something of.
#[async_trait]
pub trait Tenants: fmt::Debug + Send + Sync {
    /// The tenants with numbers of at least `from`, in ascending order; at most a page of them, none at the end.
    ///
    /// # Errors
    /// The directory cannot be asked.
    async fn from(&self, from: TenantId) -> Result<Vec<TenantId>, StoreError>;
}

/// What a storage gives its plugin.
#[derive(Debug)]
pub struct Setting {
    /// The storage's name.
    pub storage: Arc<str>,
    /// What it expects the plugin to be.
    pub world: World,
    /// What the plugin is configured with: a JSON object.
    pub config: Arc<str>,
    /// Where the plugin's small values are.
    pub values: Arc<dyn KeyValueStore>,
    /// The storage beneath, if it has one.
    pub inner: Option<Arc<dyn BlobStore>>,
    /// Whose mail may be there.
    pub tenants: Arc<dyn Tenants>,
}

/// The plugin of a name, for the storages that use it.
pub struct PluginSlot {
    pub(crate) terms: Arc<Terms>,
    state: ArcSwap<State>,
    /// The storages that use it, with their pools.
    users: Mutex<Vec<(Arc<Setting>, Weak<ByTenant>)>>,
}

/// What every instance of a plugin may have, and the most that any took.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) name: Box<str>,
    pub(crate) telemetry: Telemetry,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) peak_memory: AtomicUsize,
    pub(crate) peak_ticks: AtomicU32,
}

/// The most that a plugin's instances took so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Linear memory of one instance, in octets.
    pub memory: usize,
    /// Computing of one call, to a hundredth of a second.
    pub computing: Duration,
}

/// What a plugin's instances do now, over all storages and tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotLoad {
    /// Whether one is in force; `None` where none is meant to be: it is disabled, or not installed and not used.
    pub is_ready: Option<bool>,
    /// Instances that wait for a call.
    pub n_idle: usize,
    /// Instances that are called.
    pub n_used: usize,
    /// Instances that there may be.
    pub limit: usize,
    /// Breakers that let no call through.
    pub n_resting: usize,
}

pub(crate) enum State {
    /// None can be called, for a reason that the operator is told.
    Empty(Emptiness, String),
    Ready(Plugin),
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emptiness {
    NotInstalled,
    Disabled,
    Broken,
}

impl PluginSlot {
    /// Nothing yet under that name.
    pub fn new(name: &str, limits: Limits, grants: Grants, telemetry: Telemetry) -> Self {
        let why = format!("the plugin {name} is not loaded yet");
        Self {
            terms: Arc::new(Terms {
                name: name.into(),
                telemetry,
                limits,
                grants,
                peak_memory: AtomicUsize::new(0),
                peak_ticks: AtomicU32::new(0),
            }),
            state: ArcSwap::from_pointee(State::Empty(Emptiness::NotInstalled, why)),
            users: Mutex::default(),
        }
    }

    /// The name that it is installed under.
    pub fn name(&self) -> &str {
        &self.terms.name
    }

    /// What its instances may take.
    pub fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// Whether it was disabled by an operator.
    pub fn is_disabled(&self) -> bool {
        matches!(&**self.state.load(), State::Empty(Emptiness::Disabled, _))
    }

    /// What its instances do now.
    pub fn load(&self) -> SlotLoad {
        let users = self.users();
        let is_ready = match &**self.state.load() {
            State::Ready(_) => Some(true),
            State::Empty(Emptiness::Disabled, _) => None,
            State::Empty(Emptiness::NotInstalled, _) if users.is_empty() => None,
            State::Empty(..) => Some(false),
        };
        let mut load = SlotLoad {
            is_ready,
            ..SlotLoad::default()
        };
        for pools in users.iter().filter_map(|(_, pools)| pools.upgrade()) {
            let pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
            for pool in pools.values() {
                let (n_idle, n_used, is_resting) = pool.load();
                load.n_idle += n_idle;
                load.n_used += n_used;
                load.n_resting += usize::from(is_resting);
                load.limit += self.terms.limits.instances;
            }
        }
        load
    }

    /// The most that instances took.
    pub fn peaks(&self) -> Peaks {
        Peaks {
            memory: self.terms.peak_memory.load(Ordering::Relaxed),
            computing: TICK * self.terms.peak_ticks.load(Ordering::Relaxed),
        }
    }

    /// Puts a plugin into it, untried.
    pub fn set(&self, plugin: Plugin) {
        self.state.store(Arc::new(State::Ready(plugin)));
    }

    /// Takes the plugin out: calls fail and say why.
    pub(crate) fn empty(&self, emptiness: Emptiness, why: String) {
        self.state.store(Arc::new(State::Empty(emptiness, why)));
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// What may be called now.
    pub(crate) fn plugin(&self, op: &'static str) -> Result<Plugin, StoreError> {
        match &**self.state.load() {
            State::Ready(plugin) => Ok(plugin.clone()),
            State::Empty(_, why) => {
                Err(StoreError::new(StoreErrorKind::Unavailable, op, STORE).because(why.clone()))
            }
        }
    }

    pub(crate) fn add(&self, setting: &Arc<Setting>, pools: &Arc<ByTenant>) {
        self.users().push((Arc::clone(setting), Arc::downgrade(pools)));
    }

    fn users(&self) -> MutexGuard<'_, Vec<(Arc<Setting>, Weak<ByTenant>)>> {
        // Each change is one push.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the plugin in force can do its work for every storage that uses it.
    ///
    /// # Errors
    /// There is none in force, or it cannot for one of them.
    pub async fn health(&self) -> Result<(), StoreError> {
        let plugin = self.plugin("health")?;
        self.try_out(&plugin).await
    }

    /// Starts a plugin as every storage that uses it would, and asks whether it can do its work.
    ///
    /// # Errors
    /// For the first storage where it cannot.
    pub async fn try_out(&self, plugin: &Plugin) -> Result<(), StoreError> {
        let settings: Vec<_> = self
            .users()
            .iter()
            .map(|(setting, _)| Arc::clone(setting))
            .collect();
        for setting in settings {
            self.try_for(plugin, &setting).await.map_err(|error| {
                StoreError::new(error.kind, "health", STORE)
                    .because(format!("storage {}: {error}", setting.storage))
            })?;
        }
        Ok(())
    }

    async fn try_for(&self, plugin: &Plugin, setting: &Arc<Setting>) -> Result<(), StoreError> {
        const OP: &str = "health";
        if plugin.world() != setting.world {
            let why = format!(
                "the component is of the world {}, and the storage of the world {}",
                plugin.world().as_str(),
                setting.world.as_str()
            );
            return Err(StoreError::new(StoreErrorKind::Invalid, OP, STORE).because(why));
        }
        let first = TenantId::new(1).ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, OP, STORE))?;
        // Before the first tenant there is, any number will do.
        let tenant = setting
            .tenants
            .from(first)
            .await?
            .first()
            .copied()
            .unwrap_or(first);
        let health = async {
            let mut instance = Instance::start(plugin, &self.terms, setting, tenant).await?;
            instance.health().await
        };
        health.await.map_err(|fault: Fault| fault.into_error(OP))
    }
}

impl fmt::Debug for PluginSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.state() {
            State::Ready(plugin) => write!(f, "{}: {plugin:?}", self.name()),
            State::Empty(_, why) => f.write_str(why),
        }
    }
}
