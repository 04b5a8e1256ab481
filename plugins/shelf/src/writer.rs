//! A message being appended.

use std::cell::RefCell;

use crate::catalogue::Catalogue;
use crate::exports::restante::storage::maildrops;
use crate::exports::restante::storage::maildrops::Entry;
use crate::record::{PART, Record};
use crate::restante::storage::key_value;
use crate::restante::storage::types::Error;

pub struct Writer {
    account: u64,
    record: Record,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What has come and is not a part yet.
    waiting: Vec<u8>,
    n_octets: u64,
    n_parts: u64,
    is_saved: bool,
}

impl Writer {
    pub fn new(account: u64, octets: u64) -> Self {
        Self {
            account,
            record: Record::fresh(octets),
            state: RefCell::default(),
        }
    }

    fn save_part(&self, state: &mut State, part: &[u8]) -> Result<(), Error> {
        // Counted first: what became of a part that fails is not always known, and `drop` deletes it too.
        let name = self.record.part(state.n_parts);
        state.n_parts += 1;
        key_value::set(&name, part)?;
        state.n_octets += part.len() as u64;
        Ok(())
    }
}

impl maildrops::GuestWriter for Writer {
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

    fn finish(this: maildrops::Writer) -> Result<Entry, Error> {
        let writer: &Self = this.get();
        let state = &mut *writer.state.borrow_mut();
        if !state.waiting.is_empty() {
            let part = std::mem::take(&mut state.waiting);
            writer.save_part(state, &part)?;
        }
        if state.n_octets != writer.record.octets {
            return Err(Error::Invalid(
                "the message is not as long as announced".to_owned(),
            ));
        }
        let saved = Catalogue::change(writer.account, |catalogue| catalogue.append(&writer.record));
        // Where it is unknown whether the message is there, its parts stay.
        state.is_saved = matches!(saved, Ok(_) | Err(Error::Unknown(_)));
        saved
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
