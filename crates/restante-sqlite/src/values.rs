//! Values as the database keeps them, and back. What cannot be read back is [`Undecodable`], never a guess.

use std::time::{Duration, SystemTime};

use restante_store::BlobKey;
use restante_types::{Octets, TenantId};

/// A stored value that no version of this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored value is out of range: {0}")]
pub(crate) struct Undecodable(pub(crate) &'static str);

/// All 64 bits of a checksum in SQLite's signed integer.
pub(crate) const fn checksum_to_row(crc64: u64) -> i64 {
    crc64.cast_signed()
}

/// The reverse of [`checksum_to_row`].
pub(crate) const fn checksum_from_row(value: i64) -> u64 {
    value.cast_unsigned()
}

/// A count or a size; `None` past 2^63 - 1, which no maildrop reaches.
pub(crate) fn count_to_row(count: u64) -> Option<i64> {
    i64::try_from(count).ok()
}

pub(crate) fn count_from_row(value: i64) -> Result<u64, Undecodable> {
    u64::try_from(value).map_err(|_| Undecodable("count"))
}

pub(crate) fn octets_from_row(value: i64) -> Result<Octets, Undecodable> {
    Ok(Octets(count_from_row(value)?))
}

/// A limit; one past 2^63 - 1 limits nothing and is stored as the largest number.
pub(crate) fn limit_to_row(limit: Option<u64>) -> Option<i64> {
    limit.map(|limit| count_to_row(limit).unwrap_or(i64::MAX))
}

pub(crate) fn limit_from_row(value: Option<i64>) -> Result<Option<u64>, Undecodable> {
    value.map(count_from_row).transpose()
}

/// Microseconds since 1970; times before are 1970.
pub(crate) fn time_to_row(time: SystemTime) -> i64 {
    duration_to_row(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn time_from_row(micros: i64) -> Result<SystemTime, Undecodable> {
    Ok(SystemTime::UNIX_EPOCH + duration_from_row(micros)?)
}

/// Microseconds; the largest number for what is longer than 290,000 years.
pub(crate) fn duration_to_row(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn duration_from_row(value: i64) -> Result<Duration, Undecodable> {
    let micros = u64::try_from(value).map_err(|_| Undecodable("duration"))?;
    Ok(Duration::from_micros(micros))
}

/// The 16 octets of a blob's number, first the time: the order of keys is the order of their making.
pub(crate) fn blob_to_row(blob: &BlobKey) -> Vec<u8> {
    blob.number.to_be_bytes().to_vec()
}

pub(crate) fn blob_from_row(tenant: TenantId, octets: &[u8]) -> Result<BlobKey, Undecodable> {
    let octets = octets.try_into().map_err(|_| Undecodable("blob"))?;
    Ok(BlobKey {
        tenant,
        number: u128::from_be_bytes(octets),
    })
}

/// A blob's number as `hex()` writes it.
pub(crate) fn blob_from_hex(tenant: TenantId, digits: &str) -> Result<BlobKey, Undecodable> {
    let number = match digits.len() {
        32 => u128::from_str_radix(digits, 16).ok(),
        _ => None,
    };
    Ok(BlobKey {
        tenant,
        number: number.ok_or(Undecodable("blob"))?,
    })
}

pub(crate) fn tenant_from_row(key: i64) -> Result<TenantId, Undecodable> {
    TenantId::new(key).ok_or(Undecodable("tenant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_keep_all_their_bits() {
        for crc64 in [0, 1, u64::MAX, 1 << 63, i64::MAX.cast_unsigned()] {
            assert_eq!(checksum_from_row(checksum_to_row(crc64)), crc64);
        }
    }

    #[test]
    fn a_negative_count_is_refused_not_wrapped() {
        assert_eq!(octets_from_row(-1), Err(Undecodable("count")));
        assert_eq!(limit_from_row(Some(-1)), Err(Undecodable("count")));
        assert_eq!(
            limit_from_row(limit_to_row(Some(u64::MAX))),
            Ok(Some(i64::MAX.cast_unsigned()))
        );
    }
}
