//! What is compared, with whom, and what is aimed at. Start at [`Row`].

use crate::metric::Metric;
use crate::server::Contestant;
use crate::work::Mode;

/// A load that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Row {
    /// Whole sessions
    Sessions,
    /// Whole sessions, a full handshake each
    SessionsTls,
    /// Whole sessions, Restante over Postgres
    Postgres,
    /// Sessions that read nothing
    Polls,
    /// Large messages
    Throughput,
    /// Large messages through TLS
    ThroughputTls,
    /// The first commands on a big maildrop, and on one of 100 messages
    Big,
    /// What [`Row::Big`] is set beside
    #[value(skip)]
    Few,
    /// Memory of idle sessions
    Idle,
    /// Memory of idle sessions with TLS
    IdleTls,
    /// Many deletions, durable
    Deletes,
    /// Many small messages, pipelined
    Small,
    /// First logins of Restante beside the hash alone, and beside those who guess
    Logins,
    /// What [`Row::Logins`] is set beside: the same while others guess
    #[value(skip)]
    Guessed,
}

/// What is taken from a load.
#[derive(Clone, Copy)]
pub(super) struct Measure {
    pub(super) what: &'static str,
    pub(super) metric: Metric,
    /// At most this share of Dovecot's; `None` of what Dovecot has not, or what is no aim.
    pub(super) aim: Option<f64>,
}

/// Values of one measure of one contestant.
#[derive(Clone, Copy)]
pub(super) struct Source(pub(super) Row, pub(super) usize, pub(super) Contestant);

/// What Restante is set beside that is not another server.
pub(super) struct Bound {
    pub(super) what: &'static str,
    pub(super) own: Source,
    pub(super) beside: &'static str,
    pub(super) theirs: Source,
    /// At most so many times as much.
    pub(super) aim: f64,
}

pub(super) const BOUNDS: [Bound; 5] = [
    Bound {
        what: "CPU s for a GB",
        own: Source(Row::Throughput, 0, Contestant::Restante),
        beside: "a plain writer of memory",
        theirs: Source(Row::Throughput, 0, Contestant::Bare),
        aim: 2.5,
    },
    Bound {
        what: "CPU s for a GB, TLS",
        own: Source(Row::ThroughputTls, 0, Contestant::Restante),
        beside: "rustls alone",
        theirs: Source(Row::ThroughputTls, 0, Contestant::Bare),
        aim: 2.5,
    },
    Bound {
        what: "CPU ms of a login",
        own: Source(Row::Logins, 0, Contestant::Restante),
        beside: "the hash alone",
        theirs: Source(Row::Logins, 1, Contestant::Restante),
        aim: 1.10,
    },
    Bound {
        what: "p99 of right logins, a quarter of the clients guessing, ms",
        own: Source(Row::Guessed, 0, Contestant::Restante),
        beside: "the same without them",
        theirs: Source(Row::Logins, 2, Contestant::Restante),
        aim: 1.2,
    },
    Bound {
        what: "login to STAT of the big maildrop, ms",
        own: Source(Row::Big, 0, Contestant::Restante),
        beside: "of 100 messages",
        theirs: Source(Row::Few, 0, Contestant::Restante),
        aim: 3.0,
    },
];

impl Row {
    pub(super) const ALL: [Self; 14] = [
        Self::Sessions,
        Self::SessionsTls,
        Self::Postgres,
        Self::Polls,
        Self::Throughput,
        Self::ThroughputTls,
        Self::Big,
        Self::Few,
        Self::Idle,
        Self::IdleTls,
        Self::Deletes,
        Self::Small,
        Self::Logins,
        Self::Guessed,
    ];

    pub(super) const fn mode(self) -> Mode {
        match self {
            Self::Sessions | Self::SessionsTls | Self::Postgres => Mode::Sessions,
            Self::Polls => Mode::Polls,
            Self::Throughput | Self::ThroughputTls => Mode::Throughput,
            Self::Big => Mode::Big,
            Self::Few => Mode::Few,
            Self::Idle | Self::IdleTls => Mode::Idle,
            Self::Deletes => Mode::Deletes,
            Self::Small => Mode::Small,
            Self::Logins | Self::Guessed => Mode::Logins,
        }
    }

    pub(super) const fn is_tls(self) -> bool {
        matches!(self, Self::SessionsTls | Self::ThroughputTls | Self::IdleTls)
    }

    /// The row that it is set beside.
    pub(super) const fn partner(self) -> Option<Self> {
        match self {
            Self::Big => Some(Self::Few),
            Self::Logins => Some(Self::Guessed),
            _ => None,
        }
    }

