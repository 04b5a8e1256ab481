//! What a client claims.

use std::fmt;

use restante_types::Secret;

use crate::LoginMechanism;

/// Who the client says it is, and its proof; nothing of it is verified yet.
pub enum Claim {
    /// A name with a password, by USER and PASS or by a SASL mechanism that carries the password itself.
    Password {
        /// The name exactly as the client sent it: any octets.
        name: Vec<u8>,
        /// The password exactly as the client sent it: any octets.
        password: Secret<Vec<u8>>,
        /// How it came.
        mechanism: LoginMechanism,
    },
    /// A proof that the client knows a password, for [`scram::proof_fits`](crate::scram::proof_fits).
    Scram {
        /// The name as it was handed out with [`SaslStep::Salt`](crate::SaslStep::Salt).
        name: Vec<u8>,
        /// AuthMessage (RFC 5802 section 3).
        auth_message: Vec<u8>,
        /// ClientProof (RFC 5802 section 3).
        proof: [u8; 32],
        /// With channel binding, which is verified already, or without.
        mechanism: LoginMechanism,
    },
    /// A token of an authorization server (RFC 6750).
    Bearer {
        /// Who the client wants to be, if it says so; the token must permit it. UTF-8.
        name: Option<Vec<u8>>,
        /// The token; its characters are a b64token's (RFC 6750 section 2.1).
        token: Secret<String>,
        /// How it came.
        mechanism: LoginMechanism,
    },
    /// The certificate that the client showed in the TLS handshake.
    External {
        /// Who the client wants to be; by `None` it leaves that to the certificate. UTF-8.
        authzid: Option<Vec<u8>>,
    },
}

impl Claim {
    /// How the claim was made, for policies and records.
    pub const fn mechanism(&self) -> LoginMechanism {
        match self {
            Self::Password { mechanism, .. }
            | Self::Scram { mechanism, .. }
            | Self::Bearer { mechanism, .. } => *mechanism,
            Self::External { .. } => LoginMechanism::External,
        }
    }

    /// Who the client says it is; `None` if the token or the certificate has to tell.
    fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Password { name, .. } | Self::Scram { name, .. } => Some(name),
            Self::Bearer { name, .. } => name.as_deref(),
            Self::External { authzid } => authzid.as_deref(),
        }
    }
}

/// A proof with its AuthMessage lets whoever reads it guess the password at leisure: neither is printed.
impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("mechanism", &self.mechanism())
            .field("name", &self.name().map(String::from_utf8_lossy))
            .finish_non_exhaustive()
    }
}
