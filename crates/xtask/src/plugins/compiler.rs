//! A compiler of plugins that does not know by itself when there is nothing to do.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use wit_component::DecodedWasm;

use crate::plugins::source::Source;
use crate::shell::Workspace;

pub(crate) struct Compiler {
    /// What a plugin's folder has; the first file tells the language.
    pub(crate) files: &'static [&'static str],
    /// The packages that it is made of, each with its version.
    pub(crate) packages: &'static str,
    /// How it is run.
    pub(crate) recipe: &'static str,
    pub(crate) compile: fn(&Workspace, &Source, &Path) -> anyhow::Result<Vec<u8>>,
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.packages)
    }
}

impl Compiler {
    pub(crate) fn is_for(&self, folder: &Path) -> bool {
        self.files.first().is_some_and(|file| folder.join(file).is_file())
    }

    /// Makes `name.wasm` of the folder, unless it was made of just this.
    pub(crate) fn build(
        &self,
        workspace: &Workspace,
        name: &str,
        folder: &Path,
        out: &Path,
    ) -> anyhow::Result<()> {
        let source = Source::read(workspace, name, folder, self.files)?;
        let inputs = format!("{}\n{}\n{}", self.packages, self.recipe, source.text());
        let made_of = out.join("build").join(format!("{name}.inputs"));
        let file = out.join(format!("{name}.wasm"));
        if file.is_file() && fs::read_to_string(&made_of).is_ok_and(|text| text == inputs) {
            return Ok(());
        }
        let component = (self.compile)(workspace, &source, out)?;
        check_imports(&component)?;
        // From here to the end it is made of nothing that is known.
        fs::write(&made_of, "").with_context(|| made_of.display().to_string())?;
        fs::write(&file, &component).with_context(|| file.display().to_string())?;
        fs::write(&made_of, inputs).with_context(|| made_of.display().to_string())
    }
}

/// Nothing but the interfaces of the WIT is there for a plugin.
fn check_imports(component: &[u8]) -> anyhow::Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("it is no component");
    };
    let world = resolve.worlds.get(world).context("it has no world")?;
    for import in world.imports.keys() {
        let name = resolve.name_world_key(import);
        ensure!(
            name.starts_with("restante:storage/"),
            "it imports {name}, which no host has"
        );
    }
    Ok(())
}
