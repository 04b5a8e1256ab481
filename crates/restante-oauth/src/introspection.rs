//! Asks the issuer about a token (RFC 7662) and remembers a yes for a minute. Start at [`Introspection::ask`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use reqwest::header::HeaderValue;
use restante_auth::{LoginName, OauthProvider};
use restante_types::{Clock, Secret};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{error, warn};
use zeroize::Zeroizing;

use crate::claims::{Claims, Source};
use crate::denial::{Denial, Refusal};
use crate::endpoint::{Cause, Endpoint, EndpointError, Endpoints};
use crate::{OauthLimits, SecretOpener};

/// How long a yes holds; a token that was taken back may open a maildrop for so long.
const REMEMBER: Duration = Duration::from_mins(1);

/// Where and as whom to ask: the parts of [`restante_auth::TokenCheck::Introspection`].
#[derive(Clone, Copy)]
pub(crate) struct Desk<'p> {
    pub(crate) provider: &'p OauthProvider,
    pub(crate) url: &'p str,
    pub(crate) client_id: &'p str,
}

/// Asks issuers.
pub(crate) struct Introspection {
    endpoints: Endpoints,
    open_secret: SecretOpener,
    clock: Arc<dyn Clock>,
    /// By a hash of the token and of the provider's settings: a token itself is never kept.
    answers: Cache<[u8; 32], Arc<Answer>>,
    /// How many questions at once, to all and to each: one slow issuer must not hold up the others.
    questions: Semaphore,
    per_endpoint: Cache<String, Arc<Semaphore>>,
    questions_per_endpoint: usize,
    patience: Duration,
}

struct Answer {
    name: LoginName,
    until: Instant,
}

impl Introspection {
    /// With nothing remembered.
    pub(crate) fn new(
        endpoints: Endpoints,
        open_secret: SecretOpener,
        clock: Arc<dyn Clock>,
        limits: &OauthLimits,
    ) -> Self {
        Self {
            endpoints,
            open_secret,
            clock,
            answers: Cache::builder()
                .max_capacity(limits.answers)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(REMEMBER)
                .build(),
            questions: Semaphore::new(limits.questions),
            per_endpoint: Cache::builder()
                .max_capacity(limits.endpoints)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            questions_per_endpoint: limits.questions_per_endpoint,
            patience: limits.timeout,
        }
    }

    /// Whose the token is, if the issuer vouches for it.
    ///
    /// # Errors
    /// It does not, or it does not answer.
    ///
    /// # Cancel safety
    /// Safe: the question is given up.
    pub(crate) async fn ask(&self, desk: Desk<'_>, token: &str) -> Result<LoginName, Denial> {
        let key = memory_key(desk.provider, token);
        if let Some(answer) = self.answers.get(&key)
            && self.clock.now() < answer.until
        {
            return Ok(answer.name.clone());
        }
        let claims = self.question(desk, token).await.map_err(|error| {
            if error.cause == Cause::Status(401) {
                error!(host = error.host, op = "introspection", "the client id or client secret for an OAuth provider is wrong");
            } else {
                warn!(host = error.host, op = "introspection", cause = %error.cause, "an OAuth provider does not answer");
            }
            Denial::Unavailable
        })?;
        if claims.active() == Some(false) {
            return Err(Refusal::Inactive.into());
        }
        let now = self.clock.wall();
        let name = claims.login_name(desk.provider, Source::Issuer, now)?;
        self.remember(key, &name, claims.rest(now).unwrap_or(REMEMBER).min(REMEMBER));
        Ok(name)
    }

    fn remember(&self, key: [u8; 32], name: &LoginName, time: Duration) {
        if time.is_zero() {
            return;
        }
        let answer = Answer {
            name: name.clone(),
            until: self.clock.now() + time,
        };
        self.answers.insert(key, Arc::new(answer));
        // The bound holds now and not only soon.
        self.answers.run_pending_tasks();
    }

    /// One exchange, waiting for a turn included, within the limit of time.
    async fn question(&self, desk: Desk<'_>, token: &str) -> Result<Claims, EndpointError> {
        let endpoint = Endpoint::parse(desk.url)?;
        let secret = (self.open_secret)(desk.provider)
            .ok_or_else(|| endpoint.error(Cause::Malformed("the client secret cannot be opened")))?;
        let authorization = authorization(desk.client_id, &secret);
        let mut form = String::from("token_type_hint=access_token&token=");
        encode_into(&mut form, token);
        let exchange = async {
            let turns = self.turns(desk.url);
            let turn = turns.acquire().await;
            let turn_of_all = self.questions.acquire().await;
            let body = self.endpoints.post(&endpoint, form, authorization).await;
            drop((turn, turn_of_all));
            body
        };
        let body = timeout(self.patience, exchange)
            .await
            .unwrap_or_else(|_| Err(endpoint.error(Cause::Slow)))?;
        Claims::parse(&body)
            .filter(|claims| claims.active().is_some())
            .ok_or_else(|| endpoint.error(Cause::Malformed("it does not say whether the token is active")))
    }

    fn turns(&self, url: &str) -> Arc<Semaphore> {
        self.per_endpoint
            .get_with_by_ref(url, || Arc::new(Semaphore::new(self.questions_per_endpoint)))
    }
}

/// One for every token and every change of the provider's settings, as another audience or name claim makes another
/// answer.
fn memory_key(provider: &OauthProvider, token: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [format!("{provider:?}").as_bytes(), token.as_bytes()] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Basic credentials, both parts encoded as in a form first (RFC 6749 section 2.3.1).
fn authorization(client_id: &str, secret: &Secret<String>) -> HeaderValue {
    // Room for the longest encoding: a string that grows leaves copies behind.
    let mut pair = Zeroizing::new(String::with_capacity(
        3 * (client_id.len() + secret.expose().len()) + 1,
    ));
    encode_into(&mut pair, client_id);
    pair.push(':');
    encode_into(&mut pair, secret.expose());
    let mut value = Zeroizing::new(String::with_capacity(pair.len() * 2 + 16));
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    let mut header = HeaderValue::from_str(&value).expect("base64 is printable ASCII");
    header.set_sensitive(true);
    header
}

/// `application/x-www-form-urlencoded`, of one name or value.
fn encode_into(form: &mut String, text: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for octet in text.bytes() {
        match octet {
            b' ' => form.push('+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                form.push(char::from(octet));
            }
            _ => form.extend(['%', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_credentials_are_encoded_like_a_form_before_they_are_joined() {
        let header = authorization("mail server", &Secret::new("a:b%c+ä".to_owned()));
        let expected = format!("Basic {}", STANDARD.encode("mail+server:a%3Ab%25c%2B%C3%A4"));
        assert_eq!(header.to_str().unwrap(), expected);
        assert!(header.is_sensitive());
    }
}
