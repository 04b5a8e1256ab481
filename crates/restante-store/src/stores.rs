//! The configured blob stores, by key and by name.
//!
//! Opens nothing and chooses nothing: a tenant's choice is a name, a message's place is a key. Start at
//! [`BlobStores::get`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{BlobStore, ForeignMaildrops, StorageId, StoreError, StoreErrorKind};

/// Every storage of the configuration, fixed once the server runs.
#[derive(Debug, Default)]
pub struct BlobStores {
    stores: BTreeMap<StorageId, Arc<dyn BlobStore>>,
    foreign: BTreeMap<StorageId, Arc<dyn ForeignMaildrops>>,
    ids: HashMap<String, StorageId>,
}

impl BlobStores {
    /// No storage at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a storage under the key that is recorded with messages and the name that tenants choose by.
    ///
    /// # Errors
    /// `Invalid` if the key or the name is taken.
    pub fn add(
        &mut self,
        id: StorageId,
        name: impl Into<String>,
        store: Arc<dyn BlobStore>,
    ) -> Result<(), StoreError> {
        self.name_storage(id, name.into())?;
        self.stores.insert(id, store);
        Ok(())
    }

    /// Adds another mail system, which keeps whole maildrops, in the same way.
    ///
    /// # Errors
    /// As [`BlobStores::add`].
    pub fn add_foreign(
        &mut self,
        id: StorageId,
        name: impl Into<String>,
        system: Arc<dyn ForeignMaildrops>,
    ) -> Result<(), StoreError> {
        self.name_storage(id, name.into())?;
        self.foreign.insert(id, system);
        Ok(())
    }

    fn name_storage(&mut self, id: StorageId, name: String) -> Result<(), StoreError> {
        if self.name(id).is_some() || self.ids.contains_key(&name) {
            return Err(invalid(
                "add_storage",
                format!("storage {name} ({}) is there twice", id.0),
            ));
        }
        self.ids.insert(name, id);
        Ok(())
    }

    /// The mail system that a tenant chose; `None` if what it chose keeps blobs.
    pub fn foreign(&self, id: StorageId) -> Option<&Arc<dyn ForeignMaildrops>> {
        self.foreign.get(&id)
    }

    /// The storage that keeps a message.
    ///
    /// # Errors
    /// `Invalid`, naming the key, if the configuration no longer has it.
    pub fn get(&self, id: StorageId) -> Result<&Arc<dyn BlobStore>, StoreError> {
        self.stores.get(&id).ok_or_else(|| {
            let why = if self.foreign.contains_key(&id) {
                "keeps whole maildrops of another mail system, no single messages"
            } else {
                "is not configured"
            };
            invalid("find_storage", format!("storage number {} {why}", id.0))
        })
    }

    /// Every storage of blobs, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (StorageId, &Arc<dyn BlobStore>)> {
        self.stores.iter().map(|(id, store)| (*id, store))
    }

    /// The name of a storage; `None` if the configuration does not have it.
    pub fn name(&self, id: StorageId) -> Option<&str> {
        let mut names = self.ids.iter();
        names.find_map(|(name, known)| (*known == id).then_some(name.as_str()))
    }

    /// The key of the storage that a tenant chose.
    ///
    /// # Errors
    /// `Invalid`, naming the storage, if the configuration has none of that name.
    pub fn id(&self, name: &str) -> Result<StorageId, StoreError> {
        self.ids
            .get(name)
            .copied()
            .ok_or_else(|| invalid("find_storage", format!("storage {name:?} is not configured")))
    }
}

fn invalid(op: &'static str, why: String) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, op, "configuration").because(why)
}
