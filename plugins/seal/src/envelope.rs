//! What the frames of a blob are sealed with.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};

use crate::header::{HEADER, Header, WRAPPED};
use crate::key::{DATA_KEY, Key, NONCE, TAG};
use crate::restante::storage::types::Error;
use crate::ring::Ring;

/// Random octets that a new envelope takes.
pub const RANDOM: usize = DATA_KEY + NONCE;
/// Octets of a frame's plain text; the last one of a blob may be smaller.
const FRAME: u32 = 64 * 1024;
/// Largest frame that is read.
const MAX_FRAME: u32 = 1024 * 1024;

pub struct Envelope {
    /// The blob's key: its name, which the frames are bound to.
    name: String,
    frame: u64,
    octets: u64,
    sealed_octets: u64,
    cipher: ChaCha20Poly1305,
}

impl Envelope {
    /// An envelope for the new blob `name`, and the header that opens it. `random` is used once.
    pub fn fresh(key: &Key, name: &str, octets: u64, random: &[u8]) -> Result<(Self, [u8; HEADER]), Error> {
        let no_random = || Error::Unavailable("the host gave too few random octets".to_owned());
        let (data_key, nonce) = random.split_first_chunk::<DATA_KEY>().ok_or_else(no_random)?;
        let mut header = Header {
            key_id: key.id,
            frame: FRAME,
            octets,
            nonce: nonce.try_into().map_err(|_| no_random())?,
            wrapped: [0; WRAPPED],
        };
        let wrapped = key.wrap(&header.nonce, data_key, &bound(&header, name))?;
        for (to, from) in header.wrapped.iter_mut().zip(wrapped) {
            *to = from;
        }
        Ok((Self::new(&header, name, data_key)?, header.to_octets()))
    }

    /// The envelope of the blob `name`, from its header.
    pub fn open(ring: &Ring, name: &str, header: &[u8; HEADER]) -> Result<Self, Error> {
        let header = Header::parse(header)?;
        let key = ring.find(header.key_id).ok_or_else(|| {
            let id = base16ct::lower::encode_string(&header.key_id);
            Error::Denied(format!(
                "the blob is sealed with the key {id}, which is not configured"
            ))
        })?;
        let data_key = key
            .unwrap(&header.nonce, &header.wrapped, &bound(&header, name))
            .ok_or_else(|| Error::Damaged("the header is not what was sealed".to_owned()))?;
        Self::new(&header, name, &data_key)
    }

