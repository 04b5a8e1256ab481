//! Blobs in the host's key-value store: the reference of the world `blob-store`.
//!
//! An instance may be dropped between any two calls, so nothing that must last is kept in its memory. A blob is a
//! record and parts: the parts are written first, under a name that is used once; the record, written last, is what
//! makes them a blob. So a blob is there whole or not at all. Start at [`Memory`].

mod reader;
mod record;
mod writer;

wit_bindgen::generate!({
    path: "../../crates/restante-plugin/wit",
    world: "blob-store",
});

use exports::restante::storage::{blobs, lifecycle};
use restante::storage::key_value;
use restante::storage::types::Error;

use crate::reader::Reader;
use crate::record::{RECORDS, Record};
use crate::writer::Writer;

struct Memory;

export!(Memory);

impl lifecycle::Guest for Memory {
    fn configure(_config: String) -> Result<(), Error> {
        Ok(())
    }

    fn health() -> Result<(), Error> {
        key_value::get("health").map(|_| ())
    }
}

impl blobs::Guest for Memory {
    type Reader = Reader;
    type Writer = Writer;

    fn put(key: String, octets: u64) -> Result<blobs::Writer, Error> {
        // Found out early where that is possible; `finish` finds out in any case.
        if Record::find(&key)?.is_some() {
            return Err(Error::Conflict);
        }
        Ok(blobs::Writer::new(Writer::new(key, octets)))
    }

    fn get(key: String, start: u64, end: u64) -> Result<blobs::Reader, Error> {
        let record = Record::find(&key)?.ok_or(Error::NotFound)?;
        if start > end || end > record.octets {
            return Err(Error::Damaged("the range lies outside of the blob".to_owned()));
        }
        Ok(blobs::Reader::new(Reader::new(record, start, end)))
    }

    fn delete(key: String) -> Result<(), Error> {
        let Some(record) = Record::find(&key)? else {
            return Ok(());
        };
        // Without its record nobody finds the blob any more, even if the rest of this fails.
        key_value::delete(&Record::name(&key))?;
        record.delete_parts()
    }

    fn list(after: Option<String>, limit: u32) -> Result<Vec<String>, Error> {
        let after = after.map(|key| Record::name(&key));
        let names = key_value::keys(RECORDS, after.as_deref(), limit)?;
        Ok(names
            .iter()
            .filter_map(|name| name.strip_prefix(RECORDS))
            .map(str::to_owned)
            .collect())
    }
}
