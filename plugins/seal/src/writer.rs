//! A blob being written.

use std::cell::RefCell;

use crate::envelope::Envelope;
use crate::exports::restante::storage::blobs;
use crate::restante::storage::inner;
use crate::restante::storage::types::Error;

pub struct Writer {
    envelope: Envelope,
    state: RefCell<State>,
}

struct State {
    /// None once a write failed: dropped, it leaves nothing, so what is not whole is never finished.
    beneath: Option<inner::Writer>,
    /// What has come and is not sealed yet.
    waiting: Vec<u8>,
    /// Octets that have come.
    n_octets: u64,
    /// Frames that are sealed.
    n_frames: u64,
}

impl Writer {
    /// The header is written already.
    pub fn new(envelope: Envelope, beneath: inner::Writer) -> Self {
        Self {
            envelope,
            state: RefCell::new(State {
                beneath: Some(beneath),
                waiting: Vec::new(),
                n_octets: 0,
                n_frames: 0,
            }),
        }
    }

    /// Seals every frame that is complete.
    fn seal(&self, beneath: &inner::Writer, state: &mut State) -> Result<(), Error> {
        while state.n_frames < self.envelope.n_frames() {
            let len = self.envelope.len_of(state.n_frames);
            if state.waiting.len() < len {
                break;
            }
            let rest = state.waiting.split_off(len);
            let mut frame = std::mem::replace(&mut state.waiting, rest);
            self.envelope.seal(state.n_frames, &mut frame)?;
            beneath.write(&frame)?;
            state.n_frames += 1;
        }
        Ok(())
    }
}

impl blobs::GuestWriter for Writer {
    fn write(&self, octets: Vec<u8>) -> Result<(), Error> {
        let state = &mut *self.state.borrow_mut();
        let beneath = state.beneath.take().ok_or_else(given_up)?;
        state.n_octets += octets.len() as u64;
        if state.n_octets > self.envelope.octets() {
            return Err(Error::Invalid("more octets came than were announced".to_owned()));
        }
        state.waiting.extend(octets);
        self.seal(&beneath, state)?;
        state.beneath = Some(beneath);
        Ok(())
    }

    fn finish(this: blobs::Writer) -> Result<(), Error> {
        let Self { envelope, state } = this.into_inner();
        let state = state.into_inner();
        let beneath = state.beneath.ok_or_else(given_up)?;
        if state.n_octets < envelope.octets() {
            return Err(Error::Invalid("fewer octets came than were announced".to_owned()));
        }
        inner::Writer::finish(beneath)
    }
}

fn given_up() -> Error {
    Error::Invalid("the blob was given up when a write failed".to_owned())
}
