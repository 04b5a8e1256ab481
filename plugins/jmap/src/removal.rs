//! Removal of messages.
//!
//! First it is seen which of them are in the mailbox still, then those are removed: what another client moved away
//! while the session lasted is not the maildrop's any more. Between the two somebody may move one; that is the
//! smaller evil than a state that must match, which on a busy account never does.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::calls::{Answers, Calls, Got};
use crate::client::Client;
use crate::config::{Canonical, Delete};
use crate::refusal::{Intent, Refusal};
use crate::restante::storage::types::Error;
use crate::{mailbox, measure, name};

const TRASH: &str = "trash";

/// Removes these messages. The same call may come twice.
pub fn remove(client: &Client, ids: &[String]) -> Result<(), Error> {
    let emails: Vec<&str> = ids.iter().map(|id| name::parts(id).0).collect();
    // Everything is looked at before anything is changed: until then an error means that nothing was.
    let mut steps = Vec::new();
    for emails in emails.chunks(client.session.max_get()) {
        look(client, emails, &mut steps)?;
    }
    for (nth, steps) in steps.chunks(client.session.max_set()).enumerate() {
        take(client, steps).map_err(|error| if nth == 0 { error } else { partly(&error) })?;
    }
    if client.instance.config.canonical == Canonical::Measure {
        measure::forget(client, emails);
    }
    Ok(())
}

/// How an email leaves the mailbox.
#[derive(Debug, PartialEq)]
enum Step {
    Destroy(String),
    /// With a change of the mailboxes that it is in.
    Move(String, Value),
}

