//! The plugin of a name, as it is now: another version may take its place at any time.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use restante_store::{BlobStore, KeyValueStore, StoreError, StoreErrorKind};
use restante_types::TenantId;

use crate::engine::{Plugin, TICK, World};
use crate::error::{Fault, STORE};
use crate::grants::Grants;
use crate::instance::Instance;
use crate::limits::Limits;

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
    name: Box<str>,
    pub(crate) terms: Arc<Terms>,
    state: ArcSwap<State>,
    settings: Mutex<Vec<Arc<Setting>>>,
}

/// What every instance of a plugin may have, and the most that any took.
#[derive(Debug)]
pub(crate) struct Terms {
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

pub(crate) enum State {
    /// None can be called, for a reason that the operator is told.
    Empty(String),
    Ready(Plugin),
}

impl PluginSlot {
    /// Nothing yet under that name.
    pub fn new(name: &str, limits: Limits, grants: Grants) -> Self {
        Self {
            name: name.into(),
            terms: Arc::new(Terms {
                limits,
                grants,
                peak_memory: AtomicUsize::new(0),
                peak_ticks: AtomicU32::new(0),
            }),
            state: ArcSwap::from_pointee(State::Empty(format!("the plugin {name} is not loaded yet"))),
            settings: Mutex::default(),
        }
    }

    /// The name that it is installed under.
    pub fn name(&self) -> &str {
        &self.name
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
    pub(crate) fn empty(&self, why: String) {
        self.state.store(Arc::new(State::Empty(why)));
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// What may be called now.
    pub(crate) fn plugin(&self, op: &'static str) -> Result<Plugin, StoreError> {
        match &**self.state.load() {
            State::Ready(plugin) => Ok(plugin.clone()),
            State::Empty(why) => {
                Err(StoreError::new(StoreErrorKind::Unavailable, op, STORE).because(why.clone()))
            }
        }
    }

    pub(crate) fn add(&self, setting: &Arc<Setting>) {
        // One push.
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.push(Arc::clone(setting));
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
        let settings = self
            .settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
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
            State::Ready(plugin) => write!(f, "{}: {plugin:?}", self.name),
            State::Empty(why) => f.write_str(why),
        }
    }
}
