//! A number that is taken from what a load led to. Start at [`Metric::of`].

use crate::figures::float;
use crate::work::Outcome;

/// Which number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Metric {
    /// Processor seconds for a thousand of what was done.
    CpuPerThousand,
    /// Of the database behind a server.
    BesidePerThousand,
    CpuPerGigabyte,
    /// Milliseconds of processor time for each that was done.
    CpuMillis,
    /// The same of one hash by itself.
    HashMillis,
    PssKib,
    /// The median of a command, in milliseconds.
    Millis(&'static str),
    /// What one in a hundred takes longer than, in milliseconds.
    P99Millis(&'static str),
    /// How many were done in a second.
    PerSecond,
}

impl Metric {
    /// `None` where there is nothing of the kind.
    pub(crate) fn of(self, outcome: &Outcome) -> Option<f64> {
        let (figures, used) = (&outcome.figures, outcome.used);
        let percentile = |command, percent| Some(figures.percentile(command, percent)?.as_secs_f64() * 1e3);
        Some(match self {
            // So many seconds for a thousand are so many milliseconds for one.
            Self::CpuPerThousand | Self::CpuMillis => used.cpu_per(1_000, figures.done),
            Self::BesidePerThousand => used.beside_per(1_000, figures.done)?,
            Self::CpuPerGigabyte => used.cpu_per(1_000_000_000, figures.octets),
            Self::HashMillis => outcome.hash?.as_secs_f64() * 1e3,
            Self::PssKib => outcome.pss_kib?,
            Self::Millis(command) => percentile(command, 50.0)?,
            Self::P99Millis(command) => percentile(command, 99.0)?,
            Self::PerSecond => float(figures.done) / used.wall.as_secs_f64(),
        })
    }
}
