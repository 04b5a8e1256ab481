//! `restante demo` as a test runs it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use super::{PATIENCE, Pop3, now, restante, succeed};

/// `restante demo` on free ports, ended when dropped.
pub(crate) struct Demo {
    child: Child,
    pub(crate) pop3: u16,
    pub(crate) pop3s: u16,
    pub(crate) lmtp: u16,
    data: PathBuf,
    /// Everything it printed before it was ready.
    pub(crate) said: String,
    /// Held, so that it is removed with the demo.
    folder: Option<TempDir>,
}

impl Demo {
    /// A fresh demo in a folder of its own.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut demo = Self::start_in(&data, &[]);
        demo.folder = Some(folder);
        demo
    }

    /// A demo that has ended and left its data.
    pub(crate) fn stopped() -> Self {
        Self::start().stop()
    }

    /// Ends it by SIGTERM; its data stays as long as this value.
    pub(crate) fn stop(mut self) -> Self {
        self.signal("TERM");
        assert!(self.wait(), "ended well");
        self
    }

    /// A demo on a folder that stays.
    pub(crate) fn start_in(data: &Path, options: &[&str]) -> Self {
        let mut child = restante()
            .args([
                "demo",
                "--pop3-port",
                "0",
                "--pop3s-port",
                "0",
                "--admin-port",
                "0",
                "--lmtp-port",
                "0",
                "--data",
            ])
            .arg(data)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = until_line(child.stdout.take().unwrap(), "Ctrl-C stops it.");
        let port = |before: &str| -> u16 {
            let (_, rest) = said
                .split_once(before)
                .unwrap_or_else(|| panic!("no {before:?} in {said}"));
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        };
        Self {
            pop3s: port("POP3S on 127.0.0.1:"),
            pop3: port("STLS on 127.0.0.1:"),
            lmtp: port("LMTP on 127.0.0.1:"),
            child,
            data: data.to_owned(),
            said,
            folder: None,
        }
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.data.join("certificate.pem")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.data.join("restante.toml")
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// A folder for what a test puts beside the data.
    pub(crate) fn folder(&self) -> &Path {
        self.data.parent().unwrap()
    }

    pub(crate) fn password(&self, account: &str) -> String {
        fs::read_to_string(self.data.join(format!("password-of-{account}"))).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Puts a message into a maildrop with `restante deliver`.
    pub(crate) fn deliver(&self, account: &str, message: &[u8]) {
        let mut command = restante();
        command.arg("deliver").arg("--config").arg(self.configuration());
        succeed(command.arg("--to").arg(format!("{account}@demo.test")), message);
    }

    /// Removes every message of an account, so that a test sees only its own.
    pub(crate) fn empty(&self, account: &str) {
        let mut pop3 = self.log_in(account);
        let messages = pop3.stat().0;
        pop3.dele(1..=messages);
        pop3.ok("QUIT");
    }

    /// A session over POP3S, logged in.
    pub(crate) fn log_in(&self, account: &str) -> Pop3 {
        let mut pop3 = Pop3::connect(self.pop3s, &self.certificate());
        pop3.ok(&format!("USER {account}@demo.test"));
        pop3.ok(&format!("PASS {}", self.password(account)));
        pop3
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A signal by name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        super::signal(self.pid(), name);
    }

    /// Waits for it to end by itself; `true` if it ended well.
    pub(crate) fn wait(&mut self) -> bool {
        let until = now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads lines until one begins with `last`; the rest is read and dropped in the background.
fn until_line(source: impl Read + Send + 'static, last: &'static str) -> String {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        let mut lines = BufReader::new(source).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            said.push_str(&line);
            said.push('\n');
            if line.starts_with(last) {
                break;
            }
        }
        drop(sender.send(said));
        lines.for_each(drop);
    });
    let said = receiver.recv_timeout(PATIENCE).expect("it says that it is ready");
    assert!(said.contains(last), "it ended early: {said}");
    said
}
