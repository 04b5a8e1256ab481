//! Keys of SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): what a server keeps to verify proofs without the password.
//!
//! The exchange itself is elsewhere. Start at [`ScramKeys::derive`].

use restante_types::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::encoding::{base64_decode, base64_encode, hmac_sha256};
use super::schemes::{Parsed, Stored};
use super::{HashError, Password};

/// Iterations of new keys.
pub const SCRAM_ITERATIONS: u32 = 15_000;

/// RFC 7677 section 4.
const MIN_ITERATIONS: u32 = 4096;
const MAX_ITERATIONS: u32 = 100_000;
const SALT_OCTETS: usize = 16;
const MIN_SALT_OCTETS: usize = 8;
const MAX_SALT_OCTETS: usize = 64;

const PREFIX: &str = "SCRAM-SHA-256$";
const DOVECOT_PREFIX: &str = "{SCRAM-SHA-256}";

/// The keys of one account.
#[derive(Debug)]
pub struct ScramKeys {
    /// Sent to the client; 8 to 64 octets.
    pub salt: Vec<u8>,
    /// Sent to the client; 4,096 to 100,000.
    pub iterations: u32,
    /// SHA-256 of the client's key: verifies the client's proof.
    pub stored_key: Secret<[u8; 32]>,
    /// Signs the server's answer.
    pub server_key: Secret<[u8; 32]>,
}

impl ScramKeys {
    /// Makes keys for a password, with a fresh salt. Takes milliseconds of a core.
    ///
    /// # Errors
    /// [`HashError::Excessive`] for iterations out of 4,096 to 100,000; [`HashError::Failed`] without random octets.
    pub fn derive(password: &Password, iterations: u32) -> Result<Self, HashError> {
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(HashError::Excessive);
        }
        let mut salt = vec![0; SALT_OCTETS];
        getrandom::fill(&mut salt).map_err(|_| HashError::Failed)?;
        Ok(Self::compute(password.octets(), salt, iterations))
    }

    /// Keys for a name that nobody has: always the same ones, so that an unknown name shows the same salt at every
    /// attempt. No proof fits them.
    ///
    /// `iterations` are those that new keys get.
    pub fn fake(secret: &[u8; 32], name: &str, iterations: u32) -> Self {
        let made_up = |what: &[u8]| hmac_sha256(secret, &[what, b"\0", name.as_bytes()]);
        let salt = made_up(b"salt")
            .expose()
            .iter()
            .copied()
            .take(SALT_OCTETS)
            .collect();
        Self {
            salt,
            iterations,
            stored_key: made_up(b"stored key"),
            server_key: made_up(b"server key"),
        }
    }

    /// Reads `SCRAM-SHA-256$iterations:salt$stored:server`, which is PostgreSQL's form, or Dovecot's
    /// `{SCRAM-SHA-256}iterations,salt,stored,server`.
    ///
    /// # Errors
    /// [`HashError::Malformed`], also for less than RFC 7677 asks for; [`HashError::Excessive`].
    pub fn parse(text: &str) -> Result<Self, HashError> {
        if let Some(fields) = text.strip_prefix(DOVECOT_PREFIX) {
            return Self::parse_dovecot(fields);
        }
        let fields = text.strip_prefix(PREFIX).ok_or(HashError::Malformed)?;
        let (costs, keys) = fields.split_once('$').ok_or(HashError::Malformed)?;
        let (iterations, salt) = costs.split_once(':').ok_or(HashError::Malformed)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(HashError::Malformed)?;
        Self::from_fields([iterations, salt, stored_key, server_key])
    }

    /// The text that [`ScramKeys::parse`] reads, in PostgreSQL's form.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(format!(
            "{PREFIX}{}:{}${}:{}",
            self.iterations,
            base64_encode(&self.salt),
            base64_encode(self.stored_key.expose()),
            base64_encode(self.server_key.expose()),
        ))
    }

    fn compute(password: &[u8], salt: Vec<u8>, iterations: u32) -> Self {
        let salted: [u8; 32] = pbkdf2::pbkdf2_hmac_array::<Sha256, _>(password, &salt, iterations);
        let salted = Secret::new(salted);
        let client_key = hmac_sha256(salted.expose(), &[b"Client Key"]);
        Self {
            salt,
            iterations,
            stored_key: Secret::new(Sha256::digest(client_key.expose()).into()),
            server_key: hmac_sha256(salted.expose(), &[b"Server Key"]),
        }
    }

    fn parse_dovecot(fields: &str) -> Result<Self, HashError> {
        let fields: Vec<&str> = fields.split(',').collect();
        Self::from_fields(fields.try_into().map_err(|_| HashError::Malformed)?)
    }

    fn from_fields([iterations, salt, stored_key, server_key]: [&str; 4]) -> Result<Self, HashError> {
        let iterations = match super::decimal(iterations)? {
            ..MIN_ITERATIONS => return Err(HashError::Malformed),
            iterations @ ..=MAX_ITERATIONS => iterations,
            _ => return Err(HashError::Excessive),
        };
        let salt = base64_decode(salt.as_bytes()).ok_or(HashError::Malformed)?;
        if !(MIN_SALT_OCTETS..=MAX_SALT_OCTETS).contains(&salt.len()) {
            return Err(HashError::Malformed);
        }
        Ok(Self {
            salt,
            iterations,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}

/// Dovecot's keys as the hash that a plain password is compared with.
pub(super) fn parse_imported(text: &[u8]) -> Parsed {
    let text = str::from_utf8(text).map_err(|_| HashError::Malformed)?;
    Ok(Box::new(ScramKeys::parse_dovecot(text)?))
}

impl Stored for ScramKeys {
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError> {
        let computed = Self::compute(raw, self.salt.clone(), self.iterations);
        Ok(computed
            .stored_key
            .expose()
            .ct_eq(self.stored_key.expose())
            .into())
    }
}

fn key(text: &str) -> Result<Secret<[u8; 32]>, HashError> {
    let octets = base64_decode(text.as_bytes())
        .map(Secret::new)
        .ok_or(HashError::Malformed)?;
    let key = octets
        .expose()
        .as_slice()
        .try_into()
        .map_err(|_| HashError::Malformed)?;
    Ok(Secret::new(key))
}
