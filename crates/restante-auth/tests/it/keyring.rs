//! The keyring: its file, and what it seals.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use restante_auth::{Keyring, KeyringError};

const FIRST: &str = "1:0101010101010101010101010101010101010101010101010101010101010101\n";
const SECOND: &str = "2:0202020202020202020202020202020202020202020202020202020202020202\n";
const PURPOSE: &str = "certificate key";
const OWNER: &[u8] = b"tenant 1";
/// Version, key id, nonce, tag.
const OVERHEAD: usize = 1 + 1 + 12 + 16;

fn parse(text: &str) -> Keyring {
    Keyring::parse(text).unwrap()
}

fn pepper(keyring: &Keyring, id: Option<u8>) -> Option<(u8, [u8; 32])> {
    keyring.pepper(id).map(|(id, pepper)| (id, *pepper.expose()))
}

/// A file of this process, gone with the value.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str, text: &[u8], mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("restante-keyring-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self(path)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// One key, and a comment up to so many octets.
fn filled(octets: usize) -> String {
    format!("{FIRST}{}", "#".repeat(octets - FIRST.len()))
}

#[test]
fn the_last_line_is_the_current_key() {
    let keyring = parse(&format!(
        "# made in spring\n\n  {SECOND}{FIRST}  # the next one\n"
    ));
    assert_eq!(keyring.current(), 1);
    assert_eq!(pepper(&keyring, None), pepper(&keyring, Some(1)));
    assert_eq!(pepper(&keyring, Some(2)).unwrap().0, 2);
    assert_ne!(
        pepper(&keyring, Some(1)).unwrap().1,
        pepper(&keyring, Some(2)).unwrap().1
    );
    assert_eq!(pepper(&keyring, Some(3)), None);
}

#[test]
fn the_pepper_is_not_the_key_itself() {
    let (_, pepper) = pepper(&parse(FIRST), None).unwrap();
    assert_ne!(pepper, [1; 32]);
}

#[test]
fn a_line_that_is_no_key_is_told_by_its_number_with_a_remedy() {
    for (text, told) in [
        ("\n0102", "line 2 of the keyring: it is not ID:HEX; write"),
        (
            "0:00",
            "line 1 of the keyring: the id is not a number from 1 to 255; write",
        ),
        (
            "256:00",
            "line 1 of the keyring: the id is not a number from 1 to 255; write",
        ),
        (
            "x:00",
            "line 1 of the keyring: the id is not a number from 1 to 255; write",
        ),
        (
            "1:c0ffee",
            "line 1 of the keyring: the key is not 64 hexadecimal digits; make one",
        ),
        (
            &format!("1:{}", "0g".repeat(32)),
            "line 1 of the keyring: the key is not 64 hexadecimal digits",
        ),
        (
            &format!("1:{}", "00".repeat(33)),
            "line 1 of the keyring: the key is not 64 hexadecimal digits",
        ),
        (
            &format!("{FIRST}{SECOND}{FIRST}"),
            "line 3 of the keyring: the key id was there before; give",
        ),
        ("", "the keyring has no key; write"),
        ("# nothing\n", "the keyring has no key; write"),
    ] {
        let error = Keyring::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
        assert!(!error.contains("c0ffee"), "{error}");
    }
}

