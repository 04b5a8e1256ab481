//! Encryption at rest: seals blobs before they reach the storage beneath, with keys that it never sees.
//!
//! # Configuration
//!
//! `{"key": "NAME", "old_keys": ["NAME", ...]}`: names of secrets that the operator grants. New blobs are sealed with
//! `key`; blobs sealed with one of `old_keys` still open. So a key is replaced by naming the new one in `key` and
//! moving the old one into `old_keys`, where it stays as long as a blob needs it. A secret is 32 octets, or 64
//! hexadecimal digits, or base64 of 32 octets (with or without `=`); a newline at the end of the latter two, or after
//! the 32 octets, is left out. Grants: `inner` and each name in `secrets`.
//!
//! # Format
//!
//! A blob is a header of 100 octets and frames; numbers are big-endian:
//!
//! | octets | what                                                                              |
//! |-------:|-----------------------------------------------------------------------------------|
//! |      8 | `rstSEAL` and the version, 1                                                      |
//! |      8 | id of the key: the first octets of SHA-256 of `restante seal key id` and the key  |
//! |      4 | octets of a frame's plain text, 65536                                             |
//! |      8 | octets of the plain text                                                          |
//! |     24 | nonce                                                                             |
//! |     48 | data key, sealed by XChaCha20-Poly1305 with the key, bound to all above and the blob's name |
//!
//! Each frame is 64 KiB of plain text (the last one may be less) sealed by ChaCha20-Poly1305, which adds 16 octets,
//! with the data key. The nonce is the frame's number: a data key is random and seals one blob only. What is bound
//! to it is the frame's number, whether it is the last one, and the blob's name. So a blob that was changed, cut,
//! put under another name or whose frames changed places is `damaged`, and a range needs only the frames it touches.
//!
//! # Limits
//!
//! Lengths, names and times of blobs are not hidden. An older blob cannot be told from a newer one under the same
//! name, but the host never uses a name twice. Old blobs are not sealed anew when the key changes. Each `get` asks the
//! storage beneath twice: for the header and for the frames. Start at [`Seal`].

mod config;
mod envelope;
mod header;
mod key;
mod reader;
mod ring;
mod secret;
mod writer;

wit_bindgen::generate!({
    path: "../../crates/restante-plugin/wit",
    world: "blob-store",
});

use std::cell::RefCell;
use std::rc::Rc;

use exports::restante::storage::{blobs, lifecycle};
use restante::storage::types::Error;
use restante::storage::{inner, random, secrets};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::envelope::{Envelope, RANDOM};
use crate::header::HEADER;
use crate::reader::Reader;
use crate::ring::Ring;
use crate::writer::Writer;

struct Seal;

export!(Seal);

thread_local! {
    /// The keys, from the configuration: every instance is configured before it is used.
    static RING: RefCell<Option<Rc<Ring>>> = const { RefCell::new(None) };
}

fn ring() -> Result<Rc<Ring>, Error> {
    RING.with_borrow(Clone::clone)
        .ok_or_else(|| Error::Invalid("the plugin was not configured".to_owned()))
}

/// An envelope for a new blob, and its header.
fn fresh_envelope(key: &str, octets: u64) -> Result<(Envelope, [u8; HEADER]), Error> {
    let random = Zeroizing::new(random::octets(RANDOM as u32));
    Envelope::fresh(&ring()?.newest, key, octets, &random)
}

impl lifecycle::Guest for Seal {
    fn configure(config: String) -> Result<(), Error> {
        let config = Config::parse(&config)?;
        let ring = Ring::load(&config, secrets::get)?;
        RING.set(Some(Rc::new(ring)));
        Ok(())
    }

    fn health() -> Result<(), Error> {
        const NAME: &str = "00000000000000000000000000000000";
        const PROBE: &[u8] = b"probe";

        let (envelope, header) = fresh_envelope(NAME, PROBE.len() as u64)?;
        let mut frame = PROBE.to_vec();
        envelope.seal(0, &mut frame)?;
        Envelope::open(&*ring()?, NAME, &header)?.unseal(0, &mut frame)?;
        match frame == PROBE {
            true => Ok(()),
            false => Err(Error::Damaged("the probe is not what was sealed".to_owned())),
        }
    }
}

impl blobs::Guest for Seal {
    type Reader = Reader;
    type Writer = Writer;

    fn put(key: String, octets: u64) -> Result<blobs::Writer, Error> {
        let (envelope, header) = fresh_envelope(&key, octets)?;
        let beneath = inner::put(&key, envelope.sealed_octets())?;
        beneath.write(&header)?;
        Ok(blobs::Writer::new(Writer::new(envelope, beneath)))
    }

    fn get(key: String, start: u64, end: u64) -> Result<blobs::Reader, Error> {
        let header = reader::read_header(&key)?;
        let envelope = Envelope::open(&*ring()?, &key, &header)?;
        if start > end || end > envelope.octets() {
            return Err(Error::Damaged("the range lies outside of the blob".to_owned()));
        }
        Ok(blobs::Reader::new(Reader::open(envelope, start, end)?))
    }

    fn delete(key: String) -> Result<(), Error> {
        inner::delete(&key)
    }

    fn list(after: Option<String>, limit: u32) -> Result<Vec<String>, Error> {
        inner::list(after.as_deref(), limit)
    }
}
