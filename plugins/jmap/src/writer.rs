//! A message being appended: it is collected, uploaded, and then made an email of the mailbox.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::calls::{Answers, Calls, Got};
use crate::client::Client;
use crate::date::utc;
use crate::exports::restante::storage::maildrops::{self, Entry};
use crate::listing::{Email, PROPERTIES, entry};
use crate::mailbox;
use crate::refusal::{Intent, Refusal};
use crate::restante::storage::clock;
use crate::restante::storage::types::Error;

/// What the new email is called within a request.
const NEW: &str = "new";

pub struct Writer {
    /// The account's name.
    account: String,
    octets: u64,
    came: RefCell<Vec<u8>>,
}

impl Writer {
    pub fn begin(account: String, octets: u64) -> Result<Self, Error> {
        let client = Client::of(&account)?;
        let most = client.session.max_upload();
        if octets > most {
            return Err(Error::Invalid(format!(
                "a message of {octets} octets cannot be uploaded, {most} at most"
            )));
        }
        Ok(Self {
            account,
            octets,
            // At once: a buffer that grows needs its octets twice.
            came: RefCell::new(Vec::with_capacity(usize::try_from(octets).unwrap_or_default())),
        })
    }
}

impl maildrops::GuestWriter for Writer {
    fn write(&self, octets: Vec<u8>) -> Result<(), Error> {
        let mut came = self.came.borrow_mut();
        if (came.len() + octets.len()) as u64 > self.octets {
            return Err(Error::Invalid("more octets than were announced".to_owned()));
        }
        came.extend(octets);
        Ok(())
    }

    fn finish(this: maildrops::Writer) -> Result<Entry, Error> {
        let writer: &Self = this.get();
        let octets = writer.came.take();
        if octets.len() as u64 != writer.octets {
            return Err(Error::Invalid("fewer octets than were announced".to_owned()));
        }
        let client = Client::of(&writer.account)?;
        let mailbox = mailbox::shown(&client)?;
        let blob = client.upload(octets)?;
        let email = import(&client, &mailbox, &blob)?;
        // It is there: what fails from here on does not take it back.
        entry(&client, &email).map_err(|error| Error::Unknown(format!("delivered, then: {error}")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    created: Option<BTreeMap<String, Email>>,
    not_created: Option<BTreeMap<String, Refusal>>,
}

fn import(client: &Client, mailbox: &str, blob: &str) -> Result<Email, Error> {
    // Else the server takes what the message says of itself, and a new message might not come last.
    let received_at = utc(clock::now());
    let mut calls = Calls::default();
    let nth = calls.push(
        "Email/import",
        &json!({
            "accountId": client.account,
            "emails": {NEW: {"blobId": blob, "mailboxIds": {mailbox: true}, "receivedAt": received_at}},
        }),
    );
    let answers: Answers = client.call(calls, Intent::Write)?;
    let imported: Imported = answers.read(nth, Intent::Write)?;
    if let Some(email) = imported.created.unwrap_or_default().remove(NEW) {
        return Ok(email);
    }
    match imported.not_created.unwrap_or_default().remove(NEW) {
        Some(Refusal {
            existing: Some(email),
            ..
        }) => show_again(client, mailbox, &email),
        Some(refusal) => Err(refusal.into()),
        None => Err(Error::Unknown(
            "the JMAP server does not say what became of a message".to_owned(),
        )),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Updated {
    not_updated: Option<BTreeMap<String, Refusal>>,
}

/// The account has the very message already, perhaps from an attempt whose answer was lost: it is put into the
/// mailbox.
fn show_again(client: &Client, mailbox: &str, email: &str) -> Result<Email, Error> {
    let mut calls = Calls::default();
    let set = calls.push(
        "Email/set",
        &json!({"accountId": client.account, "update": {email: {mailbox::path(mailbox): true}}}),
    );
    let get = calls.push(
        "Email/get",
        &json!({"accountId": client.account, "ids": [email], "properties": PROPERTIES}),
    );
    let answers = client.call(calls, Intent::Write)?;
    let updated: Updated = answers.read(set, Intent::Write)?;
    if let Some((_, refusal)) = updated.not_updated.unwrap_or_default().pop_first() {
        return Err(refusal.into());
    }
    let found = answers.read::<Got<Email>>(get, Intent::Write)?.list.pop();
    found.ok_or_else(|| Error::Unknown("the message is gone again".to_owned()))
}
