//! Passwords: how they are prepared, hashed and compared.
//!
//! Knows no accounts. Start at [`hash`] and [`verify`]; [`AppPassword`] and [`ScramKeys`] are the other credentials made
//! from secrets.

mod app;
mod argon2id;
mod bcrypt;
mod digest;
pub(crate) mod encoding;
mod pbkdf2;
mod plain;
mod schemes;
mod scram;
mod sha_crypt;

use std::sync::Arc;

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::OpaqueString;
use restante_types::Secret;

use crate::Keyring;

pub use app::AppPassword;
pub use argon2id::{HashParams, MAX_ITERATIONS, MAX_MEMORY_KIB, MAX_PARALLELISM};
pub use schemes::Scheme;
pub use scram::{SCRAM_ITERATIONS, ScramKeys};

/// Longest password accepted, in octets of UTF-8.
pub const MAX_PASSWORD_OCTETS: usize = 255;

/// A password in the form that is hashed: RFC 8265 OpaqueString, so that composed and decomposed letters are one.
#[derive(Debug)]
pub struct Password {
    text: Secret<String>,
    /// Stands for octets that cannot be a password: compared like one, matches nothing of ours.
    nobodys: bool,
}

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Empty, or longer than 255 octets.
    #[error("a password has 1 to 255 octets")]
    Length,
    /// Not UTF-8, or with control characters.
    #[error("a password is UTF-8 without control characters (RFC 8265 OpaqueString)")]
    Characters,
}

impl Password {
    /// Prepares a password as a client or an operator gave it.
    ///
    /// # Errors
    /// [`PasswordError`]; spaces are kept and nothing is cut off.
    pub fn prepare(octets: &[u8]) -> Result<Self, PasswordError> {
        if octets.is_empty() || octets.len() > MAX_PASSWORD_OCTETS {
            return Err(PasswordError::Length);
        }
        let text = str::from_utf8(octets).map_err(|_| PasswordError::Characters)?;
        let prepared = OpaqueString::enforce(text).map_err(|_| PasswordError::Characters)?;
        Ok(Self {
            text: Secret::new(prepared.into_owned()),
            nobodys: false,
        })
    }

    /// A password that nobody has, for the time it takes to compare: for unknown names, and for octets that cannot be
    /// a password of ours.
    pub(crate) fn nobodys() -> Self {
        Self {
            text: Secret::new(String::from("nobody has this password")),
            nobodys: true,
        }
    }

    fn octets(&self) -> &[u8] {
        self.text.expose().as_bytes()
    }
}

/// A stored hash that cannot be computed with. Texts never show the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Cut off, garbled, or of too few rounds for its scheme.
    #[error("the stored password hash is not complete and well formed")]
    Malformed,
    /// Of a scheme that we do not verify.
    #[error(
        "the stored password hash is of an unknown scheme; known are ARGON2ID, ARGON2I, SHA512-CRYPT, SHA256-CRYPT, \
         BLF-CRYPT, CRYPT, PBKDF2, SSHA512, SSHA256, SSHA, SHA512, SHA256, SHA, SCRAM-SHA-256 and PLAIN"
    )]
    UnknownScheme,
    /// Parameters that would take more memory or time than a login may.
    #[error(
        "the parameters of the password hash are out of bounds: argon2 has 8 KiB to 64 MiB, up to 4 iterations and 4 \
         lanes; SHA-crypt, PBKDF2 and SCRAM up to 100,000 rounds; bcrypt a cost of up to 12"
    )]
    Excessive,
    /// Made with a pepper that is not at hand.
    #[error("the pepper key {0} is not in the keyring; put its line back")]
    PepperMissing(u8),
    /// Hashing itself failed: no random octets, no memory.
    #[error("the password could not be hashed")]
    Failed,
}

/// How new hashes are made.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// What they cost.
    pub params: HashParams,
    /// With a keyring they are peppered with its current key.
    pub keyring: Option<Arc<Keyring>>,
}

impl Rule {
    /// The keyring, if there is one.
    pub fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_deref()
    }
}

/// What came of comparing a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verified {
    /// It is the one.
    Matched {
        /// The stored hash is weaker than the rule asks for: make a new one while the password is known.
        rehash: bool,
    },
    /// It is not.
    Mismatched,
}

/// Makes the PHC string to store for a password. Takes tens of milliseconds of a core: not for
/// a thread that others wait for.
///
/// # Errors
/// [`HashError::Failed`]; [`HashError::Excessive`] for parameters past the limits.
pub fn hash(password: &Password, rule: &Rule) -> Result<Secret<String>, HashError> {
    argon2id::hash(password.octets(), rule)
}

