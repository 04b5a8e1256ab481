//! Methods (RFC 8620 section 5, RFC 8621 sections 2 and 4), as far as a maildrop needs them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::account::{Account, Email};
use super::fault::Answer;
use super::{CORE, Limits, MAIL, State, Who, json_body, problem};

/// Calls that a request may have.
const CALLS: usize = 16;

/// What a method answers, or the type of its error.
type Outcome = Result<Value, &'static str>;

impl State {
    pub(super) fn call_methods(&mut self, request: &Value, who: &Who) -> Answer {
        let Some(calls) = request["methodCalls"].as_array() else {
            return problem("notRequest");
        };
        let using: Vec<&str> = strings(&request["using"]).collect();
        if !using.iter().all(|capability| [CORE, MAIL].contains(capability)) {
            return problem("unknownCapability");
        }
        if calls.len() > CALLS {
            return problem("limit");
        }
        let mut responses: Vec<Value> = Vec::new();
        for call in calls {
            let (Some(method), Some(id)) = (call[0].as_str(), call[2].as_str()) else {
                return problem("notRequest");
            };
            let answer = if using.contains(&MAIL) {
                resolve(&call[1], &responses).and_then(|arguments| self.call(method, &arguments, who))
            } else {
                Err("unknownMethod")
            };
            responses.push(match answer {
                Ok(answer) => json!([method, answer, id]),
                Err(kind) => json!(["error", {"type": kind}, id]),
            });
        }
        let state = self.session.to_string();
        json_body(200, &json!({"methodResponses": responses, "sessionState": state}))
    }

    fn call(&mut self, method: &str, arguments: &Value, who: &Who) -> Outcome {
        let limits = self.limits;
        let id = arguments["accountId"].as_str().ok_or("invalidArguments")?;
        let account = self.account(id, who).ok_or("accountNotFound")?;
        let mut answer = match method {
            "Mailbox/query" => Ok(find_mailboxes(account, arguments)),
            "Mailbox/get" => get(
                arguments,
                limits,
                || account.mailboxes.keys().cloned().collect(),
                |id| mailbox(account, id),
            ),
            "Email/query" => find_emails(account, arguments, limits),
            "Email/get" => get(arguments, limits, Vec::new, |id| account.email(id).map(email)),
            "Email/set" => set_emails(account, arguments, limits),
            "Email/import" => import_emails(account, arguments, limits),
            _ => Err("unknownMethod"),
        }?;
        answer["accountId"] = json!(id);
        Ok(answer)
    }
}

/// Puts results in place of references to them (RFC 8620 section 3.7).
fn resolve(arguments: &Value, responses: &[Value]) -> Outcome {
    let mut resolved = Map::new();
    for (name, value) in arguments.as_object().ok_or("invalidArguments")? {
        let Some(name) = name.strip_prefix('#') else {
            resolved.insert(name.clone(), value.clone());
            continue;
        };
        let response = responses
            .iter()
            .find(|response| response[2] == value["resultOf"] && response[0] == value["name"])
            .ok_or("invalidResultReference")?;
        let path = value["path"].as_str().and_then(|path| path.strip_prefix('/'));
        let steps: Vec<&str> = path.ok_or("invalidResultReference")?.split('/').collect();
        let found = follow(&response[1], &steps).ok_or("invalidResultReference")?;
        resolved.insert(name.to_owned(), found);
    }
    Ok(Value::Object(resolved))
}

fn follow(value: &Value, steps: &[&str]) -> Option<Value> {
    let Some((step, steps)) = steps.split_first() else {
        return Some(value.clone());
    };
    if *step != "*" {
        return follow(value.get(step)?, steps);
    }
    let all: Option<Vec<Value>> = value.as_array()?.iter().map(|item| follow(item, steps)).collect();
    let mut flat = Vec::new();
    for item in all? {
        match item {
            Value::Array(items) => flat.extend(items),
            item => flat.push(item),
        }
    }
    Some(flat.into())
}

fn find_mailboxes(account: &Account, arguments: &Value) -> Value {
    let role = &arguments["filter"]["role"];
    let all = account.mailboxes.iter();
    let found = all.filter(|(_, known)| role.is_null() || role == known.as_str());
    let ids: Vec<&String> = found.map(|(id, _)| id).collect();
    json!({"ids": ids, "position": 0, "queryState": state(account), "canCalculateChanges": false})
}

