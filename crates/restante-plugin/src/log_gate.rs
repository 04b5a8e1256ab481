//! What a plugin logs: escaped, cut, and only so much of it.

use std::time::Duration;

use tokio::time::Instant;

/// Longest line, in octets.
const LINE: usize = 1024;
/// Lines a second.
const RATE: u32 = 64;

/// Lets so many lines a second pass and counts the others.
#[derive(Debug)]
pub(crate) struct LogGate {
    since: Instant,
    passed: u32,
    dropped: u64,
    /// Whether it was said in this second that lines are dropped: the plugin must not make the host say so at will.
    told: bool,
}

impl LogGate {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            passed: 0,
            dropped: 0,
            told: false,
        }
    }

    /// The line to write; `None` for one too many.
    pub(crate) fn admit(&mut self, text: &str) -> Option<String> {
        self.roll();
        if self.passed >= RATE {
            self.dropped += 1;
            return None;
        }
        self.passed += 1;
        Some(printable(text, LINE))
    }

    /// How many were dropped since this was asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Whether the host may say that lines were dropped: once a second.
    pub(crate) fn may_tell(&mut self) -> bool {
        self.roll();
        !std::mem::replace(&mut self.told, true)
    }

    /// Begins the next second where one is over.
    fn roll(&mut self) {
        if self.since.elapsed() >= Duration::from_secs(1) {
            self.since = Instant::now();
            self.passed = 0;
            self.told = false;
        }
    }
}

/// A text without control characters, at most `limit` octets long and then marked as cut.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let shown: String = if c.is_control() {
            c.escape_default().collect()
        } else {
            c.into()
        };
        if out.len() + shown.len() > limit {
            out.push('…');
            break;
        }
        out.push_str(&shown);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_long_lines_cut() {
        assert_eq!(printable("a\r\n\u{1b}[31mb", 100), "a\\r\\n\\u{1b}[31mb");
        let long = printable(&"é".repeat(5_000), 1024);
        assert!(
            long.len() <= 1024 + '…'.len_utf8() && long.ends_with('…'),
            "{}",
            long.len()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn lines_above_the_rate_are_counted_and_dropped() {
        let mut gate = LogGate::new();
        let passed = (0..100).filter(|_| gate.admit("line").is_some()).count();
        assert_eq!(passed, 64);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(gate.admit("line").as_deref(), Some("line"));
        assert_eq!((gate.take_dropped(), gate.take_dropped()), (36, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn however_often_lines_are_dropped_it_may_be_told_once_a_second() {
        let mut gate = LogGate::new();
        for second in 0..3 {
            let mut n_told = 0;
            // Calls that each log a line too many.
            for _ in 0..50 {
                while gate.admit("line").is_some() {}
                assert_eq!(gate.take_dropped(), 1);
                n_told += u32::from(gate.may_tell());
            }
            assert_eq!(n_told, 1, "in second {second}");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(gate.may_tell(), "a second begins without a line too");
    }
}
