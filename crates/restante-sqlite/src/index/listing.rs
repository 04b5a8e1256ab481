//! The listing of one maildrop: whole, or what was delivered since an earlier one.

use std::str::Split;

use restante_store::{
    BodyRef, Listing, ListingBuilder, MaildropState, StorageId, StoreError, StoreErrorKind, Usage,
};
use restante_types::{MaildropId, MessageId, UniqueId};
use sqlx::Connection;
use sqlx::query::QueryAs;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::refusal;
use crate::error::failed;
use crate::values::{
    Undecodable, blob_from_hex, blob_from_row, checksum_from_row, count_from_row, octets_from_row,
};
use crate::{Sqlite, sql};

const OP: &str = "snapshot";

type StateRow = (i64, i64, i64, Option<i64>, Option<Vec<u8>>);
/// How many messages, the key of the last, and a line for each.
type BlockRow = (i64, Option<i64>, Option<String>);

/// Messages that are read with one row: what the driver does for each column of a row takes longer than to read a
/// message. Bounds the memory that a block takes.
const BLOCK: i64 = 1024;

/// How the maildrop stands.
pub(super) async fn state(db: &Sqlite, maildrop: MaildropId) -> Result<MaildropState, StoreError> {
    let row = db.readers().optional(state_of(maildrop)).await;
    found(maildrop, row.map_err(failed(OP))?)
}

fn state_of(maildrop: MaildropId) -> QueryAs<'static, sqlx::Sqlite, StateRow, SqliteArguments> {
    sqlx::query_as(sql::MAILDROP_STATE)
        .bind(maildrop.number())
        .bind(maildrop.tenant().get())
}

fn found(maildrop: MaildropId, row: Option<StateRow>) -> Result<MaildropState, StoreError> {
    let row = row.ok_or_else(|| refusal(StoreErrorKind::NoSuchMaildrop, OP))?;
    state_from_row(maildrop, row).map_err(|error| failed(OP)(error.into()))
}

fn state_from_row(
    maildrop: MaildropId,
    (messages, octets, revision, last, blob): StateRow,
) -> Result<MaildropState, Undecodable> {
    let last = match last.zip(blob) {
        None => None,
        Some((last, blob)) => Some((
            MessageId::new(last).ok_or(Undecodable("message"))?,
            blob_from_row(maildrop.tenant(), &blob)?,
        )),
    };
    Ok(MaildropState {
        usage: Usage {
            messages: count_from_row(messages)?,
            octets: octets_from_row(octets)?,
        },
        revision: count_from_row(revision)?,
        last,
    })
}

/// Reads what cannot be taken from an earlier listing. One transaction: the counters and the rows are of the same
/// moment.
pub(super) async fn read(
    db: &Sqlite,
    maildrop: MaildropId,
    known: Option<&Listing>,
) -> Result<Listing, StoreError> {
    let mut reader = db.readers().acquire().await.map_err(failed(OP))?;
    let mut tx = reader.begin().await.map_err(failed(OP))?;
    let row = state_of(maildrop).fetch_optional(&mut *tx).await;
    let state = found(maildrop, row.map_err(failed(OP))?)?;
    let mut grown = None;
    if let Some((known, (kept, from))) =
        known.and_then(|known| Some((known, ListingBuilder::after(known, &state)?)))
    {
        let listing = rows(&mut tx, maildrop, kept, from.get())
            .await
            .map_err(failed(OP))?;
        // Else it was not of this maildrop's past: the database was put back to an earlier time.
        grown = Some(listing).filter(|listing| listing.usage() == state.usage && listing.goes_on(known));
    }
    let listing = if let Some(grown) = grown {
        grown
    } else {
        let empty = ListingBuilder::of(state.usage, state.revision);
        rows(&mut tx, maildrop, empty, i64::MIN)
            .await
            .map_err(failed(OP))?
    };
    tx.rollback().await.map_err(failed(OP))?;
    // A list that lost a row is damage, not a listing.
    if listing.usage() != state.usage {
        let differ = Undecodable("the maildrop's counters differ from its messages");
        return Err(failed(OP)(differ.into()));
    }
    Ok(listing)
}

/// Adds the messages from a key on, a block of them with each row that is read.
async fn rows(
    conn: &mut SqliteConnection,
    maildrop: MaildropId,
    mut listing: ListingBuilder,
    mut from: i64,
) -> Result<Listing, sqlx::Error> {
    loop {
        let (n, last, lines): BlockRow = sqlx::query_as(sql::SNAPSHOT)
            .bind(maildrop.number())
            .bind(maildrop.tenant().get())
            .bind(from)
            .bind(BLOCK)
            .fetch_one(&mut *conn)
            .await?;
        for line in lines.iter().flat_map(|lines| lines.split('\n')) {
            push(&mut listing, maildrop, line)?;
        }
        match last.and_then(|last| last.checked_add(1)) {
            Some(next) if n == BLOCK => from = next,
            _ => return Ok(listing.finish()),
        }
    }
}

/// Adds a message from its line: its columns in the order of [`sql::SNAPSHOT`], with a space between them, which no
/// unique-id contains.
fn push(listing: &mut ListingBuilder, maildrop: MaildropId, line: &str) -> Result<(), sqlx::Error> {
    let mut columns = Columns(line.split(' '));
    let id = MessageId::new(columns.number()?).ok_or(Undecodable("message"))?;
    let unique_id = UniqueId::new(columns.text()?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let octets = octets_from_row(columns.number()?)?;
    let header_octets = octets_from_row(columns.number()?)?;
    let has_dot_lines = columns.number()? != 0;
    let needs_utf8 = columns.number()? != 0;
    let body = BodyRef {
        octets,
        header_octets,
        has_dot_lines,
        crc64: checksum_from_row(columns.number()?),
        header_crc64: checksum_from_row(columns.number()?),
        storage: StorageId(columns.number()?),
        blob: blob_from_hex(maildrop.tenant(), columns.text()?)?,
    };
    if columns.0.next().is_some() {
        return Err(Undecodable("message").into());
    }
    listing
        .push(id, &unique_id, needs_utf8, body)
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

/// What is left of a line.
struct Columns<'a>(Split<'a, char>);

impl<'a> Columns<'a> {
    fn text(&mut self) -> Result<&'a str, Undecodable> {
        self.0.next().ok_or(Undecodable("message"))
    }

    fn number(&mut self) -> Result<i64, Undecodable> {
        self.text()?.parse().map_err(|_| Undecodable("message"))
    }
}
