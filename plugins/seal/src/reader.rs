//! A range of a blob being read.

use std::cell::RefCell;

use crate::envelope::Envelope;
use crate::exports::restante::storage::blobs;
use crate::header::HEADER;
use crate::restante::storage::inner;
use crate::restante::storage::types::Error;

/// Most octets that are read at once.
const PIECE: usize = 256 * 1024;

pub struct Reader {
    envelope: Envelope,
    /// The frames that the range touches; none for an empty range.
    beneath: Option<inner::Reader>,
    end: u64,
    state: RefCell<State>,
}

struct State {
    /// Where the next octet of the plain text is.
    next: u64,
    /// What has come of the frame that `next` is in. It stays when a read fails, so that the next one goes on.
    sealed: Vec<u8>,
    /// What is opened and not read yet.
    plain: Vec<u8>,
}

impl Reader {
    pub fn open(envelope: Envelope, start: u64, end: u64) -> Result<Self, Error> {
        let beneath = match start == end {
            true => None,
            false => Some(inner::get(
                envelope.name(),
                envelope.sealed_start_of(envelope.frame_of(start)),
                envelope.sealed_start_of(envelope.frame_of(end - 1) + 1),
            )?),
        };
        Ok(Self {
            envelope,
            beneath,
            end,
            state: RefCell::new(State {
                next: start,
                sealed: Vec::new(),
                plain: Vec::new(),
            }),
        })
    }

    /// Opens the frame that the next octet is in, and keeps what the range wants of it.
    fn open_frame(&self, beneath: &inner::Reader, state: &mut State) -> Result<(), Error> {
        let frame = self.envelope.frame_of(state.next);
        fill(beneath, &mut state.sealed, self.envelope.sealed_len_of(frame))?;
        self.envelope.unseal(frame, &mut state.sealed)?;

        let mut plain = std::mem::take(&mut state.sealed);
        let start = self.envelope.start_of(frame);
        plain.truncate((self.end - start).min(plain.len() as u64) as usize);
        plain.drain(..(state.next - start) as usize);
        state.plain = plain;
        Ok(())
    }
}

impl blobs::GuestReader for Reader {
    fn read(&self, max: u32) -> Result<Vec<u8>, Error> {
        let state = &mut *self.state.borrow_mut();
        let Some(beneath) = self.beneath.as_ref().filter(|_| state.next < self.end) else {
            return Ok(Vec::new());
        };
        if state.plain.is_empty() {
            self.open_frame(beneath, state)?;
        }
        let rest = state.plain.split_off(state.plain.len().min(max as usize));
        let octets = std::mem::replace(&mut state.plain, rest);
        state.next += octets.len() as u64;
        Ok(octets)
    }
}

/// The header of a blob. `not-found` if there is no such blob.
pub fn read_header(key: &str) -> Result<[u8; HEADER], Error> {
    let beneath = inner::get(key, 0, HEADER as u64)?;
    let mut header = Vec::new();
    fill(&beneath, &mut header, HEADER)?;
    header
        .try_into()
        .map_err(|_| Error::Damaged("the header has a wrong length".to_owned()))
}

/// Reads until there are `len` octets.
fn fill(beneath: &inner::Reader, octets: &mut Vec<u8>, len: usize) -> Result<(), Error> {
    while octets.len() < len {
        let piece = beneath.read((len - octets.len()).min(PIECE) as u32)?;
        if piece.is_empty() {
            return Err(Error::Damaged("the sealed blob is too short".to_owned()));
        }
        octets.extend(piece);
    }
    Ok(())
}
