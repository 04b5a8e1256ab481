//! Exact sizes, for servers whose messages do not have CRLF at the end of every line.
//!
//! Measuring means downloading, so each email is measured once; what it is never changes. Sizes of emails that others
//! remove stay among the key-values.

use crate::client::{Client, PIECE};
use crate::lines::Lines;
use crate::listing::Email;
use crate::name::size_key;
use crate::reader::blob;
use crate::refusal::Intent;
use crate::restante::storage::types::Error;
use crate::restante::storage::{clock, key_value};

/// How long one call may measure: well below the host's limit for a call.
const MILLIS: u64 = 3_000;

/// How long measuring may go on.
pub struct Budget {
    until: u64,
}

impl Budget {
    pub fn new() -> Self {
        Self {
            until: clock::now().saturating_add(MILLIS),
        }
    }

    pub fn is_spent(&self) -> bool {
        clock::now() >= self.until
    }
}

/// The email's octets with every line ended by CRLF.
pub fn octets(client: &Client, email: &Email) -> Result<u64, Error> {
    let key = size_key(&client.account, &email.id);
    if let Some(value) = key_value::get(&key)?
        && let Some(octets) = value.try_into().ok().map(u64::from_be_bytes)
    {
        return Ok(octets);
    }
    let octets = measured(client, email)?;
    key_value::set(&key, &octets.to_be_bytes())?;
    Ok(octets)
}

/// Forgets the sizes of emails that are gone. Whatever stays does no harm.
pub fn forget<'a>(client: &Client, emails: impl IntoIterator<Item = &'a str>) {
    for email in emails {
        if key_value::delete(&size_key(&client.account, email)).is_err() {
            return;
        }
    }
}

fn measured(client: &Client, email: &Email) -> Result<u64, Error> {
    let body = blob(client, &email.id, Some(&email.blob_id))?;
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    let (mut came, mut octets) = (0, 0);
    loop {
        let piece = body.read(PIECE).map_err(|error| Intent::Read.of_host(error))?;
        if piece.is_empty() {
            break;
        }
        came += piece.len() as u64;
        lines.push(&piece, &mut out);
        octets += out.len() as u64;
        out.clear();
    }
    // A size of half a message would be kept for ever.
    if came != email.size {
        return Err(Error::Unavailable(format!(
            "of a blob of {} octets came {came}",
            email.size
        )));
    }
    lines.finish(&mut out);
    Ok(octets + out.len() as u64)
}
