//! The listing of one maildrop, whole or what was delivered since an earlier one: fence, counters and messages in one
//! statement, so of one moment.

use std::sync::Arc;

use restante_store::{
    BodyRef, Listing, ListingBuilder, MaildropState, StorageId, StoreError, StoreErrorKind, Usage,
};
use restante_types::{Fence, MaildropId, MessageId, UniqueId};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Postgres, Row};

use super::refusal;
use crate::Pg;
use crate::error::failed;
use crate::sql::mail as sql;
use crate::values::{Undecodable, blob_from_row, checksum_from_row, count_from_row, octets_from_row};

const OP: &str = "snapshot";

/// One row of [`sql::MAILDROP_STATE`].
struct StateRow {
    maildrop: i64,
    usage: Usage,
    revision: u64,
    last: Option<(MessageId, Vec<u8>)>,
}

/// One row of [`sql::SNAPSHOT`]: the maildrop, and one of its messages if it has any.
struct SnapshotRow {
    maildrop: i64,
    usage: Usage,
    revision: u64,
    message: Option<MessageRow>,
}

struct MessageRow {
    id: MessageId,
    unique_id: UniqueId,
    needs_utf8: bool,
    octets: i64,
    header_octets: i64,
    has_dot_lines: bool,
    crc64: i64,
    header_crc64: i64,
    storage: i64,
    blob: Vec<u8>,
}

impl FromRow<'_, PgRow> for StateRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let last: Option<i64> = row.try_get(4)?;
        Ok(Self {
            maildrop: row.try_get(0)?,
            usage: usage(row)?,
            revision: count_from_row(row.try_get(3)?)?,
            last: match last {
                None => None,
                Some(last) => Some((message_id(last)?, row.try_get(5)?)),
            },
        })
    }
}

impl FromRow<'_, PgRow> for SnapshotRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            maildrop: row.try_get(0)?,
            usage: usage(row)?,
            revision: count_from_row(row.try_get(3)?)?,
            message: row
                .try_get::<Option<i64>, _>(4)?
                .map(|id| MessageRow::from_row(id, row))
                .transpose()?,
        })
    }
}

/// The counters, which stand at the same place in both.
fn usage(row: &PgRow) -> Result<Usage, sqlx::Error> {
    Ok(Usage {
        messages: count_from_row(row.try_get(1)?)?,
        octets: octets_from_row(row.try_get(2)?)?,
    })
}

fn message_id(key: i64) -> Result<MessageId, Undecodable> {
    MessageId::new(key).ok_or(Undecodable("message"))
}

impl MessageRow {
    fn from_row(id: i64, row: &PgRow) -> Result<Self, sqlx::Error> {
        let unique_id: String = row.try_get(5)?;
        Ok(Self {
            id: message_id(id)?,
            unique_id: UniqueId::new(unique_id).map_err(|error| sqlx::Error::Decode(error.into()))?,
            octets: row.try_get(6)?,
            header_octets: row.try_get(7)?,
            has_dot_lines: row.try_get(8)?,
            needs_utf8: row.try_get(9)?,
            crc64: row.try_get(10)?,
            header_crc64: row.try_get(11)?,
            storage: row.try_get(12)?,
            blob: row.try_get(13)?,
        })
    }

    fn body(&self, maildrop: MaildropId) -> Result<BodyRef, Undecodable> {
        Ok(BodyRef {
            storage: StorageId(self.storage),
            blob: blob_from_row(maildrop.tenant(), &self.blob)?,
            octets: octets_from_row(self.octets)?,
            header_octets: octets_from_row(self.header_octets)?,
            crc64: checksum_from_row(self.crc64),
            header_crc64: checksum_from_row(self.header_crc64),
            has_dot_lines: self.has_dot_lines,
        })
    }
}

/// Collects the rows and compares them with the counters: a list that lost a row is damage, not a listing.
struct Reading {
    usage: Option<Usage>,
    /// What was kept of an earlier listing, and of which revision that was.
    kept: Option<(ListingBuilder, u64)>,
    listing: ListingBuilder,
}

