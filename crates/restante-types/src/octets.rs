//! Sizes.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// A number of octets. 64 bits everywhere, so a maildrop of more than 4 GiB is counted right.
///
/// Sums saturate at `u64::MAX`: no real maildrop comes near, and a hostile size cannot wrap to a small one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Octets(pub u64);

impl Octets {
    /// No octets.
    pub const ZERO: Self = Self(0);

    /// The length of something in memory.
    pub fn of(slice: &[u8]) -> Self {
        Self(slice.len() as u64)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// What remains after `taken`, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, taken: Self) -> Self {
        Self(self.0.saturating_sub(taken.0))
    }
}

impl Add for Octets {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Octets {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Octets {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

impl Sum for Octets {
    fn sum<I: Iterator<Item = Self>>(octets: I) -> Self {
        octets.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_pass_4_gib_and_stop_at_the_top() {
        let gib = Octets(1 << 30);
        assert_eq!([gib; 5].into_iter().sum::<Octets>(), Octets(5 << 30));
        assert_eq!(Octets(u64::MAX) + Octets(1), Octets(u64::MAX));
    }
}
