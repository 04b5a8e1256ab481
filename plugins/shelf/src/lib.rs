//! A maildrop in the host's key-value store: the reference of the world `maildrop`.
//!
//! An instance may be dropped between any two calls, so nothing that must last is kept in its memory. A message is
//! parts of at most 256 KiB, under a name that is used once, and a record in the catalogue of its account. The
//! catalogue is one value, changed by compare-and-set: so messages come and go whole, in one order, and a session
//! that a later one has overtaken removes nothing. Parts are written before the record and deleted after it: what a
//! crash leaves behind are parts that nobody finds.
//!
//! # Format
//!
//! | key                     | value                                                                     |
//! |-------------------------|---------------------------------------------------------------------------|
//! | `catalogue/ACCOUNT`     | number of the next message, largest fence token, records (see [`record`]) |
//! | `part/UNIQUE-ID/INDEX`  | octets of a message                                                       |
//!
//! # Limits
//!
//! A catalogue has room for 8191 messages, as a value has 256 KiB; then the maildrop is full. A plugin for more keeps
//! its catalogue elsewhere: in a database, or the mail system that it speaks to. There is nothing to configure; the
//! grant is `key-value`. Start at [`Shelf`].

mod catalogue;
mod reader;
mod record;
mod writer;

wit_bindgen::generate!({
    path: "../../crates/restante-plugin/wit",
    world: "maildrop",
});

use exports::restante::storage::maildrops::{Account, Entry, Fence};
use exports::restante::storage::{lifecycle, maildrops};
use restante::storage::types::Error;
use restante::storage::{key_value, log};

use crate::catalogue::Catalogue;
use crate::reader::Reader;
use crate::record::Record;
use crate::writer::Writer;

struct Shelf;

export!(Shelf);

impl lifecycle::Guest for Shelf {
    fn configure(_config: String) -> Result<(), Error> {
        Ok(())
    }

    fn health() -> Result<(), Error> {
        key_value::get("health").map(|_| ())
    }
}

// Accounts are told apart by their ids alone: their names may change.
impl maildrops::Guest for Shelf {
    type Reader = Reader;
    type Writer = Writer;

    fn list(account: Account, after: Option<String>, limit: u32) -> Result<Vec<Entry>, Error> {
        let catalogue = Catalogue::load(account.id)?;
        let records = catalogue.after(after.as_deref())?;
        Ok(records.iter().take(limit as usize).map(Record::entry).collect())
    }

    fn open(account: Account, id: String, octets: Option<u64>) -> Result<maildrops::Reader, Error> {
        let catalogue = Catalogue::load(account.id)?;
        let record = catalogue.find(&id).ok_or(Error::NotFound)?;
        let end = octets.map_or(record.octets, |octets| octets.min(record.octets));
        Ok(maildrops::Reader::new(Reader::new(record.clone(), end)))
    }

    fn remove(account: Account, fence: Fence, ids: Vec<String>) -> Result<(), Error> {
        let removed = Catalogue::change(account.id, |catalogue| catalogue.remove(fence.token, &ids))?;
        for record in removed {
            // The message is removed already, so this is no error of the call.
            if let Err(error) = record.delete_parts() {
                let id = record.id();
                let line = format!(
                    "account {}: parts of the removed message {id} stay: {error:?}",
                    account.id
                );
                log::write(log::Level::Warn, &line);
            }
        }
        Ok(())
    }

    fn append(account: Account, octets: u64) -> Result<maildrops::Writer, Error> {
        // Found out early where that is possible; `finish` finds out in any case.
        if Catalogue::load(account.id)?.is_full() {
            return Err(Error::Full);
        }
        Ok(maildrops::Writer::new(Writer::new(account.id, octets)))
    }
}
