//! Why a token opens nothing, in words for the operator. Clients are told less: see [`restante_auth::TokenError`].

/// Why a provider does not vouch for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    /// It was evaluated.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be evaluated; the cause is in the log.
    #[error("the provider does not answer")]
    Unavailable,
}

/// What is wrong with a token. Never repeats anything from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no audiences are configured for the provider")]
    NoAudiences,
    #[error("the token is not a signed token")]
    NotSigned,
    #[error("the algorithm is none of RS256, ES256, EdDSA")]
    Algorithm,
    #[error("the key's id is too long or has other characters than letters, digits and -_.=")]
    KeyId,
    #[error("the type is not that of an access token, or the token has critical extensions")]
    Kind,
    #[error("the provider has no such key")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("the issuer is another one")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it is over, or does not say when it will be")]
    Over,
    #[error("it is not valid yet")]
    Early,
    #[error("it lacks the scope")]
    Scope,
    #[error("the claim for the name holds no login name")]
    Name,
    #[error("the provider has not verified the address")]
    Unverified,
    #[error("the provider says that it is not active")]
    Inactive,
}
