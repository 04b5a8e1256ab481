//! Access tokens: whose they are, decided by who issues them.

use std::fmt::{Debug, Display};

use async_trait::async_trait;
use restante_types::Secret;

use crate::{LoginName, OauthProvider};

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was evaluated and refused: not signed by the issuer, over, for somebody else, for another service.
    #[error("the token was refused")]
    Refused,
    /// It cannot be evaluated now: the issuer does not answer.
    #[error("the token cannot be checked now")]
    Unavailable,
}

/// Checks access tokens against one of a tenant's providers.
#[async_trait]
pub trait TokenVerifier: Display + Debug + Send + Sync {
    /// The login name that the token was issued for.
    ///
    /// # Errors
    /// [`TokenError`]; a token of an issuer that is not among `providers` is `Refused`.
    ///
    /// # Cancel safety
    /// Safe; a fetch of keys that others wait for goes on.
    async fn verify(
        &self,
        providers: &[OauthProvider],
        token: &Secret<String>,
    ) -> Result<LoginName, TokenError>;
}
