//! Keys of an issuer, what it publishes of them, and tokens that they sign, right or wrong.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Made once: it takes a while.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

pub(crate) enum Signer {
    Rs256,
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed_dsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The public key as it is published.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rs256 => {
                let (n, e) = rsa_numbers();
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": n, "e": e})
            }
            Self::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": encode(x), "y": encode(y)})
            }
            Self::EdDsa(pair) => {
                let x = encode(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "x": x})
            }
        }
    }

    /// A token with any header and claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        join(header, claims, |message| match self {
            Self::Rs256 => {
                let mut signature = vec![0; RSA.public_modulus_len()];
                RSA.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }

    /// A token as issuers make it.
    pub(crate) fn token(&self, id: &str, claims: &Value) -> String {
        self.sign(&json!({"alg": self.algorithm(), "typ": "JWT", "kid": id}), claims)
    }
}

/// A token that is not signed at all.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    join(header, claims, |_| Vec::new())
}

/// A token with HS256, whose secret is the published RSA key: in DER, and its numbers in the other forms.
pub(crate) fn hs256_with_rsa_key(id: &str, claims: &Value) -> Vec<String> {
    let (n, _) = rsa_numbers();
    let secrets = [
        RSA.public_key().as_ref().to_vec(),
        URL_SAFE_NO_PAD.decode(&n).unwrap(),
        n.into_bytes(),
    ];
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": id});
    secrets
        .iter()
        .map(|secret| {
            join(&header, claims, |message| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            })
        })
        .collect()
}

pub(crate) fn key_set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

fn join(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = sign(message.as_bytes());
    format!("{message}.{}", encode(&signature))
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// Modulus and exponent, from the DER of a key of 2048 bits with the exponent 65537: SEQUENCE (4 octets), INTEGER (4
/// octets and a zero), 256 octets, INTEGER (2 octets), 3 octets.
fn rsa_numbers() -> (String, String) {
    let der = RSA.public_key().as_ref();
    assert_eq!(der.len(), 270);
    (encode(&der[9..265]), encode(&der[267..]))
}
