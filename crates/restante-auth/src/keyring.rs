//! The operator's keys, which are in no database: they pepper passwords and seal the secrets of tenants.
//!
//! Knows nothing of what it seals. Start at [`Keyring::load`], then [`Keyring::seal`].

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use restante_types::Secret;

use crate::password::encoding::{hex_decode, hmac_sha256};

const KEY_OCTETS: usize = 32;
/// A keyring has at most 255 lines; with comments it still is far below this.
const MAX_FILE_OCTETS: u64 = 64 * 1024;
/// Readable by more than its owner.
const OTHERS: u32 = 0o077;

/// First octet of what [`Keyring::seal`] makes.
const SEAL_VERSION: u8 = 1;
const SEAL_HEAD_OCTETS: usize = 2;

const PEPPER: &str = "restante password pepper";
const SEAL: &str = "restante seal";

/// Secret keys with ids from 1 to 255, the last one being the current key.
///
/// A text of lines `ID:HEX`, the key in 64 hexadecimal digits; `#` begins a comment. New values are made with the
/// current key, old ones still open with theirs: to rotate, append a line. A key may be taken out only when nothing
/// that was made with it is left. Every purpose has its own key, derived from these by HMAC-SHA-256.
#[derive(Debug)]
pub struct Keyring {
    keys: Vec<Key>,
    current: u8,
}

#[derive(Debug)]
struct Key {
    id: u8,
    key: Secret<[u8; KEY_OCTETS]>,
}

/// Why there is no keyring, or why it cannot do what was asked. Never shows a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A line that is not a key.
    #[error("line {line} of the keyring: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong and what to write instead.
        problem: &'static str,
    },
    /// No key at all.
    #[error("the keyring has no key; write a line 1:HEX, with the output of `openssl rand -hex 32` as HEX")]
    Empty,
    /// The file cannot be read.
    #[error("cannot read the keyring {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Others than the owner can read or change the file.
    #[error("the keyring {} has mode {mode:03o}, which lets others at it; run chmod 600 on it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// More than a keyring can hold.
    #[error("{} is too large for a keyring (64 KiB); name the file with the lines ID:HEX", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// A sealed value names a key that is not here.
    #[error("the key {0} is not in the keyring; put its line back")]
    UnknownKey(u8),
    /// A sealed value that was changed, or that was sealed for another purpose or owner.
    #[error(
        "the sealed value does not open: it was changed, or sealed for something else or with another key"
    )]
    Broken,
    /// Sealing failed: no random octets.
    #[error("the value could not be sealed")]
    Failed,
}

