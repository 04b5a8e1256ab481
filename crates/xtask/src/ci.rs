//! Everything that must be green before a change lands, cheapest first. `.ci/run` calls it.

use std::time::Duration;

use anyhow::Context as _;

use crate::shell::{Workspace, succeed, timed, works};
use crate::{deny, suite, tidy};

type Step = (&'static str, fn(&Workspace) -> anyhow::Result<()>);

const STEPS: [Step; 6] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("tidy", tidy::run),
    ("test", test),
    ("deny", deny::run),
    ("doc", doc),
];

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    ensure_components(workspace)?;
    let mut took: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        println!("\n==> {name}");
        let (result, time) = timed(|| step(workspace));
        result.with_context(|| format!("step {name} failed after {} s", time.as_secs()))?;
        took.push((name, time));
    }
    let times: Vec<String> = took
        .iter()
        .map(|(name, time)| format!("{name} {} s", time.as_secs()))
        .collect();
    println!("\nci: all steps are green: {}", times.join(", "));
    Ok(())
}

/// rustup's minimal profile comes without them.
fn ensure_components(workspace: &Workspace) -> anyhow::Result<()> {
    for (check, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !works(&mut workspace.cargo(&[check, "--version"])) {
            succeed(workspace.program("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

fn fmt(workspace: &Workspace) -> anyhow::Result<()> {
    succeed(&mut workspace.cargo(&["fmt", "--all", "--", "--check"]))
}

fn clippy(workspace: &Workspace) -> anyhow::Result<()> {
    succeed(&mut workspace.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn test(workspace: &Workspace) -> anyhow::Result<()> {
    suite::run(workspace, &[])
}

fn doc(workspace: &Workspace) -> anyhow::Result<()> {
    let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    succeed(doc.env("RUSTDOCFLAGS", "-D warnings"))
}
