//! cargo-deny: licences, banned crates and sources, as written in `.cargo/deny.toml`.
//!
//! Advisories are left out: their database is fetched from the network, and a green run must not depend on the day.

use std::path::PathBuf;

use crate::shell::{Workspace, find_program, succeed};

const VERSION: &str = "0.20.2";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    println!("deny: advisories are not checked here: they need the network (`cargo deny check advisories`)");
    let program = program(workspace)?;
    succeed(workspace.program(program).args([
        "--workspace",
        "--locked",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// The installed one, or one built into `target/tools` once.
fn program(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if let Some(found) = find_program("cargo-deny") {
        return Ok(found);
    }
    let tools = workspace.metadata.target_directory.join("tools");
    let built = tools.join("bin/cargo-deny").into_std_path_buf();
    if !built.is_file() {
        let install = [
            "install",
            "cargo-deny",
            "--locked",
            "--version",
            VERSION,
            "--root",
            tools.as_str(),
        ];
        succeed(&mut workspace.cargo(&install))?;
    }
    Ok(built)
}
