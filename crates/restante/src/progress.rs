//! How far a long work has come, on standard error: a bar on a terminal, else a line every ten seconds.

use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use restante_types::{Clock, Octets, SystemClock};

const PAUSE: Duration = Duration::from_secs(10);

/// Counts messages and octets of a work whose size is known about.
pub(crate) struct Progress {
    what: &'static str,
    /// On a terminal.
    bar: Option<ProgressBar>,
    n_messages: u64,
    octets: Octets,
    expected: u64,
    told: Instant,
}

impl Progress {
    /// Begins `what`, of `messages` messages if nothing comes or goes meanwhile.
    pub(crate) fn new(what: &'static str, messages: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = "{prefix} {wide_bar} {pos}/{len} messages, {per_sec}, {eta} left {msg}";
            let bar = ProgressBar::new(messages).with_prefix(what);
            bar.with_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Self {
            what,
            bar,
            n_messages: 0,
            octets: Octets::ZERO,
            expected: messages,
            told: SystemClock.now(),
        }
    }

    /// One more message is done.
    pub(crate) fn message(&mut self, octets: Octets) {
        self.n_messages += 1;
        self.octets += octets;
        match &self.bar {
            Some(bar) => {
                bar.set_length(self.expected.max(self.n_messages));
                bar.set_position(self.n_messages);
            }
            None if self.told.elapsed() >= PAUSE => {
                self.told = SystemClock.now();
                self.tell(&format!(
                    "{} of about {} messages",
                    self.n_messages, self.expected
                ));
            }
            None => {}
        }
    }

    /// Blobs or whatever else comes after the messages.
    pub(crate) fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if self.told.elapsed() >= PAUSE => {
                self.told = SystemClock.now();
                self.tell(text);
            }
            None => {}
        }
    }

    /// Runs what prints, without a bar in its way.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub(crate) const fn n_messages(&self) -> u64 {
        self.n_messages
    }

    pub(crate) const fn octets(&self) -> Octets {
        self.octets
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn tell(&self, text: &str) {
        // Who does not read standard error does not want to know.
        drop(writeln!(io::stderr().lock(), "{}: {text}", self.what));
    }
}
