//! Small values that plugins keep, apart for each storage and tenant.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use restante_types::TenantId;

use crate::StoreError;

/// Whose keys: no plugin sees those of another storage or tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySpace {
    /// The storage, as the configuration names it.
    pub storage: Arc<str>,
    /// The tenant.
    pub tenant: TenantId,
}

/// Where plugins' values are: keys of 1 to 512 octets without zero, values of at most 256 KiB. Durable when a change
/// returns, if the back-end is.
#[async_trait]
pub trait KeyValueStore: Debug + Send + Sync {
    /// The value of a key.
    async fn get(&self, space: &KeySpace, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sets a value.
    async fn set(&self, space: &KeySpace, key: &str, value: Vec<u8>) -> Result<(), StoreError>;

    /// Sets a value if the present one is `old`; answers whether it did.
    async fn compare_and_set(
        &self,
        space: &KeySpace,
        key: &str,
        old: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError>;

    /// Removes a key. One that is not there is success.
    async fn delete(&self, space: &KeySpace, key: &str) -> Result<(), StoreError>;

    /// At most `limit` keys with a prefix that come after `after`, in the order of their octets.
    async fn keys(
        &self,
        space: &KeySpace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;
}

/// Keeps values in memory: for tests and for trying a plugin.
#[derive(Debug, Default)]
pub struct MemoryKeyValueStore {
    spaces: Mutex<BTreeMap<KeySpace, BTreeMap<String, Vec<u8>>>>,
}

impl MemoryKeyValueStore {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<KeySpace, BTreeMap<String, Vec<u8>>>> {
        // Each change is one insertion or removal, so a panic leaves the maps whole.
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyValueStore for MemoryKeyValueStore {
    async fn get(&self, space: &KeySpace, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().get(space).and_then(|values| values.get(key)).cloned())
    }

    async fn set(&self, space: &KeySpace, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        self.lock()
            .entry(space.clone())
            .or_default()
            .insert(key.to_owned(), value);
        Ok(())
    }

    async fn compare_and_set(
        &self,
        space: &KeySpace,
        key: &str,
        old: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let mut spaces = self.lock();
        let values = spaces.entry(space.clone()).or_default();
        let is_same = values.get(key) == old.as_ref();
        if is_same {
            values.insert(key.to_owned(), value);
        }
        Ok(is_same)
    }

    async fn delete(&self, space: &KeySpace, key: &str) -> Result<(), StoreError> {
        if let Some(values) = self.lock().get_mut(space) {
            values.remove(key);
        }
        Ok(())
    }

    async fn keys(
        &self,
        space: &KeySpace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let spaces = self.lock();
        let Some(values) = spaces.get(space) else {
            return Ok(Vec::new());
        };
        let keys = values.range(prefix.to_owned()..).map(|(key, _)| key);
        let keys = keys.take_while(|key| key.starts_with(prefix));
        let keys = keys.filter(|key| after.is_none_or(|after| key.as_str() > after));
        Ok(keys.take(limit).cloned().collect())
    }
}
