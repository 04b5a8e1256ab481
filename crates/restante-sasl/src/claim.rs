//! What a client claims.

use restante_types::Secret;

/// Who the client says it is, and its proof; nothing of it is verified yet.
#[derive(Debug)]
pub enum Claim {
    /// A name with a password, by USER and PASS or by a SASL mechanism that carries the password itself.
    Password {
        /// The name exactly as the client sent it: any octets.
        name: Vec<u8>,
        /// The password exactly as the client sent it: any octets.
        password: Secret<Vec<u8>>,
        /// How it came, for records: `USER`, `PLAIN`, `LOGIN`.
        mechanism: &'static str,
    },
}

impl Claim {
    /// How the claim was made, for records.
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::Password { mechanism, .. } => mechanism,
        }
    }
}
