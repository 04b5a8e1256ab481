//! Storage written by others: WebAssembly components behind the contracts of storage.
//!
//! A plugin is untrusted. It gets what it imports and was granted, within limits of memory, time and number; what it
//! answers is checked here or by who verifies every body, and its instances never outlive a fault. It decides nothing
//! about which messages of our own exist. Start at [`Plugins`]; `wit/storage.wit` is what authors see.

mod bindings;
mod blob_store;
mod breaker;
mod compiler;
mod engine;
mod error;
mod grants;
mod http;
mod imports;
mod inner;
mod instance;
mod limits;
mod log_gate;
mod maildrops;
mod native_cache;
mod plugins;
mod pool;
mod slot;
mod turn;

pub use blob_store::PluginBlobStore;
pub use compiler::{Compiler, compile_for_parent};
pub use engine::{LARGEST_COMPONENT, Plugin, PluginHost, World, digest};
pub use error::InstallError;
pub use grants::Grants;
pub use http::{HttpGate, HttpGrantError};
pub use limits::Limits;
pub use maildrops::PluginMaildrops;
pub use native_cache::{NativeCache, hex};
pub use plugins::{LoadError, Plugins};
pub use slot::{Peaks, PluginSlot, Setting, SlotLoad, Tenants};

/// The WIT package that plugins are written against.
pub const WIT: &str = include_str!("../wit/storage.wit");
