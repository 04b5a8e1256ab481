//! What compiles plugins in Rust: rustup's target where it is installed, else Debian's compiler with its own library.
//!
//! Debian's packages are unpacked into a folder of the build, nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::shell::{Workspace, find_program, output, succeed};

const RUSTUP_TARGET: &str = "wasm32-wasip2";
const DEBIAN_TARGET: &str = "wasm32-unknown-unknown";
const PACKAGES: [&str; 5] = [
    "rustc-web",
    "rust-web-src",
    "libstd-rust-web-dev",
    "libstd-rust-web-1.96",
    "libllvm22",
];

#[derive(Debug)]
pub(crate) enum Toolchain {
    Rustup,
    Debian { root: PathBuf, linker: PathBuf },
}

impl Toolchain {
    pub(crate) fn find_or_bring(workspace: &Workspace, folder: &Path) -> anyhow::Result<Self> {
        let installed = output(
            workspace
                .program("rustup")
                .args(["target", "list", "--installed"]),
        );
        if installed.is_ok_and(|list| {
            String::from_utf8_lossy(&list)
                .lines()
                .any(|line| line == RUSTUP_TARGET)
        }) {
            return Ok(Self::Rustup);
        }
        let sysroot = output(workspace.program("rustc").args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
        let linker = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
        if find_program("apt-get").is_none() || !linker.is_file() {
            bail!("plugins need a compiler for WebAssembly: rustup target add {RUSTUP_TARGET}");
        }
        bring(workspace, folder)?;
        Ok(Self::Debian {
            root: folder.to_owned(),
            linker,
        })
    }

    pub(crate) const fn target(&self) -> &'static str {
        match self {
            Self::Rustup => RUSTUP_TARGET,
            Self::Debian { .. } => DEBIAN_TARGET,
        }
    }

    /// Has `cargo` build for the target.
    pub(crate) fn set_up(&self, cargo: &mut Command) {
        cargo.args(["--target", self.target()]);
        let Self::Debian { root, linker } = self else {
            return;
        };
        cargo
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC", root.join("usr/bin/rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"))
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
}

/// Unpacks Debian's packages once.
fn bring(workspace: &Workspace, folder: &Path) -> anyhow::Result<()> {
    let stamp = folder.join("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == PACKAGES.join(" ")) {
        return Ok(());
    }
    println!("plugins: fetching {}", PACKAGES.join(" "));
    let packages = folder.join("packages");
    fs::create_dir_all(&packages).with_context(|| packages.display().to_string())?;
    let download = |workspace: &Workspace| {
        let mut download = workspace.program("apt-get");
        succeed(
            download
                .current_dir(&packages)
                .args(["-qq", "download"])
                .args(PACKAGES),
        )
    };
    if download(workspace).is_err() {
        // The lists of packages may be missing or old.
        succeed(workspace.program("apt-get").args(["-qq", "update"]))?;
        download(workspace)?;
    }
    for entry in fs::read_dir(&packages)? {
        succeed(workspace.program("dpkg").arg("-x").arg(entry?.path()).arg(folder))?;
    }
    fs::remove_dir_all(&packages)?;
    fs::write(&stamp, PACKAGES.join(" ")).with_context(|| stamp.display().to_string())
}