/// Whether a password belongs to a stored hash: one hash is computed, whatever the scheme. Takes tens of milliseconds
/// of a core.
///
/// Our own hashes are compared with the prepared password, imported ones with the octets as the client sent them,
/// because nobody knows how those were prepared. A rehash is due for every imported hash, and for one of ours with
/// lower parameters or another pepper than the rule's; never if the octets cannot be a password of ours.
///
/// # Errors
/// [`HashError`]: nothing was computed, and nothing can be said about the password.
pub fn verify(
    stored: &Secret<String>,
    password: &Password,
    raw: &Secret<Vec<u8>>,
    rule: &Rule,
) -> Result<Verified, HashError> {
    let stored = stored.expose().as_str();
    let (matched, weak) = if stored.starts_with(argon2id::PREFIX) {
        let hash = argon2id::Argon2Hash::parse(stored)?;
        let matched = hash.matches_peppered(password.octets(), rule.keyring())?;
        (matched && !password.nobodys, hash.is_weaker_than(rule))
    } else {
        let (_, hash) = schemes::parse(stored)?;
        let (tried, possible) = bounded(raw.expose());
        (hash.matches(tried)? && possible, true)
    };
    if !matched {
        return Ok(Verified::Mismatched);
    }
    Ok(Verified::Matched {
        rehash: weak && !password.nobodys,
    })
}

/// The scheme of a hash that is to be stored, without computing it.
///
/// A bare `$argon2id$` counts as our own; one that was made over octets nobody prepared is stored as
/// `{ARGON2ID}$argon2id$`.
///
/// # Errors
/// [`HashError`] for a hash that no password could ever be compared with.
pub fn inspect(stored: &str) -> Result<Scheme, HashError> {
    if stored.starts_with(argon2id::PREFIX) {
        argon2id::Argon2Hash::parse(stored)?;
        return Ok(Scheme::Own);
    }
    Ok(schemes::parse(stored)?.0)
}

/// As much of the octets as a legacy hash is computed over, and whether they can be a password at all. The cost of
/// some schemes grows with the password's length.
fn bounded(raw: &[u8]) -> (&[u8], bool) {
    let tried = raw.get(..MAX_PASSWORD_OCTETS).unwrap_or(raw);
    let possible = !raw.is_empty()
        && tried.len() == raw.len()
        && !raw.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
    (tried, possible)
}

/// A decimal number of a stored hash, digits only. What does not fit is too large for every limit.
fn decimal(digits: &str) -> Result<u32, HashError> {
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(HashError::Malformed);
    }
    Ok(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_characters_are_bounded() {
        assert!(Password::prepare(&[b'a'; 255]).is_ok());
        assert_eq!(
            Password::prepare(&[b'a'; 256]).unwrap_err(),
            PasswordError::Length
        );
        assert_eq!(Password::prepare(b"").unwrap_err(), PasswordError::Length);
        for octets in [&b"a\0b"[..], b"a\rb", b"\xff\xfe"] {
            assert_eq!(
                Password::prepare(octets).unwrap_err(),
                PasswordError::Characters,
                "{octets:?}"
            );
        }
    }

    #[test]
    fn octets_that_cannot_be_a_password_match_nothing_of_ours() {
        let rule = Rule {
            params: HashParams {
                memory_kib: 8,
                iterations: 1,
                parallelism: 1,
            },
            keyring: None,
        };
        let stored = hash(&Password::prepare(b"nobody has this password").unwrap(), &rule).unwrap();
        let raw = Secret::new(b"\xff".to_vec());
        let verified = verify(&stored, &Password::nobodys(), &raw, &rule);
        assert_eq!(verified, Ok(Verified::Mismatched));
    }

    #[test]
    fn an_imported_password_of_another_charset_matches_and_is_not_hashed_anew() {
        let stored = Secret::new(String::from("{PLAIN.hex}67fc6e")); // g\xfcn, Latin-1
        let verify = |raw: &[u8]| {
            verify(
                &stored,
                &Password::nobodys(),
                &Secret::new(raw.to_vec()),
                &Rule::default(),
            )
        };
        assert_eq!(verify(b"g\xfcn"), Ok(Verified::Matched { rehash: false }));
        assert_eq!(verify("g\u{fc}n".as_bytes()), Ok(Verified::Mismatched));
    }
}
