//! What became of each command, for whoever counts them. Holds nothing that the client sent.

use std::time::{Duration, Instant};

use restante_wire::Verb;

use crate::Refusal;

/// A line that was answered, or a word that the server said by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The command; `None` where the line was none, or nobody had asked.
    pub verb: Option<Verb>,
    /// Why it was refused; `None` for `+OK`.
    pub refusal: Option<Refusal>,
    /// From the line to the first octet of the reply.
    pub elapsed: Duration,
}

/// The line that is being answered. A SASL exchange is one with the AUTH that began it.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) verb: Option<Verb>,
    pub(crate) refusal: Option<Refusal>,
    since: Instant,
    replied: Option<Duration>,
}

impl Serving {
    pub(crate) const fn begin(now: Instant) -> Self {
        Self {
            verb: None,
            refusal: None,
            since: now,
            replied: None,
        }
    }

    /// Another line of the same exchange: the time that the client took does not count.
    pub(crate) const fn line(&mut self, now: Instant) {
        self.since = now;
    }

    /// Takes note of the first octet of the reply.
    pub(crate) fn replied(&mut self, now: Instant) {
        self.replied
            .get_or_insert_with(|| now.saturating_duration_since(self.since));
    }

    pub(crate) fn end(self, now: Instant) -> Served {
        Served {
            verb: self.verb,
            refusal: self.refusal,
            elapsed: self
                .replied
                .unwrap_or_else(|| now.saturating_duration_since(self.since)),
        }
    }
}
