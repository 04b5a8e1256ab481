//! What lies in `deploy/`, looked at by the tools it is made for: rules by promtool, units by systemd-analyze, the chart
//! against the schemas of Kubernetes, balancers and Compose by their own checks.
//!
//! The checks themselves stand beside what they check, as scripts that an operator can run too. Start at [`check`].

use std::path::Path;

use anyhow::Context as _;

use crate::packages;
use crate::shell::{Workspace, succeed};

/// Builds the program, and runs every check of `deploy/`.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    packages::ensure(workspace)?;
    succeed(&mut workspace.cargo(&["build", "--locked", "-p", "restante"]))?;
    let restante = workspace.metadata.target_directory.join("debug/restante");
    let work = workspace.metadata.target_directory.join("deploy");
    std::fs::create_dir_all(&work)?;
    let metrics = work.join("metrics.list");
    std::fs::write(&metrics, restante_telemetry::metrics_list()).context("metrics.list")?;
    let folder = |name: &str| work.join(name).into_string();
    run(
        workspace,
        "deploy/prometheus/test",
        &[folder("prometheus"), metrics.into_string()],
    )?;
    run(
        workspace,
        "deploy/test/run",
        &[restante.to_string(), folder("units")],
    )?;
    run(
        workspace,
        "deploy/helm/test/run",
        &[restante.to_string(), folder("helm")],
    )
}

fn run(workspace: &Workspace, script: &str, arguments: &[String]) -> anyhow::Result<()> {
    println!("\n-- {script}");
    succeed(
        workspace
            .program(Path::new(&workspace.root).join(script))
            .args(arguments),
    )
    .with_context(|| script.to_owned())
}
