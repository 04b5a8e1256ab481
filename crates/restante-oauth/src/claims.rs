//! What is said of a token, held against what a provider's tokens must say. Pure. Start at [`Claims::login_name`].

use std::time::{Duration, SystemTime};

use restante_auth::{LoginName, OauthProvider};
use serde_json::{Map, Value};

use crate::denial::Refusal;

/// How far the clocks of the issuer and of this machine may differ, in seconds.
const LEEWAY_SECS: f64 = 60.0;

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The token itself: issuer, audience and end must be there.
    Token,
    /// The issuer, about the token: those may be missing, but must not be wrong (RFC 7662 section 2.2).
    Issuer,
}

/// The claims of a token, or the issuer's answer about one.
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// `None` if it is not a JSON object.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    /// Who claims to have issued the token.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// Whether the issuer calls the token active; `None` if it does not say (RFC 7662 section 2.2).
    pub(crate) fn active(&self) -> Option<bool> {
        self.0.get("active").and_then(Value::as_bool)
    }

    /// How long until the token is over, without leeway. `None`: it does not say.
    pub(crate) fn rest(&self, now: SystemTime) -> Option<Duration> {
        let end = self.0.get("exp")?.as_f64()?;
        Some(Duration::try_from_secs_f64(end - unix_seconds(now)).unwrap_or(Duration::ZERO))
    }

    /// Whose the token is, if it is one for this service now.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub(crate) fn login_name(
        &self,
        provider: &OauthProvider,
        source: Source,
        now: SystemTime,
    ) -> Result<LoginName, Refusal> {
        self.check(source, "iss", Refusal::Issuer, |issuer| {
            issuer.as_str() == Some(provider.issuer.as_str())
        })?;
        self.check(source, "aud", Refusal::Audience, |audience| {
            texts(audience).any(|audience| provider.audiences.iter().any(|ours| ours == audience))
        })?;
        let now = unix_seconds(now);
        self.check(source, "exp", Refusal::Over, |end| {
            end.as_f64().is_some_and(|end| now < end + LEEWAY_SECS)
        })?;
        self.check(Source::Issuer, "nbf", Refusal::Early, |start| {
            start.as_f64().is_some_and(|start| start - LEEWAY_SECS <= now)
        })?;
        if provider
            .scope
            .as_ref()
            .is_some_and(|scope| !self.has_scope(scope))
        {
            return Err(Refusal::Scope);
        }
        self.name(&provider.name_claim, source)
    }

    /// Holds one claim against a condition; one that is missing fails if the token itself must have it.
    fn check(
        &self,
        source: Source,
        claim: &str,
        refusal: Refusal,
        is_right: impl FnOnce(&Value) -> bool,
    ) -> Result<(), Refusal> {
        let right = match self.0.get(claim) {
            Some(value) => is_right(value),
            None => source == Source::Issuer,
        };
        right.then_some(()).ok_or(refusal)
    }

    /// Scopes stand in `scope`, separated by spaces (RFC 8693 section 4.2), with some issuers in `scp`, also as an array.
    fn has_scope(&self, scope: &str) -> bool {
        ["scope", "scp"]
            .iter()
            .filter_map(|claim| self.0.get(*claim))
            .flat_map(texts)
            .flat_map(|scopes| scopes.split(' '))
            .any(|given| given == scope)
    }

    fn name(&self, claim: &str, source: Source) -> Result<LoginName, Refusal> {
        // Some issuers write it as a text.
        let unverified = self
            .0
            .get("email_verified")
            .is_some_and(|verified| *verified == Value::Bool(false) || verified.as_str() == Some("false"));
        if claim == "email" && unverified {
            return Err(Refusal::Unverified);
        }
        let spare = match source {
            Source::Token => None,
            Source::Issuer => Some("username"),
        };
        self.0
            .get(claim)
            .or_else(|| self.0.get(spare?))
            .and_then(Value::as_str)
            .and_then(|name| LoginName::parse(name).ok())
            .ok_or(Refusal::Name)
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim).and_then(Value::as_str)
    }
}

/// The texts of a claim that is one text or an array of texts.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let many = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value
        .as_str()
        .into_iter()
        .chain(many.iter().filter_map(Value::as_str))
}

/// The time as tokens write it (RFC 7519 section 2, NumericDate): with a fraction, exact for a long time to come.
fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