#[test]
fn a_key_is_never_shown() {
    let keyring = format!("{:?}", parse(FIRST));
    assert!(keyring.contains("***"), "{keyring}");
    assert!(
        !keyring.contains("0101") && !keyring.contains("[1, 1"),
        "{keyring}"
    );
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    for mode in [0o600, 0o400] {
        let file = KeyFile::new(&format!("own-{mode:o}"), FIRST.as_bytes(), mode);
        assert_eq!(Keyring::load(&file.0).unwrap().current(), 1);
    }
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
        let file = KeyFile::new(&format!("exposed-{mode:o}"), FIRST.as_bytes(), mode);
        let error = Keyring::load(&file.0).unwrap_err();
        assert!(
            matches!(error, KeyringError::Exposed { mode: told, .. } if told == mode),
            "{error}"
        );
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_keyring_is_refused() {
    let missing = Keyring::load(&std::env::temp_dir().join("restante-no-such-keyring"));
    assert!(matches!(missing, Err(KeyringError::Unreadable { .. })));
    let binary = KeyFile::new("binary", b"1:\xff\xfe", 0o600);
    assert!(matches!(
        Keyring::load(&binary.0),
        Err(KeyringError::Unreadable { .. })
    ));
    let largest = KeyFile::new("largest", filled(64 * 1024).as_bytes(), 0o600);
    assert!(Keyring::load(&largest.0).is_ok());
    let large = KeyFile::new("large", filled(64 * 1024 + 1).as_bytes(), 0o600);
    assert!(matches!(
        Keyring::load(&large.0),
        Err(KeyringError::TooLarge { .. })
    ));
}

#[test]
fn what_is_sealed_opens_for_its_purpose_and_owner() {
    let keyring = parse(FIRST);
    for plaintext in [&b""[..], b"secret", &[7; 5000]] {
        let sealed = keyring.seal(PURPOSE, OWNER, plaintext).unwrap();
        assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
        assert_eq!(keyring.open(PURPOSE, OWNER, &sealed).unwrap().expose(), plaintext);
    }
    let sealed = keyring.seal(PURPOSE, OWNER, b"secret").unwrap();
    assert!(!sealed.windows(6).any(|octets| octets == b"secret"));
    assert_ne!(
        sealed,
        keyring.seal(PURPOSE, OWNER, b"secret").unwrap(),
        "the nonce is random"
    );
}

#[test]
fn what_is_sealed_for_one_owner_opens_for_no_other() {
    let keyring = parse(FIRST);
    let sealed = keyring.seal("ab", b"c", b"secret").unwrap();
    for (purpose, owner) in [
        ("ab", &b"d"[..]),
        ("ab", b""),
        ("a", b"bc"),
        ("abc", b""),
        ("b", b"c"),
    ] {
        let opened = keyring.open(purpose, owner, &sealed);
        assert!(matches!(opened, Err(KeyringError::Broken)), "{purpose} {owner:?}");
    }
}

#[test]
fn a_rotation_leaves_old_values_readable_and_makes_new_ones_with_the_new_key() {
    let old = parse(FIRST).seal(PURPOSE, OWNER, b"secret").unwrap();
    let rotated = parse(&format!("{FIRST}{SECOND}"));
    assert_eq!(rotated.open(PURPOSE, OWNER, &old).unwrap().expose(), b"secret");
    let new = rotated.seal(PURPOSE, OWNER, b"secret").unwrap();
    assert!(matches!(
        parse(FIRST).open(PURPOSE, OWNER, &new),
        Err(KeyringError::UnknownKey(2))
    ));
    let error = parse(SECOND).open(PURPOSE, OWNER, &old).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key 1 is not in the keyring; put its line back"
    );
}

#[test]
fn another_key_of_the_same_id_opens_nothing() {
    let sealed = parse(FIRST).seal(PURPOSE, OWNER, b"secret").unwrap();
    let other = parse(&FIRST.replace("01", "03"));
    assert!(matches!(
        other.open(PURPOSE, OWNER, &sealed),
        Err(KeyringError::Broken)
    ));
}

proptest! {
    #[test]
    fn a_changed_or_cut_value_does_not_open(place in 0_usize..OVERHEAD + 6, bit in 0_u8..8) {
        let keyring = parse(&format!("{FIRST}{SECOND}"));
        let mut sealed = keyring.seal(PURPOSE, OWNER, b"secret").unwrap();
        prop_assert!(keyring.open(PURPOSE, OWNER, &sealed[..place]).is_err());
        sealed[place] ^= 1 << bit;
        prop_assert!(keyring.open(PURPOSE, OWNER, &sealed).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in "([0-9]{0,3}:?[0-9a-fg#\\PC]{0,70}\n?){0,4}") {
        if let Ok(keyring) = Keyring::parse(&text) {
            prop_assert!(keyring.current() != 0);
        }
    }
}
