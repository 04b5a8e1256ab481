//! The plugins of a process: keeps each slot at what the registry says is in force.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use restante_store::{ComponentDigest, InstalledPlugin, PluginRegistry, StoreError};
use restante_telemetry::PluginLoaded;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::compiler::Compiler;
use crate::engine::{Plugin, PluginHost, digest};
use crate::error::InstallError;
use crate::native_cache::{NativeCache, hex};
use crate::slot::{Emptiness, PluginSlot, State};

/// How often the registry is looked at.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a version that failed is left alone.
const REST: Duration = Duration::from_mins(1);

/// Why a version was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be a plugin here.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// It cannot do its work, or the registry cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry lost it.
    #[error("the registry has no component {0}")]
    Lost(String),
}

/// Loads plugins, and follows what is installed, enabled and disabled meanwhile.
pub struct Plugins {
    host: PluginHost,
    compiler: Compiler,
    cache: NativeCache,
    registry: Arc<dyn PluginRegistry>,
    slots: BTreeMap<String, Arc<PluginSlot>>,
    failures: Mutex<HashMap<String, (ComponentDigest, Instant)>>,
    has_looked: AtomicBool,
}

impl Plugins {
    /// Follows `registry` for these slots. Nothing is loaded before the first [`Plugins::look`].
    pub fn new(
        host: PluginHost,
        compiler: Compiler,
        cache: NativeCache,
        registry: Arc<dyn PluginRegistry>,
        slots: impl IntoIterator<Item = Arc<PluginSlot>>,
    ) -> Self {
        Self {
            host,
            compiler,
            cache,
            registry,
            slots: slots
                .into_iter()
                .map(|slot| (slot.name().to_owned(), slot))
                .collect(),
            failures: Mutex::default(),
            has_looked: AtomicBool::new(false),
        }
    }

    /// The slots, in the order of their names.
    pub fn slots(&self) -> impl Iterator<Item = &Arc<PluginSlot>> {
        self.slots.values()
    }

    /// The slot of a name, if it is configured.
    pub fn slot(&self, name: &str) -> Option<&Arc<PluginSlot>> {
        self.slots.get(name)
    }

    /// Makes a component ready to run in a slot: compiles it, unless that was done before, and checks what it imports.
    ///
    /// # Errors
    /// It cannot be a plugin.
    pub async fn load(&self, component: &[u8], slot: &PluginSlot) -> Result<Plugin, InstallError> {
        let (digest, fingerprint) = (digest(component), self.host.fingerprint());
        let native = if let Some(native) = self.cache.find(&digest, fingerprint) {
            native
        } else {
            let native = self.compiler.compile(component).await?;
            self.cache.keep(&digest, fingerprint, &native);
            native
        };
        self.host.load(digest, &native, &slot.terms.grants)
    }

    /// Brings each slot to what the registry says. A version that cannot be loaded or is not well leaves the one before
    /// in force; without one, calls fail.
    ///
    /// # Errors
    /// The registry cannot be asked; all stays as it is.
    pub async fn look(&self) -> Result<(), StoreError> {
        let installed = self.registry.plugins().await?;
        for (name, slot) in &self.slots {
            match installed.iter().find(|plugin| plugin.name == *name) {
                None => slot.empty(
                    Emptiness::NotInstalled,
                    format!("the plugin {name} is not installed; see restante plugin install"),
                ),
                Some(plugin) if !plugin.is_enabled => {
                    slot.empty(Emptiness::Disabled, format!("the plugin {name} is disabled"));
                }
                Some(plugin) => self.follow(slot, plugin).await,
            }
        }
        self.has_looked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Looks again and again, for ever.
    pub async fn run(self: Arc<Self>) {
        if self.slots.is_empty() {
            return;
        }
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Err(error) = self.look().await {
                warn!(%error, "plugins stay as they are: the registry cannot be asked");
            }
        }
    }

    async fn follow(&self, slot: &PluginSlot, installed: &InstalledPlugin) {
        let state = slot.state();
        if matches!(&*state, State::Ready(plugin) if *plugin.sha256() == installed.component)
            || self.failed_lately(installed)
        {
            return;
        }
        let name = slot.name();
        let sha256 = hex(&installed.component);
        let taken = self.take_over(slot, installed).await;
        slot.terms.telemetry.emit(PluginLoaded {
            plugin: name,
            is_loaded: taken.is_ok(),
        });
        match taken {
            // A tool that looks once has something else to say.
            Ok(()) if !self.has_looked.load(Ordering::Relaxed) => {
                debug!(plugin = name, sha256, "plugin in force");
            }
            Ok(()) => info!(plugin = name, sha256, "plugin in force"),
            Err(error) => {
                self.note_failure(installed);
                match &*state {
                    State::Ready(_) => {
                        error!(plugin = name, sha256, %error, "plugin not loaded; the version before stays in force");
                    }
                    State::Empty(..) => {
                        error!(plugin = name, sha256, %error, "plugin not loaded; its storages cannot be used");
                        let why = format!("the plugin {name} cannot be loaded: {error}");
                        slot.empty(Emptiness::Broken, why);
                    }
                }
            }
        }
    }

    async fn take_over(&self, slot: &PluginSlot, installed: &InstalledPlugin) -> Result<(), LoadError> {
        let component = self.registry.component(&installed.component).await?;
        let component = component.ok_or_else(|| LoadError::Lost(hex(&installed.component)))?;
        let plugin = self.load(&component, slot).await?;
        slot.try_out(&plugin).await?;
        slot.set(plugin);
        Ok(())
    }

    fn failed_lately(&self, installed: &InstalledPlugin) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failures.get(&installed.name);
        failure.is_some_and(|(digest, at)| *digest == installed.component && at.elapsed() < REST)
    }

    fn note_failure(&self, installed: &InstalledPlugin) {
        // One insertion.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.insert(installed.name.clone(), (installed.component, Instant::now()));
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.values()).finish()
    }
}