    /// What is measured, with the aim.
    pub(super) const fn measures(self) -> &'static [Measure] {
        const fn one(what: &'static str, metric: Metric, aim: f64) -> Measure {
            Measure {
                what,
                metric,
                aim: Some(aim),
            }
        }
        const fn no_aim(what: &'static str, metric: Metric) -> Measure {
            Measure {
                what,
                metric,
                aim: None,
            }
        }
        match self {
            Self::Sessions => &const { [one("CPU s for 1,000 sessions", Metric::CpuPerThousand, 0.25)] },
            Self::SessionsTls => {
                &const { [one("CPU s for 1,000 sessions, TLS", Metric::CpuPerThousand, 0.20)] }
            }
            Self::Postgres => {
                &const {
                    [
                        one(
                            "CPU s for 1,000 sessions, over Postgres",
                            Metric::CpuPerThousand,
                            0.50,
                        ),
                        no_aim("the same, of Postgres itself", Metric::BesidePerThousand),
                    ]
                }
            }
            Self::Polls => &const { [one("CPU s for 1,000 polls", Metric::CpuPerThousand, 0.25)] },
            Self::Throughput => &const { [one("CPU s for a GB", Metric::CpuPerGigabyte, 0.20)] },
            Self::ThroughputTls => &const { [one("CPU s for a GB, TLS", Metric::CpuPerGigabyte, 0.12)] },
            Self::Big => {
                &const {
                    [
                        one("login to STAT, ms", Metric::Millis("login to STAT"), 0.05),
                        one("UIDL, ms", Metric::Millis("UIDL"), 0.10),
                    ]
                }
            }
            Self::Few => {
                &const {
                    [no_aim(
                        "login to STAT of 100 messages, ms",
                        Metric::Millis("login to STAT"),
                    )]
                }
            }
            Self::Idle => &const { [one("PSS KiB of an idle session", Metric::PssKib, 0.15)] },
            Self::IdleTls => &const { [one("PSS KiB of an idle session, TLS", Metric::PssKib, 0.15)] },
            Self::Deletes => {
                &const {
                    [one(
                        "DELE of 10,000 and QUIT, ms",
                        Metric::Millis("DELE of all and QUIT"),
                        0.30,
                    )]
                }
            }
            Self::Small => &const { [one("RETR of 10,000, CPU ms", Metric::CpuMillis, 0.30)] },
            Self::Logins => {
                &const {
                    [
                        no_aim("CPU ms of a login", Metric::CpuMillis),
                        no_aim("CPU ms of the hash alone", Metric::HashMillis),
                        no_aim("p99 of logins, ms", Metric::P99Millis("PASS")),
                    ]
                }
            }
            Self::Guessed => {
                &const {
                    [no_aim(
                        "p99 of logins while some guess, ms",
                        Metric::P99Millis("PASS"),
                    )]
                }
            }
        }
    }

    /// Who takes part.
    pub(super) const fn contestants(self) -> &'static [Contestant] {
        match self {
            Self::Deletes => &[
                Contestant::Restante,
                Contestant::DovecotDurable,
                Contestant::Ceiling,
            ],
            Self::Postgres => &[
                Contestant::RestantePostgres,
                Contestant::DovecotInstalled,
                Contestant::DovecotTuned,
                Contestant::DovecotShared,
                Contestant::Ceiling,
            ],
            Self::Throughput | Self::ThroughputTls => &[
                Contestant::Restante,
                Contestant::DovecotInstalled,
                Contestant::DovecotTuned,
                Contestant::DovecotShared,
                Contestant::Ceiling,
                Contestant::Bare,
            ],
            Self::Logins | Self::Guessed => &[Contestant::Restante],
            _ => &[
                Contestant::Restante,
                Contestant::DovecotInstalled,
                Contestant::DovecotTuned,
                Contestant::DovecotShared,
                Contestant::Ceiling,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restante_takes_part_in_every_row_and_a_dovecot_wherever_there_is_an_aim() {
        for row in Row::ALL {
            assert!(!row.measures().is_empty());
            assert!(row.contestants()[0].is_restante());
            let has_aim = row.measures().iter().any(|measure| measure.aim.is_some());
            let has_dovecot = row.contestants().iter().any(|contestant| contestant.is_dovecot());
            assert!(has_dovecot || !has_aim, "{row:?}");
        }
    }

    #[test]
    fn what_a_bound_is_made_of_is_measured() {
        for bound in BOUNDS {
            for Source(row, nth, contestant) in [bound.own, bound.theirs] {
                assert!(nth < row.measures().len(), "{}", bound.what);
                assert!(row.contestants().contains(&contestant), "{}", bound.what);
            }
        }
    }
}
