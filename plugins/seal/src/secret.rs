//! A secret as the operator wrote it.

use base64ct::{Base64, Base64Unpadded, Encoding};
use zeroize::Zeroizing;

/// Octets of a key.
pub const SECRET: usize = 32;
/// What `parse` accepts, in words.
pub const FORMS: &str = "must be 32 octets, or 64 hexadecimal digits, or base64 of 32 octets";

/// The key that a secret stands for. 32 octets stand for themselves, whatever they are.
pub fn parse(octets: &[u8]) -> Option<Zeroizing<[u8; SECRET]>> {
    if let Ok(raw) = octets.try_into() {
        return Some(Zeroizing::new(raw));
    }
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
    let decoded = match octets.len() {
        SECRET => octets.to_vec(),
        64 => base16ct::mixed::decode_vec(octets).ok()?,
        43 => Base64Unpadded::decode_vec(str::from_utf8(octets).ok()?).ok()?,
        44 => Base64::decode_vec(str::from_utf8(octets).ok()?).ok()?,
        _ => return None,
    };
    let decoded = Zeroizing::new(decoded);
    decoded.as_slice().try_into().ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: [u8; SECRET] = *b"an example that nobody may use!\n";
    const HEX: &str = "616e206578616d706c652074686174206e6f626f6479206d61792075736521";
    const BASE64: &str = "YW4gZXhhbXBsZSB0aGF0IG5vYm9keSBtYXkgdXNlIQo=";

    fn parsed(octets: impl AsRef<[u8]>) -> Option<[u8; SECRET]> {
        parse(octets.as_ref()).map(|secret| *secret)
    }

    #[test]
    fn all_forms_are_the_same_key() {
        assert_eq!(parsed(RAW), Some(RAW));
        assert_eq!(parsed([&RAW[..], b"\n"].concat()), Some(RAW));
        assert_eq!(parsed(format!("{HEX}0a")), Some(RAW));
        assert_eq!(parsed(format!("{}0A\n", HEX.to_uppercase())), Some(RAW));
        assert_eq!(parsed(BASE64), Some(RAW));
        assert_eq!(parsed(format!("{BASE64}\r\n")), Some(RAW));
        assert_eq!(parsed(BASE64.trim_end_matches('=')), Some(RAW));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "\n",
            "short",
            &HEX[2..],
            &format!("{HEX}0g"),
            &format!("{HEX}0a00"),
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parsed(BASE64.replace('Y', "*")), None);
        assert_eq!(parsed([0xFF; 43]), None);
    }
}