    fn new(header: &Header, name: &str, data_key: &[u8]) -> Result<Self, Error> {
        if header.frame == 0 || header.frame > MAX_FRAME {
            return Err(Error::Damaged("the blob's frames have a wrong size".to_owned()));
        }
        let frame = u64::from(header.frame);
        let sealed_octets = (header.octets.div_ceil(frame))
            .checked_mul(TAG as u64)
            .and_then(|tags| tags.checked_add(header.octets))
            .and_then(|frames| frames.checked_add(HEADER as u64))
            .ok_or_else(|| Error::Invalid("the blob is too large".to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            frame,
            octets: header.octets,
            sealed_octets,
            cipher: ChaCha20Poly1305::new_from_slice(data_key)
                .map_err(|_| Error::Damaged("the data key has a wrong length".to_owned()))?,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Octets of the plain text.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Octets of the whole blob in the storage beneath.
    pub fn sealed_octets(&self) -> u64 {
        self.sealed_octets
    }

    pub fn n_frames(&self) -> u64 {
        self.octets.div_ceil(self.frame)
    }

    /// The frame that an octet of the plain text is in.
    pub fn frame_of(&self, octet: u64) -> u64 {
        octet / self.frame
    }

    /// Where a frame's plain text begins. After the last frame: where the plain text ends.
    pub fn start_of(&self, frame: u64) -> u64 {
        frame.saturating_mul(self.frame).min(self.octets)
    }

    /// Where a sealed frame begins in the storage beneath. After the last frame: where the blob ends.
    pub fn sealed_start_of(&self, frame: u64) -> u64 {
        HEADER as u64 + self.start_of(frame) + frame * TAG as u64
    }

    /// Octets of a frame's plain text: at most 1 MiB.
    pub fn len_of(&self, frame: u64) -> usize {
        (self.start_of(frame + 1) - self.start_of(frame)) as usize
    }

    /// Octets of a sealed frame.
    pub fn sealed_len_of(&self, frame: u64) -> usize {
        self.len_of(frame) + TAG
    }

    /// Seals the plain text of a frame in place.
    pub fn seal(&self, frame: u64, octets: &mut Vec<u8>) -> Result<(), Error> {
        self.cipher
            .encrypt_in_place(&nonce(frame), &self.bound(frame), octets)
            .map_err(|_| Error::Invalid("the frame cannot be sealed".to_owned()))
    }

    /// Opens a frame in place.
    pub fn unseal(&self, frame: u64, octets: &mut Vec<u8>) -> Result<(), Error> {
        self.cipher
            .decrypt_in_place(&nonce(frame), &self.bound(frame), octets)
            .map_err(|_| Error::Damaged(format!("frame {frame} is not what was sealed")))
    }

    /// What a frame is bound to: its place, and whose it is.
    fn bound(&self, frame: u64) -> Vec<u8> {
        let is_last = frame + 1 == self.n_frames();
        let mut bound = frame.to_be_bytes().to_vec();
        bound.push(u8::from(is_last));
        bound.extend(self.name.as_bytes());
        bound
    }
}

/// What a data key is bound to: the header before it, and whose it is.
fn bound(header: &Header, name: &str) -> Vec<u8> {
    let mut bound = header.bound().to_vec();
    bound.extend(name.as_bytes());
    bound
}

/// Each frame has a number of its own, and each blob a data key of its own: so a nonce is used once.
fn nonce(frame: u64) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&frame.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const NAME: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "ffffffffffffffffffffffffffffffff";
    const LENGTHS: [usize; 7] = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000];

    fn ring(newest: &str, old: &[&str]) -> Ring {
        let config = Config {
            key: newest.to_owned(),
            old_keys: old.iter().map(|&name| name.to_owned()).collect(),
        };
        Ring::load(&config, |name| Some(vec![name.as_bytes()[0]; 32])).unwrap()
    }

    fn plain(octets: usize) -> Vec<u8> {
        (0..octets).map(|n| (n / 7 % 251) as u8).collect()
    }

    fn sealed(ring: &Ring, plain: &[u8]) -> Vec<u8> {
        let random = [7; RANDOM];
        let (envelope, header) = Envelope::fresh(&ring.newest, NAME, plain.len() as u64, &random).unwrap();
        let mut blob = header.to_vec();
        for frame in 0..envelope.n_frames() {
            assert_eq!(blob.len() as u64, envelope.sealed_start_of(frame));
            let start = envelope.start_of(frame) as usize;
            let mut octets = plain[start..start + envelope.len_of(frame)].to_vec();
            envelope.seal(frame, &mut octets).unwrap();
            assert_eq!(octets.len(), envelope.sealed_len_of(frame));
            blob.extend(octets);
        }
        assert_eq!(blob.len() as u64, envelope.sealed_octets());
        assert_eq!(blob.len() as u64, envelope.sealed_start_of(envelope.n_frames()));
        blob
    }

    fn opened(ring: &Ring, name: &str, blob: &[u8]) -> Result<Vec<u8>, Error> {
        let envelope = Envelope::open(ring, name, blob.first_chunk().unwrap())?;
        let mut plain = Vec::new();
        for frame in 0..envelope.n_frames() {
            let start = envelope.sealed_start_of(frame) as usize;
            let sealed = blob.get(start..start + envelope.sealed_len_of(frame));
            let mut octets = sealed.ok_or(Error::Damaged("short".to_owned()))?.to_vec();
            envelope.unseal(frame, &mut octets)?;
            plain.extend(octets);
        }
        Ok(plain)
    }

    fn is_damaged(answer: Result<Vec<u8>, Error>) -> bool {
        matches!(answer, Err(Error::Damaged(_)))
    }

    #[test]
    fn what_is_sealed_opens_again() {
        let ring = ring("a", &[]);
        for octets in LENGTHS {
            let plain = plain(octets);
            assert!(
                opened(&ring, NAME, &sealed(&ring, &plain)).unwrap() == plain,
                "{octets}"
            );
        }
    }

    #[test]
    fn the_storage_beneath_sees_no_plain_text() {
        let plain = b"plain text ".repeat(10_000);
        let blob = sealed(&ring("a", &[]), &plain);
        assert!(!blob.windows(5).any(|octets| octets == b"plain"));
    }

    #[test]
    fn an_old_key_opens_its_blobs() {
        let blob = sealed(&ring("a", &[]), &plain(70_000));
        assert!(opened(&ring("b", &["a"]), NAME, &blob).unwrap() == plain(70_000));
        assert!(matches!(
            opened(&ring("b", &["c"]), NAME, &blob),
            Err(Error::Denied(_))
        ));
    }

    #[test]
    fn a_blob_under_another_name_is_damaged() {
        let ring = ring("a", &[]);
        for octets in LENGTHS {
            assert!(
                is_damaged(opened(&ring, OTHER, &sealed(&ring, &plain(octets)))),
                "{octets}"
            );
        }
    }

    #[test]
    fn any_octet_that_changes_is_noticed() {
        let ring = ring("a", &[]);
        let blob = sealed(&ring, &plain(300));
        for place in 0..blob.len() {
            let mut changed = blob.clone();
            changed[place] ^= 1;
            // Another key's id is a key that is not there.
            let is_noticed = match opened(&ring, NAME, &changed) {
                Err(Error::Denied(_)) => (8..16).contains(&place),
                answer => is_damaged(answer),
            };
            assert!(is_noticed, "{place}");
        }
    }

    #[test]
    fn frames_that_change_places_are_noticed() {
        let ring = ring("a", &[]);
        let mut blob = sealed(&ring, &plain(131_072));
        let (first, second) = blob[HEADER..].split_at_mut(65_552);
        first.swap_with_slice(second);
        assert!(is_damaged(opened(&ring, NAME, &blob)));
    }

    #[test]
    fn a_blob_that_is_cut_is_noticed() {
        let ring = ring("a", &[]);
        let blob = sealed(&ring, &plain(131_072));
        // Even by somebody who makes the header's length fit.
        let mut cut = blob[..HEADER + 65_552].to_vec();
        assert!(is_damaged(opened(&ring, NAME, &cut)));
        cut[20..28].copy_from_slice(&65_536_u64.to_be_bytes());
        assert!(is_damaged(opened(&ring, NAME, &cut)));

        // What the header cannot tell, the frames do.
        let ring_key = &ring.newest;
        let (short, _) = Envelope::fresh(ring_key, NAME, 65_536, &[7; RANDOM]).unwrap();
        let mut frame = blob[HEADER..HEADER + 65_552].to_vec();
        assert!(matches!(short.unseal(0, &mut frame), Err(Error::Damaged(_))));
    }

    #[test]
    fn a_blob_too_large_to_count_is_refused() {
        let answer = Envelope::fresh(&ring("a", &[]).newest, NAME, u64::MAX, &[7; RANDOM]);
        assert!(matches!(answer, Err(Error::Invalid(_))));
    }

    #[test]
    fn equal_blobs_of_different_keys_differ() {
        let (one, two) = (ring("a", &[]), ring("b", &[]));
        assert_ne!(one.newest.id, two.newest.id);
        assert_ne!(sealed(&one, b"x")[..HEADER], sealed(&two, b"x")[..HEADER]);
    }
}
