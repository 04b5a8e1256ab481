//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), with `tls-exporter` to bind to (RFC 9266).
//!
//! The mechanism never holds a key: it asks for the salt, hands out AuthMessage with the client's proof, and whoever
//! has the account's keys decides by [`proof_fits`] and answers with [`server_signature`].

mod messages;

use std::mem;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use restante_types::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::gs2::BindingFlag;
use crate::{ChannelBinding, Claim, LoginMechanism, Mechanism, Salting, SaslError, SaslStep};

use self::messages::{ClientFinal, ClientFirst, is_nonce};

/// Whether a ClientProof is that of the StoredKey over this AuthMessage (RFC 5802 section 3). Takes the same time for
/// every proof of 32 octets; one of another length does not fit.
pub fn proof_fits(stored_key: &[u8; 32], auth_message: &[u8], proof: &[u8]) -> bool {
    let Ok(mut client_key) = <[u8; 32]>::try_from(proof) else {
        return false;
    };
    for (octet, signature) in client_key.iter_mut().zip(hmac(stored_key, auth_message)) {
        *octet ^= signature;
    }
    // The right proof opens to the ClientKey, which is as good as the password.
    let client_key = Secret::new(client_key);
    Sha256::digest(client_key.expose()).ct_eq(stored_key).into()
}

/// The ServerSignature, by which the server proves that it has the account's keys (RFC 5802 section 3).
pub fn server_signature(server_key: &[u8; 32], auth_message: &[u8]) -> [u8; 32] {
    hmac(server_key, auth_message)
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// An exchange.
#[derive(Debug)]
pub(crate) struct Scram {
    mechanism: LoginMechanism,
    binding: ChannelBinding,
    awaited: Awaited,
}

#[derive(Debug)]
enum Awaited {
    ClientFirst,
    Salting(ClientFirst),
    ClientFinal(Challenged),
    Nothing,
}

/// What both sides have said before the client's proof.
#[derive(Debug)]
struct Challenged {
    name: String,
    /// The client's nonce with the server's.
    nonce: String,
    /// What the client's `c=` has to be.
    binding: String,
    /// AuthMessage as far as it is known.
    messages: String,
}

impl Scram {
    /// SCRAM-SHA-256.
    pub(crate) fn unbound(binding: &ChannelBinding) -> Self {
        Self::new(LoginMechanism::ScramSha256, binding)
    }

    /// SCRAM-SHA-256-PLUS.
    pub(crate) fn bound(binding: &ChannelBinding) -> Self {
        Self::new(LoginMechanism::ScramSha256Plus, binding)
    }

    fn new(mechanism: LoginMechanism, binding: &ChannelBinding) -> Self {
        Self {
            mechanism,
            binding: binding.clone(),
            awaited: Awaited::ClientFirst,
        }
    }

    fn client_first(&mut self, message: &[u8]) -> Result<SaslStep, SaslError> {
        let first = ClientFirst::parse(message)?;
        self.check_flag(first.flag)?;
        let name = first.name.clone().into_bytes();
        self.awaited = Awaited::Salting(first);
        Ok(SaslStep::Salt { name })
    }

    /// Whether the mechanism, the client's flag and the connection agree (RFC 5802 section 6).
    fn check_flag(&self, flag: BindingFlag) -> Result<(), SaslError> {
        let bound = matches!(self.mechanism, LoginMechanism::ScramSha256Plus);
        match flag {
            BindingFlag::Unsupported if !bound => Ok(()),
            // Where there is something to bind to, `-PLUS` was announced: somebody kept that from the client.
            BindingFlag::NotOffered if !bound && !self.binding.is_available() => Ok(()),
            BindingFlag::TlsExporter if bound && self.binding.is_available() => Ok(()),
            _ => Err(SaslError::Refused),
        }
    }

    fn server_first(&mut self, first: ClientFirst, salting: &Salting) -> SaslStep {
        if salting.salt.is_empty() || salting.iterations == 0 || !is_nonce(&salting.nonce) {
            return SaslStep::Fail(SaslError::Refused);
        }
        let mut binding = first.header.into_bytes();
        if let (BindingFlag::TlsExporter, Some(octets)) = (first.flag, self.binding.octets()) {
            binding.extend_from_slice(octets);
        }
        let nonce = first.nonce + &salting.nonce;
        let server_first = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&salting.salt),
            salting.iterations
        );
        self.awaited = Awaited::ClientFinal(Challenged {
            name: first.name,
            nonce,
            binding: STANDARD.encode(binding),
            messages: format!("{},{server_first}", first.bare),
        });
        SaslStep::Challenge(server_first.into_bytes())
    }

    fn client_final(&self, before: Challenged, message: &[u8]) -> Result<SaslStep, SaslError> {
        let last = ClientFinal::parse(message)?;
        // Neither is a secret: the nonce was sent in clear, and a client knows the octets of its own connection.
        if last.binding != before.binding || last.nonce != before.nonce {
            return Err(SaslError::Refused);
        }
        Ok(SaslStep::Verify(Claim::Scram {
            name: before.name.into_bytes(),
            auth_message: format!("{},{}", before.messages, last.without_proof).into_bytes(),
            proof: last.proof,
            mechanism: self.mechanism,
        }))
    }
}

impl Mechanism for Scram {
    fn respond(&mut self, response: &[u8]) -> SaslStep {
        let step = match mem::replace(&mut self.awaited, Awaited::Nothing) {
            Awaited::ClientFirst => self.client_first(response),
            Awaited::ClientFinal(before) => self.client_final(before, response),
            Awaited::Salting(_) | Awaited::Nothing => Err(SaslError::Malformed),
        };
        step.unwrap_or_else(SaslStep::Fail)
    }

    fn salted(&mut self, salting: &Salting) -> SaslStep {
        match mem::replace(&mut self.awaited, Awaited::Nothing) {
            Awaited::Salting(first) => self.server_first(first, salting),
            _ => SaslStep::Fail(SaslError::Refused),
        }
    }

    /// `v=`, without which the client would not know that the server has its keys: POP3 has no room for it in `+OK`.
    fn granted(&mut self, server_signature: Option<&[u8]>) -> Option<Vec<u8>> {
        server_signature.map(|signature| format!("v={}", STANDARD.encode(signature)).into_bytes())
    }
}
