//! A signed token taken apart (RFC 7519, RFC 7515 compact form). Pure: checks form and limits, trusts nothing and
//! verifies no signature. Start at [`Jwt::parse`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::claims::Claims;
use crate::denial::Refusal;

/// The longest token that is looked at, in octets.
pub(crate) const MAX_TOKEN_OCTETS: usize = 8 * 1024;

/// The longest id of a key, in octets.
const MAX_KEY_ID_OCTETS: usize = 64;

/// Whether a text can be an access token at all (RFC 6750 section 2.1, `b64token`).
pub(crate) fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN_OCTETS).contains(&text.len())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet))
}

/// A token of the form of a signed one. What it says may be a lie.
pub(crate) struct Jwt<'t> {
    header: Map<String, Value>,
    claims: Claims,
    signed: &'t str,
    signature: &'t str,
}

impl<'t> Jwt<'t> {
    /// `None` if it does not have the form: three parts, the first two of which are JSON objects.
    pub(crate) fn parse(token: &'t str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        Some(Self {
            header: serde_json::from_slice(&header).ok()?,
            claims: Claims::parse(&claims)?,
            signed,
            signature,
        })
    }

    /// What it says of itself.
    pub(crate) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Reads how it claims to be signed, so that the signature can be checked.
    ///
    /// Of the header only `alg`, `kid`, `typ` and `crit` are read. Keys and addresses of keys in it (`jwk`, `jku`,
    /// `x5c`, `x5u`) count for nothing.
    ///
    /// # Errors
    /// An algorithm that is not on the list, a key's id past the limits, a type that is not an access token's (RFC 8725
    /// section 3.11), or an extension that must be understood.
    pub(crate) fn signature(&self) -> Result<Signature<'_>, Refusal> {
        if self.header.contains_key("crit") || !self.has_permitted_type() {
            return Err(Refusal::Kind);
        }
        let algorithm = self.header.get("alg").and_then(Value::as_str);
        Ok(Signature {
            algorithm: algorithm
                .and_then(permitted_algorithm)
                .ok_or(Refusal::Algorithm)?,
            key_id: self.key_id()?,
            signed: self.signed,
            signature: self.signature,
        })
    }

    /// Other types are tokens for another purpose, such as `logout+jwt`; many issuers leave it away.
    fn has_permitted_type(&self) -> bool {
        self.header.get("typ").is_none_or(|kind| {
            kind.as_str().is_some_and(|kind| {
                ["jwt", "at+jwt", "application/at+jwt"]
                    .iter()
                    .any(|permitted| kind.eq_ignore_ascii_case(permitted))
            })
        })
    }

    fn key_id(&self) -> Result<Option<&str>, Refusal> {
        let Some(id) = self.header.get("kid") else {
            return Ok(None);
        };
        id.as_str()
            .filter(|id| is_key_id(id))
            .map(Some)
            .ok_or(Refusal::KeyId)
    }
}

/// How a token claims to be signed, within the limits.
pub(crate) struct Signature<'t> {
    /// One of the permitted ones. The key decides whether it is the right one.
    pub(crate) algorithm: Algorithm,
    /// Which key, if it says.
    pub(crate) key_id: Option<&'t str>,
    /// What is signed.
    pub(crate) signed: &'t str,
    /// The signature, in base64url.
    pub(crate) signature: &'t str,
}

/// The list is ours, not the token's (RFC 8725 section 3.1): `none` and the symmetric ones are not on it.
pub(crate) fn permitted_algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// The id looks a key up in memory and is used for nothing else; characters of paths and queries are kept out all the
/// same.
fn is_key_id(id: &str) -> bool {
    (1..=MAX_KEY_ID_OCTETS).contains(&id.len())
        && id
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"-_.=".contains(&octet))
}
