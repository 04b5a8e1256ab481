//! What makes parts a blob.

use crate::restante::storage::types::Error;
use crate::restante::storage::{key_value, random};

/// What the names of records begin with.
pub const RECORDS: &str = "blob/";
/// Octets of a part; the last one of a blob may be smaller. The largest value that the host keeps.
pub const PART: usize = 256 * 1024;

/// How long a blob is, and under which name its parts are.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub octets: u64,
    parts: [u8; 16],
}

impl Record {
    /// The record of a blob whose parts nobody else's are mixed up with.
    pub fn fresh(octets: u64) -> Self {
        let mut parts = [0; 16];
        for (to, from) in parts.iter_mut().zip(random::octets(16)) {
            *to = from;
        }
        Self { octets, parts }
    }

    pub fn name(key: &str) -> String {
        format!("{RECORDS}{key}")
    }

    pub fn find(key: &str) -> Result<Option<Self>, Error> {
        let Some(value) = key_value::get(&Self::name(key))? else {
            return Ok(None);
        };
        let unreadable = || Error::Damaged("the record cannot be read".to_owned());
        let (octets, parts) = value.split_first_chunk().ok_or_else(unreadable)?;
        Ok(Some(Self {
            octets: u64::from_be_bytes(*octets),
            parts: parts.try_into().map_err(|_| unreadable())?,
        }))
    }

    /// Makes the parts the blob `key`, unless there is one.
    pub fn save(&self, key: &str) -> Result<(), Error> {
        let mut value = self.octets.to_be_bytes().to_vec();
        value.extend(self.parts);
        match key_value::compare_and_set(&Self::name(key), None, &value)? {
            true => Ok(()),
            false => Err(Error::Conflict),
        }
    }

    pub fn part(&self, index: u64) -> String {
        format!("part/{:032x}/{index:08x}", u128::from_be_bytes(self.parts))
    }

    pub fn delete_parts(&self) -> Result<(), Error> {
        let n_parts = self.octets.div_ceil(PART as u64);
        (0..n_parts).try_for_each(|index| key_value::delete(&self.part(index)))
    }
}
