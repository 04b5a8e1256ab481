//! The mailbox that is shown, found by its role: its id may change, what it is for does not.

use serde_json::{Value, json};

use crate::calls::{Answers, Calls, Found};
use crate::client::Client;
use crate::refusal::Intent;
use crate::restante::storage::types::Error;

/// A call that asks which mailbox has a role.
pub fn ask(client: &Client, calls: &mut Calls, role: &str) -> usize {
    calls.push("Mailbox/query", &arguments(&client.account, role))
}

/// What that call answered. A server that knows no roles would answer with every mailbox.
pub fn answer(answers: &Answers, nth: usize) -> Result<Option<String>, Error> {
    let mut ids = answers.read::<Found>(nth, Intent::Read)?.ids.into_iter();
    match (ids.next(), ids.next()) {
        (id, None) => Ok(id),
        _ => Err(Error::Invalid(
            "the JMAP account has several mailboxes of the role".to_owned(),
        )),
    }
}

/// The mailbox that is shown.
pub fn shown(client: &Client) -> Result<String, Error> {
    if let Some(mailbox) = client.instance.mailbox(&client.account) {
        return Ok(mailbox);
    }
    let mut calls = Calls::default();
    let nth = ask(client, &mut calls, &client.instance.config.mailbox_role);
    let answers = client.call(calls, Intent::Read)?;
    let mailbox = answer(&answers, nth)?.ok_or(Error::NotFound)?;
    client.instance.keep_mailbox(&client.account, &mailbox);
    Ok(mailbox)
}

/// Whether an email is in the mailbox, as a path of a patch (RFC 8620 section 5.3).
pub fn path(mailbox: &str) -> String {
    format!("mailboxIds/{}", mailbox.replace('~', "~0").replace('/', "~1"))
}

fn arguments(account: &str, role: &str) -> Value {
    json!({"accountId": account, "filter": {"role": role}})
}
