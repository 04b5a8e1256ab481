//! A server under measurement as a child: what it uses, and that it goes. Start at [`Process::start`].

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use restante_types::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start.
const STARTING: Duration = Duration::from_mins(1);
/// How long one may take to end its own children.
const ENDING: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A running server with its children. It ends when dropped, and when this process ends in any way.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    ending: Ending,
}

/// How a server is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At once: what it holds is thrown away.
    Kill,
    /// By SIGTERM, because it has children that it ends itself.
    Ask,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Of the process and of its children that have ended.
    ticks: u64,
}

impl Process {
    /// Starts a program with its output in a file.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        log: &Path,
        ending: Ending,
    ) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        let child = Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("setpriv of util-linux is needed")?;
        Ok(Self {
            child,
            log: log.to_owned(),
            ending,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The ports that it says it listens on, in order, once there are `n`.
    pub(crate) async fn ports(&mut self, n: usize) -> anyhow::Result<Vec<u16>> {
        let until = SystemClock.now() + STARTING;
        loop {
            let log = self.log();
            let ports = listening(&log);
            if ports.len() >= n {
                return Ok(ports);
            }
            self.still_runs()?;
            if SystemClock.now() > until {
                bail!("{} of {n} ports in its log:\n{log}", ports.len());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a port of loopback is open.
    pub(crate) async fn open(&mut self, port: u16) -> anyhow::Result<()> {
        let until = SystemClock.now() + STARTING;
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            self.still_runs()?;
            if SystemClock.now() > until {
                bail!("port {port} does not open; its log:\n{}", self.log());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended with {status}; its log:\n{}", self.log()),
        }
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read(&self.log).map_or_else(
            |error| error.to_string(),
            |text| String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// Processor time of it and all its children.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.pid())
    }

    /// Memory of it and all its children, what is shared counted in shares, in KiB.
    pub(crate) fn pss_kib(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for (pid, _) in family(self.pid())? {
            // One that has ended since holds nothing.
            if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
                sum += pss_kib(&text).unwrap_or(0);
            }
        }
        if sum == 0 {
            bail!("the kernel tells no PSS of process {}", self.pid());
        }
        Ok(sum)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let family = family(self.pid()).unwrap_or_default();
        if self.ending == Ending::Ask {
            signal(self.pid(), Signal::TERM);
            let until = SystemClock.now() + ENDING;
            while matches!(self.child.try_wait(), Ok(None)) && SystemClock.now() < until {
                std::thread::sleep(POLL);
            }
        }
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        // Children of a server that had to be killed.
        for (pid, before) in family.into_iter().skip(1) {
            if stat(pid).is_some_and(|now| now.parent == before.parent || now.parent == 1) {
                signal(pid, Signal::KILL);
            }
        }
    }
}

/// Signals a process, if it is still there.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // One that has ended cannot be signalled, which is as well.
        kill_process(pid, signal).unwrap_or(());
    }
}

/// Processor time of a process and all its children, those that have ended among them.
pub(crate) fn cpu(root: u32) -> anyhow::Result<Duration> {
    let ticks: u64 = family(root)?.iter().map(|(_, stat)| stat.ticks).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_micros(ticks * 1_000_000 / per_second))
}

/// Who started a process; `None` for one that has ended.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

/// A process, first, and whom it has started, directly or not.
fn family(root: u32) -> anyhow::Result<Vec<(u32, Stat)>> {
    let processes = std::fs::read_dir("/proc").context("this is Linux")?;
    let stats: HashMap<u32, Stat> = processes
        .filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    let first = stats
        .get(&root)
        .with_context(|| format!("process {root} has ended"))?;
    let mut found = vec![(root, *first)];
    let mut at = 0;
    while let Some((parent, _)) = found.get(at).copied() {
        found.extend(
            stats
                .iter()
                .filter(|(_, stat)| stat.parent == parent)
                .map(|(pid, stat)| (*pid, *stat)),
        );
        at += 1;
    }
    Ok(found)
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name, in brackets, may hold anything; what follows the last bracket is counted.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>().ok())
        .sum::<Option<u64>>()?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks,
    })
}

fn pss_kib(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Ports of lines such as `"address":"127.0.0.1:1110"`.
fn listening(log: &str) -> Vec<u16> {
    log.lines()
        .filter_map(|line| line.split_once("\"address\":\"127.0.0.1:"))
        .filter_map(|(_, rest)| rest.split('"').next()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let text = "4711 (a ) (b) S 17 4711 4711 0 -1 4194560 1 2 3 4 250 50 7 3 20 0 1 0 99 1 2";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                parent: 17,
                ticks: 310
            })
        );
        assert_eq!(parse_stat("4711 (cut) S 17"), None);
    }

    #[test]
    fn pss_is_found_among_the_others() {
        let text =
            "55-7f ---p 00000000 00:00 0    [rollup]\nRss:     9000 kB\nPss:     1234 kB\nPss_Anon:  10 kB\n";
        assert_eq!(pss_kib(text), Some(1234));
        assert_eq!(pss_kib("Rss: 1 kB\n"), None);
    }

    #[test]
    fn this_process_is_the_first_of_its_family() {
        let own = family(std::process::id()).unwrap();
        assert_eq!(own[0].0, std::process::id());
    }

    #[test]
    fn ports_come_from_records() {
        let log = "{\"fields\":{\"address\":\"127.0.0.1:1110\",\"protocol\":\"pop3\"}}\nother\n{\"address\":\"127.0.0.1:24\"}\n";
        assert_eq!(listening(log), [1110, 24]);
    }
}
