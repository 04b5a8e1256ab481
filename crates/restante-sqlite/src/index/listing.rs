//! The listing of one maildrop: whole, or what was delivered since an earlier one.

use futures_util::TryStreamExt;
use restante_store::{
    BodyRef, Listing, ListingBuilder, MaildropState, StorageId, StoreError, StoreErrorKind, Usage,
};
use restante_types::{MaildropId, MessageId, UniqueId};
use sqlx::Connection;
use sqlx::query::QueryAs;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::refusal;
use crate::error::failed;
use crate::values::{Undecodable, blob_from_row, checksum_from_row, count_from_row, octets_from_row};
use crate::{Sqlite, sql};

const OP: &str = "snapshot";

type StateRow = (i64, i64, i64, Option<i64>, Option<Vec<u8>>);
type MessageRow = (i64, String, i64, i64, i64, i64, i64, i64, i64, Vec<u8>);

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

/// Adds the messages from a key on.
async fn rows(
    conn: &mut SqliteConnection,
    maildrop: MaildropId,
    mut listing: ListingBuilder,
    from: i64,
) -> Result<Listing, sqlx::Error> {
    let mut rows = sqlx::query_as::<_, MessageRow>(sql::SNAPSHOT)
        .bind(maildrop.number())
        .bind(maildrop.tenant().get())
        .bind(from)
        .fetch(conn);
    while let Some(row) = rows.try_next().await? {
        push(&mut listing, maildrop, row)?;
    }
    Ok(listing.finish())
}

fn push(listing: &mut ListingBuilder, maildrop: MaildropId, row: MessageRow) -> Result<(), sqlx::Error> {
    let (id, unique_id, octets, header_octets, has_dot_lines, needs_utf8, crc64, header_crc64, storage, blob) =
        row;
    let body = BodyRef {
        storage: StorageId(storage),
        blob: blob_from_row(maildrop.tenant(), &blob)?,
        octets: octets_from_row(octets)?,
        header_octets: octets_from_row(header_octets)?,
        crc64: checksum_from_row(crc64),
        header_crc64: checksum_from_row(header_crc64),
        has_dot_lines: has_dot_lines != 0,
    };
    let id = MessageId::new(id).ok_or(Undecodable("message"))?;
    let unique_id = UniqueId::new(unique_id).map_err(|error| sqlx::Error::Decode(error.into()))?;
    listing
        .push(id, &unique_id, needs_utf8 != 0, body)
        .map_err(|error| sqlx::Error::Decode(error.into()))
}
