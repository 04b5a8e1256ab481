//! Real servers as children of a test: on loopback, gone when the test process is gone.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::namespace::SmallDisk;

/// A child that was started, and who waits for its end.
#[derive(Debug)]
pub(crate) struct Service {
    pid: Pid,
    waiter: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    /// Starts what [`unprivileged`] made: several servers refuse to run as root.
    ///
    /// # Panics
    /// If it cannot be started.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("a log file can be made");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let (started, pid) = mpsc::channel();
        // The kernel kills the child when the thread that started it ends: this one ends with the child, or with
        // the process.
        let waiter = std::thread::spawn(move || {
            let mut child = command.spawn().expect("the server can be started");
            started.send(child.id()).expect("the starter waits");
            child.wait().expect("a child can be waited for");
        });
        let pid = pid.recv().expect("the server was started");
        Self {
            pid: i32::try_from(pid)
                .ok()
                .and_then(Pid::from_raw)
                .expect("a process id"),
            waiter: Some(waiter),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // One that has ended cannot be signalled, which is as well.
        kill_process(self.pid, signal).unwrap_or(());
    }

    /// Signals the child and its own children: the child first, so that it starts no more of them once it is stopped.
    pub(crate) fn signal_family(&self, signal: Signal) {
        self.signal(signal);
        for child in children(self.pid) {
            kill_process(child, signal).unwrap_or(());
        }
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(&mut self, signal: Signal) {
        if let Some(waiter) = self.waiter.take() {
            self.signal_family(Signal::CONT);
            self.signal(signal);
            waiter.join().expect("the waiter does not panic");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

/// A command as `nobody` if this is root, that ends with whoever started it.
pub(crate) fn unprivileged(program: &Path) -> Command {
    unprivileged_by(Command::new(SETPRIV), program)
}

/// The same within a disk.
pub(crate) fn unprivileged_on(disk: &SmallDisk, program: &Path) -> Command {
    unprivileged_by(disk.command(SETPRIV), program)
}

const SETPRIV: &str = "setpriv";

fn unprivileged_by(mut command: Command, program: &Path) -> Command {
    command.arg("--pdeathsig=KILL");
    if geteuid().is_root() {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.arg(program);
    command
}

/// A folder that the unprivileged user may write to. It goes with its owner, or with the process, however that ends:
/// what belongs to all tests of a process is never dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    sweeper: Child,
}

/// Waits for the end of its input, that is of the process at the other end; servers may still be writing then.
const SWEEP: &str = r#"cat; for try in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$1" && exit; sleep 0.2; done"#;

impl Folder {
    /// Makes one.
    ///
    /// # Panics
    /// If this host cannot.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        hand_over(folder.path());
        let sweeper = Command::new("sh")
            .args(["-c", SWEEP, "sweeper"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt at the terminal is for the tests.
            .process_group(0)
            .spawn()
            .expect("a shell is there");
        Self {
            path: folder.keep(),
            sweeper,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        // A sweeper that cannot be waited for was never started.
        drop(self.sweeper.wait());
    }
}

/// Whom a process has started.
fn children(parent: Pid) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").expect("this is Linux");
    processes
        .filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

/// `PPid` of `/proc/<pid>/status`; `None` for one that has ended.
fn parent_of(pid: Pid) -> Option<Pid> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Pid::from_raw(parent.trim().parse().ok()?)
}

/// Gives a path to the unprivileged user.
pub(crate) fn hand_over(path: &Path) {
    if geteuid().is_root() {
        let status = Command::new("chown")
            .arg("nobody:nogroup")
            .arg(path)
            .status()
            .expect("chown is there");
        assert!(status.success(), "{} cannot be handed over", path.display());
    }
}

/// A port of loopback that nobody listens on, below those that the system gives to clients: one of these could be
/// taken before the server listens.
///
/// # Panics
/// On a process id past 2^32.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    let own = u16::try_from(std::process::id() % u32::from(COUNT)).expect("a remainder is small");
    loop {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7);
        let port = FIRST + own.wrapping_mul(13).wrapping_add(nth) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A program of the newest PostgreSQL that is installed.
pub(crate) fn postgres_program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|program| program.is_file())
        .collect();
    found.sort();
    found.pop().or_else(|| crate::require::find(name))
}
