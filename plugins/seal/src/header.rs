//! What stands before the frames of a blob.

use crate::key::{DATA_KEY, ID, NONCE, TAG};
use crate::restante::storage::types::Error;

/// Octets of a header.
pub const HEADER: usize = BOUND + NONCE + WRAPPED;
/// Octets of a header that the wrapped data key is bound to: all before its nonce.
pub const BOUND: usize = MAGIC.len() + ID + 4 + 8;
/// Octets of a wrapped data key.
pub const WRAPPED: usize = DATA_KEY + TAG;
/// What a header begins with; the last octet is the version.
const MAGIC: [u8; 8] = *b"rstSEAL\x01";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub key_id: [u8; ID],
    /// Octets of a frame's plain text.
    pub frame: u32,
    /// Octets of the plain text.
    pub octets: u64,
    pub nonce: [u8; NONCE],
    pub wrapped: [u8; WRAPPED],
}

impl Header {
    pub fn parse(header: &[u8; HEADER]) -> Result<Self, Error> {
        let mut rest = header.as_slice();
        let magic = take::<8>(&mut rest)?;
        if magic[..7] != MAGIC[..7] {
            return Err(Error::Damaged(
                "the blob was not sealed by this plugin".to_owned(),
            ));
        }
        if magic != MAGIC {
            return Err(Error::Damaged(format!(
                "the blob's format {} is not known",
                magic[7]
            )));
        }
        Ok(Self {
            key_id: take(&mut rest)?,
            frame: u32::from_be_bytes(take(&mut rest)?),
            octets: u64::from_be_bytes(take(&mut rest)?),
            nonce: take(&mut rest)?,
            wrapped: take(&mut rest)?,
        })
    }

    /// What the wrapped data key is bound to: the octets before its nonce.
    pub fn bound(&self) -> [u8; BOUND] {
        filled([
            &MAGIC,
            &self.key_id,
            &self.frame.to_be_bytes(),
            &self.octets.to_be_bytes(),
        ])
    }

    pub fn to_octets(&self) -> [u8; HEADER] {
        filled([&self.bound(), &self.nonce, &self.wrapped])
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (taken, behind) = rest
        .split_first_chunk()
        .ok_or_else(|| Error::Damaged("the header is too short".to_owned()))?;
    *rest = behind;
    Ok(*taken)
}

/// The parts, one after the other. They are `N` octets together.
fn filled<const N: usize, const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; N] {
    let mut octets = [0; N];
    for (to, from) in octets.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back() {
        let header = Header {
            key_id: [1; ID],
            frame: 65536,
            octets: 70_000,
            nonce: [2; NONCE],
            wrapped: [3; WRAPPED],
        };
        let octets = header.to_octets();
        assert_eq!(octets.len(), 100);
        assert_eq!(Header::parse(&octets).unwrap(), header);
    }

    #[test]
    fn other_formats_are_damaged() {
        assert!(matches!(Header::parse(&[0; HEADER]), Err(Error::Damaged(_))));
        let mut octets = [0; HEADER];
        octets[..8].copy_from_slice(b"rstSEAL\x02");
        let Err(Error::Damaged(text)) = Header::parse(&octets) else {
            panic!("a version that is not known");
        };
        assert!(text.contains("format 2"), "{text}");
    }
}
