//! Plugins in C: a folder with `plugin.c`, compiled by clang as the package `ziglang` of PyPI carries it.
//!
//! The bindings are made from the WIT at each build. wasi-libc is linked for its memory and strings; a plugin that
//! calls more of it, such as for files, would need WASI, and cannot become a component here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::ComponentEncoder;

use crate::plugins::compiler::Compiler;
use crate::plugins::source::Source;
use crate::shell::{Workspace, find_program, succeed};

pub(crate) const C: Compiler = Compiler {
    files: &[FILE],
    packages: PACKAGE,
    recipe: FLAGS,
    compile,
};

const FILE: &str = "plugin.c";
const PACKAGE: &str = "ziglang==0.17.1";
/// Without a size zig makes a stack of 16 MiB, which every instance would take.
const FLAGS: &str = "-target wasm32-wasi -mexec-model=reactor -Wl,-z,stack-size=131072 -std=c11 -Os -s -Wall -Wextra \
     -Wno-unused-parameter";

fn compile(workspace: &Workspace, source: &Source, out: &Path) -> anyhow::Result<Vec<u8>> {
    let toolchain = bring(workspace, out)?;
    let folder = source.work_folder(out)?;
    let bindings = bind(source, &folder)?;
    let module = folder.join("module.wasm");
    let cache = toolchain.join("cache");
    succeed(
        workspace
            .program(toolchain.join("ziglang/zig"))
            .arg("cc")
            .args(FLAGS.split(' '))
            .arg("-I")
            .arg(&folder)
            .arg(source.folder.join(FILE))
            .args(bindings)
            .arg("-o")
            .arg(&module)
            .env("ZIG_GLOBAL_CACHE_DIR", &cache)
            .env("ZIG_LOCAL_CACHE_DIR", &cache),
    )?;
    let module = fs::read(&module).with_context(|| module.display().to_string())?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .encode()
}

/// Writes the bindings of the world whose header the plugin includes; answers which of them are to be linked.
fn bind(source: &Source, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let world = if source.has_line("#include \"maildrop.h\"") {
        "maildrop"
    } else {
        "blob-store"
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(&source.wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files)?;

    let mut linked = Vec::new();
    for (name, content) in files.iter() {
        let file = folder.join(name);
        fs::write(&file, content).with_context(|| file.display().to_string())?;
        if file.extension().is_some_and(|kind| kind != "h") {
            linked.push(file);
        }
    }
    Ok(linked)
}

/// Unpacks the compiler once; answers where it is.
fn bring(workspace: &Workspace, out: &Path) -> anyhow::Result<PathBuf> {
    const NEEDED: &str = "plugins in C need python3 with pip (Debian: python3-pip) and the packages of PyPI";
    let folder = out.join("toolchain-c");
    let stamp = folder.join("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == PACKAGE) {
        return Ok(folder);
    }
    find_program("python3").context(NEEDED)?;
    println!("plugins: fetching {PACKAGE}");
    succeed(
        workspace
            .program("python3")
            .args(["-m", "pip", "install", "--quiet", "--upgrade", "--no-deps"])
            .args(["--disable-pip-version-check", "--root-user-action=ignore"])
            .arg("--target")
            .arg(&folder)
            .arg(PACKAGE),
    )
    .context(NEEDED)?;
    fs::write(&stamp, PACKAGE).with_context(|| stamp.display().to_string())?;
    Ok(folder)
}
