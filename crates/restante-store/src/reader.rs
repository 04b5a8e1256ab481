//! Readers that any storage needs: octets at hand, and octets counted.

use std::collections::VecDeque;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use restante_types::Octets;

use crate::{BlobReader, StoreError, StoreErrorKind};

/// Gives out octets that are in memory already.
#[derive(Clone, Debug, Default)]
pub struct BytesReader {
    pieces: VecDeque<Bytes>,
}

impl BytesReader {
    /// Gives out `pieces` one by one, empty ones left out.
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(),
        }
    }

    /// Gives out `octets` in pieces of at most `piece` octets, without copying.
    pub fn in_pieces(mut octets: Bytes, piece: usize) -> Self {
        let mut pieces = VecDeque::with_capacity(octets.len() / piece.max(1) + 1);
        while !octets.is_empty() {
            pieces.push_back(octets.split_to(piece.clamp(1, octets.len())));
        }
        Self { pieces }
    }
}

impl From<Bytes> for BytesReader {
    fn from(octets: Bytes) -> Self {
        Self::new([octets])
    }
}

#[async_trait]
impl BlobReader for BytesReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.pieces.pop_front())
    }
}

/// Passes on the body of a [`BlobStore::put`](crate::BlobStore::put) and insists on its length: the end comes
/// after exactly the octets announced, otherwise `Damaged`.
pub struct ExactReader<'a> {
    body: &'a mut dyn BlobReader,
    left: Octets,
    store: &'static str,
}

impl<'a> ExactReader<'a> {
    /// Expects `octets` from `body`; errors name `store`.
    pub fn new(body: &'a mut dyn BlobReader, octets: Octets, store: &'static str) -> Self {
        Self {
            body,
            left: octets,
            store,
        }
    }

    fn damaged(&self, how: &'static str) -> StoreError {
        StoreError::new(StoreErrorKind::Damaged, "put", self.store).because(how)
    }
}

impl fmt::Debug for ExactReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactReader")
            .field("left", &self.left)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl BlobReader for ExactReader<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self.body.next().await? {
            None if self.left == Octets::ZERO => Ok(None),
            None => Err(self.damaged("the body ends early")),
            Some(piece) if Octets::of(&piece) > self.left => Err(self.damaged("the body is too long")),
            Some(piece) => {
                self.left = self.left - Octets::of(&piece);
                Ok(Some(piece))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(octets: u64) -> Result<Vec<u8>, StoreErrorKind> {
        let mut body = BytesReader::in_pieces(Bytes::from_static(b"abcdefg"), 3);
        let mut exact = ExactReader::new(&mut body, Octets(octets), "test");
        let mut all = Vec::new();
        while let Some(piece) = exact.next().await.map_err(|error| error.kind)? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_of_the_announced_length_passes() {
        assert_eq!(read(7).await.unwrap(), b"abcdefg");
    }

    #[tokio::test]
    async fn a_body_of_another_length_is_damaged() {
        for octets in [0, 3, 6, 8] {
            assert_eq!(read(octets).await, Err(StoreErrorKind::Damaged), "{octets}");
        }
    }
}
