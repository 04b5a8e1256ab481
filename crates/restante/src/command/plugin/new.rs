//! `restante plugin new`: the reference plugins, under another name, outside of this repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use restante_plugin::WIT;

use crate::output::{Failure, line};

#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// Its name: letters a-z, digits and `-`, a letter first
    name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
    /// What it keeps: the octets of messages, or whole maildrops
    #[arg(long, value_enum, default_value_t = World::BlobStore)]
    world: World,
    /// The folder to make [default: its name]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    Rust,
    C,
    Js,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum World {
    BlobStore,
    Maildrop,
}

/// A reference plugin: where it lies in this repository, and its files.
struct Template {
    plugin: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! template {
    ($plugin:literal: $($file:literal),+) => {
        Template {
            plugin: $plugin,
            files: &[$(($file, include_str!(concat!("../../../../../plugins/", $plugin, "/", $file)))),+],
        }
    };
}

const MEMORY: Template =
    template!("memory": "Cargo.toml", "src/lib.rs", "src/reader.rs", "src/record.rs", "src/writer.rs");
const SHELF: Template = template!("shelf": "Cargo.toml", "src/catalogue.rs", "src/lib.rs", "src/reader.rs", "src/record.rs", "src/writer.rs");
const MEMORY_C: Template = template!("memory-c": "plugin.c");
const SHELF_C: Template = template!("shelf-c": "plugin.c");
const MEMORY_JS: Template = template!("memory-js": "plugin.js", "plugin.wit");
const SHELF_JS: Template = template!("shelf-js": "plugin.js", "plugin.wit");

impl NewArgs {
    fn template(&self) -> &'static Template {
        match (self.lang, self.world) {
            (Lang::Rust, World::BlobStore) => &MEMORY,
            (Lang::Rust, World::Maildrop) => &SHELF,
            (Lang::C, World::BlobStore) => &MEMORY_C,
            (Lang::C, World::Maildrop) => &SHELF_C,
            (Lang::Js, World::BlobStore) => &MEMORY_JS,
            (Lang::Js, World::Maildrop) => &SHELF_JS,
        }
    }

    fn readme(&self) -> String {
        let text = match self.lang {
            Lang::Rust => include_str!("new/rust.md"),
            Lang::C => include_str!("new/c.md"),
            Lang::Js => include_str!("new/js.md"),
        };
        self.filled(text)
    }

    /// A text with this plugin's name and world in it.
    fn filled(&self, text: &str) -> String {
        let world = match self.world {
            World::BlobStore => "blob-store",
            World::Maildrop => "maildrop",
        };
        text.replace("{name}", &self.name)
            .replace("{module}", &self.name.replace('-', "_"))
            .replace("{world}", world)
    }
}

pub(super) fn run(args: &NewArgs) -> Result<(), Failure> {
    check_name(&args.name).map_err(Failure::setup)?;
    let folder = args.path.clone().unwrap_or_else(|| args.name.clone().into());
    if folder.exists() {
        return Err(Failure::setup_text(format!(
            "{} is there already; name another folder with --path",
            folder.display()
        )));
    }
    let template = args.template();
    for (file, text) in template.files {
        // Beside the package that it belongs to.
        let file = if *file == "plugin.wit" {
            "wit/plugin.wit"
        } else {
            file
        };
        write(&folder.join(file), &renamed(text, template.plugin, &args.name))?;
    }
    if args.lang == Lang::Js {
        let build = args.filled(include_str!("new/build.mjs"));
        write(&folder.join("build.mjs"), &build)?;
    }
    write(&folder.join("wit/storage.wit"), WIT)?;
    write(&folder.join("README.md"), &args.readme())?;
    write(
        &folder.join(".gitignore"),
        "/target\n/build\n/tools\n/node_modules\n*.wasm\n",
    )?;
    line(format!(
        "{} is a plugin that works; {} says how it is built, tried and installed.",
        folder.display(),
        folder.join("README.md").display()
    ))?;
    Ok(())
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > 63 || !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_plain) {
        bail!("{name:?}: a plugin is named with letters a-z, digits and -, a letter first");
    }
    Ok(())
}

/// A file of a reference plugin as one of a folder of its own.
fn renamed(text: &str, plugin: &str, name: &str) -> String {
    text.replace("../../crates/restante-plugin/wit", "wit")
        .replace(&format!("name = \"{plugin}\""), &format!("name = \"{name}\""))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let at = || format!("{} cannot be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(at)?;
    }
    fs::write(path, text).with_context(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_every_file_of_their_plugins() {
        for template in [&MEMORY, &SHELF, &MEMORY_C, &SHELF_C, &MEMORY_JS, &SHELF_JS] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../plugins")
                .join(template.plugin);
            let mut found = Vec::new();
            list(&folder, "", &mut found);
            // Made by the first build in a folder of its own.
            found.retain(|file| file != "Cargo.lock");
            found.sort();
            let mut listed: Vec<&str> = template.files.iter().map(|(file, _)| *file).collect();
            listed.sort_unstable();
            assert_eq!(listed, found, "{}", template.plugin);
        }
    }

    fn list(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                list(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }

    #[test]
    fn names_that_no_tool_would_take_are_refused() {
        for (name, is_fit) in [
            ("archive", true),
            ("a1-b", true),
            ("", false),
            ("1a", false),
            ("A", false),
            ("a b", false),
            ("../a", false),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(check_name(name).is_ok(), is_fit, "{name}");
        }
    }
}
