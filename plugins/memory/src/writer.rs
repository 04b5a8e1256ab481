//! A blob being written.

use std::cell::RefCell;

use crate::exports::restante::storage::blobs;
use crate::record::{PART, Record};
use crate::restante::storage::key_value;
use crate::restante::storage::types::Error;

pub struct Writer {
    key: String,
    record: Record,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What has come and is not a part yet.
    waiting: Vec<u8>,
    n_parts: u64,
    is_saved: bool,
}

impl Writer {
    pub fn new(key: String, octets: u64) -> Self {
        Self {
            key,
            record: Record::fresh(octets),
            state: RefCell::default(),
        }
    }

    fn save_part(&self, state: &mut State, part: &[u8]) -> Result<(), Error> {
        key_value::set(&self.record.part(state.n_parts), part)?;
        state.n_parts += 1;
        Ok(())
    }
}

impl blobs::GuestWriter for Writer {
    fn write(&self, octets: Vec<u8>) -> Result<(), Error> {
        let state = &mut *self.state.borrow_mut();
        state.waiting.extend(octets);
        while state.waiting.len() >= PART {
            let rest = state.waiting.split_off(PART);
            let part = std::mem::replace(&mut state.waiting, rest);
            self.save_part(state, &part)?;
        }
        Ok(())
    }

    fn finish(this: blobs::Writer) -> Result<(), Error> {
        let writer: &Self = this.get();
        let state = &mut *writer.state.borrow_mut();
        if !state.waiting.is_empty() {
            let part = std::mem::take(&mut state.waiting);
            writer.save_part(state, &part)?;
        }
        match writer.record.save(&writer.key) {
            // What became of it is unknown: then the parts stay, for they may be a blob's.
            Err(error @ Error::Unknown(_)) => {
                state.is_saved = true;
                Err(error)
            }
            answer => {
                state.is_saved = answer.is_ok();
                answer
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if !state.is_saved {
            for index in 0..state.n_parts {
                // Nobody is there to be told; what stays is never found.
                let _ = key_value::delete(&self.record.part(index));
            }
        }
    }
}
