//! Policies in JSON: the same keys as in the directory, but nothing unknown is passed over.

use restante_auth::{OauthProvider, Policy, TlsRequirement, TokenCheck};
use restante_sasl::LoginMechanism;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Hidden, Mechanism};

/// What a tenant lays down for its users' logins and sessions. A key that is left out has its default.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicyView {
    /// How its users may log in.
    pub(crate) mechanisms: Vec<Mechanism>,
    /// The oldest TLS that a login may come over.
    pub(crate) tls: OldestTls,
    /// Whether only application passwords open a maildrop.
    pub(crate) app_passwords_only: bool,
    /// The least time between two logins of one account; 0 is none.
    pub(crate) login_delay_secs: u32,
    /// How many logins may come at once before the delay holds.
    #[schema(minimum = 1, maximum = 1000)]
    pub(crate) login_burst: u32,
    /// After how many days a message is removed; null is never.
    #[schema(minimum = 1)]
    pub(crate) expire_days: Option<u32>,
    /// How many sessions its users together may have open; null is no limit.
    pub(crate) max_sessions: Option<u32>,
    /// How many octets one account may read in 24 hours; null is no limit.
    pub(crate) max_octets_per_day: Option<u64>,
    /// Only so many of the newest messages are listed; null is all.
    pub(crate) listing_messages: Option<u32>,
    /// Only messages of so many days are listed; null is all.
    pub(crate) listing_days: Option<u32>,
    /// Whose access tokens open a maildrop, at most 8.
    pub(crate) oauth: Vec<IssuerView>,
}

/// The oldest TLS that a login may come over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OldestTls {
    /// Whatever the listener permits.
    Listener,
    /// TLS 1.2 or 1.3.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Who issues access tokens. It has either `jwks_url`, or `introspection_url` with `client_id` and a client secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerView {
    /// What tokens say in `iss`.
    pub(crate) issuer: String,
    /// What tokens say in `aud`, one of these.
    pub(crate) audiences: Vec<String>,
    /// The claim that holds the login name; `email` if left out.
    #[serde(default = "email")]
    pub(crate) name_claim: String,
    /// A scope that a token must have.
    #[serde(default)]
    pub(crate) scope: Option<String>,
    /// Where the issuer's keys are published: https, or http to a loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_url: Option<String>,
    /// Where the issuer answers about a token: https, or http to a loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) introspection_url: Option<String>,
    /// As whom the server asks there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    /// The secret for it, as the server has sealed it: nobody else can open it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_client_secret: Option<String>,
    /// The secret itself, in a request: the server seals it. It is never answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only)]
    pub(crate) client_secret: Option<Hidden>,
}

fn email() -> String {
    "email".to_owned()
}

impl Default for PolicyView {
    fn default() -> Self {
        Policy::default().into()
    }
}

impl From<Policy> for PolicyView {
    fn from(policy: Policy) -> Self {
        Self {
            mechanisms: policy.mechanisms.into_iter().map(Mechanism).collect(),
            tls: match policy.tls {
                TlsRequirement::Listener => OldestTls::Listener,
                TlsRequirement::Tls12 => OldestTls::Tls12,
                TlsRequirement::Tls13 => OldestTls::Tls13,
            },
            app_passwords_only: policy.app_passwords_only,
            login_delay_secs: policy.login_delay_secs,
            login_burst: policy.login_burst,
            expire_days: policy.expire_days,
            max_sessions: policy.max_sessions,
            max_octets_per_day: policy.max_octets_per_day,
            listing_messages: policy.listing_messages,
            listing_days: policy.listing_days,
            oauth: policy.oauth.into_iter().map(IssuerView::from).collect(),
        }
    }
}

impl PolicyView {
    /// The policy; `None` if an issuer is not whole or has a secret that is not sealed.
    pub(crate) fn into_policy(self) -> Option<Policy> {
        let mechanisms: Vec<LoginMechanism> = self.mechanisms.into_iter().map(|word| word.0).collect();
        let oauth: Option<Vec<_>> = self.oauth.into_iter().map(IssuerView::into_provider).collect();
        Some(Policy {
            mechanisms,
            tls: match self.tls {
                OldestTls::Listener => TlsRequirement::Listener,
                OldestTls::Tls12 => TlsRequirement::Tls12,
                OldestTls::Tls13 => TlsRequirement::Tls13,
            },
            app_passwords_only: self.app_passwords_only,
            login_delay_secs: self.login_delay_secs,
            login_burst: self.login_burst,
            expire_days: self.expire_days,
            max_sessions: self.max_sessions,
            max_octets_per_day: self.max_octets_per_day,
            listing_messages: self.listing_messages,
            listing_days: self.listing_days,
            oauth: oauth?,
        })
    }
}

impl From<OauthProvider> for IssuerView {
    fn from(provider: OauthProvider) -> Self {
        let mut view = Self {
            issuer: provider.issuer,
            audiences: provider.audiences,
            name_claim: provider.name_claim,
            scope: provider.scope,
            jwks_url: None,
            introspection_url: None,
            client_id: None,
            sealed_client_secret: None,
            client_secret: None,
        };
        match provider.check {
            TokenCheck::Keys { jwks_url } => view.jwks_url = Some(jwks_url),
            TokenCheck::Introspection {
                introspection_url,
                client_id,
                sealed_client_secret,
            } => {
                view.introspection_url = Some(introspection_url);
                view.client_id = Some(client_id);
                view.sealed_client_secret = Some(sealed_client_secret);
            }
        }
        view
    }
}

impl IssuerView {
    fn into_provider(self) -> Option<OauthProvider> {
        let check = match (self.jwks_url, self.introspection_url, self.client_secret) {
            (Some(jwks_url), None, None)
                if self.client_id.is_none() && self.sealed_client_secret.is_none() =>
            {
                TokenCheck::Keys { jwks_url }
            }
            (None, Some(introspection_url), None) => TokenCheck::Introspection {
                introspection_url,
                client_id: self.client_id?,
                sealed_client_secret: self.sealed_client_secret?,
            },
            _ => return None,
        };
        Some(OauthProvider {
            issuer: self.issuer,
            audiences: self.audiences,
            name_claim: self.name_claim,
            scope: self.scope,
            check,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_the_keys_of_the_directory_and_comes_back_whole() {
        let policy = Policy {
            mechanisms: LoginMechanism::ALL.to_vec(),
            tls: TlsRequirement::Tls13,
            expire_days: Some(90),
            oauth: vec![OauthProvider {
                issuer: "https://id.example".to_owned(),
                audiences: vec!["mail".to_owned()],
                name_claim: "sub".to_owned(),
                scope: None,
                check: TokenCheck::Introspection {
                    introspection_url: "https://id.example/ask".to_owned(),
                    client_id: "pop3".to_owned(),
                    sealed_client_secret: "AAAA".to_owned(),
                },
            }],
            ..Policy::default()
        };
        let text = serde_json::to_value(PolicyView::from(policy.clone())).unwrap();
        assert_eq!(text, serde_json::to_value(&policy).unwrap());
        let view: PolicyView = serde_json::from_value(text).unwrap();
        assert_eq!(view.into_policy(), Some(policy));
        assert_eq!(PolicyView::default().into_policy(), Some(Policy::default()));
    }
}
