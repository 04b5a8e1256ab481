//! An account: mailboxes, emails and blobs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

/// An email as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JmapEmail {
    /// Its id.
    pub id: String,
    /// Its octets as they came.
    pub octets: Bytes,
    /// The roles of the mailboxes that it is in.
    pub roles: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    /// Roles by mailbox.
    pub(super) mailboxes: BTreeMap<String, String>,
    /// In the order in which they came.
    pub(super) emails: Vec<Email>,
    pub(super) refuses_copies: bool,
    pub(super) forbidden: BTreeSet<String>,
    /// Grows with each change.
    pub(super) state: u64,
    blobs: HashMap<String, Bytes>,
    n_names: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Email {
    pub(super) id: String,
    pub(super) blob: String,
    pub(super) octets: Bytes,
    pub(super) received_at: String,
    pub(super) mailboxes: BTreeSet<String>,
}

impl Account {
    pub(super) fn new(name: &str) -> Self {
        let mut account = Self {
            name: name.to_owned(),
            mailboxes: BTreeMap::new(),
            emails: Vec::new(),
            refuses_copies: false,
            forbidden: BTreeSet::new(),
            state: 0,
            blobs: HashMap::new(),
            n_names: 0,
        };
        for role in ["inbox", "archive", "trash"] {
            let id = account.name('m');
            account.mailboxes.insert(id, role.to_owned());
        }
        account
    }

    pub(super) fn add(&mut self, octets: Bytes, received_at: Option<String>) -> String {
        let blob = self.upload(octets);
        let inbox = BTreeSet::from([self.mailbox("inbox")]);
        let email = self.make(&blob, inbox, received_at);
        email.expect("the blob was just made").id
    }

    pub(super) fn emails_of(&self, role: &str) -> Vec<JmapEmail> {
        let mailbox = self.mailbox(role);
        let mut emails: Vec<&Email> = self.emails.iter().collect();
        emails.retain(|email| email.mailboxes.contains(&mailbox));
        emails.sort_by(|a, b| a.received_at.cmp(&b.received_at));
        let seen = emails.into_iter().map(|email| JmapEmail {
            id: email.id.clone(),
            octets: email.octets.clone(),
            roles: email
                .mailboxes
                .iter()
                .map(|id| self.mailboxes[id].clone())
                .collect(),
        });
        seen.collect()
    }

    pub(super) fn put_into(&mut self, email: &str, roles: &[&str]) {
        let mailboxes = roles.iter().map(|role| self.mailbox(role)).collect();
        self.state += 1;
        self.email_mut(email)
            .expect("an email of that id is there")
            .mailboxes = mailboxes;
    }

    pub(super) fn replace_mailbox(&mut self, role: &str) {
        let old = self.mailbox(role);
        let new = self.name('m');
        self.state += 1;
        self.mailboxes.remove(&old);
        self.mailboxes.insert(new.clone(), role.to_owned());
        for email in &mut self.emails {
            if email.mailboxes.remove(&old) {
                email.mailboxes.insert(new.clone());
            }
        }
    }

    pub(super) fn rename_blob(&mut self, email: &str) {
        let new = self.name('b');
        let email = self.email_mut(email).expect("an email of that id is there");
        let old = std::mem::replace(&mut email.blob, new.clone());
        let octets = self.blobs.remove(&old).expect("an email has a blob");
        self.blobs.insert(new, octets);
    }

    pub(super) fn refuse_copies(&mut self) {
        self.refuses_copies = true;
    }

    pub(super) fn forbid(&mut self, email: &str) {
        self.forbidden.insert(email.to_owned());
    }

    pub(super) fn blob(&self, id: &str) -> Option<Bytes> {
        self.blobs.get(id).cloned()
    }

    pub(super) fn upload(&mut self, octets: Bytes) -> String {
        let id = self.name('b');
        self.blobs.insert(id.clone(), octets);
        id
    }

    pub(super) fn email(&self, id: &str) -> Option<&Email> {
        self.emails.iter().find(|email| email.id == id)
    }

    pub(super) fn email_mut(&mut self, id: &str) -> Option<&mut Email> {
        self.emails.iter_mut().find(|email| email.id == id)
    }

    /// Makes an email of a blob.
    pub(super) fn make(
        &mut self,
        blob: &str,
        mailboxes: BTreeSet<String>,
        received_at: Option<String>,
    ) -> Option<Email> {
        let octets = self.blob(blob)?;
        self.state += 1;
        let second = self.n_names;
        let latest = self
            .emails
            .iter()
            .map(|email| email.received_at.clone())
            .max()
            .unwrap_or_default();
        let email = Email {
            id: self.name('e'),
            blob: blob.to_owned(),
            octets,
            received_at: received_at.unwrap_or_else(|| latest.max(date(second))),
            mailboxes,
        };
        self.emails.push(email.clone());
        Some(email)
    }

    pub(super) fn destroy(&mut self, id: &str) -> Option<Email> {
        let at = self.emails.iter().position(|email| email.id == id)?;
        self.state += 1;
        let email = self.emails.remove(at);
        self.blobs.remove(&email.blob);
        Some(email)
    }

    fn mailbox(&self, role: &str) -> String {
        let mut mailboxes = self.mailboxes.iter();
        let found = mailboxes.find(|(_, known)| *known == role);
        found.expect("a mailbox has the role").0.clone()
    }

    /// An id that nothing else has or had.
    fn name(&mut self, kind: char) -> String {
        self.n_names += 1;
        format!("{kind}{}", self.n_names)
    }
}

/// A date that is later for a larger number, up to some millions.
fn date(second: u64) -> String {
    let (minute, second) = (second / 60, second % 60);
    let (hour, minute) = (minute / 60, minute % 60);
    let (day, hour) = (hour / 24, hour % 24);
    format!("2026-01-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}
