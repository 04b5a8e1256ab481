//! A message being read.

use std::cell::RefCell;

use serde_json::json;

use crate::calls::{Calls, Got};
use crate::client::Client;
use crate::config::Canonical;
use crate::exports::restante::storage::maildrops;
use crate::lines::Lines;
use crate::listing::{Email, PROPERTIES};
use crate::name;
use crate::refusal::Intent;
use crate::restante::storage::http::Body;
use crate::restante::storage::types::Error;

pub struct Reader {
    body: Body,
    state: RefCell<State>,
}

struct State {
    /// How many octets are still wanted.
    left: u64,
    /// Octets that were made and not taken yet.
    ready: Vec<u8>,
    /// None if the blob is given as it is: then the host sees it if the server's promise does not hold.
    lines: Option<Lines>,
    has_ended: bool,
}

impl Reader {
    pub fn open(client: &Client, id: &str, octets: Option<u64>) -> Result<Self, Error> {
        let (email, blob_id) = name::parts(id);
        let lines = match client.instance.config.canonical {
            Canonical::Trust => None,
            Canonical::Measure => Some(Lines::default()),
        };
        Ok(Self {
            body: blob(client, email, blob_id)?,
            state: RefCell::new(State {
                left: octets.unwrap_or(u64::MAX),
                ready: Vec::new(),
                lines,
                has_ended: false,
            }),
        })
    }
}

impl State {
    fn next(&mut self, body: &Body, max: u32) -> Result<Vec<u8>, Error> {
        while self.ready.is_empty() && !self.has_ended {
            let piece = body.read(max).map_err(|error| Intent::Read.of_host(error))?;
            self.has_ended = piece.is_empty();
            match &mut self.lines {
                None => self.ready = piece,
                Some(lines) if self.has_ended => lines.finish(&mut self.ready),
                Some(lines) => lines.push(&piece, &mut self.ready),
            }
        }
        let most = u64::from(max).min(self.left);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.ready.len());
        let rest = self.ready.split_off(most);
        let piece = std::mem::replace(&mut self.ready, rest);
        self.left -= piece.len() as u64;
        Ok(piece)
    }
}

impl maildrops::GuestReader for Reader {
    fn read(&self, max: u32) -> Result<Vec<u8>, Error> {
        let state = &mut *self.state.borrow_mut();
        if state.left == 0 {
            return Ok(Vec::new());
        }
        state.next(&self.body, max)
    }
}

/// The octets of an email. `blob_id` is what was listed; if it is not there the server says which it is now.
pub fn blob(client: &Client, email: &str, blob_id: Option<&str>) -> Result<Body, Error> {
    if let Some(blob_id) = blob_id {
        match client.download(blob_id) {
            Err(Error::NotFound) => {}
            answer => return answer,
        }
    }
    let mut calls = Calls::default();
    let arguments = json!({"accountId": client.account, "ids": [email], "properties": PROPERTIES});
    let got = calls.push("Email/get", &arguments);
    let answers = client.call(calls, Intent::Read)?;
    let email = answers.read::<Got<Email>>(got, Intent::Read)?.list.pop();
    client.download(&email.ok_or(Error::NotFound)?.blob_id)
}
