//! The arithmetic of limits: what is stored of a key, and what follows from it at a time.
//!
//! Pure, so that every limiter can be compared with it. Times are microseconds of one clock. Start at
//! [`Paces::admit`].
//!
//! | key | delay after its failures |
//! |---|---|
//! | an IPv4 address, an IPv6 /64 | 2 s after the first, then 4, 8, 15 s |
//! | an IPv4 /24, an IPv6 /48 | none for seven, then as above: one bad customer does not slow down the others |
//! | an account | as an address; after 20 failures, or when too many wait, none: it is guarded instead |
//! | a network known for an account | as an address, and no other key matters |
//!
//! Failures of a key are forgotten an hour after the last of them. A success forgets none: else whoever has one
//! account could guess at others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::Admission;

const SECOND: u64 = 1_000_000;
/// The time between two attempts, by failures.
pub const DELAYS: [u64; 5] = [0, 2 * SECOND, 4 * SECOND, 8 * SECOND, 15 * SECOND];
/// An attempt waits so long at most.
pub const PATIENCE: u64 = 15 * SECOND;
/// So many failures of a wide network cost nothing.
pub const NETWORK_FREE: u32 = 7;
/// From so many failures on, an account is guarded.
pub const GUARD_FROM: u32 = 20;
/// The day that octets are counted by.
pub const DAY: u64 = 86_400 * SECOND;

/// Failures of a key are forgotten so long after the last of them.
pub const FORGET: u64 = 3_600 * SECOND;
/// A network is known for an account so long after its last success.
pub const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// The networks that an attempt counts for: an IPv4 address and its /24, an IPv6 /64 and its /48.
pub fn networks(client: IpAddr) -> (IpAddr, IpAddr) {
    match client.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            (IpAddr::V4(ip), IpAddr::V4(Ipv4Addr::new(a, b, c, 0)))
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            let cut = |d| IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0));
            (cut(d), cut(0))
        }
    }
}

/// What is stored of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How often it failed.
    pub failures: u32,
    /// When it failed last.
    pub failed_at: u64,
    /// When its next attempt may be.
    pub slot: u64,
}

impl Pace {
    fn failures(&self, now: u64) -> u32 {
        if now.saturating_sub(self.failed_at) < FORGET {
            self.failures
        } else {
            0
        }
    }

    fn wait(&self, now: u64) -> u64 {
        self.slot.saturating_sub(now)
    }

    fn failed(&mut self, now: u64) {
        self.failures = self.failures(now).saturating_add(1);
        self.failed_at = now;
    }

    /// The next attempt comes a delay after the one that begins at `start`. Without failures it need not wait.
    fn reserve(&mut self, start: u64, failures: u32) {
        let at = usize::try_from(failures)
            .unwrap_or(usize::MAX)
            .min(DELAYS.len() - 1);
        if DELAYS[at] > 0 {
            self.slot = start + DELAYS[at];
        }
    }
}

/// What is stored of all keys of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paces {
    /// Of the address.
    pub address: Pace,
    /// Of the wide network.
    pub network: Pace,
    /// Of the account, if the attempt is for one.
    pub name: Option<Pace>,
    /// Of the wide network for the account, if it is known for it.
    pub known: Option<Pace>,
}

