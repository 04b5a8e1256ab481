//! Plugins in JavaScript: a folder with `plugin.js` and `plugin.wit`, made a component together with the engine
//! StarlingMonkey by `componentize-js` of npm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::plugins::compiler::Compiler;
use crate::plugins::source::Source;
use crate::shell::{Workspace, find_program, succeed};

pub(crate) const JAVASCRIPT: Compiler = Compiler {
    files: &[FILE, WORLD],
    packages: PACKAGES,
    recipe: SCRIPT,
    compile,
};

const FILE: &str = "plugin.js";
/// The plugin's own world, of the package of the WIT: the engine imports all that a world has, used or not.
const WORLD: &str = "plugin.wit";
const PACKAGES: &str = "@bytecodealliance/componentize-js@0.23.0 @bytecodealliance/jco@1.35.0";

/// Takes the source, the WIT and where the component is to be. Without these features the engine imports no WASI.
const SCRIPT: &str = "
    import { writeFileSync } from 'node:fs';
    import { componentize } from '@bytecodealliance/componentize-js';
    const [sourcePath, witPath, file] = process.argv.slice(1);
    const disableFeatures = ['stdio', 'random', 'clocks', 'http', 'fetch-event'];
    const { component } = await componentize({ sourcePath, witPath, worldName: 'plugin', disableFeatures });
    writeFileSync(file, component);
";

fn compile(workspace: &Workspace, source: &Source, out: &Path) -> anyhow::Result<Vec<u8>> {
    let toolchain = bring(workspace, out)?;
    let folder = source.work_folder(out)?;
    let wit = folder.join("wit");
    if wit.exists() {
        // All files of the folder count, so none of an earlier build may stay.
        fs::remove_dir_all(&wit).with_context(|| wit.display().to_string())?;
    }
    fs::create_dir(&wit).with_context(|| wit.display().to_string())?;
    for (from, name) in [(&source.folder.join(WORLD), WORLD), (&source.wit, "storage.wit")] {
        fs::copy(from, wit.join(name)).with_context(|| from.display().to_string())?;
    }
    let component = folder.join("component.wasm");
    succeed(
        workspace
            .program("node")
            .current_dir(toolchain)
            .args(["--input-type=module", "--eval", SCRIPT, "--"])
            .arg(source.folder.join(FILE))
            .arg(&wit)
            .arg(&component),
    )?;
    fs::read(&component).with_context(|| component.display().to_string())
}

/// Unpacks the compiler once; answers where it is.
pub(crate) fn bring(workspace: &Workspace, out: &Path) -> anyhow::Result<PathBuf> {
    const NEEDED: &str =
        "plugins in JavaScript need node from version 20 on, npm (Debian: nodejs, npm) and its packages";
    let folder = out.join("toolchain-js");
    let stamp = folder.join("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == PACKAGES) {
        return Ok(folder);
    }
    find_program("node").context(NEEDED)?;
    find_program("npm").context(NEEDED)?;
    println!("plugins: fetching {PACKAGES}");
    if folder.exists() {
        // npm leaves out what it believes to be there.
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    succeed(
        workspace
            .program("npm")
            .args([
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
            ])
            .arg("--prefix")
            .arg(&folder)
            .args(PACKAGES.split(' ')),
    )
    .context(NEEDED)?;
    fs::write(&stamp, PACKAGES).with_context(|| stamp.display().to_string())?;
    Ok(folder)
}
