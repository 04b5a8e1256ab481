//! Time as a value that is handed in.

use std::fmt::Debug;
use std::time::{Instant, SystemTime};

/// Reads the time for the floors above the pure protocol.
///
/// No promise about mail rests on a frontend's clock: locks are fenced by tokens, and the pure crates take `now`
/// as an argument. A test hands in a clock of its own.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time, for deadlines.
    fn now(&self) -> Instant;
    /// Civil time, for records that people read. May jump.
    fn wall(&self) -> SystemTime;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