impl Step {
    fn email(&self) -> &str {
        match self {
            Self::Destroy(email) | Self::Move(email, _) => email,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Email {
    id: String,
    mailbox_ids: BTreeMap<String, bool>,
}

/// Says what is to be done about each of the emails that is in the mailbox.
fn look(client: &Client, emails: &[&str], steps: &mut Vec<Step>) -> Result<(), Error> {
    let config = &client.instance.config;
    let mut calls = Calls::default();
    let shown = mailbox::ask(client, &mut calls, &config.mailbox_role);
    let trash = (config.delete == Delete::Trash).then(|| mailbox::ask(client, &mut calls, TRASH));
    let arguments = json!({"accountId": client.account, "ids": emails, "properties": ["id", "mailboxIds"]});
    let got = calls.push("Email/get", &arguments);

    let answers = client.call(calls, Intent::Read)?;
    let shown = mailbox::answer(&answers, shown)?.ok_or(Error::NotFound)?;
    let trash = match trash {
        None => None,
        Some(nth) => Some(mailbox::answer(&answers, nth)?.ok_or_else(|| {
            Error::Invalid("the JMAP account has no mailbox of the role \"trash\"".to_owned())
        })?),
    };
    let got = answers.read::<Got<Email>>(got, Intent::Read)?.list;
    steps.extend(
        got.into_iter()
            .filter_map(|email| step(email, &shown, trash.as_deref())),
    );
    Ok(())
}

fn step(email: Email, shown: &str, trash: Option<&str>) -> Option<Step> {
    let is_in = |mailbox: &str| email.mailbox_ids.get(mailbox).copied().unwrap_or_default();
    if !is_in(shown) {
        return None;
    }
    let is_elsewhere = email.mailbox_ids.iter().any(|(id, is_in)| *is_in && id != shown);
    match trash {
        Some(trash) => {
            let patch = json!({mailbox::path(shown): null, mailbox::path(trash): true});
            Some(Step::Move(email.id, patch))
        }
        None if is_elsewhere => Some(Step::Move(email.id, json!({mailbox::path(shown): null}))),
        None => Some(Step::Destroy(email.id)),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    destroyed: Option<Vec<String>>,
    updated: Option<BTreeMap<String, Value>>,
    not_destroyed: Option<BTreeMap<String, Refusal>>,
    not_updated: Option<BTreeMap<String, Refusal>>,
}

fn take(client: &Client, steps: &[Step]) -> Result<(), Error> {
    let mut calls = Calls::default();
    let nth = calls.push("Email/set", &arguments(&client.account, steps));
    let answers: Answers = client.call(calls, Intent::Write)?;
    outcome(answers.read(nth, Intent::Write)?, steps)
}

fn arguments(account: &str, steps: &[Step]) -> Value {
    let (mut destroy, mut update) = (Vec::new(), Map::new());
    for step in steps {
        match step {
            Step::Destroy(email) => destroy.push(email),
            Step::Move(email, patch) => drop(update.insert(email.clone(), patch.clone())),
        }
    }
    json!({"accountId": account, "destroy": destroy, "update": update})
}

/// Whether all is done. If only a part is, nobody knows what the maildrop looks like now without asking.
fn outcome(taken: Taken, steps: &[Step]) -> Result<(), Error> {
    let destroyed = taken.destroyed.unwrap_or_default();
    let updated = taken.updated.unwrap_or_default();
    let mut done: BTreeSet<&str> = destroyed
        .iter()
        .chain(updated.keys())
        .map(String::as_str)
        .collect();
    let has_changed_some = !done.is_empty();

    let refused = [taken.not_destroyed, taken.not_updated].map(Option::unwrap_or_default);
    let mut error = None;
    for (email, refusal) in refused.iter().flatten() {
        match refusal.kind.as_str() {
            "notFound" => {}
            _ => error = error.or_else(|| Some(Error::from(refusal.clone()))),
        }
        done.insert(email);
    }
    if steps.iter().any(|step| !done.contains(step.email())) {
        return Err(Error::Unknown(
            "the JMAP server does not say what became of a message".to_owned(),
        ));
    }
    match error {
        None => Ok(()),
        Some(error) if has_changed_some => Err(partly(&error)),
        Some(error) => Err(error),
    }
}

fn partly(error: &Error) -> Error {
    Error::Unknown(format!("some messages were removed, then: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(mailboxes: &[&str]) -> Email {
        Email {
            id: "M1".to_owned(),
            mailbox_ids: mailboxes.iter().map(|id| ((*id).to_owned(), true)).collect(),
        }
    }

    fn destroy(ids: &[&str]) -> Vec<Step> {
        ids.iter().map(|id| Step::Destroy((*id).to_owned())).collect()
    }

    fn taken(json: Value) -> Taken {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_only_here_is_destroyed() {
        assert_eq!(
            step(email(&["in"]), "in", None),
            Some(Step::Destroy("M1".to_owned()))
        );
    }

    #[test]
    fn what_is_elsewhere_too_stays_there() {
        let expected = Step::Move("M1".to_owned(), json!({"mailboxIds/in": null}));
        assert_eq!(step(email(&["in", "work"]), "in", None), Some(expected));
    }

    #[test]
    fn what_is_not_here_any_more_is_left_alone() {
        assert_eq!(step(email(&["work"]), "in", None), None);
        assert_eq!(step(email(&["work"]), "in", Some("bin")), None);
    }

    #[test]
    fn trash_is_where_it_goes() {
        let expected = Step::Move(
            "M1".to_owned(),
            json!({"mailboxIds/in": null, "mailboxIds/bin": true}),
        );
        assert_eq!(step(email(&["in"]), "in", Some("bin")), Some(expected));
    }

    #[test]
    fn done_is_what_is_gone() {
        let steps = destroy(&["a", "b"]);
        let gone = json!({"destroyed": ["a"], "notDestroyed": {"b": {"type": "notFound"}}, "updated": null});
        assert!(outcome(taken(gone), &steps).is_ok());
    }

    #[test]
    fn a_refusal_of_all_changed_nothing() {
        let refused = json!({"notDestroyed": {"a": {"type": "forbidden"}}});
        assert!(matches!(
            outcome(taken(refused), &destroy(&["a"])),
            Err(Error::Denied(_))
        ));
    }

    #[test]
    fn a_part_is_not_known() {
        let part = json!({"destroyed": ["a"], "notDestroyed": {"b": {"type": "forbidden"}}});
        assert!(matches!(
            outcome(taken(part), &destroy(&["a", "b"])),
            Err(Error::Unknown(_))
        ));
        let silent = json!({"destroyed": ["a"]});
        assert!(matches!(
            outcome(taken(silent), &destroy(&["a", "b"])),
            Err(Error::Unknown(_))
        ));
    }

    #[test]
    fn one_call_destroys_and_moves() {
        let mut steps = destroy(&["a"]);
        steps.push(Step::Move("b".to_owned(), json!({"mailboxIds/in": null})));
        let expected = json!({"accountId": "u", "destroy": ["a"], "update": {"b": {"mailboxIds/in": null}}});
        assert_eq!(arguments("u", &steps), expected);
    }
}
