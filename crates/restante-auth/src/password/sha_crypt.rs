//! `$6$rounds=5000$salt$hash` and `$5$...`: SHA-512 and SHA-256 by the crypt(3) of most systems.

use restante_types::Secret;
use sha_crypt::password_hash::Error;
use sha_crypt::{PasswordVerifier, ShaCrypt};

use super::HashError;
use super::schemes::{Parsed, Stored};

const MIN_ROUNDS: u32 = 1000;
const MAX_ROUNDS: u32 = 100_000;
const MAX_SALT_OCTETS: usize = 16;

/// crypt(3)'s base64, in the order of the digits' values.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What tells the two apart.
pub(super) struct Variant {
    id: &'static str,
    hash_digits: usize,
    /// The last digit holds fewer than six bits.
    last_digits: usize,
}

pub(super) const SHA512: Variant = Variant {
    id: "6",
    hash_digits: 86,
    last_digits: 4,
};

pub(super) const SHA256: Variant = Variant {
    id: "5",
    hash_digits: 43,
    last_digits: 16,
};

struct ShaCryptHash(Secret<String>);

pub(super) fn parse(text: &[u8], variant: &Variant) -> Parsed {
    let text = str::from_utf8(text).map_err(|_| HashError::Malformed)?;
    let fields: Vec<&str> = text.split('$').collect();
    let (id, rounds, salt, hash) = match fields[..] {
        ["", id, salt, hash] => (id, None, salt, hash),
        ["", id, rounds, salt, hash] => (id, Some(rounds), salt, hash),
        _ => return Err(HashError::Malformed),
    };
    if let Some(rounds) = rounds {
        check_rounds(rounds)?;
    }
    let sound = id == variant.id && is_salt(salt) && variant.is_hash(hash);
    if !sound {
        return Err(HashError::Malformed);
    }
    Ok(Box::new(ShaCryptHash(Secret::new(text.to_owned()))))
}

impl Stored for ShaCryptHash {
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError> {
        // Compared in constant time.
        match ShaCrypt::default().verify_password(raw, self.0.expose().as_str()) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(_) => Err(HashError::Malformed),
        }
    }
}

impl Variant {
    fn is_hash(&self, text: &str) -> bool {
        text.len() == self.hash_digits
            && text.bytes().all(|digit| ALPHABET.contains(&digit))
            && text
                .bytes()
                .last()
                .is_some_and(|digit| ALPHABET[..self.last_digits].contains(&digit))
    }
}

fn is_salt(text: &str) -> bool {
    (1..=MAX_SALT_OCTETS).contains(&text.len()) && text.bytes().all(|octet| ALPHABET.contains(&octet))
}

/// Rounds out of bounds must not get further: they would be taken for the salt, or be computed.
fn check_rounds(field: &str) -> Result<(), HashError> {
    let digits = field.strip_prefix("rounds=").ok_or(HashError::Malformed)?;
    match super::decimal(digits)? {
        ..MIN_ROUNDS => Err(HashError::Malformed),
        MIN_ROUNDS..=MAX_ROUNDS => Ok(()),
        _ => Err(HashError::Excessive),
    }
}