fn find_emails(account: &Account, arguments: &Value, limits: Limits) -> Outcome {
    let mut emails: Vec<&Email> = account.emails.iter().collect();
    for (condition, value) in arguments["filter"].as_object().into_iter().flatten() {
        match (condition.as_str(), value.as_str()) {
            ("inMailbox", Some(mailbox)) => emails.retain(|email| email.mailboxes.contains(mailbox)),
            _ => return Err("unsupportedFilter"),
        }
    }
    for by in arguments["sort"].as_array().into_iter().flatten().rev() {
        match by["property"].as_str() {
            Some("receivedAt") => emails.sort_by(|a, b| a.received_at.cmp(&b.received_at)),
            Some("size") => emails.sort_by_key(|email| email.octets.len()),
            _ => return Err("unsupportedSort"),
        }
        if by["isAscending"] == json!(false) {
            emails.reverse();
        }
    }

    let number = |name: &str| arguments[name].as_i64().unwrap_or_default();
    let last = i64::try_from(emails.len()).map_err(|_| "serverFail")?;
    let start = match arguments["anchor"].as_str() {
        Some(anchor) => {
            let at = emails
                .iter()
                .position(|email| email.id == anchor)
                .ok_or("anchorNotFound")?;
            i64::try_from(at).map_err(|_| "serverFail")? + number("anchorOffset")
        }
        None if number("position") < 0 => last + number("position"),
        None => number("position"),
    };
    let start = usize::try_from(start.clamp(0, last)).map_err(|_| "serverFail")?;
    let wanted = arguments["limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok());
    let limit = wanted.unwrap_or(usize::MAX).min(limits.query);
    let ids: Vec<&String> = emails
        .iter()
        .skip(start)
        .take(limit)
        .map(|email| &email.id)
        .collect();
    Ok(json!({
        "ids": ids, "position": start, "limit": limit, "queryState": state(account), "canCalculateChanges": false,
    }))
}

/// `/get`; `all` is what is meant without ids.
fn get(
    arguments: &Value,
    limits: Limits,
    all: impl FnOnce() -> Vec<String>,
    object: impl Fn(&str) -> Option<Value>,
) -> Outcome {
    let ids: Vec<String> = match &arguments["ids"] {
        Value::Null => all(),
        ids => strings(ids).map(ToOwned::to_owned).collect(),
    };
    if ids.len() > limits.get {
        return Err("requestTooLarge");
    }
    let wanted: Option<Vec<&str>> = arguments["properties"]
        .as_array()
        .map(|_| strings(&arguments["properties"]).collect());
    let (mut list, mut not_found) = (Vec::new(), Vec::new());
    for id in BTreeSet::from_iter(ids) {
        match object(&id) {
            None => not_found.push(id),
            Some(Value::Object(mut object)) => {
                if let Some(wanted) = &wanted {
                    object.retain(|name, _| name == "id" || wanted.contains(&name.as_str()));
                }
                list.push(Value::Object(object));
            }
            Some(_) => return Err("serverFail"),
        }
    }
    Ok(json!({"state": "0", "list": list, "notFound": not_found}))
}

fn set_emails(account: &mut Account, arguments: &Value, limits: Limits) -> Outcome {
    let empty = Map::new();
    let update = arguments["update"].as_object().unwrap_or(&empty);
    let destroy: Vec<&str> = strings(&arguments["destroy"]).collect();
    if update.len() + destroy.len() > limits.set {
        return Err("requestTooLarge");
    }
    let old = state(account);
    if arguments["ifInState"]
        .as_str()
        .is_some_and(|wanted| wanted != old)
    {
        return Err("stateMismatch");
    }
    let (mut updated, mut not_updated) = (Map::new(), Map::new());
    for (id, patch) in update {
        match update_email(account, id, patch) {
            Ok(()) => drop(updated.insert(id.clone(), Value::Null)),
            Err(kind) => drop(not_updated.insert(id.clone(), json!({"type": kind}))),
        }
    }
    let (mut destroyed, mut not_destroyed) = (Vec::new(), Map::new());
    for id in destroy {
        if account.forbidden.contains(id) {
            not_destroyed.insert(id.to_owned(), json!({"type": "forbidden"}));
        } else if account.destroy(id).is_some() {
            destroyed.push(id);
        } else {
            not_destroyed.insert(id.to_owned(), json!({"type": "notFound"}));
        }
    }
    Ok(json!({
        "oldState": old, "newState": state(account), "updated": updated, "notUpdated": not_updated,
        "destroyed": destroyed, "notDestroyed": not_destroyed,
    }))
}

fn update_email(account: &mut Account, id: &str, patch: &Value) -> Result<(), &'static str> {
    let mut mailboxes = account.email(id).ok_or("notFound")?.mailboxes.clone();
    if account.forbidden.contains(id) {
        return Err("forbidden");
    }
    for (path, value) in patch.as_object().ok_or("invalidPatch")? {
        match path.split_once('/') {
            None if path == "mailboxIds" => mailboxes = mailbox_ids(account, value)?,
            Some(("mailboxIds", mailbox)) if value.is_null() => drop(mailboxes.remove(mailbox)),
            Some(("mailboxIds", mailbox)) if account.mailboxes.contains_key(mailbox) => {
                mailboxes.insert(mailbox.to_owned());
            }
            // Keywords are not kept.
            None if path == "keywords" => {}
            Some(("keywords", _)) => {}
            _ => return Err("invalidPatch"),
        }
    }
    // An email is in a mailbox at least (RFC 8621 section 4.1.1).
    if mailboxes.is_empty() {
        return Err("invalidProperties");
    }
    account.state += 1;
    account.email_mut(id).ok_or("notFound")?.mailboxes = mailboxes;
    Ok(())
}

