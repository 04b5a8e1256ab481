//! The engine that runs plugins, and components made ready for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

use crate::bindings::v1;
use crate::error::InstallError;
use crate::instance::Guest;

/// What instances see of time: they are looked at so often.
pub(crate) const TICK: Duration = Duration::from_millis(10);

const PACKAGE: &str = "restante:storage/";
const VERSION: &str = "@1.";
/// Imports that need no grant.
const ALWAYS: [&str; 4] = ["types", "log", "clock", "random"];
/// Imports that this host offers when they are granted.
const GRANTABLE: [&str; 1] = ["key-value"];
const EXPORTS: [&str; 2] = ["lifecycle", "blobs"];

/// Runs plugins. One for a process.
#[derive(Clone)]
pub struct PluginHost {
    engine: Engine,
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PluginHost")
    }
}

impl PluginHost {
    /// Starts the engine, and the thread that counts time for it. The thread ends with the last user of the engine.
    ///
    /// # Errors
    /// This machine cannot run WebAssembly compiled ahead, or gives no thread.
    pub fn start() -> Result<Self, InstallError> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .epoch_interruption(true)
            .max_wasm_stack(512 * 1024);
        let failed = |error: String| InstallError::Engine(error);
        let engine = Engine::new(&config).map_err(|error| failed(error.to_string()))?;
        let weak = engine.weak();
        std::thread::Builder::new()
            .name("plugin-clock".to_owned())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(TICK);
                }
            })
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { engine })
    }

    /// Compiles a component of the world `blob-store` and checks what it imports against `grants`: names of
    /// interfaces beside `log`, `clock` and `random`. Blocks for as long as the component is large.
    ///
    /// # Errors
    /// It is none, or wants what it was not granted.
    pub fn compile(&self, octets: &[u8], grants: &[&str]) -> Result<Plugin, InstallError> {
        let component = Component::from_binary(&self.engine, octets)
            .map_err(|error| InstallError::NotAComponent(first_line(&error)))?;
        self.check(&component, grants)?;
        let mut linker = Linker::new(&self.engine);
        v1::BlobStore::add_to_linker::<_, wasmtime::component::HasSelf<Guest>>(&mut linker, |guest| guest)
            .map_err(|error| InstallError::Engine(first_line(&error)))?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(v1::BlobStorePre::new)
            .map_err(|error| InstallError::NotAComponent(first_line(&error)))?;
        Ok(Plugin {
            sha256: Sha256::digest(octets).into(),
            pre: Arc::new(pre),
        })
    }

    fn check(&self, component: &Component, grants: &[&str]) -> Result<(), InstallError> {
        let ty = component.component_type();
        for (name, _) in ty.imports(&self.engine) {
            let interface = interface(name)?;
            let is_offered = GRANTABLE.contains(&interface) && grants.contains(&interface);
            if !is_offered && !ALWAYS.contains(&interface) {
                return Err(InstallError::NotGranted(name.to_owned()));
            }
        }
        let exported: Vec<&str> = ty.exports(&self.engine).map(|(name, _)| name).collect();
        for wanted in EXPORTS {
            if !exported
                .iter()
                .any(|name| interface(name).is_ok_and(|found| found == wanted))
            {
                let other = exported
                    .iter()
                    .find(|name| name.starts_with(PACKAGE) && interface(name).is_err());
                return Err(match other {
                    Some(other) => InstallError::OtherVersion((*other).to_owned()),
                    None => InstallError::MissingExport(format!("{PACKAGE}{wanted}{VERSION}0.0")),
                });
            }
        }
        Ok(())
    }
}

/// `key-value` of `restante:storage/key-value@1.0.0`.
fn interface(name: &str) -> Result<&str, InstallError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else {
        return Err(InstallError::NotGranted(name.to_owned()));
    };
    match rest.split_once('@') {
        Some((interface, version)) if version.starts_with("1.") => Ok(interface),
        _ => Err(InstallError::OtherVersion(name.to_owned())),
    }
}

fn first_line(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    crate::log_gate::printable(text.lines().next().unwrap_or_default(), 300)
}

/// A component, compiled, checked, ready to be instantiated in microseconds.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) sha256: [u8; 32],
    pub(crate) pre: Arc<v1::BlobStorePre<Guest>>,
}

impl Plugin {
    /// SHA-256 of the component.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = u32::from_be_bytes([self.sha256[0], self.sha256[1], self.sha256[2], self.sha256[3]]);
        write!(f, "Plugin({start:08x})")
    }
}
