//! Plugins built from source: every folder of `plugins/` becomes a component in `target/plugins`.
//!
//! No component is ever committed. Start at [`build`]; `toolchain` knows what compiles them.

mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use wit_component::ComponentEncoder;

use crate::plugins::toolchain::Toolchain;
use crate::shell::{Workspace, succeed};

/// Builds all of them; cheap when nothing has changed.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    let folders = folders(&workspace.root.join("plugins"))?;
    let out = workspace.metadata.target_directory.as_std_path().join("plugins");
    let toolchain = Toolchain::find_or_bring(workspace, &out.join("toolchain"))?;
    for folder in folders {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let component = compile(workspace, &toolchain, &folder, &name, &out)
            .with_context(|| format!("plugins/{name} cannot be built"))?;
        let file = out.join(format!("{name}.wasm"));
        if fs::read(&file).ok().as_ref() != Some(&component) {
            fs::write(&file, &component).with_context(|| file.display().to_string())?;
        }
        println!("plugins: {name}.wasm, {} octets", component.len());
    }
    Ok(())
}

fn folders(plugins: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(plugins).with_context(|| plugins.display().to_string())? {
        let folder = entry?.path();
        if folder.join("Cargo.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

fn compile(
    workspace: &Workspace,
    toolchain: &Toolchain,
    folder: &Path,
    name: &str,
    out: &Path,
) -> anyhow::Result<Vec<u8>> {
    let built = out.join("build");
    let mut cargo = workspace.program("cargo");
    cargo
        .current_dir(folder)
        .args(["build", "--quiet", "--release", "--locked"]);
    cargo.env("CARGO_TARGET_DIR", &built);
    toolchain.set_up(&mut cargo);
    succeed(&mut cargo)?;
    let file = built
        .join(toolchain.target())
        .join("release")
        .join(format!("{}.wasm", name.replace('-', "_")));
    let module = fs::read(&file).with_context(|| file.display().to_string())?;
    match module.get(4..8) {
        // The layer of components; a core module has 1 and 0 there.
        Some([_, _, 1, 0]) => Ok(module),
        Some(_) => ComponentEncoder::default()
            .validate(true)
            .module(&module)?
            .encode(),
        None => bail!("{} is no WebAssembly", file.display()),
    }
}
