//! The engine that runs plugins, and components made ready for it.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use restante_store::ComponentDigest;
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine};

use crate::bindings::{v1, v1_maildrop};
use crate::error::InstallError;
use crate::grants::Grants;
use crate::instance::Guest;

/// What instances see of time: they are looked at so often.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// The largest component, in octets: those of languages with a run-time of their own have up to 20 MB.
pub const LARGEST_COMPONENT: usize = 64 * 1024 * 1024;

const PACKAGE: &str = "restante:storage/";
const VERSION: &str = "@1.";

/// What a plugin exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Octets; the server's own index says which messages exist.
    BlobStore,
    /// Whole maildrops of a foreign mail system.
    Maildrop,
}

impl World {
    /// The name in the WIT.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobStore => "blob-store",
            Self::Maildrop => "maildrop",
        }
    }

    const fn interface(self) -> &'static str {
        match self {
            Self::BlobStore => "blobs",
            Self::Maildrop => "maildrops",
        }
    }
}

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
        let engine = engine()?;
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
            .map_err(|error| InstallError::Engine(error.to_string()))?;
        Ok(Self { engine })
    }

    /// Compiles a component and checks what it imports against `grants`. Blocks for as long as the component is large:
    /// for tests and tools; a server has it compiled by a [`Compiler`](crate::Compiler).
    ///
    /// # Errors
    /// It is none, or wants what it was not granted.
    pub fn compile(&self, octets: &[u8], grants: &Grants) -> Result<Plugin, InstallError> {
        let native = NativeCode(precompiled(&self.engine, octets)?);
        self.load(digest(octets), &native, grants)
    }

    /// Makes compiled code ready to run, and checks what it imports against `grants`.
    pub(crate) fn load(
        &self,
        sha256: ComponentDigest,
        native: &NativeCode,
        grants: &Grants,
    ) -> Result<Plugin, InstallError> {
        let unfit = |error: wasmtime::Error| InstallError::NotAComponent(first_line(&error));
        // SAFETY: `NativeCode` is what an engine of this program made: here, in a child process of this program, or
        // earlier, kept in a folder that nobody else can write to and compared with its digest.
        #[expect(unsafe_code, reason = "compiled code is trusted, whoever wrote its source")]
        let component = unsafe { Component::deserialize(&self.engine, &native.0) }.map_err(unfit)?;
        let world = self.check(&component, grants)?;
        let failed = |error: wasmtime::Error| InstallError::Engine(first_line(&error));
        let mut linker = Linker::new(&self.engine);
        // The imports of both worlds are the same.
        v1::BlobStore::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).map_err(failed)?;
        let pre = linker.instantiate_pre(&component).map_err(unfit)?;
        Ok(Plugin {
            sha256,
            exports: Arc::new(Exports::find(world, pre).map_err(unfit)?),
        })
    }

    fn check(&self, component: &Component, grants: &Grants) -> Result<World, InstallError> {
        let ty = component.component_type();
        for (name, _) in ty.imports(&self.engine) {
            if !grants.admit(interface(name)?) {
                return Err(InstallError::NotGranted(name.to_owned()));
            }
        }
        let exported: Vec<&str> = ty.exports(&self.engine).map(|(name, _)| name).collect();
        let has = |wanted: &str| {
            exported
                .iter()
                .any(|name| interface(name).is_ok_and(|found| found == wanted))
        };
        let worlds = [World::BlobStore, World::Maildrop];
        let world = worlds.into_iter().find(|world| has(world.interface()));
        match world {
            Some(world) if has("lifecycle") => Ok(world),
            _ => Err(exported
                .iter()
                .find_map(|name| interface(name).err().filter(|_| name.starts_with(PACKAGE)))
                .unwrap_or_else(|| {
                    let missing = world.map_or("blobs or maildrops", |_| "lifecycle");
                    InstallError::MissingExport(missing)
                })),
        }
    }

    /// Differs whenever code compiled for one engine must not be run by another.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }
}

/// Code that this program compiled.
pub(crate) struct NativeCode(pub(crate) Vec<u8>);

/// The same settings wherever something is compiled or run.
pub(crate) fn engine() -> Result<Engine, InstallError> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(512 * 1024);
    Engine::new(&config).map_err(|error| InstallError::Engine(error.to_string()))
}

pub(crate) fn precompiled(engine: &Engine, octets: &[u8]) -> Result<Vec<u8>, InstallError> {
    let unfit = |why: &str| Err(InstallError::NotAComponent(why.to_owned()));
    match octets.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => {}
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            return unfit("it is a core module; make a component of it with `wasm-tools component new`");
        }
        _ => return unfit("it does not begin as WebAssembly does"),
    }
    engine
        .precompile_component(octets)
        .map_err(|error| InstallError::NotAComponent(first_line(&error)))
}

/// SHA-256 of a component: its name everywhere.
pub fn digest(component: &[u8]) -> ComponentDigest {
    Sha256::digest(component).into()
}

/// `key-value` of `restante:storage/key-value@1.0.0`.
fn interface(name: &str) -> Result<&str, InstallError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else {
        return Err(InstallError::NotGranted(name.to_owned()));
    };
    match rest.split_once(VERSION) {
        Some((interface, _)) => Ok(interface),
        None => Err(InstallError::OtherVersion(name.to_owned())),
    }
}

fn first_line(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    crate::log_gate::printable(text.lines().next().unwrap_or_default(), 300)
}

/// A component, compiled, checked, ready to be instantiated in microseconds.
#[derive(Clone)]
pub struct Plugin {
    sha256: ComponentDigest,
    pub(crate) exports: Arc<Exports>,
}

/// The calls of the world that it is of.
pub(crate) enum Exports {
    BlobStore(v1::BlobStorePre<Guest>),
    Maildrop(v1_maildrop::MaildropPre<Guest>),
}

impl Exports {
    fn find(world: World, pre: InstancePre<Guest>) -> wasmtime::Result<Self> {
        match world {
            World::BlobStore => v1::BlobStorePre::new(pre).map(Self::BlobStore),
            World::Maildrop => v1_maildrop::MaildropPre::new(pre).map(Self::Maildrop),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::BlobStore(pre) => pre.engine(),
            Self::Maildrop(pre) => pre.engine(),
        }
    }
}

impl Plugin {
    /// SHA-256 of the component.
    pub const fn sha256(&self) -> &ComponentDigest {
        &self.sha256
    }

    /// What it exports.
    pub fn world(&self) -> World {
        match *self.exports {
            Exports::BlobStore(_) => World::BlobStore,
            Exports::Maildrop(_) => World::Maildrop,
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = u32::from_be_bytes([self.sha256[0], self.sha256[1], self.sha256[2], self.sha256[3]]);
        write!(f, "Plugin({start:08x})")
    }
}
