//! Which plugins are installed, for all frontends.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_types::Octets;

use crate::StoreError;

/// SHA-256 of a component.
pub type ComponentDigest = [u8; 32];

/// A plugin as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPlugin {
    /// Its name: letters a-z, digits, `-` and `_`.
    pub name: String,
    /// Whether it may be called.
    pub is_enabled: bool,
    /// The component in force.
    pub component: ComponentDigest,
    /// How large it is.
    pub octets: Octets,
    /// The component that was in force before, to go back to.
    pub previous: Option<ComponentDigest>,
    /// When the component in force was installed.
    pub installed_at: SystemTime,
}

/// A plugin as databases keep it: name, whether enabled, digest in force, octets, previous digest, installation in
/// microseconds since 1970.
pub type PluginRow = (String, bool, Vec<u8>, i64, Option<Vec<u8>>, i64);

impl InstalledPlugin {
    /// Reads a row.
    ///
    /// # Errors
    /// The name of a value that no version of this program writes.
    pub fn from_row(row: PluginRow) -> Result<Self, &'static str> {
        let (name, is_enabled, component, octets, previous, micros) = row;
        let digest = |octets: Vec<u8>| octets.try_into().map_err(|_| "plugin.component");
        let octets = u64::try_from(octets).map_err(|_| "plugin_component.octets")?;
        let micros = u64::try_from(micros).map_err(|_| "plugin.installed_at")?;
        Ok(Self {
            name,
            is_enabled,
            component: digest(component)?,
            octets: Octets(octets),
            previous: previous.map(digest).transpose()?,
            installed_at: SystemTime::UNIX_EPOCH + Duration::from_micros(micros),
        })
    }
}

/// Keeps components and says which of them is in force. What is changed here is seen by all frontends.
#[async_trait]
pub trait PluginRegistry: Debug + Send + Sync {
    /// All plugins by name.
    async fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError>;

    /// The octets of a component; `None` if no plugin has it in force or as its previous one.
    async fn component(&self, digest: &ComponentDigest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts a component in force. The one before it, if it was another, becomes the previous one; the plugin's being
    /// enabled does not change, a new plugin is enabled.
    async fn install(
        &self,
        name: &str,
        digest: ComponentDigest,
        component: Vec<u8>,
        at: SystemTime,
    ) -> Result<(), StoreError>;

    /// Lets a plugin be called, or not. Answers whether there is such a plugin.
    async fn set_enabled(&self, name: &str, is_enabled: bool) -> Result<bool, StoreError>;

    /// Puts the previous component in force, and that in force becomes the previous one. Answers whether there was one.
    async fn roll_back(&self, name: &str, at: SystemTime) -> Result<bool, StoreError>;

    /// Forgets a plugin and its components. Answers whether there was such a plugin.
    async fn remove(&self, name: &str) -> Result<bool, StoreError>;
}

/// Keeps components in memory: for tests and for trying a plugin.
#[derive(Debug, Default)]
pub struct MemoryPluginRegistry {
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    plugins: BTreeMap<String, InstalledPlugin>,
    components: BTreeMap<ComponentDigest, Vec<u8>>,
}

impl Shelf {
    fn forget_unused(&mut self) {
        let Self { plugins, components } = self;
        components.retain(|digest, _| {
            plugins
                .values()
                .any(|plugin| plugin.component == *digest || plugin.previous == Some(*digest))
        });
    }
}

impl MemoryPluginRegistry {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Nothing here panics half-way through a change.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PluginRegistry for MemoryPluginRegistry {
    async fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError> {
        Ok(self.shelf().plugins.values().cloned().collect())
    }

    async fn component(&self, digest: &ComponentDigest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.shelf().components.get(digest).cloned())
    }

    async fn install(
        &self,
        name: &str,
        digest: ComponentDigest,
        component: Vec<u8>,
        at: SystemTime,
    ) -> Result<(), StoreError> {
        let mut shelf = self.shelf();
        let before = shelf.plugins.get(name);
        let previous = match before {
            Some(before) if before.component == digest => before.previous,
            before => before.map(|before| before.component),
        };
        let plugin = InstalledPlugin {
            name: name.to_owned(),
            is_enabled: before.is_none_or(|before| before.is_enabled),
            component: digest,
            octets: Octets::of(&component),
            previous,
            installed_at: at,
        };
        shelf.plugins.insert(name.to_owned(), plugin);
        shelf.components.insert(digest, component);
        shelf.forget_unused();
        Ok(())
    }

    async fn set_enabled(&self, name: &str, is_enabled: bool) -> Result<bool, StoreError> {
        let mut shelf = self.shelf();
        let plugin = shelf.plugins.get_mut(name);
        Ok(plugin.map(|plugin| plugin.is_enabled = is_enabled).is_some())
    }

    async fn roll_back(&self, name: &str, at: SystemTime) -> Result<bool, StoreError> {
        let mut shelf = self.shelf();
        let Shelf { plugins, components } = &mut *shelf;
        let Some((plugin, previous)) = plugins
            .get_mut(name)
            .and_then(|plugin| plugin.previous.map(|previous| (plugin, previous)))
        else {
            return Ok(false);
        };
        plugin.previous = Some(plugin.component);
        plugin.component = previous;
        plugin.octets = components
            .get(&previous)
            .map_or(Octets::ZERO, |octets| Octets::of(octets));
        plugin.installed_at = at;
        Ok(true)
    }

    async fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let mut shelf = self.shelf();
        let was_there = shelf.plugins.remove(name).is_some();
        shelf.forget_unused();
        Ok(was_there)
    }
}
