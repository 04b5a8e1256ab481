//! `$1$salt$rounds$hex`: PBKDF2 with HMAC-SHA-1, as Dovecot's `{PBKDF2}`. The salt is text, not hexadecimal.

use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::HashError;
use super::encoding::hex_decode;
use super::schemes::{Parsed, Stored};

const HASH_OCTETS: usize = 20;
const MAX_SALT_OCTETS: usize = 64;
const MAX_ROUNDS: u32 = 100_000;

struct Pbkdf2Hash {
    salt: Vec<u8>,
    rounds: u32,
    expected: [u8; HASH_OCTETS],
}

pub(super) fn parse(text: &[u8]) -> Parsed {
    let text = str::from_utf8(text).map_err(|_| HashError::Malformed)?;
    let fields: Vec<&str> = text.split('$').collect();
    let ["", "1", salt, rounds, hex] = fields[..] else {
        return Err(HashError::Malformed);
    };
    let rounds = match super::decimal(rounds)? {
        0 => return Err(HashError::Malformed),
        rounds @ ..=MAX_ROUNDS => rounds,
        _ => return Err(HashError::Excessive),
    };
    let expected = hex_decode(hex.as_bytes()).and_then(|octets| octets.try_into().ok());
    if !(1..=MAX_SALT_OCTETS).contains(&salt.len()) {
        return Err(HashError::Malformed);
    }
    Ok(Box::new(Pbkdf2Hash {
        salt: salt.as_bytes().to_vec(),
        rounds,
        expected: expected.ok_or(HashError::Malformed)?,
    }))
}

impl Stored for Pbkdf2Hash {
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError> {
        let computed: [u8; HASH_OCTETS] = pbkdf2::pbkdf2_hmac_array::<Sha1, _>(raw, &self.salt, self.rounds);
        Ok(computed.ct_eq(&self.expected).into())
    }
}