fn import_emails(account: &mut Account, arguments: &Value, limits: Limits) -> Outcome {
    let emails = arguments["emails"].as_object().ok_or("invalidArguments")?;
    if emails.len() > limits.set {
        return Err("requestTooLarge");
    }
    let old = state(account);
    let (mut created, mut not_created) = (Map::new(), Map::new());
    for (name, wanted) in emails {
        match import_email(account, wanted) {
            Ok(email) => drop(created.insert(name.clone(), email)),
            Err(error) => drop(not_created.insert(name.clone(), error)),
        }
    }
    Ok(json!({"oldState": old, "newState": state(account), "created": created, "notCreated": not_created}))
}

fn import_email(account: &mut Account, wanted: &Value) -> Result<Value, Value> {
    let mailboxes = mailbox_ids(account, &wanted["mailboxIds"]).map_err(|kind| json!({"type": kind}))?;
    let blob = wanted["blobId"].as_str().unwrap_or_default();
    let octets = account
        .blob(blob)
        .ok_or_else(|| json!({"type": "blobNotFound"}))?;
    if account.refuses_copies
        && let Some(existing) = account.emails.iter().find(|email| email.octets == octets)
    {
        return Err(json!({"type": "alreadyExists", "existingId": existing.id}));
    }
    let received_at = wanted["receivedAt"].as_str().map(ToOwned::to_owned);
    let made = account.make(blob, mailboxes, received_at).as_ref().map(email);
    let made = made.ok_or_else(|| json!({"type": "blobNotFound"}))?;
    Ok(
        json!({"id": made["id"], "blobId": made["blobId"], "threadId": made["threadId"], "size": made["size"]}),
    )
}

/// What `mailboxIds` says, if there are such mailboxes.
fn mailbox_ids(account: &Account, value: &Value) -> Result<BTreeSet<String>, &'static str> {
    let ids: BTreeSet<String> = value
        .as_object()
        .ok_or("invalidProperties")?
        .keys()
        .cloned()
        .collect();
    if ids.is_empty() || !ids.iter().all(|id| account.mailboxes.contains_key(id)) {
        return Err("invalidProperties");
    }
    Ok(ids)
}

fn mailbox(account: &Account, id: &str) -> Option<Value> {
    let role = account.mailboxes.get(id)?;
    let total = account
        .emails
        .iter()
        .filter(|email| email.mailboxes.contains(id))
        .count();
    Some(json!({"id": id, "name": role, "role": role, "parentId": null, "totalEmails": total}))
}

fn email(email: &Email) -> Value {
    let mailboxes: Map<String, Value> = email
        .mailboxes
        .iter()
        .map(|id| (id.clone(), json!(true)))
        .collect();
    json!({
        "id": email.id, "blobId": email.blob, "threadId": format!("t-{}", email.id), "size": email.octets.len(),
        "receivedAt": email.received_at, "mailboxIds": mailboxes, "keywords": {},
    })
}

fn state(account: &Account) -> String {
    account.state.to_string()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}
