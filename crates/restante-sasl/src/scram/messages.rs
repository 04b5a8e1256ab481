//! The client's two messages (RFC 5802 section 7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::SaslError;
use crate::gs2::{BindingFlag, Gs2Header, decode_name};

/// Longest message, in octets: room for a name and an authorization identity that are all escapes.
const MESSAGE_OCTETS: usize = 8 * 1024;

/// Longest nonce of a client, in octets.
const NONCE_OCTETS: usize = 256;

/// Attributes that RFC 5802 gives a meaning, which is none in the place of an extension; `m` is the extension that
/// has to be understood.
const DEFINED: &[u8] = b"aceimnprsv";

/// client-first-message.
#[derive(Debug)]
pub(super) struct ClientFirst {
    /// gs2-header, as it was sent.
    pub(super) header: String,
    pub(super) flag: BindingFlag,
    /// Decoded.
    pub(super) name: String,
    /// client-first-message-bare, as it was sent.
    pub(super) bare: String,
    /// The client's part.
    pub(super) nonce: String,
}

impl ClientFirst {
    pub(super) fn parse(message: &[u8]) -> Result<Self, SaslError> {
        let (header, bare) = Gs2Header::split(text(message)?).ok_or(SaslError::Malformed)?;
        if bare.starts_with("m=") {
            return Err(SaslError::Refused);
        }
        let mut attributes = bare.split(',');
        let name = value(attributes.next(), "n=").and_then(decode_name);
        let nonce = value(attributes.next(), "r=");
        let (Some(name), Some(nonce)) = (name, nonce) else {
            return Err(SaslError::Malformed);
        };
        if nonce.len() > NONCE_OCTETS || !is_nonce(nonce) {
            return Err(SaslError::Malformed);
        }
        check_extensions(attributes)?;
        if header.authzid.is_some_and(|authzid| authzid != name) {
            return Err(SaslError::Authorization);
        }
        Ok(Self {
            header: header.text.to_owned(),
            flag: header.flag,
            name,
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }
}

/// client-final-message.
#[derive(Debug)]
pub(super) struct ClientFinal<'a> {
    /// client-final-message-without-proof, as it was sent.
    pub(super) without_proof: &'a str,
    /// The value of `c=`, in base64.
    pub(super) binding: &'a str,
    /// Both parts.
    pub(super) nonce: &'a str,
    pub(super) proof: [u8; 32],
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, SaslError> {
        let message = text(message)?;
        let (without_proof, proof) = match message.rsplit_once(',') {
            Some((before, last)) if last.starts_with("p=") => (before, value(Some(last), "p=")),
            _ => (message, None),
        };
        let mut attributes = without_proof.split(',');
        let binding = value(attributes.next(), "c=");
        let nonce = value(attributes.next(), "r=");
        let (Some(binding), Some(nonce)) = (binding, nonce) else {
            return Err(SaslError::Malformed);
        };
        check_extensions(attributes)?;
        Ok(Self {
            without_proof,
            binding,
            nonce,
            proof: proof.and_then(decode_proof).ok_or(SaslError::Refused)?,
        })
    }
}

/// Printable ASCII without comma, and not empty.
pub(super) fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty()
        && nonce
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && octet != b',')
}

fn text(message: &[u8]) -> Result<&str, SaslError> {
    match std::str::from_utf8(message) {
        Ok(text) if text.len() <= MESSAGE_OCTETS && !text.contains('\0') => Ok(text),
        _ => Err(SaslError::Malformed),
    }
}

/// The value of the attribute that has to come here.
fn value<'a>(attribute: Option<&'a str>, name: &str) -> Option<&'a str> {
    attribute?.strip_prefix(name)
}

/// Extensions that nobody knows are ignored; those that must be understood, and attributes out of place, are refused.
fn check_extensions<'a>(extensions: impl Iterator<Item = &'a str>) -> Result<(), SaslError> {
    for extension in extensions {
        match extension.as_bytes() {
            [name, b'=', _, ..] if DEFINED.contains(name) => return Err(SaslError::Refused),
            [name, b'=', _, ..] if name.is_ascii_alphabetic() => {}
            _ => return Err(SaslError::Malformed),
        }
    }
    Ok(())
}

fn decode_proof(proof: &str) -> Option<[u8; 32]> {
    STANDARD.decode(proof).ok()?.try_into().ok()
}
