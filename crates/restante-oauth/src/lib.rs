//! OAuth 2.0 access tokens: whose they are, and whether they open a maildrop here.
//!
//! Signed tokens (RFC 7519) are checked against the keys that their issuer publishes (RFC 7517); about other tokens the
//! issuer is asked (RFC 7662). Knows no SASL and no directory, gets no tokens and renews none. Start at
//! [`OauthVerifier`].

mod claims;
mod denial;
mod endpoint;
mod introspection;
mod jwt;
mod key_cache;
mod key_set;
mod verifier;

pub use endpoint::{BadUrl, SetupError, check_url};
pub use verifier::{OauthLimits, OauthOptions, OauthVerifier, SecretOpener};
