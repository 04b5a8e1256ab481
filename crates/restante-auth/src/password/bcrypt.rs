//! `$2y$10$...`: bcrypt, which sees the first 72 octets of a password and no more, as in Dovecot.

use restante_types::Secret;

use bcrypt::HashParts;

use super::HashError;
use super::schemes::{Parsed, Stored};

const MIN_COST: u32 = 4;
/// Each step doubles the time; 12 takes a quarter of a second.
const MAX_COST: u32 = 12;

struct BcryptHash(Secret<String>);

pub(super) fn parse(text: &[u8]) -> Parsed {
    let text = str::from_utf8(text).map_err(|_| HashError::Malformed)?;
    // `$2x$` is of an implementation with a fault, which nothing here has.
    let known = ["$2y$", "$2b$", "$2a$"]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    let parts: HashParts = text.parse().map_err(|_| HashError::Malformed)?;
    match parts.get_cost() {
        _ if !known => Err(HashError::Malformed),
        ..MIN_COST => Err(HashError::Malformed),
        MIN_COST..=MAX_COST => Ok(Box::new(BcryptHash(Secret::new(text.to_owned())))),
        _ => Err(HashError::Excessive),
    }
}

impl Stored for BcryptHash {
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError> {
        // Compared in constant time.
        bcrypt::verify(raw, self.0.expose()).map_err(|_| HashError::Failed)
    }
}
