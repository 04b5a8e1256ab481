//! A verifier, a clock and an issuer with one key, set up for a test.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use restante_auth::{OauthProvider, TokenCheck, TokenError, TokenVerifier as _};
use restante_oauth::{OauthLimits, OauthOptions, OauthVerifier};
use restante_types::{Clock, Secret, SystemClock};
use serde_json::{Value, json};

use crate::provider::{Provider, Reply};
use crate::signer::{Signer, key_set};

/// When the tests take place.
pub(crate) const NOW: u64 = 1_800_000_000;

/// A clock that stands until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock {
    start: Instant,
    passed: Mutex<Duration>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: SystemClock.now(),
            passed: Mutex::default(),
        })
    }

    pub(crate) fn advance(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }

    fn passed(&self) -> Duration {
        *self.passed.lock().unwrap()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.start + self.passed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW) + self.passed()
    }
}

/// Outcome of a verification, with the name as a text.
pub(crate) type Outcome = Result<String, TokenError>;

pub(crate) const REFUSED: Outcome = Err(TokenError::Refused);
pub(crate) const UNAVAILABLE: Outcome = Err(TokenError::Unavailable);

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is compared with what a verification gives"
)]
pub(crate) fn ann() -> Outcome {
    Ok("ann@example.org".to_owned())
}

pub(crate) struct Bench {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) verifier: OauthVerifier,
    pub(crate) issuer: Provider,
    pub(crate) signer: Signer,
}

impl Bench {
    /// An issuer that publishes the key `k1` of a signer, and verifiers that wait long enough for a busy machine.
    pub(crate) async fn new() -> Self {
        Self::with(Signer::es256(), patient()).await
    }

    /// The same, with a verifier that loses its patience soon.
    pub(crate) async fn impatient() -> Self {
        let limits = OauthLimits {
            timeout: Duration::from_secs(1),
            ..OauthLimits::default()
        };
        Self::with(Signer::es256(), limits).await
    }

    pub(crate) async fn with(signer: Signer, limits: OauthLimits) -> Self {
        let keys = key_set(&[signer.jwk("k1")]);
        let clock = TestClock::new();
        Self {
            verifier: verifier(&clock, limits),
            clock,
            issuer: Provider::start(Reply::json(&keys)).await,
            signer,
        }
    }

    pub(crate) fn provider(&self) -> OauthProvider {
        by_keys(self.issuer.url("/keys"))
    }

    pub(crate) async fn verify(&self, token: &str) -> Outcome {
        self.verify_with(&[self.provider()], token).await
    }

    pub(crate) async fn verify_with(&self, providers: &[OauthProvider], token: &str) -> Outcome {
        let token = Secret::new(token.to_owned());
        let name = self.verifier.verify(providers, &token).await?;
        Ok(name.to_string())
    }

    /// A good token with some claims changed; `null` takes one away.
    pub(crate) fn token_with(&self, changes: &Value) -> String {
        self.signer.token("k1", &claims_with(changes))
    }

    pub(crate) fn token(&self) -> String {
        self.token_with(&json!({}))
    }
}

pub(crate) fn patient() -> OauthLimits {
    OauthLimits {
        timeout: Duration::from_secs(20),
        ..OauthLimits::default()
    }
}

pub(crate) fn verifier(clock: &Arc<TestClock>, limits: OauthLimits) -> OauthVerifier {
    OauthVerifier::new(options(clock, limits)).unwrap()
}

pub(crate) fn options(clock: &Arc<TestClock>, limits: OauthLimits) -> OauthOptions {
    OauthOptions {
        open_secret: Arc::new(|provider| match &provider.check {
            TokenCheck::Introspection {
                sealed_client_secret, ..
            } => sealed_client_secret
                .strip_prefix("sealed ")
                .map(|secret| Secret::new(secret.to_owned())),
            TokenCheck::Keys { .. } => None,
        }),
        extra_roots: Vec::new(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        limits,
    }
}

/// A provider with published keys.
pub(crate) fn by_keys(jwks_url: String) -> OauthProvider {
    OauthProvider {
        issuer: "https://id.example.org".to_owned(),
        audiences: vec!["mail".to_owned(), "pop".to_owned()],
        name_claim: "email".to_owned(),
        scope: None,
        check: TokenCheck::Keys { jwks_url },
    }
}

/// A provider that is asked.
pub(crate) fn by_question(introspection_url: String) -> OauthProvider {
    OauthProvider {
        check: TokenCheck::Introspection {
            introspection_url,
            client_id: "mail server".to_owned(),
            sealed_client_secret: "sealed s:e+cret".to_owned(),
        },
        ..by_keys(String::new())
    }
}

/// What a good token says, changed.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example.org",
        "aud": "mail",
        "exp": NOW + 3600,
        "nbf": NOW - 10,
        "sub": "4711",
        "email": "Ann@Example.org",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}
