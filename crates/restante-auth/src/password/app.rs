//! Application passwords: made by us for one program, long enough that a plain digest of them is as good as argon2.

use restante_types::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::error;

use super::HashError;
use super::encoding::{hex_decode, hex_encode};
use crate::Keyring;

/// Letters and digits without those that look alike: no 0, 1, l, o.
const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// 5 bits each: 100 bits.
const LETTERS: usize = 20;
const GROUP: usize = 4;
/// The longest text that can be one, with generous spaces.
const MAX_TYPED_OCTETS: usize = 64;

const VERSION: &str = "1";
const PEPPER: &str = "restante application password pepper";
/// In the place of a key's id: made without a keyring.
const NO_KEY: u8 = 0;

/// An application password: 20 letters and digits, 100 bits, shown as `xxxx-xxxx-xxxx-xxxx-xxxx`.
#[derive(Debug)]
pub struct AppPassword(Secret<[u8; LETTERS]>);

impl AppPassword {
    /// Makes one. The text is to be shown to its owner this once.
    ///
    /// # Errors
    /// [`HashError::Failed`] without random octets.
    pub fn generate() -> Result<(Secret<String>, Self), HashError> {
        let mut letters = [0; LETTERS];
        getrandom::fill(&mut letters).map_err(|_| HashError::Failed)?;
        // 256 is a multiple of 32: every letter is as likely.
        for letter in &mut letters {
            *letter = ALPHABET[usize::from(*letter) % ALPHABET.len()];
        }
        let password = Self(Secret::new(letters));
        Ok((password.to_text(), password))
    }

    /// Recognises what may be one in what a client sent: in either case, with or without hyphens and spaces. Costs
    /// nothing, so that it can stand before every look-up.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        if octets.len() > MAX_TYPED_OCTETS {
            return None;
        }
        let mut letters = [0; LETTERS];
        let mut places = letters.iter_mut();
        for octet in octets.iter().filter(|octet| !matches!(octet, b'-' | b' ')) {
            let letter = octet.to_ascii_lowercase();
            if !ALPHABET.contains(&letter) {
                return None;
            }
            *places.next()? = letter;
        }
        let complete = places.next().is_none();
        complete.then(|| Self(Secret::new(letters)))
    }

    /// What is stored: `1$KEYID$HEX`, the SHA-256 of pepper and password. Without a keyring the key id is 0.
    pub fn verifier(&self, keyring: Option<&Keyring>) -> Secret<String> {
        let id = keyring.map_or(NO_KEY, Keyring::current);
        let pepper = keyring.and_then(|keyring| keyring.derived(id, PEPPER));
        let digest = self.digest(pepper.as_ref());
        Secret::new(format!("{VERSION}${id}${}", hex_encode(&digest)))
    }

    /// Whether a verifier was made from this password. Compares in constant time, takes a microsecond.
    ///
    /// A verifier that is malformed or whose key is not in the keyring fits nothing, and is logged: the account's
    /// other ones must still open it.
    pub fn matches(&self, verifier: &str, keyring: Option<&Keyring>) -> bool {
        match self.compare(verifier, keyring) {
            Ok(matched) => matched,
            Err(error) => {
                error!(%error, "the verifier of an application password cannot be used");
                false
            }
        }
    }

    fn compare(&self, verifier: &str, keyring: Option<&Keyring>) -> Result<bool, HashError> {
        let (id, expected) = parse_verifier(verifier).ok_or(HashError::Malformed)?;
        let pepper = match id {
            NO_KEY => None,
            id => Some(
                keyring
                    .and_then(|keyring| keyring.derived(id, PEPPER))
                    .ok_or(HashError::PepperMissing(id))?,
            ),
        };
        Ok(self.digest(pepper.as_ref()).ct_eq(&expected).into())
    }

    fn digest(&self, pepper: Option<&Secret<[u8; 32]>>) -> [u8; 32] {
        let mut digest = Sha256::new();
        if let Some(pepper) = pepper {
            digest.update(pepper.expose());
        }
        digest.update(self.0.expose());
        digest.finalize().into()
    }

    fn to_text(&self) -> Secret<String> {
        let mut text = String::with_capacity(LETTERS + LETTERS / GROUP);
        for group in self.0.expose().chunks(GROUP) {
            if !text.is_empty() {
                text.push('-');
            }
            text.extend(group.iter().copied().map(char::from));
        }
        Secret::new(text)
    }
}

fn parse_verifier(text: &str) -> Option<(u8, [u8; 32])> {
    let (version, rest) = text.split_once('$')?;
    let (id, hex) = rest.split_once('$')?;
    let digest = hex_decode(hex.as_bytes())?.try_into().ok()?;
    (version == VERSION).then_some((id.parse().ok()?, digest))
}
