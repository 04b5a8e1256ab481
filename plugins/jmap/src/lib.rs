//! A mailbox of a JMAP account (RFC 8620, RFC 8621) as a maildrop: the reference of the world `maildrop`.
//!
//! ```toml
//! # What the operator writes as `config` of the storage; only `session_url` and a credential are required.
//! session_url = "https://jmap.example/.well-known/jmap"
//! token = "jmap-token"                       # name of a secret: a token for all accounts (RFC 6750)
//! # user = "{account}%master"                # or: a name and the name of a secret, for HTTP Basic (RFC 7617)
//! # password = "jmap-password"
//! mailbox_role = "inbox"
//! delete = "destroy"                         # or "trash"
//! canonical = "trust"                        # or "measure"
//! accounts = { "old@example.org" = "u1a2b" } # JMAP ids of accounts that bear another name there
//! ```
//!
//! It needs the grants `http` (each host that the session resource names), `secrets` and `key-value`.
//!
//! - **Accounts.** One credential of the provider opens all of them; the JMAP account is the one whose `name` is the
//!   account's. With `{account}` in `user` the server is asked in that account's name, and its primary account for
//!   mail will do.
//! - **DELE.** `destroy` means what POP3 says: the message is gone. One that is in other mailboxes too is only taken
//!   out of this one. `trash` moves it to the mailbox of that role. What another client moved elsewhere while the
//!   session lasted is left alone.
//! - **Sizes.** POP3 counts every line end as CRLF. `trust` takes the server's `size`: right for servers that keep
//!   messages with CRLF, and where it is wrong the host refuses the message. `measure` is for the others: it
//!   downloads each message once, when it is listed first, and keeps its size among the key-values.
//! - **Order.** By `receivedAt`, then as the server breaks ties, which RFC 8620 section 5.5 wants to be stable.
//!
//! An instance may be dropped between any two calls: it keeps the session resource and the mailbox's id only to save
//! requests. Start at [`Jmap`].

mod address;
mod calls;
mod client;
mod config;
mod date;
mod instance;
mod lines;
mod listing;
mod mailbox;
mod measure;
mod name;
mod reader;
mod refusal;
mod removal;
mod session;
mod writer;

wit_bindgen::generate!({
    path: "../../crates/restante-plugin/wit",
    world: "maildrop",
});

use exports::restante::storage::lifecycle;
use exports::restante::storage::maildrops::{self, Account, Entry, Fence};
use restante::storage::types::Error;

use crate::client::Client;
use crate::config::Config;
use crate::instance::Instance;
use crate::reader::Reader;
use crate::writer::Writer;

struct Jmap;

export!(Jmap);

impl lifecycle::Guest for Jmap {
    fn configure(config: String) -> Result<(), Error> {
        Instance::set(Config::parse(&config).map_err(Error::Invalid)?);
        Ok(())
    }

    fn health() -> Result<(), Error> {
        client::check(&*Instance::get()?)
    }
}

impl maildrops::Guest for Jmap {
    type Reader = Reader;
    type Writer = Writer;

    fn list(account: Account, after: Option<String>, limit: u32) -> Result<Vec<Entry>, Error> {
        listing::list(&Client::of(&account.name)?, after.as_deref(), limit)
    }

    fn open(account: Account, id: String, octets: Option<u64>) -> Result<maildrops::Reader, Error> {
        Reader::open(&Client::of(&account.name)?, &id, octets).map(maildrops::Reader::new)
    }

    // JMAP compares no tokens: `remove` touches what is in the mailbox still, and nothing twice.
    fn remove(account: Account, _fence: Fence, ids: Vec<String>) -> Result<(), Error> {
        removal::remove(&Client::of(&account.name)?, &ids)
    }

    fn append(account: Account, octets: u64) -> Result<maildrops::Writer, Error> {
        Writer::begin(account.name, octets).map(maildrops::Writer::new)
    }
}
