//! Plugins built from source: every folder of `plugins/` becomes a component in `target/plugins`.
//!
//! No component is ever committed. Start at [`build`]. Rust has cargo and a `toolchain`, other languages a `compiler`.

pub(crate) mod author;
mod c;
mod compiler;
mod javascript;
mod source;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use wit_component::ComponentEncoder;

use crate::plugins::compiler::Compiler;
use crate::plugins::toolchain::Toolchain;
use crate::shell::{Workspace, succeed};

const COMPILERS: [Compiler; 2] = [c::C, javascript::JAVASCRIPT];

/// Builds all of them; cheap when nothing has changed.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    let out = workspace.metadata.target_directory.as_std_path().join("plugins");
    fs::create_dir_all(out.join("build")).with_context(|| out.display().to_string())?;
    let toolchain = Toolchain::find_or_bring(workspace, &out.join("toolchain"))?;
    for folder in folders(&workspace.root.join("plugins"))? {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let file = out.join(format!("{name}.wasm"));
        match COMPILERS.iter().find(|compiler| compiler.is_for(&folder)) {
            Some(compiler) => compiler.build(workspace, &name, &folder, &out),
            None => compile(workspace, &toolchain, &folder, &name, &out, &["--locked"])
                .and_then(|component| save(&file, &component)),
        }
        .with_context(|| format!("plugins/{name} cannot be built"))?;
        let octets = fs::metadata(&file)
            .with_context(|| file.display().to_string())?
            .len();
        println!("plugins: {name}.wasm, {octets} octets");
    }
    Ok(())
}

fn folders(plugins: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(plugins).with_context(|| plugins.display().to_string())? {
        let folder = entry?.path();
        if folder.join("Cargo.toml").is_file() || COMPILERS.iter().any(|compiler| compiler.is_for(&folder)) {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

fn save(file: &Path, component: &[u8]) -> anyhow::Result<()> {
    if fs::read(file).is_ok_and(|saved| saved == component) {
        return Ok(());
    }
    fs::write(file, component).with_context(|| file.display().to_string())
}

fn compile(
    workspace: &Workspace,
    toolchain: &Toolchain,
    folder: &Path,
    name: &str,
    out: &Path,
    more: &[&str],
) -> anyhow::Result<Vec<u8>> {
    let built = out.join("build");
    let mut cargo = workspace.program("cargo");
    cargo
        .current_dir(folder)
        .args(["build", "--quiet", "--release"])
        .args(more);
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
