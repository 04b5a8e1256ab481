//! Does what its configuration says a plugin must never do: for the tests of the host.
//!
//! `{"misdeed": "spin"}` chooses; without one it is honest. Blobs are one value each in the host's key-value store.

wit_bindgen::generate!({
    path: "../../crates/restante-plugin/wit",
    world: "blob-store",
});

use std::cell::{Cell, RefCell};

use exports::restante::storage::{blobs, lifecycle};
use restante::storage::types::Error;
use restante::storage::{clock, key_value, log};

const MIB: usize = 1024 * 1024;

struct Hostile;

export!(Hostile);

thread_local! {
    static MISDEED: RefCell<String> = const { RefCell::new(String::new()) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static HELD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn does(misdeed: &str) -> bool {
    MISDEED.with_borrow(|chosen| chosen == misdeed)
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

#[expect(unconditional_recursion, reason = "that is the misdeed")]
fn recurse(n: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(n + 1))) + 1
}

fn grow() -> ! {
    let mut grabbed = Vec::new();
    loop {
        grabbed.push(vec![1_u8; MIB]);
        std::hint::black_box(&grabbed);
    }
}

/// What happens before a blob is read.
fn misbehave() {
    if does("spin") {
        spin();
    } else if does("trap") {
        panic!("as it was told");
    } else if does("recurse") {
        recurse(0);
    } else if does("grow") {
        grow();
    } else if does("leak") {
        std::mem::forget(std::hint::black_box(vec![1_u8; MIB]));
    } else if does("log-flood") {
        log::write(log::Level::Info, &"\u{1b}[31m\r\n".repeat(MIB / 8));
        for _ in 0..100_000 {
            log::write(log::Level::Info, "again");
        }
    } else if does("call-flood") {
        loop {
            std::hint::black_box(clock::now());
        }
    }
}

impl lifecycle::Guest for Hostile {
    fn configure(config: String) -> Result<(), Error> {
        let config: serde_json::Value =
            serde_json::from_str(&config).map_err(|error| Error::Invalid(error.to_string()))?;
        let misdeed = config["misdeed"].as_str().unwrap_or_default().to_owned();
        MISDEED.set(misdeed);
        if does("spin-configure") {
            spin();
        }
        Ok(())
    }

    fn health() -> Result<(), Error> {
        match does("unhealthy") {
            true => Err(Error::Unavailable("not well".to_owned())),
            false => Ok(()),
        }
    }
}

struct Writer {
    key: String,
    octets: RefCell<Vec<u8>>,
}

struct Reader {
    rest: RefCell<Vec<u8>>,
}

impl blobs::Guest for Hostile {
    type Reader = Reader;
    type Writer = Writer;

    fn put(key: String, _octets: u64) -> Result<blobs::Writer, Error> {
        Ok(blobs::Writer::new(Writer {
            key,
            octets: RefCell::default(),
        }))
    }

    fn get(key: String, start: u64, end: u64) -> Result<blobs::Reader, Error> {
        let whole = key_value::get(&key)?.ok_or(Error::NotFound)?;
        misbehave();
        let outside = || Error::Damaged("outside".to_owned());
        let mut part = whole.get(start as usize..end as usize).ok_or_else(outside)?.to_vec();
        if does("short") {
            part.pop();
        } else if does("long") {
            part.push(b'!');
        } else if does("wrong") {
            part.fill(b'!');
        }
        Ok(blobs::Reader::new(Reader {
            rest: RefCell::new(part),
        }))
    }

    fn delete(key: String) -> Result<(), Error> {
        if does("count") {
            let n = CALLS.get() + 1;
            CALLS.set(n);
            // A mebibyte that stays.
            HELD.with_borrow_mut(|held| held.resize(MIB, 1));
            return Err(Error::Denied(format!("call {n}")));
        }
        if does("error-flood") {
            return Err(Error::Unavailable("\u{1b}[31m\r\n".repeat(MIB / 8)));
        }
        key_value::delete(&key)
    }

    fn list(_after: Option<String>, _limit: u32) -> Result<Vec<String>, Error> {
        if does("endless-list") {
            return Ok((1..=2).map(|n| format!("{n:032x}")).collect());
        } else if does("bad-list") {
            return Ok(vec!["../../etc/passwd".to_owned()]);
        }
        Err(Error::Unsupported)
    }
}

impl blobs::GuestWriter for Writer {
    fn write(&self, octets: Vec<u8>) -> Result<(), Error> {
        self.octets.borrow_mut().extend(octets);
        Ok(())
    }

    fn finish(this: blobs::Writer) -> Result<(), Error> {
        let writer: &Self = this.get();
        match key_value::compare_and_set(&writer.key, None, &writer.octets.borrow())? {
            true => Ok(()),
            false => Err(Error::Conflict),
        }
    }
}

impl blobs::GuestReader for Reader {
    fn read(&self, max: u32) -> Result<Vec<u8>, Error> {
        if does("endless") {
            return Ok(vec![b'!'; max as usize]);
        } else if does("big-piece") {
            return Ok(vec![b'!'; max as usize + 1]);
        }
        let mut rest = self.rest.borrow_mut();
        let n = rest.len().min(max as usize);
        Ok(rest.drain(..n).collect())
    }
}
