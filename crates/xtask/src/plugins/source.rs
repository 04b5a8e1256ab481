//! The source of a plugin: its files, and the WIT that it is built against.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::shell::Workspace;

const WIT: &str = "crates/restante-plugin/wit/storage.wit";

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) wit: PathBuf,
    texts: Vec<String>,
}

impl Source {
    pub(crate) fn read(
        workspace: &Workspace,
        name: &str,
        folder: &Path,
        files: &[&str],
    ) -> anyhow::Result<Self> {
        let wit = workspace.root.join(WIT);
        let mut texts = Vec::new();
        for file in files.iter().map(|file| folder.join(file)).chain([wit.clone()]) {
            texts.push(fs::read_to_string(&file).with_context(|| file.display().to_string())?);
        }
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            wit,
            texts,
        })
    }

    pub(crate) fn has_line(&self, line: &str) -> bool {
        self.texts.iter().any(|text| text.lines().any(|has| has == line))
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.texts.join("\n")
    }

    /// Where files are put that are made of the source.
    pub(crate) fn work_folder(&self, out: &Path) -> anyhow::Result<PathBuf> {
        let folder = out.join("build").join(&self.name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }
}
