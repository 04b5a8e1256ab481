//! The schemes a stored hash may be of, as Dovecot writes them: `{SCHEME}hash`, `{SCHEME.b64}hash`, or a bare `$6$...`.
//!
//! To add a scheme: a file that parses it, a [`Scheme`], a row in `TABLE`.

use std::fmt;

use argon2::Algorithm;
use restante_types::Secret;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::encoding::{base64_decode, hex_decode};
use super::{HashError, argon2id, bcrypt, digest, pbkdf2, plain, scram, sha_crypt};

/// How a stored hash was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Our own: a bare `$argon2id$`, over the PRECIS form of the password, perhaps with a pepper.
    Own,
    /// `{ARGON2ID}$argon2id$`.
    Argon2id,
    /// `{ARGON2I}$argon2i$`.
    Argon2i,
    /// `{SHA512-CRYPT}$6$`.
    Sha512Crypt,
    /// `{SHA256-CRYPT}$5$`.
    Sha256Crypt,
    /// `{BLF-CRYPT}$2y$`.
    Bcrypt,
    /// `{PBKDF2}$1$`, with HMAC-SHA-1.
    Pbkdf2,
    /// `{SSHA512}`.
    SaltedSha512,
    /// `{SSHA256}`.
    SaltedSha256,
    /// `{SSHA}`.
    SaltedSha1,
    /// `{SHA512}`.
    Sha512,
    /// `{SHA256}`.
    Sha256,
    /// `{SHA}`, `{SHA1}`.
    Sha1,
    /// `{SCRAM-SHA-256}`.
    ScramSha256,
    /// `{PLAIN}`, `{CLEARTEXT}`: the password itself.
    Plain,
}

impl Scheme {
    /// Whether it only waits to be replaced at the next login. Such a hash is compared with the octets as the client
    /// sent them.
    pub const fn is_legacy(self) -> bool {
        !matches!(self, Self::Own)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = TABLE.iter().find(|row| row.scheme == *self);
        f.write_str(row.map_or("argon2id", |row| row.names[0]))
    }
}

/// A legacy hash that was parsed and found within the limits.
pub(super) trait Stored {
    /// Whether these octets are the password. Computes one hash; compares in constant time.
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError>;
}

/// What the parser of a scheme makes of the octets after its name.
pub(super) type Parsed = Result<Box<dyn Stored>, HashError>;

struct Row {
    scheme: Scheme,
    /// Without case; the first is the name that is shown.
    names: &'static [&'static str],
    /// What the hash begins with where no name stands before it.
    bare: &'static [&'static str],
    encoding: Encoding,
    parse: fn(&[u8]) -> Parsed,
}

/// How the hash is written after the name.
#[derive(Clone, Copy)]
enum Encoding {
    Text,
    Base64,
    Hex,
    /// base64, or hexadecimal if the length is that of so many octets.
    Octets(usize),
}