impl Reading {
    fn take(&mut self, maildrop: MaildropId, row: &SnapshotRow) -> Result<(), sqlx::Error> {
        is_of(maildrop, row.maildrop)?;
        if self.usage.is_none() {
            self.listing = match self.kept.take() {
                Some((kept, revision)) if revision == row.revision => kept,
                _ => ListingBuilder::of(row.usage, row.revision),
            };
            self.usage = Some(row.usage);
        }
        if let Some(message) = &row.message {
            self.listing
                .push(
                    message.id,
                    &message.unique_id,
                    message.needs_utf8,
                    message.body(maildrop)?,
                )
                .map_err(|error| sqlx::Error::Decode(error.into()))?;
        }
        Ok(())
    }

    /// `None` if what was read and kept is not what the counters say.
    fn finish(self) -> Result<Option<Listing>, StoreError> {
        let usage = self.usage.ok_or_else(|| refusal(StoreErrorKind::Fenced, OP))?;
        let listing = self.listing.finish();
        Ok(Some(listing).filter(|listing| listing.usage() == usage))
    }
}

fn is_of(maildrop: MaildropId, answered: i64) -> Result<(), Undecodable> {
    if answered == maildrop.number() {
        Ok(())
    } else {
        Err(Undecodable("the answer is another maildrop's"))
    }
}

/// Reads all of it.
pub(super) async fn read(db: &Pg, fence: &Fence) -> Result<Listing, StoreError> {
    rows(db, fence, None, i64::MIN).await?.ok_or_else(|| {
        let differ = Undecodable("the maildrop's counters differ from its messages");
        failed(OP)(differ.into())
    })
}

/// Reads what is not in an earlier listing.
pub(super) async fn refresh(
    db: &Pg,
    fence: &Fence,
    known: &Arc<Listing>,
) -> Result<Arc<Listing>, StoreError> {
    let state = state(db, fence).await?;
    if known.is_of(&state) {
        return Ok(Arc::clone(known));
    }
    if let Some((kept, from)) = ListingBuilder::after(known, &state) {
        let grown = rows(db, fence, Some((kept, state.revision)), from.get()).await?;
        // Else it was not of this maildrop's past: the database was put back to an earlier time.
        if let Some(grown) = grown.filter(|grown| grown.goes_on(known)) {
            return Ok(Arc::new(grown));
        }
    }
    read(db, fence).await.map(Arc::new)
}

async fn state(db: &Pg, fence: &Fence) -> Result<MaildropState, StoreError> {
    let maildrop = fence.maildrop;
    let query = of_fence(sqlx::query_as(sql::MAILDROP_STATE), fence);
    let row: Option<StateRow> = db.optional(query).await.map_err(failed(OP))?;
    let row = row.ok_or_else(|| refusal(StoreErrorKind::Fenced, OP))?;
    let decode = || {
        is_of(maildrop, row.maildrop)?;
        let last = row.last.as_ref();
        let last = last.map(|(id, blob)| Ok((*id, blob_from_row(maildrop.tenant(), blob)?)));
        Ok(MaildropState {
            usage: row.usage,
            revision: row.revision,
            last: last.transpose()?,
        })
    };
    decode().map_err(|error: Undecodable| failed(OP)(error.into()))
}

/// Adds the messages from a key on to what was kept.
async fn rows(
    db: &Pg,
    fence: &Fence,
    kept: Option<(ListingBuilder, u64)>,
    from: i64,
) -> Result<Option<Listing>, StoreError> {
    let query = of_fence(sqlx::query_as(sql::SNAPSHOT), fence).bind(from);
    let mut reading = Reading {
        usage: None,
        kept,
        listing: ListingBuilder::default(),
    };
    db.each(query, |row: SnapshotRow| reading.take(fence.maildrop, &row))
        .await
        .map_err(failed(OP))?;
    reading.finish()
}

fn of_fence<'q, O>(
    query: QueryAs<'q, Postgres, O, PgArguments>,
    fence: &Fence,
) -> QueryAs<'q, Postgres, O, PgArguments> {
    query
        .bind(fence.maildrop.number())
        .bind(fence.maildrop.tenant().get())
        .bind(fence.token.get().cast_signed())
}
