//! Storage written by others: WebAssembly components behind the contracts of storage.
//!
//! A plugin is untrusted. It gets what it imports and was granted, within limits of memory, time and number; what it
//! answers is checked here or by who verifies every body, and its instances never outlive a fault. It decides nothing
//! about which messages exist. Start at [`PluginHost`]; `wit/storage.wit` is what authors see.

mod bindings;
mod blob_store;
mod breaker;
mod engine;
mod error;
mod instance;
mod key_value;
mod limits;
mod log_gate;
mod pool;

pub use blob_store::{PluginBlobStore, Tenants};
pub use engine::{Plugin, PluginHost};
pub use error::InstallError;
pub use key_value::{KeySpace, KeyValueStore, MemoryKeyValueStore};
pub use limits::Limits;