impl Keyring {
    /// Reads the lines of a keyring.
    ///
    /// # Errors
    /// [`KeyringError::Line`] with the line's number; [`KeyringError::Empty`].
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let key = Key::parse(line).and_then(|key| {
                if keys.iter().any(|other| other.id == key.id) {
                    return Err("the key id was there before; give every key an id of its own");
                }
                Ok(key)
            });
            let at_line = |problem| KeyringError::Line {
                line: index + 1,
                problem,
            };
            keys.push(key.map_err(at_line)?);
        }
        let current = keys.last().ok_or(KeyringError::Empty)?.id;
        Ok(Self { keys, current })
    }

    /// Reads a keyring from a file that only its owner can read or write.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`], [`KeyringError::Exposed`], [`KeyringError::TooLarge`], and those of
    /// [`Keyring::parse`].
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        let unreadable = |source| KeyringError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        // Of the open file, so that it cannot be another one by the time it is read.
        let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
        if mode & OTHERS != 0 {
            let path = path.to_owned();
            return Err(KeyringError::Exposed { path, mode });
        }
        let text = read(file)
            .map_err(unreadable)?
            .ok_or_else(|| KeyringError::TooLarge {
                path: path.to_owned(),
            })?;
        Self::parse(text.expose())
    }

    /// The id of the key that new values are made with.
    pub const fn current(&self) -> u8 {
        self.current
    }

    /// The key that passwords are peppered with, and its id; `None` asks for the current one.
    pub fn pepper(&self, id: Option<u8>) -> Option<(u8, Secret<[u8; 32]>)> {
        let key = self.find(id.unwrap_or(self.current))?;
        Some((key.id, key.derive(PEPPER, "")))
    }

    /// Another derived key, for a purpose inside this crate.
    pub(crate) fn derived(&self, id: u8, purpose: &str) -> Option<Secret<[u8; 32]>> {
        Some(self.find(id)?.derive(purpose, ""))
    }

    /// Encrypts and authenticates a secret with the current key, by AES-256-GCM with a random nonce.
    ///
    /// `bound_to` says whose secret it is: the sealed value opens for the same purpose and owner only, so that a row
    /// copied to another tenant is of no use there. Layout: version, key id, nonce, ciphertext with its tag; 30 octets
    /// longer than the plaintext.
    ///
    /// # Errors
    /// [`KeyringError::Failed`].
    pub fn seal(&self, purpose: &str, bound_to: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyringError> {
        let key = self.find(self.current).ok_or(KeyringError::Failed)?;
        // Encrypted in place: the plaintext does not remain in memory.
        let mut ciphertext = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
        ciphertext.extend_from_slice(plaintext);
        let nonce = key
            .cipher(purpose)
            .ok_or(KeyringError::Failed)?
            .seal_in_place_append_tag(associated(key.id, purpose, bound_to), &mut ciphertext)
            .map_err(|_| KeyringError::Failed)?;
        let mut sealed = vec![SEAL_VERSION, key.id];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut ciphertext);
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made for the same purpose and owner, with whichever key it was sealed.
    ///
    /// # Errors
    /// [`KeyringError::UnknownKey`]; [`KeyringError::Broken`] for everything else.
    pub fn open(
        &self,
        purpose: &str,
        bound_to: &[u8],
        sealed: &[u8],
    ) -> Result<Secret<Vec<u8>>, KeyringError> {
        let (head, rest) = sealed
            .split_at_checked(SEAL_HEAD_OCTETS)
            .ok_or(KeyringError::Broken)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN).ok_or(KeyringError::Broken)?;
        let &[SEAL_VERSION, id] = head else {
            return Err(KeyringError::Broken);
        };
        let key = self.find(id).ok_or(KeyringError::UnknownKey(id))?;
        let cipher = key.cipher(purpose).ok_or(KeyringError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyringError::Broken)?;
        let mut opened = ciphertext.to_vec();
        let n_octets = cipher
            .open_in_place(nonce, associated(id, purpose, bound_to), &mut opened)
            .map_err(|_| KeyringError::Broken)?
            .len();
        opened.truncate(n_octets);
        Ok(Secret::new(opened))
    }

    fn find(&self, id: u8) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl Key {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (id, hex) = line
            .split_once(':')
            .ok_or("it is not ID:HEX; write an id from 1 to 255, a colon and 64 hexadecimal digits")?;
        let id = match id.trim_end().parse() {
            Ok(id) if id != 0 => id,
            _ => return Err("the id is not a number from 1 to 255; write one before the colon"),
        };
        let octets = hex_decode(hex.trim_start().as_bytes()).map(Secret::new);
        let key = octets.and_then(|octets| <[u8; KEY_OCTETS]>::try_from(octets.expose().as_slice()).ok());
        key.map(|key| Self {
            id,
            key: Secret::new(key),
        })
        .ok_or("the key is not 64 hexadecimal digits; make one with `openssl rand -hex 32`")
    }

    /// The key of one purpose.
    fn derive(&self, family: &str, purpose: &str) -> Secret<[u8; 32]> {
        hmac_sha256(self.key.expose(), &[family.as_bytes(), b"\0", purpose.as_bytes()])
    }

    fn cipher(&self, purpose: &str) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, self.derive(SEAL, purpose).expose()).ok()
    }
}

/// What is authenticated with the ciphertext. Lengths stand before the values: no two pairs look the same.
fn associated(id: u8, purpose: &str, bound_to: &[u8]) -> Aad<Vec<u8>> {
    let mut octets = vec![SEAL_VERSION, id];
    for value in [purpose.as_bytes(), bound_to] {
        octets.extend_from_slice(&value.len().to_be_bytes());
        octets.extend_from_slice(value);
    }
    Aad::from(octets)
}

/// The whole text; `None` if it is longer than any keyring.
fn read(file: File) -> std::io::Result<Option<Secret<String>>> {
    // All the room at once: a text that grows would leave copies of the keys behind.
    let room = usize::try_from(MAX_FILE_OCTETS).unwrap_or_default() + 1;
    let mut text = String::with_capacity(room);
    let n_read = file.take(MAX_FILE_OCTETS + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    n_read?;
    Ok((text.expose().len() < room).then_some(text))
}
