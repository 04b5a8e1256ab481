//! `{PLAIN}`: the password itself, as imports bring it. Replaced by a hash at the first login.

use restante_types::Secret;
use subtle::ConstantTimeEq;

use super::schemes::{Parsed, Stored};
use super::{HashError, MAX_PASSWORD_OCTETS};

struct PlainPassword(Secret<Vec<u8>>);

pub(super) fn parse(octets: &[u8]) -> Parsed {
    if !(1..=MAX_PASSWORD_OCTETS).contains(&octets.len()) {
        return Err(HashError::Malformed);
    }
    Ok(Box::new(PlainPassword(Secret::new(octets.to_vec()))))
}

impl Stored for PlainPassword {
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError> {
        Ok(self.0.expose().as_slice().ct_eq(raw).into())
    }
}
