//! Which of a tenant's providers a token is put before. Start at [`OauthVerifier`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{LoginName, OauthProvider, TokenCheck, TokenError, TokenVerifier};
use restante_types::{Clock, Secret};
use tracing::{debug, error};

use crate::SetupError;
use crate::claims::Source;
use crate::denial::{Denial, Refusal};
use crate::endpoint::Endpoints;
use crate::introspection::{Desk, Introspection};
use crate::jwt::{self, Jwt};
use crate::key_cache::KeyCache;

/// Opens the sealed client secret of a provider that is asked about tokens. `None`: it was sealed by another key.
pub type SecretOpener = Arc<dyn Fn(&OauthProvider) -> Option<Secret<String>> + Send + Sync>;

/// What the verifier needs from outside.
pub struct OauthOptions {
    /// Opens client secrets.
    pub open_secret: SecretOpener,
    /// Certificates in PEM, one or more in each, that are trusted beside the system's: for issuers with a private
    /// authority.
    pub extra_roots: Vec<Vec<u8>>,
    /// Tells when tokens are over and keys are old.
    pub clock: Arc<dyn Clock>,
    /// How much of everything.
    pub limits: OauthLimits,
}

impl fmt::Debug for OauthOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthOptions")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How much of everything. The defaults suit a large server.
#[derive(Clone, Copy, Debug)]
pub struct OauthLimits {
    /// How long an exchange with an issuer may take, and how long a login waits for one: 5 seconds.
    pub timeout: Duration,
    /// How large an answer may be, in octets: 64 KiB.
    pub body_octets: usize,
    /// How many addresses are remembered with what they published; the one that was used longest ago goes first: 1,000.
    pub endpoints: u64,
    /// How many fetches of keys at once; from one address there is never more than one: 8.
    pub fetches: usize,
    /// How many questions about tokens at once: 32.
    pub questions: usize,
    /// How many of them to one address: 8.
    pub questions_per_endpoint: usize,
    /// How many answers about tokens are remembered, a minute at most: 10,000.
    pub answers: u64,
}

impl Default for OauthLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            body_octets: 64 * 1024,
            endpoints: 1_000,
            fetches: 8,
            questions: 32,
            questions_per_endpoint: 8,
            answers: 10_000,
        }
    }
}

/// Verifies access tokens.
///
/// A signed token goes to the providers whose issuer it names, exactly. Any other token is shown to the providers that
/// are asked about tokens, in their order, until one calls it active. Refused is what nobody vouches for; if one of
/// those that had to be asked does not answer, the token cannot be checked now.
///
/// A token is at most 8 KiB long. Of a signed one: the algorithm is RS256, ES256 or EdDSA, and the key's own; the key's
/// id is at most 64 letters, digits and `-_.=`; `iss` is the provider's, `aud` has one of its audiences, `exp` is there
/// and ahead, `nbf` is past, both with 60 seconds of leeway for clocks; the scope is there if one is demanded; the claim
/// for the name holds a login name, and if it is `email`, `email_verified` is not false.
///
/// Published keys are good for 24 hours while their issuer is down. A yes of an issuer that was asked holds for 60
/// seconds, not past the token's end. Both are lost at a restart.
pub struct OauthVerifier {
    keys: KeyCache,
    introspection: Introspection,
    clock: Arc<dyn Clock>,
}

impl OauthVerifier {
    /// Contacts nobody yet.
    ///
    /// # Errors
    /// [`SetupError`]: an extra root is no certificate.
    pub fn new(options: OauthOptions) -> Result<Self, SetupError> {
        let limits = options.limits;
        let endpoints = Endpoints::new(&options.extra_roots, limits.timeout, limits.body_octets)?;
        Ok(Self {
            keys: KeyCache::new(endpoints.clone(), Arc::clone(&options.clock), &limits),
            introspection: Introspection::new(
                endpoints,
                options.open_secret,
                Arc::clone(&options.clock),
                &limits,
            ),
            clock: options.clock,
        })
    }

    async fn put_before(
        &self,
        provider: &OauthProvider,
        token: &str,
        jwt: Option<&Jwt<'_>>,
    ) -> Result<LoginName, Denial> {
        if provider.audiences.is_empty() {
            // It would accept tokens for any service of the issuer.
            error!(
                issuer = provider.issuer,
                "an OAuth provider without audiences accepts no token"
            );
            return Err(Refusal::NoAudiences.into());
        }
        match &provider.check {
            TokenCheck::Keys { jwks_url } => {
                let jwt = jwt.ok_or(Refusal::NotSigned)?;
                self.signed(provider, jwks_url, jwt).await
            }
            TokenCheck::Introspection {
                introspection_url,
                client_id,
                sealed_client_secret: _,
            } => {
                let desk = Desk {
                    provider,
                    url: introspection_url,
                    client_id,
                };
                self.introspection.ask(desk, token).await
            }
        }
    }

    /// What is cheap and needs nobody comes first: only a token that would do otherwise makes anybody fetch keys.
    async fn signed(
        &self,
        provider: &OauthProvider,
        jwks_url: &str,
        jwt: &Jwt<'_>,
    ) -> Result<LoginName, Denial> {
        let signature = jwt.signature()?;
        let name = jwt
            .claims()
            .login_name(provider, Source::Token, self.clock.wall())?;
        self.keys.check(jwks_url, &signature).await?;
        Ok(name)
    }
}

#[async_trait]
impl TokenVerifier for OauthVerifier {
    async fn verify(
        &self,
        providers: &[OauthProvider],
        token: &Secret<String>,
    ) -> Result<LoginName, TokenError> {
        let token = token.expose();
        if !jwt::is_token(token) {
            return Err(TokenError::Refused);
        }
        let jwt = Jwt::parse(token);
        let issuer = jwt.as_ref().and_then(|jwt| jwt.claims().issuer());
        let mut verdict = TokenError::Refused;
        for provider in providers.iter().filter(|provider| concerns(provider, issuer)) {
            match self.put_before(provider, token, jwt.as_ref()).await {
                Ok(name) => return Ok(name),
                Err(Denial::Unavailable) => verdict = TokenError::Unavailable,
                Err(Denial::Refused(reason)) => {
                    debug!(issuer = provider.issuer, %reason, "an access token was refused");
                }
            }
        }
        Err(verdict)
    }
}

/// Whether a token that names `issuer`, or none, is put before a provider.
fn concerns(provider: &OauthProvider, issuer: Option<&str>) -> bool {
    match issuer {
        Some(issuer) => provider.issuer == issuer,
        None => matches!(provider.check, TokenCheck::Introspection { .. }),
    }
}

impl fmt::Display for OauthVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OAuth 2.0 access tokens")
    }
}

impl fmt::Debug for OauthVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthVerifier").finish_non_exhaustive()
    }
}
