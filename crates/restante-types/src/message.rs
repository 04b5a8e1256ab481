//! How a message is named: by the store, by the session and by the client.

use std::fmt;
use std::num::NonZeroU32;

crate::identity::number! {
    /// The store's key of a message. POP3 order is the order of these keys.
    MessageId
}

/// The number of a message within one session, `1..=n` (RFC 1939 section 5).
///
/// There is no message 0, so a client that asks for one can never reach message 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// The first message of a session.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// `None` for 0.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Reads the decimal form of RFC 1939: digits only, no sign, no leading zero, at most `u32::MAX`.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() || digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        str::from_utf8(digits).ok()?.parse().ok().and_then(Self::new)
    }

    /// The number of the message at `index`, counted from 0; `None` past `u32::MAX` messages.
    pub fn from_index(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(1).and_then(Self::new)
    }

    /// Where the message stands in a list, counted from 0.
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The number itself, at least 1.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The unique-id of a message: 1 to 70 octets in the range 0x21 to 0x7E, unique within the maildrop for ever
/// (RFC 1939 section 7).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueId(Box<str>);

/// Why a text is no unique-id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UniqueIdError {
    /// The text is empty or longer than 70 octets.
    #[error("a unique-id has 1 to 70 octets (RFC 1939 section 7)")]
    Length,
    /// The text has an octet outside 0x21 to 0x7E.
    #[error("a unique-id has only octets 0x21 to 0x7E (RFC 1939 section 7)")]
    Octet,
}

impl UniqueId {
    /// The longest unique-id, in octets.
    pub const MAX_OCTETS: usize = 70;

    /// Checks length and octets.
    ///
    /// # Errors
    /// [`UniqueIdError`] says which rule of RFC 1939 section 7 is broken.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, UniqueIdError> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_OCTETS {
            return Err(UniqueIdError::Length);
        }
        if !text.bytes().all(|octet| (0x21..=0x7E).contains(&octet)) {
            return Err(UniqueIdError::Octet);
        }
        Ok(Self(text))
    }

    /// The text, as UIDL sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UniqueId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimal_numbers_name_a_message() {
        assert_eq!(MessageNumber::parse(b"1"), Some(MessageNumber::FIRST));
        assert_eq!(MessageNumber::parse(b"4294967295").unwrap().get(), u32::MAX);
        let refused: [&[u8]; 10] = [
            b"",
            b"0",
            b"-1",
            b"+1",
            b"01",
            b"1x",
            b"1.0",
            b" 1",
            b"4294967296",
            b"4294967297",
        ];
        for text in refused {
            assert_eq!(MessageNumber::parse(text), None, "{text:?}");
        }
        assert_eq!(MessageNumber::parse(&[b'1'; 40]), None);
    }

    #[test]
    fn number_and_index_are_one_apart() {
        assert_eq!(MessageNumber::from_index(0), Some(MessageNumber::FIRST));
        assert_eq!(MessageNumber::new(7).unwrap().index(), 6);
    }

    #[test]
    fn unique_id_keeps_rfc_1939_section_7() {
        assert!(UniqueId::new("!").is_ok());
        assert!(UniqueId::new("~".repeat(70)).is_ok());
        assert_eq!(UniqueId::new(""), Err(UniqueIdError::Length));
        assert_eq!(UniqueId::new("a".repeat(71)), Err(UniqueIdError::Length));
        for text in ["a b", "a\u{7f}", "\t", "é"] {
            assert_eq!(UniqueId::new(text), Err(UniqueIdError::Octet), "{text:?}");
        }
    }
}
