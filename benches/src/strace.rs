//! The system calls of a running process, counted by `strace`. Start at [`Trace::attach`].

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use restante_types::{Clock as _, SystemClock};
use rustix::process::Signal;
use tempfile::NamedTempFile;

use crate::process::signal;

/// How long it may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// How often each was called, by name.
pub(crate) type Calls = BTreeMap<String, u64>;

/// A process that is looked at. It goes on undisturbed when this is dropped.
#[derive(Debug)]
pub(crate) struct Trace {
    child: Child,
    summary: NamedTempFile,
}

impl Trace {
    /// Looks at all threads of a process from now on.
    pub(crate) async fn attach(pid: u32) -> anyhow::Result<Self> {
        let summary = NamedTempFile::new()?;
        let child = Command::new("strace")
            .args(["-f", "-c", "-p", &pid.to_string(), "-o"])
            .arg(summary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("strace is needed: apt-get install strace")?;
        let mut trace = Self { child, summary };
        let until = SystemClock.now() + PATIENCE;
        while !is_traced(pid)? {
            ensure!(
                trace.child.try_wait()?.is_none() && SystemClock.now() < until,
                "strace does not get hold of the server: run this as root"
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(trace)
    }

    /// Lets go of it.
    pub(crate) async fn calls(mut self) -> anyhow::Result<Calls> {
        signal(self.child.id(), Signal::INT);
        let until = SystemClock.now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(SystemClock.now() < until, "strace does not end");
            tokio::time::sleep(POLL).await;
        }
        parse(&std::fs::read_to_string(self.summary.path())?)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether somebody looks at every thread of a process.
fn is_traced(pid: u32) -> anyhow::Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has ended since makes no calls.
        let Ok(status) = std::fs::read_to_string(thread?.path().join("status")) else {
            continue;
        };
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        if tracer.is_none_or(|pid| pid.trim() == "0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lines such as ` 12.34    0.056789          12      4567        89 futex`, where errors may be left out.
fn parse(summary: &str) -> anyhow::Result<Calls> {
    let mut calls = Calls::new();
    for line in summary.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (Some(n), Some(name)) = (fields.get(3), fields.last()) else {
            continue;
        };
        if let Ok(n) = n.parse()
            && *name != "total"
            && fields.len() >= 5
        {
            calls.insert((*name).to_owned(), n);
        }
    }
    ensure!(!calls.is_empty(), "strace counted nothing: {summary}");
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_and_without_errors() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 75.00    0.030000          10      3000        12 futex
 25.00    0.010000           5      2000           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.040000           8      5000        12 total
";
        let calls = parse(summary).unwrap();
        assert_eq!(
            calls,
            Calls::from([("futex".to_owned(), 3000), ("epoll_wait".to_owned(), 2000)])
        );
        assert!(parse("").is_err());
    }
}
