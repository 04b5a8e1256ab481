//! Keys of an identity provider, and the tokens that they sign, right or wrong.
//!
//! It answers nobody: that is [`crate::IdentityProvider`]. Start at [`TokenSigner::issue`].

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// RSA of 2048 bits with PKCS #1 v1.5 and SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Signature {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// One key for each algorithm. Two signers never share a key or a key id.
#[derive(Debug)]
pub struct TokenSigner {
    generation: u32,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl TokenSigner {
    pub(crate) fn new(generation: u32) -> Self {
        Self {
            generation,
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key can be made"),
            ed: Ed25519KeyPair::generate().expect("a key can be made"),
        }
    }

    /// The id of a key.
    pub fn key_id(&self, signature: Signature) -> String {
        format!("{}-{}", signature.name(), self.generation)
    }

    /// The public keys as they are published (RFC 7517).
    pub fn key_set(&self) -> Value {
        let (n, e) = self.rsa_numbers();
        // The first octet says: a point without compression.
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        let common = |signature: Signature, mut key: Value| {
            key["kid"] = json!(self.key_id(signature));
            key["alg"] = json!(signature.name());
            key["use"] = json!("sig");
            key
        };
        json!({ "keys": [
            common(Signature::Rs256, json!({"kty": "RSA", "n": encode(n), "e": encode(e)})),
            common(Signature::Es256, json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})),
            common(
                Signature::EdDsa,
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(self.ed.public_key().as_ref())}),
            ),
        ]})
    }

    /// A token as issuers make it.
    pub fn issue(&self, signature: Signature, claims: &Value) -> String {
        self.issue_with_key_id(signature, &self.key_id(signature), claims)
    }

    /// A token that is signed rightly and names any key.
    pub fn issue_with_key_id(&self, signature: Signature, key_id: &str, claims: &Value) -> String {
        let header = json!({"alg": signature.name(), "typ": "JWT", "kid": key_id});
        join(&header, claims, |message| self.sign(signature, message))
    }

    /// A token that is not signed, and says so.
    pub fn unsigned(&self, claims: &Value) -> String {
        let header = json!({"alg": "none", "typ": "JWT", "kid": self.key_id(Signature::Rs256)});
        join(&header, claims, |_| Vec::new())
    }

    /// A token with HS256, whose secret is the published RSA key in DER (RFC 8725 section 2.1).
    pub fn confused(&self, claims: &Value) -> String {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": self.key_id(Signature::Rs256)});
        join(&header, claims, |message| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, self.rsa.public_key().as_ref());
            hmac::sign(&key, message).as_ref().to_vec()
        })
    }

    /// Modulus and exponent, from the DER of a key of 2048 bits with the exponent 65537 (RFC 8017 appendix A.1.1):
    /// SEQUENCE (4 octets), INTEGER (4 octets and a zero), 256 octets, INTEGER (2 octets), 3 octets.
    fn rsa_numbers(&self) -> (&[u8], &[u8]) {
        let der = self.rsa.public_key().as_ref();
        assert_eq!(der.len(), 270, "the key has the layout above");
        (&der[9..265], &der[267..])
    }

    fn sign(&self, signature: Signature, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match signature {
            Signature::Rs256 => {
                let mut signed = vec![0; self.rsa.public_modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut signed)
                    .expect("an RSA key signs");
                signed
            }
            Signature::Es256 => {
                let signed = self.ec.sign(&random, message).expect("an ECDSA key signs");
                signed.as_ref().to_vec()
            }
            Signature::EdDsa => self.ed.sign(message).as_ref().to_vec(),
        }
    }
}

fn join(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let parts = [header, claims].map(|part| encode(part.to_string().as_bytes()));
    let message = parts.join(".");
    let signature = sign(message.as_bytes());
    format!("{message}.{}", encode(&signature))
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
