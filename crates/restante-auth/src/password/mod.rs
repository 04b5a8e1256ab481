//! Passwords: how they are prepared, hashed and compared.

mod argon2id;

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::OpaqueString;
use restante_types::Secret;

pub use argon2id::{HashParams, MAX_ITERATIONS, MAX_MEMORY_KIB, MAX_PARALLELISM};

/// Longest password accepted, in octets of UTF-8.
pub const MAX_PASSWORD_OCTETS: usize = 255;

/// A password in the form that is hashed: RFC 8265 OpaqueString, so that composed and decomposed letters are one.
#[derive(Debug)]
pub struct Password(Secret<String>);

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
        Ok(Self(Secret::new(prepared.into_owned())))
    }

    /// A password that nobody has, for the time it takes to compare.
    pub(crate) fn nobodys() -> Self {
        Self(Secret::new(String::from("nobody has this password")))
    }

    fn octets(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

/// A stored hash that cannot be computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not a PHC string of a scheme we know.
    #[error("the stored password hash is not a PHC string of argon2id")]
    Malformed,
    /// Parameters that would take more memory or time than a login may.
    #[error("the stored password hash asks for more than 64 MiB, 4 iterations or 4 lanes")]
    Excessive,
    /// Hashing itself failed: no random octets, no memory.
    #[error("the password could not be hashed")]
    Failed,
}

/// Makes the PHC string to store for a password. Takes tens of milliseconds of a core: see
/// [`HashGate`](crate::HashGate).
///
/// # Errors
/// [`HashError::Failed`]; [`HashError::Excessive`] for parameters past the limits.
pub fn hash(password: &Password, params: HashParams) -> Result<Secret<String>, HashError> {
    argon2id::hash(password.octets(), params)
}

/// Whether a password belongs to a stored hash. Takes tens of milliseconds of a core.
///
/// # Errors
/// [`HashError`]: nothing was computed, and nothing can be said about the password.
pub fn verify(stored: &Secret<String>, password: &Password) -> Result<bool, HashError> {
    argon2id::verify(stored.expose(), password.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: HashParams = HashParams {
        memory_kib: 8,
        iterations: 1,
        parallelism: 1,
    };

    fn matches(set: &str, tried: &str) -> bool {
        let stored = hash(&Password::prepare(set.as_bytes()).unwrap(), QUICK).unwrap();
        verify(&stored, &Password::prepare(tried.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_right_password_matches_and_no_other() {
        assert!(matches("correct horse", "correct horse"));
        assert!(!matches("correct horse", "correct  horse"));
        assert!(!matches("correct horse", "Correct horse"));
        assert!(!matches("correct horse", "correct horse "));
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_password() {
        assert!(matches("caf\u{e9}", "cafe\u{301}"));
    }

    /// The test vector of the reference implementation: `password`, `somesalt`, t=2, m=2^16, p=1.
    #[test]
    fn a_hash_of_the_reference_implementation_is_verified() {
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let stored = Secret::new(stored.to_owned());
        let verify = |password: &[u8]| verify(&stored, &Password::prepare(password).unwrap());
        assert_eq!(verify(b"password"), Ok(true));
        assert_eq!(verify(b"Password"), Ok(false));
    }

    #[test]
    fn memory_of_one_hash_serves_the_next_of_another_size() {
        let password = Password::prepare(b"a").unwrap();
        for memory_kib in [64, 8, 256] {
            let params = HashParams { memory_kib, ..QUICK };
            assert_eq!(verify(&hash(&password, params).unwrap(), &password), Ok(true));
        }
    }

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
    fn absurd_stored_hashes_are_refused_not_computed() {
        let password = Password::prepare(b"x").unwrap();
        let try_it = |stored: &str| verify(&Secret::new(stored.to_owned()), &password);
        for excessive in [
            "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=19456,t=1000000,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(try_it(excessive), Err(HashError::Excessive));
        }
        for malformed in [
            "",
            "plain",
            "$argon2id$",
            "$2y$10$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=x$a$b",
        ] {
            assert_eq!(try_it(malformed), Err(HashError::Malformed), "{malformed}");
        }
    }
}
