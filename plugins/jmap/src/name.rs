//! How messages are named: the entry's id, the unique-id, and the key of a size.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest id of an entry.
const ID: usize = 255;
/// Longest unique-id.
const UNIQUE_ID: usize = 70;
/// Longest key among the key-values.
const KEY: usize = 512;

/// An entry's id: that of the email, and that of its blob where both have room, which saves a request per message.
/// JMAP's ids hold no slash (RFC 8620 section 1.2).
pub fn entry_id(email: &str, blob: &str) -> Option<String> {
    if !is_id(email) {
        return None;
    }
    let both = format!("{email}/{blob}");
    if is_id(blob) && both.len() <= ID {
        return Some(both);
    }
    Some(email.to_owned())
}

/// The email, and its blob if the id says which.
pub fn parts(entry_id: &str) -> (&str, Option<&str>) {
    match entry_id.split_once('/') {
        Some((email, blob)) => (email, Some(blob)),
        None => (entry_id, None),
    }
}

/// What clients know the email by: its id, which JMAP never gives to another one, or a digest of it if that is too
/// long. The dot keeps digests apart from ids.
pub fn unique_id(email: &str) -> String {
    if email.len() <= UNIQUE_ID {
        return email.to_owned();
    }
    format!("h.{}", digest(email))
}

/// Where the size of an email is kept.
pub fn size_key(account: &str, email: &str) -> String {
    let key = format!("size/{account}/{email}");
    if key.len() <= KEY {
        return key;
    }
    format!("size/{}", digest(&key))
}

/// Whether it is an id of JMAP. Servers that use more characters than RFC 8620 allows are put up with.
fn is_id(id: &str) -> bool {
    (1..=ID).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/')
}

fn digest(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for octet in Sha256::digest(text) {
        // A string takes everything.
        let _ = write!(hex, "{octet:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_email_and_blob() {
        let id = entry_id("M1", "G2").unwrap();
        assert_eq!(id, "M1/G2");
        assert_eq!(parts(&id), ("M1", Some("G2")));
    }

    #[test]
    fn a_blob_without_room_is_left_out() {
        let email = "e".repeat(250);
        assert_eq!(entry_id(&email, "blob4"), entry_id(&email, "blob4/"));
        let id = entry_id(&email, "blob").unwrap();
        assert_eq!(id.len(), 255);
        let id = entry_id(&email, "blob5").unwrap();
        assert_eq!(parts(&id), (email.as_str(), None));
        assert_eq!(entry_id(&"e".repeat(255), "b").unwrap().len(), 255);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for email in ["", "a b", "a/b", "é", &"e".repeat(256)] {
            assert_eq!(entry_id(email, "b"), None);
        }
    }

    #[test]
    fn unique_ids_are_short_and_differ() {
        assert_eq!(unique_id("M1"), "M1");
        assert_eq!(unique_id(&"e".repeat(70)).len(), 70);
        let long = unique_id(&"e".repeat(71));
        assert_eq!(long.len(), 66);
        assert_ne!(long, unique_id(&"e".repeat(72)));
        assert_eq!(long, unique_id(&"e".repeat(71)));
    }

    #[test]
    fn keys_fit() {
        assert_eq!(size_key("u1", "M1"), "size/u1/M1");
        let long = "x".repeat(255);
        assert!(size_key(&long, &long).len() <= KEY);
        assert_ne!(size_key(&long, &long), size_key(&long, &"y".repeat(255)));
    }
}
