//! A running `restante`, and what it takes to talk to it.

mod demo;
mod fleet;
pub(crate) mod http;
mod lmtp;
mod pop3;
mod server;

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use restante_types::{Clock, SystemClock};

pub(crate) use self::demo::Demo;
pub(crate) use self::fleet::{ALICE, Fleet, Layout, PASSWORD, eventually};
pub(crate) use self::lmtp::Lmtp;
pub(crate) use self::pop3::Pop3;
pub(crate) use self::server::{POP3S, Server};

/// How long anything on this machine may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The time, for measuring and for giving up.
pub(crate) fn now() -> Instant {
    SystemClock.now()
}

/// The program under test.
pub(crate) fn restante() -> Command {
    restante_by(Command::new(RESTANTE))
}

/// The program that is tested.
pub(crate) const RESTANTE: &str = env!("CARGO_BIN_EXE_restante");

/// The same by a command that runs it, such as `nsenter` or `prlimit`.
pub(crate) fn restante_by(mut command: Command) -> Command {
    for place in ["CONFIG", "SERVER", "TOKEN_FILE", "CA_FILE"] {
        command.env_remove(format!("RESTANTE_{place}"));
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end with `input` on standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || {
        // A command that does not want its input closes it.
        drop(stdin.write_all(&input));
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

/// Runs a command that must succeed and returns its standard output.
pub(crate) fn succeed(command: &mut Command, input: &[u8]) -> String {
    let output = run(command, input);
    assert!(
        output.status.success(),
        "{command:?} failed\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A real client. Missing, it fails the test where everything is required, and is said loudly elsewhere.
pub(crate) fn program(name: &str, package: &str) -> Option<PathBuf> {
    restante_testkit::require::program(name, package)
}

/// Sends a signal by name, such as `TERM`.
pub(crate) fn signal(pid: u32, name: &str) {
    succeed(
        Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()),
        b"",
    );
}

/// A port that was free a moment ago, for what must be known before it listens. Below those that the system hands out to
/// clients, so that none of them takes it meanwhile.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let spread = u16::try_from(std::process::id() % 97).unwrap() * 100;
        let port = 20_000 + (spread + nth) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs a script over the database of a demo that is not running.
pub(crate) fn with_database(data: &Path, script: &str) -> bool {
    let Some(python) = program("python3", "python3") else {
        return false;
    };
    let script = format!(
        "import os, sqlite3\ndb = sqlite3.connect({:?})\n{script}\ndb.commit()\n",
        data.join("restante.db").display().to_string()
    );
    succeed(Command::new(python).args(["-c", &script]), b"");
    true
}
