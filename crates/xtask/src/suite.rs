//! All tests with everything they need, and one line at the end that says what happened.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::shell::{Workspace, timed};
use crate::{deploy, packages, plugins};

/// Runs `cargo test` over the workspace, or with `arguments` in place of `--workspace`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    packages::ensure(workspace)?;
    plugins::build(workspace)?;
    if arguments.is_empty() {
        plugins::author::check(workspace)?;
        deploy::check(workspace)?;
    }
    let (outcome, took) = timed(|| cargo_test(workspace, arguments));
    let (tally, succeeded) = outcome?;
    println!("\n{}", tally.summary(took));
    if !succeeded || tally.failed > 0 {
        bail!("tests failed; the names are above");
    }
    if tally.ignored > 0 {
        bail!(
            "{} tests are ignored; a test that does not run proves nothing: fix or remove it",
            tally.ignored
        );
    }
    Ok(())
}

fn cargo_test(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<(Tally, bool)> {
    let mut command = workspace.cargo(&["test", "--locked", "--no-fail-fast"]);
    if arguments.is_empty() {
        command.arg("--workspace");
    }
    // A test whose service is missing fails instead of passing without it.
    command
        .args(arguments)
        .env("RESTANTE_REQUIRE", "all")
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo")?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            tally.read(&line);
        }
    }
    Ok((tally, child.wait()?.success()))
}

/// The sum of every "test result" line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    binaries: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tally {
    fn read(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        self.binaries += 1;
        for count in counts.split([';', '.']) {
            let mut words = count.split_whitespace();
            let (Some(number), Some(what)) = (
                words.next().and_then(|word| word.parse::<u32>().ok()),
                words.next(),
            ) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    fn summary(&self, took: Duration) -> String {
        let Self {
            binaries,
            passed,
            failed,
            ignored,
        } = self;
        let seconds = took.as_secs();
        format!(
            "test: {passed} passed, {failed} failed, {ignored} ignored; {binaries} test binaries, {seconds} s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut tally = Tally::default();
        tally.read(
            "test result: ok. 28 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s",
        );
        tally.read("test a ... ok");
        tally.read("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.00s");
        assert_eq!(
            tally,
            Tally {
                binaries: 2,
                passed: 30,
                failed: 3,
                ignored: 1
            }
        );
        assert_eq!(
            tally.summary(Duration::from_secs(61)),
            "test: 30 passed, 3 failed, 1 ignored; 2 test binaries, 61 s"
        );
    }
}