use Encoding::{Base64, Octets, Text};

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { scheme: Scheme::Argon2id, names: &["ARGON2ID"], bare: &["$argon2id$"], encoding: Text,
          parse: |text| argon2id::parse_imported(text, Algorithm::Argon2id) },
    Row { scheme: Scheme::Argon2i, names: &["ARGON2I"], bare: &["$argon2i$"], encoding: Text,
          parse: |text| argon2id::parse_imported(text, Algorithm::Argon2i) },
    Row { scheme: Scheme::Sha512Crypt, names: &["SHA512-CRYPT"], bare: &["$6$"], encoding: Text,
          parse: |text| sha_crypt::parse(text, &sha_crypt::SHA512) },
    Row { scheme: Scheme::Sha256Crypt, names: &["SHA256-CRYPT"], bare: &["$5$"], encoding: Text,
          parse: |text| sha_crypt::parse(text, &sha_crypt::SHA256) },
    Row { scheme: Scheme::Bcrypt, names: &["BLF-CRYPT"], bare: &["$2y$", "$2b$", "$2a$"], encoding: Text,
          parse: bcrypt::parse },
    Row { scheme: Scheme::Pbkdf2, names: &["PBKDF2"], bare: &[], encoding: Text, parse: pbkdf2::parse },
    Row { scheme: Scheme::SaltedSha512, names: &["SSHA512"], bare: &[], encoding: Base64,
          parse: digest::parse_salted::<Sha512> },
    Row { scheme: Scheme::SaltedSha256, names: &["SSHA256"], bare: &[], encoding: Base64,
          parse: digest::parse_salted::<Sha256> },
    Row { scheme: Scheme::SaltedSha1, names: &["SSHA"], bare: &[], encoding: Base64,
          parse: digest::parse_salted::<Sha1> },
    Row { scheme: Scheme::Sha512, names: &["SHA512"], bare: &[], encoding: Octets(64),
          parse: digest::parse::<Sha512> },
    Row { scheme: Scheme::Sha256, names: &["SHA256"], bare: &[], encoding: Octets(32),
          parse: digest::parse::<Sha256> },
    Row { scheme: Scheme::Sha1, names: &["SHA", "SHA1"], bare: &[], encoding: Octets(20),
          parse: digest::parse::<Sha1> },
    Row { scheme: Scheme::ScramSha256, names: &["SCRAM-SHA-256"], bare: &[], encoding: Text,
          parse: scram::parse_imported },
    Row { scheme: Scheme::Plain, names: &["PLAIN", "CLEARTEXT", "CLEAR"], bare: &[], encoding: Text,
          parse: plain::parse },
];

/// The name that stands before any of the bare forms.
const CRYPT: &str = "CRYPT";

/// Parses a stored hash that is not our own.
pub(super) fn parse(stored: &str) -> Result<(Scheme, Box<dyn Stored>), HashError> {
    let Some(braced) = stored.strip_prefix('{') else {
        return parse_bare(stored.as_bytes());
    };
    let (name, hash) = braced.split_once('}').ok_or(HashError::Malformed)?;
    let (name, suffix) = match name.split_once('.') {
        Some((name, suffix)) => (name, Some(Encoding::by_suffix(suffix)?)),
        None => (name, None),
    };
    if name.eq_ignore_ascii_case(CRYPT) {
        return parse_bare(suffix.unwrap_or(Text).decode(hash)?.expose());
    }
    let has_name = |row: &&Row| row.names.iter().any(|other| other.eq_ignore_ascii_case(name));
    let row = TABLE.iter().find(has_name).ok_or(HashError::UnknownScheme)?;
    let octets = suffix.unwrap_or(row.encoding).decode(hash)?;
    Ok((row.scheme, (row.parse)(octets.expose())?))
}

fn parse_bare(hash: &[u8]) -> Result<(Scheme, Box<dyn Stored>), HashError> {
    let is_so = |row: &&Row| row.bare.iter().any(|prefix| hash.starts_with(prefix.as_bytes()));
    match TABLE.iter().find(is_so) {
        Some(row) => Ok((row.scheme, (row.parse)(hash)?)),
        None if hash.starts_with(b"$") => Err(HashError::UnknownScheme),
        None => Err(HashError::Malformed),
    }
}

impl Encoding {
    fn by_suffix(suffix: &str) -> Result<Self, HashError> {
        match suffix.to_ascii_lowercase().as_str() {
            "b64" | "base64" => Ok(Self::Base64),
            "hex" => Ok(Self::Hex),
            _ => Err(HashError::UnknownScheme),
        }
    }

    fn decode(self, hash: &str) -> Result<Secret<Vec<u8>>, HashError> {
        let hash = hash.as_bytes();
        let octets = match self {
            Self::Text => Some(hash.to_vec()),
            Self::Hex => hex_decode(hash),
            Self::Octets(n_octets) if hash.len() == 2 * n_octets => hex_decode(hash),
            Self::Base64 | Self::Octets(_) => base64_decode(hash),
        };
        octets.map(Secret::new).ok_or(HashError::Malformed)
    }
}
