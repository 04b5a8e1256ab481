//! EXTERNAL (RFC 4422 appendix A): the client has shown who it is already, by the certificate of its TLS handshake.

use crate::mechanism::NAME_OCTETS;
use crate::{Claim, Mechanism, SaslError, SaslStep};

#[derive(Debug)]
pub(crate) struct External;

impl Mechanism for External {
    fn respond(&mut self, response: &[u8]) -> SaslStep {
        if response.len() > NAME_OCTETS || response.contains(&0) || std::str::from_utf8(response).is_err() {
            return SaslStep::Fail(SaslError::Malformed);
        }
        SaslStep::Verify(Claim::External {
            authzid: (!response.is_empty()).then(|| response.to_vec()),
        })
    }
}
