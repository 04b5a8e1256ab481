//! What the tests have in common: octets in and out without the base64, and an account with SCRAM keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_sasl::{ChannelBinding, Exchange, LoginMechanism, Salting, SaslError, Turn, scram};
use sha2::{Digest, Sha256};

/// The octets that both ends of the tests' TLS connection export.
pub(crate) const EXPORTER: [u8; 32] = [7; 32];

pub(crate) const ITERATIONS: u32 = 4096;

pub(crate) fn begin(mechanism: LoginMechanism, binding: &ChannelBinding, response: &[u8]) -> Turn {
    Exchange::begin(mechanism, Some(STANDARD.encode(response).as_bytes()), binding)
}

pub(crate) fn answer(exchange: Exchange, response: &[u8]) -> Turn {
    exchange.line(STANDARD.encode(response).as_bytes())
}

pub(crate) fn decoded(challenge: &str) -> Vec<u8> {
    STANDARD.decode(challenge).unwrap()
}

pub(crate) fn error(turn: Turn) -> SaslError {
    match turn {
        Turn::Fail(error) => error,
        other => panic!("not refused: {other:?}"),
    }
}

/// What the server keeps of a password for SCRAM (RFC 5802 section 3).
pub(crate) struct Keys {
    pub(crate) salt: Vec<u8>,
    pub(crate) client: [u8; 32],
    pub(crate) stored: [u8; 32],
    pub(crate) server: [u8; 32],
}

impl Keys {
    pub(crate) fn of(password: &str, salt: &[u8]) -> Self {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, ITERATIONS, &mut salted);
        // A signature is nothing but an HMAC, which the example of RFC 7677 vouches for.
        let client = scram::server_signature(&salted, b"Client Key");
        Self {
            salt: salt.to_vec(),
            client,
            stored: Sha256::digest(client).into(),
            server: scram::server_signature(&salted, b"Server Key"),
        }
    }

    pub(crate) fn salting(&self, nonce: &str) -> Salting {
        Salting {
            salt: self.salt.clone(),
            iterations: ITERATIONS,
            nonce: nonce.to_owned(),
        }
    }

    /// The ClientProof of somebody who knows the password.
    pub(crate) fn proof(&self, auth_message: &[u8]) -> [u8; 32] {
        let signature = scram::server_signature(&self.stored, auth_message);
        std::array::from_fn(|at| self.client[at] ^ signature[at])
    }
}