impl Paces {
    /// Admits an attempt and takes its place. Nothing changes if it is not admitted.
    ///
    /// A network that is known for the account waits for itself alone, so that neither others behind the same address
    /// nor attackers elsewhere keep the owner out; if it has too long a queue of its own, it is treated as any other.
    pub fn admit(&mut self, now: u64) -> Admission {
        if let Some(known) = self.known.as_mut().filter(|known| known.wait(now) <= PATIENCE) {
            let wait = known.wait(now);
            known.reserve(now + wait, known.failures(now));
            return after(wait, false);
        }
        let by_network = self.address.wait(now).max(self.network.wait(now));
        if by_network > PATIENCE {
            return Admission::TooMany;
        }
        let is_open = |name: &&mut Pace| name.failures(now) < GUARD_FROM && name.wait(now) <= PATIENCE;
        let named = self.name.is_some();
        let name = self.name.as_mut().filter(is_open);
        let guarded = named && name.is_none();
        let wait = name.as_ref().map_or(0, |name| name.wait(now)).max(by_network);
        let start = now + wait;
        if let Some(name) = name {
            name.reserve(start, name.failures(now));
        }
        self.address.reserve(start, self.address.failures(now));
        let past_free = self.network.failures(now).saturating_sub(NETWORK_FREE);
        self.network.reserve(start, past_free);
        after(wait, guarded)
    }

    /// Counts a failure for every key.
    pub fn failed(&mut self, now: u64) {
        let keys = [
            Some(&mut self.address),
            Some(&mut self.network),
            self.name.as_mut(),
            self.known.as_mut(),
        ];
        for pace in keys.into_iter().flatten() {
            pace.failed(now);
        }
    }
}

fn after(wait: u64, guarded: bool) -> Admission {
    Admission::After {
        wait: Duration::from_micros(wait),
        guarded,
    }
}

/// How much of a day reading `octets` takes under a limit of `limit` octets a day (GCRA); at most two days. `None` if
/// nothing may be read.
pub fn share_of_day(octets: u64, limit: u64) -> Option<u64> {
    let share = (u128::from(octets) * u128::from(DAY)).div_ceil(u128::from(limit).max(1));
    (limit > 0).then(|| u64::try_from(share).unwrap_or(2 * DAY).min(2 * DAY))
}

