//! A message being read.

use std::cell::Cell;

use crate::exports::restante::storage::maildrops;
use crate::record::{PART, Record};
use crate::restante::storage::key_value;
use crate::restante::storage::types::Error;

pub struct Reader {
    record: Record,
    next: Cell<u64>,
    end: u64,
}

impl Reader {
    /// Reads up to `end`.
    pub fn new(record: Record, end: u64) -> Self {
        Self {
            record,
            next: Cell::new(0),
            end,
        }
    }
}

impl maildrops::GuestReader for Reader {
    fn read(&self, max: u32) -> Result<Vec<u8>, Error> {
        let next = self.next.get();
        if next == self.end {
            return Ok(Vec::new());
        }
        let part_start = next - next % PART as u64;
        let name = self.record.part(part_start / PART as u64);
        let mut part = key_value::get(&name)?.ok_or_else(|| Error::Damaged("a part is gone".to_owned()))?;

        let end = self.end.min(next + u64::from(max)).min(part_start + PART as u64);
        let from = (next - part_start) as usize;
        let to = (end - part_start) as usize;
        if to > part.len() {
            return Err(Error::Damaged("a part is too short".to_owned()));
        }
        part.truncate(to);
        part.drain(..from);
        self.next.set(end);
        Ok(part)
    }
}
