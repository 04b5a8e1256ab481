//! Which messages are in the mailbox.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::calls::{Calls, Found, Got, result_of};
use crate::client::Client;
use crate::config::Canonical;
use crate::exports::restante::storage::maildrops::Entry;
use crate::mailbox;
use crate::measure::{self, Budget};
use crate::name;
use crate::refusal::Intent;
use crate::restante::storage::types::Error;

/// An email, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Email {
    pub id: String,
    pub blob_id: String,
    /// Octets of the blob.
    pub size: u64,
}

/// What [`Email`] is made of.
pub const PROPERTIES: [&str; 3] = ["id", "blobId", "size"];

/// At most `limit` messages that follow `after`.
pub fn list(client: &Client, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Error> {
    let mut mailbox = mailbox::shown(client)?;
    // Of a mailbox that is not there any more some servers answer that it is empty, and then the maildrop would seem
    // to be. So each request asks for the mailbox too.
    for _ in 0..2 {
        match page(client, &mailbox, after, limit)? {
            Page::Emails(emails) => return entries(client, emails),
            Page::OtherMailbox(other) => {
                client.instance.keep_mailbox(&client.account, &other);
                mailbox = other;
            }
        }
    }
    Err(Error::Unavailable("the mailbox is being replaced".to_owned()))
}

/// An email as an entry; measured if the server's sizes are not trusted.
pub fn entry(client: &Client, email: &Email) -> Result<Entry, Error> {
    let octets = match client.instance.config.canonical {
        Canonical::Trust => email.size,
        Canonical::Measure => measure::octets(client, email)?,
    };
    let id = name::entry_id(&email.id, &email.blob_id);
    Ok(Entry {
        id: id.ok_or_else(|| Error::Damaged("the JMAP server's id of an email is none".to_owned()))?,
        unique_id: name::unique_id(&email.id),
        octets,
    })
}

enum Page {
    Emails(Vec<Email>),
    OtherMailbox(String),
}

fn page(client: &Client, mailbox: &str, after: Option<&str>, limit: u32) -> Result<Page, Error> {
    let limit = client.session.max_get().min(limit as usize);
    let mut query = json!({
        "accountId": client.account,
        "filter": {"inMailbox": mailbox},
        "sort": [{"property": "receivedAt", "isAscending": true}],
        "limit": limit,
    });
    if let Some(after) = after {
        let (email, _) = name::parts(after);
        query["anchor"] = json!(email);
        query["anchorOffset"] = json!(1);
    }
    let mut calls = Calls::default();
    let role = mailbox::ask(client, &mut calls, &client.instance.config.mailbox_role);
    let found = calls.push("Email/query", &query);
    let got = calls.push(
        "Email/get",
        &json!({
            "accountId": client.account,
            "#ids": result_of(found, "Email/query", "/ids"),
            "properties": PROPERTIES,
        }),
    );
    let answers = client.call(calls, Intent::Read)?;
    let now = mailbox::answer(&answers, role)?.ok_or(Error::NotFound)?;
    if now != mailbox {
        return Ok(Page::OtherMailbox(now));
    }
    let ids = answers.read::<Found>(found, Intent::Read)?.ids;
    let got = answers.read::<Got<Email>>(got, Intent::Read)?.list;

    // `/get` answers in any order.
    let mut by_id: HashMap<String, Email> = got.into_iter().map(|email| (email.id.clone(), email)).collect();
    let emails: Vec<Email> = ids.iter().filter_map(|id| by_id.remove(id)).collect();
    if emails.is_empty() && !ids.is_empty() {
        // All were removed in between; no entries would mean that none follow.
        return Err(Error::Unavailable(
            "the mailbox changed while it was listed".to_owned(),
        ));
    }
    Ok(Page::Emails(emails))
}

fn entries(client: &Client, emails: Vec<Email>) -> Result<Vec<Entry>, Error> {
    let budget = Budget::new();
    let mut entries = Vec::with_capacity(emails.len());
    for email in &emails {
        // A short page is fine; a call that takes too long is none.
        if !entries.is_empty() && budget.is_spent() {
            break;
        }
        match entry(client, email) {
            Ok(entry) => entries.push(entry),
            // Removed while it was measured.
            Err(Error::NotFound) => {}
            // What was measured so far is kept: the next page begins here.
            Err(_) if !entries.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    if entries.is_empty() && !emails.is_empty() {
        return Err(Error::Unavailable(
            "the mailbox changed while it was listed".to_owned(),
        ));
    }
    Ok(entries)
}
