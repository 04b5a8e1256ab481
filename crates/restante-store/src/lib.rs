//! What storage of mail promises, apart from any technology.
//!
//! A storage is a pair: a [`MailIndex`] says which messages exist, a [`BlobStore`] keeps their octets. Nothing
//! here decides which pair a tenant uses. Start at [`MailIndex`].

mod auditor;
mod blob;
mod body;
mod collector;
mod custody;
mod delivery;
mod error;
mod failpoint;
mod faulty;
mod foreign;
mod index;
mod key_value;
mod limit;
mod listing_cache;
mod memory_blob;
mod memory_foreign;
mod memory_index;
mod metered;
mod mover;
mod plugin_registry;
mod reader;
#[cfg(test)]
mod scene;
mod spool;
mod stores;
mod timeout;
mod unique;
mod wrapper;

pub use auditor::{AuditEvent, AuditSettings, Auditor, Finding};
pub use blob::{BlobKey, BlobReader, BlobStore, OctetRange, StorageId};
pub use body::{Body, VERIFY, Verified};
pub use collector::{Collected, Collector, CollectorSettings};
pub use custody::{Custody, StoredMessage, StoredRow};
pub use delivery::{Deliverer, Delivery};
pub use error::{StoreError, StoreErrorKind};
pub use failpoint::failpoint;
pub use faulty::{Fault, FaultPlan, Faulty};
pub use foreign::{ForeignEntry, ForeignMaildrop, ForeignMaildrops, Owner};
pub use index::{
    BlobLedger, BodyRef, Committed, Condemned, Delivered, Listing, ListingBuilder, MailIndex, MaildropState,
    NewMessage, Quota, REPEAT_WINDOW, Usage,
};
pub use key_value::{KeySpace, KeyValueStore, MemoryKeyValueStore};
pub use limit::Limit;
pub use listing_cache::ListingCache;
pub use memory_blob::MemoryBlobStore;
pub use memory_foreign::MemoryForeignMaildrops;
pub use memory_index::MemoryMailIndex;
pub use metered::{CallResult, Metered, StoreCall, StoreObserver};
pub use mover::{MoveEvent, Mover};
pub use plugin_registry::{
    ComponentDigest, InstalledPlugin, MemoryPluginRegistry, PluginRegistry, PluginRow,
};
pub use reader::{BytesReader, ExactReader};
pub use spool::{Spool, SpoolError, SpoolReader, SpoolSettings, Spooled};
pub use stores::BlobStores;
pub use timeout::{Timeout, commit_allowance};
pub use unique::fresh_unique_id;
