//! The author's way, as `plugins/README.md` tells it: a plugin that was begun a minute ago builds and passes its checks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::plugins::toolchain::Toolchain;
use crate::plugins::{c, compile, javascript};
use crate::shell::{Workspace, succeed};

const LANGUAGES: [&str; 3] = ["rust", "c", "js"];
const WORLDS: [&str; 2] = ["blob-store", "maildrop"];

/// Begins a plugin of each kind, builds it and checks it, with not a line changed.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    succeed(&mut workspace.cargo(&["build", "--quiet", "--locked", "-p", "restante"]))?;
    let target = workspace.metadata.target_directory.as_std_path();
    let author = Author {
        workspace,
        restante: target.join("debug/restante"),
        out: target.join("plugins"),
        folder: target.join("plugins/author"),
    };
    if author.folder.exists() {
        fs::remove_dir_all(&author.folder).with_context(|| author.folder.display().to_string())?;
    }
    fs::create_dir_all(&author.folder).with_context(|| author.folder.display().to_string())?;
    for language in LANGUAGES {
        for world in WORLDS {
            author
                .goes(language, world)
                .with_context(|| format!("a fresh plugin of the world {world} in {language}"))?;
        }
    }
    Ok(())
}

struct Author<'a> {
    workspace: &'a Workspace,
    restante: PathBuf,
    out: PathBuf,
    folder: PathBuf,
}

impl Author<'_> {
    fn goes(&self, language: &str, world: &str) -> anyhow::Result<()> {
        let name = format!("fresh-{language}-{world}");
        self.restante(&["plugin", "new", &name, "--lang", language, "--world", world])?;
        let folder = self.folder.join(&name);
        let component = match language {
            "rust" => self.build_rust(&folder, &name)?,
            "c" => self.build_c(&folder, &name)?,
            _ => self.build_js(&folder, &name)?,
        };
        let component = component.to_string_lossy().into_owned();
        // What the README in the folder says.
        let memory = if language == "js" { "256" } else { "64" };
        let check = [
            "plugin",
            "check",
            &component,
            "--grant",
            "key-value",
            "--memory",
            memory,
        ];
        self.restante(&check)?;
        let bench = [
            "plugin",
            "bench",
            &component,
            "--grant",
            "key-value",
            "--memory",
            memory,
        ];
        self.restante(&[&bench[..], &["--rounds", "10"]].concat())
    }

    fn restante(&self, arguments: &[&str]) -> anyhow::Result<()> {
        succeed(
            self.workspace
                .program(&self.restante)
                .current_dir(&self.folder)
                .args(arguments),
        )
    }

    fn build_rust(&self, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let toolchain = Toolchain::find_or_bring(self.workspace, &self.out.join("toolchain"))?;
        let component = compile(self.workspace, &toolchain, folder, name, &self.out, &[])?;
        let file = folder.join(format!("{name}.wasm"));
        fs::write(&file, component).with_context(|| file.display().to_string())?;
        Ok(file)
    }

    /// By the compiler of this repository's plugins: the tools of the README are the same, but for the one that makes
    /// the bindings, which takes minutes to install.
    fn build_c(&self, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
        c::C.build(self.workspace, name, folder, &self.out)?;
        Ok(self.out.join(format!("{name}.wasm")))
    }

    /// By its own `build.mjs`, with the packages that are there.
    fn build_js(&self, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let packages = javascript::bring(self.workspace, &self.out)?.join("node_modules");
        let link = folder.join("node_modules");
        std::os::unix::fs::symlink(&packages, &link).with_context(|| link.display().to_string())?;
        succeed(
            self.workspace
                .program("node")
                .current_dir(folder)
                .arg("build.mjs"),
        )?;
        Ok(folder.join(format!("{name}.wasm")))
    }
}