/// Spends a share of the day, unless the coming day is spent already. What is spent comes back evenly over a day;
/// whoever went past the limit waits a day at most.
pub fn spend(spent_until: u64, share: u64, now: u64) -> Option<u64> {
    let is_left = spent_until.saturating_sub(now) < DAY;
    is_left.then(|| (spent_until.max(now) + share).min(now + 2 * DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000 * SECOND;

    fn pace(failures: u32, ago: u64, slot_in: u64) -> Pace {
        Pace {
            failures,
            failed_at: NOW - ago * SECOND,
            slot: NOW + slot_in * SECOND,
        }
    }

    fn admission(wait: u64, guarded: bool) -> Admission {
        after(wait * SECOND, guarded)
    }

    #[test]
    fn delays_grow_with_the_failures_of_the_last_hour() {
        // Failures, how long ago, when the next slot is then.
        let table = [
            (0, 0, 0),
            (1, 1, 2),
            (2, 1, 4),
            (3, 1, 8),
            (4, 1, 15),
            (99, 3_599, 15),
            (99, 3_600, 0),
        ];
        for (failures, ago, slot_in) in table {
            let mut paces = Paces {
                address: pace(failures, ago, 0),
                ..Paces::default()
            };
            assert_eq!(paces.admit(NOW), admission(0, false), "{failures} failures");
            assert_eq!(paces.address.slot, NOW + slot_in * SECOND, "{failures} failures");
        }
    }

    #[test]
    fn the_longest_wait_counts_and_all_keys_follow_it() {
        let mut paces = Paces {
            address: pace(1, 1, 6),
            network: pace(8, 1, 3),
            name: Some(pace(2, 1, 1)),
            known: None,
        };
        assert_eq!(paces.admit(NOW), admission(6, false));
        let slots = [paces.address, paces.network, paces.name.unwrap()].map(|pace| pace.slot - NOW);
        assert_eq!(slots, [8 * SECOND, 8 * SECOND, 10 * SECOND]);
    }

    #[test]
    fn a_wide_network_is_slowed_down_from_its_eighth_failure_on() {
        for (failures, slot_in) in [(7, 0), (8, 2), (9, 4), (11, 15)] {
            let mut paces = Paces {
                network: pace(failures, 1, 0),
                ..Paces::default()
            };
            paces.admit(NOW);
            assert_eq!(paces.network.slot, NOW + slot_in * SECOND, "{failures} failures");
        }
    }

    #[test]
    fn whoever_would_wait_too_long_changes_nothing() {
        let mut paces = Paces {
            address: pace(4, 1, 16),
            name: Some(pace(1, 1, 0)),
            ..Paces::default()
        };
        let before = paces;
        assert_eq!(paces.admit(NOW), Admission::TooMany);
        assert_eq!(paces, before);
        assert_eq!(paces.admit(NOW + SECOND), admission(15, false));
    }

    #[test]
    fn an_account_is_guarded_and_never_locked() {
        for name in [pace(20, 1, 0), pace(20, 1, 9), pace(4, 1, 16)] {
            let mut paces = Paces {
                name: Some(name),
                ..Paces::default()
            };
            assert_eq!(paces.admit(NOW), admission(0, true), "{name:?}");
            assert_eq!(paces.name, Some(name), "a guarded attempt takes no place");
            paces.known = Some(Pace::default());
            assert_eq!(paces.admit(NOW), admission(0, false), "the network is known");
        }
    }

    #[test]
    fn a_known_network_waits_for_itself_alone() {
        let mut paces = Paces {
            address: pace(9, 1, 60),
            known: Some(pace(3, 1, 5)),
            name: Some(pace(30, 1, 0)),
            ..Paces::default()
        };
        assert_eq!(paces.admit(NOW), admission(5, false));
        assert_eq!(paces.admit(NOW), admission(13, false));
        assert_eq!(paces.admit(NOW), Admission::TooMany, "now the address counts");
        paces.address.slot = 0;
        assert_eq!(paces.admit(NOW), admission(0, true), "and the account");
    }

    #[test]
    fn a_failure_counts_for_every_key() {
        let mut paces = Paces {
            address: pace(1, 1, 0),
            network: pace(5, 3_600, 0),
            name: Some(Pace::default()),
            known: Some(Pace::default()),
        };
        paces.failed(NOW);
        let counts = [
            paces.address,
            paces.network,
            paces.name.unwrap(),
            paces.known.unwrap(),
        ];
        assert_eq!(
            counts.map(|pace| (pace.failures, pace.failed_at)),
            [(2, NOW), (1, NOW), (1, NOW), (1, NOW)]
        );
    }

    #[test]
    fn octets_come_back_evenly_over_a_day() {
        let quarter = share_of_day(250, 1_000).unwrap();
        let mut until = NOW;
        for _ in 0..4 {
            until = spend(until, quarter, NOW).unwrap();
        }
        assert_eq!(spend(until, quarter, NOW), None);
        until = spend(until, quarter, NOW + 1).unwrap();
        assert_eq!(
            spend(until, quarter, NOW + DAY / 4),
            None,
            "the last one went past the limit"
        );
        assert!(spend(until, quarter, NOW + DAY / 4 + 1).is_some());
        assert_eq!(share_of_day(u64::MAX, 1), Some(2 * DAY));
        assert_eq!(
            spend(NOW + DAY - 1, 2 * DAY, NOW),
            Some(NOW + 2 * DAY),
            "a day of waiting at most"
        );
        assert_eq!(share_of_day(1, u64::MAX), Some(1), "nothing is free");
        assert_eq!(share_of_day(1, 0), None);
    }

    #[test]
    fn networks_are_32_and_24_or_64_and_48() {
        let text = |ip: &str| {
            let (address, network) = networks(ip.parse().unwrap());
            format!("{address} {network}")
        };
        assert_eq!(text("192.0.2.7"), "192.0.2.7 192.0.2.0");
        assert_eq!(text("::ffff:192.0.2.7"), "192.0.2.7 192.0.2.0");
        assert_eq!(text("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2:: 2001:db8:1::");
    }
}
