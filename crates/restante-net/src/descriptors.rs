//! File descriptors as a resource: how many there are, and one kept back for the moment when none is left.
//!
//! Decides nothing about connections. Start at [`Reserve`].

use std::fs::File;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files and sockets this process may hold open; `None` when the system sets no limit.
///
/// The total of a [`crate::BudgetLimits`] should stay well below it: Postgres, object storage and logs need
/// descriptors too.
pub fn open_file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the soft limit of open files to the hard one and returns what is in force afterwards.
///
/// A refusal by the system changes nothing.
pub fn raise_open_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// A descriptor held back so that, when the process has run out, one connection at a time can still be told so.
#[derive(Debug)]
pub(crate) struct Reserve(Option<File>);

impl Reserve {
    /// Takes a descriptor now, if there is one.
    pub(crate) fn new() -> Self {
        let mut reserve = Self(None);
        reserve.refill();
        reserve
    }

    /// Gives the descriptor back to the process. False when it was not held.
    pub(crate) fn release(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Takes the descriptor again. False when the process has none to spare.
    pub(crate) fn refill(&mut self) -> bool {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
        self.0.is_some()
    }
}
