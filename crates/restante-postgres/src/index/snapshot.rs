//! The listing of one maildrop: fence, counters and messages in one statement, so of one moment.

use restante_store::{BodyRef, Listing, ListingBuilder, StorageId, StoreError, StoreErrorKind, Usage};
use restante_types::{Fence, MaildropId, MessageId, UniqueId};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::refusal;
use crate::Pg;
use crate::error::failed;
use crate::sql::mail as sql;
use crate::values::{Undecodable, blob_from_row, checksum_from_row, count_from_row, octets_from_row};

const OP: &str = "snapshot";

/// Room made in advance for a listing at most, whatever the counter says.
const MOST_IN_ADVANCE: u64 = 1 << 20;

/// One row of [`sql::SNAPSHOT`]: the maildrop, and one of its messages if it has any.
struct SnapshotRow {
    maildrop: i64,
    usage: Usage,
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

impl FromRow<'_, PgRow> for SnapshotRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            maildrop: row.try_get(0)?,
            usage: Usage {
                messages: count_from_row(row.try_get(1)?)?,
                octets: octets_from_row(row.try_get(2)?)?,
            },
            message: row
                .try_get::<Option<i64>, _>(3)?
                .map(|id| MessageRow::from_row(id, row))
                .transpose()?,
        })
    }
}

impl MessageRow {
    fn from_row(id: i64, row: &PgRow) -> Result<Self, sqlx::Error> {
        let unique_id: String = row.try_get(4)?;
        Ok(Self {
            id: MessageId::new(id).ok_or(Undecodable("message"))?,
            unique_id: UniqueId::new(unique_id).map_err(|error| sqlx::Error::Decode(error.into()))?,
            octets: row.try_get(5)?,
            header_octets: row.try_get(6)?,
            has_dot_lines: row.try_get(7)?,
            needs_utf8: row.try_get(8)?,
            crc64: row.try_get(9)?,
            header_crc64: row.try_get(10)?,
            storage: row.try_get(11)?,
            blob: row.try_get(12)?,
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
#[derive(Default)]
struct Reading {
    usage: Option<Usage>,
    listing: ListingBuilder,
}

impl Reading {
    fn take(&mut self, maildrop: MaildropId, row: &SnapshotRow) -> Result<(), sqlx::Error> {
        if row.maildrop != maildrop.number() {
            return Err(Undecodable("the answer is another maildrop's").into());
        }
        if self.usage.is_none() {
            let room = row.usage.messages.min(MOST_IN_ADVANCE);
            self.listing = ListingBuilder::with_capacity(usize::try_from(room).unwrap_or_default());
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

    fn finish(self) -> Result<Listing, StoreError> {
        let usage = self.usage.ok_or_else(|| refusal(StoreErrorKind::Fenced, OP))?;
        let listing = self.listing.finish();
        let messages = u64::try_from(listing.bodies.len()).unwrap_or(u64::MAX);
        if messages != usage.messages || listing.snapshot.octets() != usage.octets {
            let differ = Undecodable("the maildrop's counters differ from its messages");
            return Err(failed(OP)(differ.into()));
        }
        Ok(listing)
    }
}

pub(super) async fn read(db: &Pg, fence: &Fence) -> Result<Listing, StoreError> {
    let maildrop = fence.maildrop;
    let query = sqlx::query_as(sql::SNAPSHOT)
        .bind(maildrop.number())
        .bind(maildrop.tenant().get())
        .bind(fence.token.get().cast_signed());
    let mut reading = Reading::default();
    db.each(query, |row: SnapshotRow| reading.take(maildrop, &row))
        .await
        .map_err(failed(OP))?;
    reading.finish()
}
