//! What makes parts a message.

use crate::exports::restante::storage::maildrops::Entry;
use crate::restante::storage::types::Error;
use crate::restante::storage::{key_value, random};

/// Octets of a part; the last one of a message may be smaller. The largest value that the host keeps.
pub const PART: usize = 256 * 1024;
/// Octets of a record: number, octets of the message, name.
pub const RECORD: usize = 8 + 8 + 16;

/// Which message it is, how long it is, and under which name its parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counts the arrivals of an account, from 1. 0 has not arrived yet.
    pub number: u64,
    pub octets: u64,
    /// Random, so nobody else's: the parts are found by it, and clients know the message by it.
    pub name: [u8; 16],
}

impl Record {
    /// The record of a message whose parts nobody else's are mixed up with.
    pub fn fresh(octets: u64) -> Self {
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(random::octets(16)) {
            *to = from;
        }
        Self {
            number: 0,
            octets,
            name,
        }
    }

    pub fn parse(record: &[u8]) -> Option<Self> {
        let (number, record) = record.split_first_chunk()?;
        let (octets, name) = record.split_first_chunk()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            octets: u64::from_be_bytes(*octets),
            name: name.try_into().ok()?,
        })
    }

    pub fn write_to(&self, value: &mut Vec<u8>) {
        value.extend(self.number.to_be_bytes());
        value.extend(self.octets.to_be_bytes());
        value.extend(self.name);
    }

    /// The number in digits that sort as it does.
    pub fn id(&self) -> String {
        format!("{:016x}", self.number)
    }

    pub fn entry(&self) -> Entry {
        Entry {
            id: self.id(),
            unique_id: self.unique_id(),
            octets: self.octets,
        }
    }

    pub fn part(&self, index: u64) -> String {
        format!("part/{}/{index:08x}", self.unique_id())
    }

    pub fn delete_parts(&self) -> Result<(), Error> {
        let n_parts = self.octets.div_ceil(PART as u64);
        (0..n_parts).try_for_each(|index| key_value::delete(&self.part(index)))
    }

    fn unique_id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.name))
    }
}
