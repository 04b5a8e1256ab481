//! A body on its way to a client: complete and undamaged, or not finished.

use bytes::Bytes;
use restante_message::BodyCheck;
use restante_types::Octets;
use restante_wire::TopCutter;

use crate::{BlobReader, BlobStores, BodyRef, OctetRange, Spooled, StoreError, StoreErrorKind};

/// What errors of a body call the comparison of what came with what was delivered.
pub const VERIFY: &str = "verify";

/// Proof that every octet of a body came and that its digest is the one recorded at delivery. Made by
/// [`Body::finish`] alone.
#[derive(Debug)]
pub struct Verified(());

/// A body being read, whole or its top.
///
/// Of a top with lines of the body the whole message is read and checked, though only the top is given out: what a
/// client is shown as complete has been verified. The header section alone has a digest of its own.
pub struct Body {
    reader: Box<dyn BlobReader>,
    check: BodyCheck,
    expected: Expected,
    cutter: Option<TopCutter>,
    has_dot_lines: bool,
}

struct Expected {
    octets: Octets,
    crc64: u64,
}

impl Body {
    /// Opens the whole message.
    ///
    /// # Errors
    /// As [`BlobStore::get`](crate::BlobStore::get).
    pub async fn whole(stores: &BlobStores, body: &BodyRef) -> Result<Self, StoreError> {
        let expected = Expected {
            octets: body.octets,
            crc64: body.crc64,
        };
        Self::open(stores, body, expected, None).await
    }

    /// Opens the header section, the empty line and `lines` lines of the body (RFC 1939 section 7, TOP).
    ///
    /// # Errors
    /// As [`BlobStore::get`](crate::BlobStore::get).
    pub async fn top(stores: &BlobStores, body: &BodyRef, lines: u64) -> Result<Self, StoreError> {
        if lines == 0 {
            let expected = Expected {
                octets: body.header_octets,
                crc64: body.header_crc64,
            };
            return Self::open(stores, body, expected, None).await;
        }
        let expected = Expected {
            octets: body.octets,
            crc64: body.crc64,
        };
        Self::open(stores, body, expected, Some(TopCutter::new(lines))).await
    }

    /// Reads a message that was fetched and checked: whole, or its header section and `lines` lines.
    pub fn of_spooled(message: &Spooled, lines: Option<u64>) -> Self {
        let measured = message.measured();
        Self {
            reader: Box::new(message.reader()),
            check: BodyCheck::new(),
            expected: Expected {
                octets: measured.octets,
                crc64: measured.crc64,
            },
            cutter: lines.map(TopCutter::new),
            has_dot_lines: measured.has_dot_lines,
        }
    }

    async fn open(
        stores: &BlobStores,
        body: &BodyRef,
        expected: Expected,
        cutter: Option<TopCutter>,
    ) -> Result<Self, StoreError> {
        let store = stores.get(body.storage)?;
        let reader = store.get(&body.blob, OctetRange::first(expected.octets)).await?;
        Ok(Self {
            reader,
            check: BodyCheck::new(),
            expected,
            cutter,
            has_dot_lines: body.has_dot_lines,
        })
    }

    /// Whether what comes may have lines that start with a dot.
    pub const fn has_dot_lines(&self) -> bool {
        self.has_dot_lines
    }

    /// Whether what [`Body::next`] gave last may be the last there is.
    pub fn may_be_over(&self) -> bool {
        self.cutter.is_some() || self.check.octets() >= self.expected.octets
    }

    /// The next piece to send, never empty; `None` at the end, when [`Body::finish`] is due.
    ///
    /// # Errors
    /// As [`BlobReader::next`]; `Damaged` as soon as more octets come than were delivered.
    ///
    /// # Cancel safety
    /// A cancelled call leaves the body unusable.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while let Some(piece) = self.reader.next().await? {
            self.check.update(&piece);
            if self.check.octets() > self.expected.octets {
                return Err(damaged("more octets than were delivered"));
            }
            let given = match &mut self.cutter {
                None => piece,
                Some(cutter) => {
                    let n = cutter.cut(&piece);
                    piece.slice(..n)
                }
            };
            if !given.is_empty() {
                return Ok(Some(given));
            }
        }
        Ok(None)
    }

    /// Compares what came with what was delivered.
    ///
    /// # Errors
    /// `Damaged` if octets or digest differ.
    pub fn finish(self) -> Result<Verified, StoreError> {
        if self.check.octets() != self.expected.octets {
            return Err(damaged("fewer octets than were delivered"));
        }
        if self.check.crc64() != self.expected.crc64 {
            return Err(damaged("the digest differs from the one recorded at delivery"));
        }
        Ok(Verified(()))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Body({} of {} octets)",
            self.check.octets(),
            self.expected.octets
        )
    }
}

fn damaged(why: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, VERIFY, "body").because(why)
}
