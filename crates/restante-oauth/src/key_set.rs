//! The published keys of an issuer (RFC 7517), each with the one algorithm that it is for. Pure. Start at
//! [`KeySet::parse`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::jwt::{Signature, permitted_algorithm};

/// How many keys an issuer may publish.
const MAX_KEYS: usize = 64;

/// What a set of keys has to say about a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Made by one of the keys.
    Genuine,
    /// Not made by the key that the token names.
    Forged,
    /// The key is not in the set.
    NoSuchKey,
}

/// The keys of one issuer that are for signatures by a permitted algorithm.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl KeySet {
    /// Reads a set. Keys of other kinds or purposes are passed over, as are broken ones.
    ///
    /// # Errors
    /// It is no set of keys, or has more than 64.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(json).map_err(|_| "it is not a JSON Web Key Set")?;
        if document.keys.len() > MAX_KEYS {
            return Err("it has more than 64 keys");
        }
        let keys = document.keys.into_iter().filter_map(|key| {
            let key: JsonWebKey = serde_json::from_value(key).ok()?;
            key.into_key()
        });
        Ok(Self { keys: keys.collect() })
    }

    /// Checks a signature with the key that it names. One that names none is tried with every key of its algorithm, and
    /// if none made it, the key is taken to be unknown.
    pub(crate) fn check(&self, signature: &Signature<'_>) -> Proof {
        let mut named = false;
        for key in &self.keys {
            if signature.key_id.is_some() && key.id.as_deref() != signature.key_id {
                continue;
            }
            named |= signature.key_id.is_some();
            if key.made(signature) {
                return Proof::Genuine;
            }
        }
        if named { Proof::Forged } else { Proof::NoSuchKey }
    }
}

impl Key {
    /// The algorithm is the key's: a token that names another is not even tried, so that a public key never serves as
    /// the secret of a symmetric algorithm (RFC 8725 section 2.1).
    fn made(&self, signature: &Signature<'_>) -> bool {
        self.algorithm == signature.algorithm
            && jsonwebtoken::crypto::verify(
                signature.signature,
                signature.signed.as_bytes(),
                &self.key,
                self.algorithm,
            )
            .unwrap_or(false)
    }
}

/// The members of a key that are read (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
#[derive(Deserialize)]
struct JsonWebKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl JsonWebKey {
    fn into_key(self) -> Option<Key> {
        let (algorithm, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => (Algorithm::RS256, self.rsa()?),
            ("EC", Some("P-256")) => (Algorithm::ES256, self.p256()?),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, self.ed25519()?),
            _ => return None,
        };
        let for_algorithm = self
            .alg
            .is_none_or(|name| permitted_algorithm(&name) == Some(algorithm));
        let for_signatures = self.purpose.is_none_or(|purpose| purpose == "sig")
            && self
                .key_ops
                .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        (for_algorithm && for_signatures).then_some(Key {
            id: self.kid,
            algorithm,
            key,
        })
    }

    /// 2048 to 8192 bits.
    fn rsa(&self) -> Option<DecodingKey> {
        let modulus = number(self.n.as_deref()?)?;
        let exponent = number(self.e.as_deref()?)?;
        let fits = (256..=1024).contains(&modulus.len()) && (1..=8).contains(&exponent.len());
        fits.then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
    }

    fn p256(&self) -> Option<DecodingKey> {
        let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
        let fits = octets(x)?.len() == 32 && octets(y)?.len() == 32;
        fits.then(|| DecodingKey::from_ec_components(x, y).ok()).flatten()
    }

    fn ed25519(&self) -> Option<DecodingKey> {
        let key = octets(self.x.as_deref()?)?;
        (key.len() == 32).then(|| DecodingKey::from_ed_der(&key))
    }
}

fn octets(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A number without the zeros that some issuers put in front of it.
fn number(text: &str) -> Option<Vec<u8>> {
    let mut number = octets(text)?;
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.drain(..zeros);
    Some(number)
}
