//! HTTP to issuers within limits: where to, for how long, how much. Caches nothing and logs nothing. Start at
//! [`Endpoints::fetch`].

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url};
use tokio::time::timeout;
use tracing::warn;

/// The verifier cannot be made: what was given as an extra root is not one certificate or more in PEM.
#[derive(Debug, thiserror::Error)]
#[error("an extra root for OAuth providers is not a certificate in PEM")]
pub struct SetupError(#[source] Option<reqwest::Error>);

/// Why an endpoint gave nothing that can be used. Says where and why, never what was sent.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {cause}")]
pub(crate) struct EndpointError {
    pub(crate) host: String,
    pub(crate) cause: Cause,
}

/// What went wrong at an endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// The address is not one that is asked.
    #[error("the address is not permitted: {0}")]
    Address(&'static str),
    /// No answer within the time.
    #[error("no answer in time")]
    Slow,
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
    /// Another status than 200; redirects are not followed.
    #[error("it answers with status {0}")]
    Status(u16),
    /// The body is past the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// The body cannot be read.
    #[error("the answer cannot be used: {0}")]
    Malformed(&'static str),
}

/// An address that may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Admits `https`, and `http` to this machine itself: to a loopback address or to `localhost`, which is never looked
    /// up (see [`Endpoints::new`]).
    ///
    /// # Errors
    /// [`Cause::Address`].
    pub(crate) fn parse(text: &str) -> Result<Self, EndpointError> {
        let refused = |host: &str, why| EndpointError {
            host: host.to_owned(),
            cause: Cause::Address(why),
        };
        let url = Url::parse(text).map_err(|_| refused("?", "it is no URL"))?;
        let host = url.host_str().unwrap_or("?");
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(host, "it has a user name or a password in it"));
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_this_machine(host) => Ok(Self(url)),
            "http" => Err(refused(host, "http is for loopback addresses only")),
            _ => Err(refused(host, "it is not https")),
        }
    }

    /// Where it is, for the log.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or("?")
    }

    /// The error that names this endpoint.
    pub(crate) fn error(&self, cause: Cause) -> EndpointError {
        EndpointError {
            host: self.host().to_owned(),
            cause,
        }
    }
}

/// Whether an issuer may be asked at this address.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_url(url: &str) -> Result<(), BadUrl> {
    Endpoint::parse(url)
        .map(drop)
        .map_err(|error| BadUrl(error.to_string()))
}

/// An address that is not asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(String);

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Asks endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    client: Client,
    time: Duration,
    body_octets: usize,
}

impl Endpoints {
    /// Trusts the system's roots and `extra_roots` (bundles in PEM). Goes through no proxy and follows no redirect.
    ///
    /// # Errors
    /// [`SetupError`]. A system without any roots is none: then only the extra roots are trusted.
    pub(crate) fn new(
        extra_roots: &[Vec<u8>],
        time: Duration,
        body_octets: usize,
    ) -> Result<Self, SetupError> {
        let mut roots = Vec::new();
        for bundle in extra_roots {
            let bundle = Certificate::from_pem_bundle(bundle).map_err(|error| SetupError(Some(error)))?;
            if bundle.is_empty() {
                return Err(SetupError(None));
            }
            roots.extend(bundle);
        }
        let without_system = builder().tls_certs_only(roots.iter().cloned()).build();
        let without_system = without_system.map_err(|error| SetupError(Some(error)))?;
        let with_system = builder().tls_certs_merge(roots).build();
        let client = with_system.unwrap_or_else(|error| {
            warn!(%error, "the system's trusted roots cannot be used, OAuth providers need a root of their own");
            without_system
        });
        Ok(Self {
            client,
            time,
            body_octets,
        })
    }

    /// Gets what lies there.
    pub(crate) async fn fetch(&self, endpoint: &Endpoint) -> Result<Vec<u8>, EndpointError> {
        self.send(endpoint, self.client.get(endpoint.0.clone())).await
    }

    /// Posts a form, with credentials (RFC 7617).
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        form: String,
        authorization: HeaderValue,
    ) -> Result<Vec<u8>, EndpointError> {
        let request = self
            .client
            .post(endpoint.0.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", authorization)
            .body(form);
        self.send(endpoint, request).await
    }

    /// Within the limits of time and size, whatever the endpoint does.
    async fn send(&self, endpoint: &Endpoint, request: RequestBuilder) -> Result<Vec<u8>, EndpointError> {
        timeout(self.time, self.exchange(request))
            .await
            .unwrap_or(Err(Cause::Slow))
            .map_err(|cause| endpoint.error(cause))
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Vec<u8>, Cause> {
        let mut response = request.send().await.map_err(|error| connection(&error))?;
        if response.status() != StatusCode::OK {
            return Err(Cause::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| connection(&error))? {
            if chunk.len() > self.body_octets - body.len() {
                return Err(Cause::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// `localhost` is this machine whatever a resolver says.
fn builder() -> ClientBuilder {
    let loopback = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ];
    Client::builder()
        .user_agent(concat!("restante/", env!("CARGO_PKG_VERSION")))
        .default_headers(
            [(ACCEPT, HeaderValue::from_static("application/json"))]
                .into_iter()
                .collect(),
        )
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .resolve_to_addrs("localhost", &loopback)
        .pool_max_idle_per_host(2)
}

/// The innermost cause, such as `Connection refused`: the outer ones repeat the address.
fn connection(error: &reqwest::Error) -> Cause {
    let Some(mut cause) = error.source() else {
        return Cause::Connection("the connection failed".to_owned());
    };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Cause::Connection(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_http_may_be_asked() {
        for (url, is_permitted) in [
            ("https://id.example.org/keys", true),
            ("http://localhost/keys", true),
            ("http://LOCALHOST:81/keys", true),
            ("http://127.0.0.1:81/keys", true),
            ("http://[::1]:81/keys", true),
            ("http://id.example.org/keys", false),
            ("http://localhost.example.org/keys", false),
            ("http://localhost./keys", false),
            ("http://127.0.0.1.example.org/keys", false),
            ("http://192.0.2.1/keys", false),
            ("http://0.0.0.0/keys", false),
            ("http://[::ffff:127.0.0.1]/keys", false),
            ("https://user@id.example.org/keys", false),
            ("https://:word@id.example.org/keys", false),
            ("ftp://127.0.0.1/keys", false),
            ("file:///etc/passwd", false),
            ("keys", false),
        ] {
            let outcome = Endpoint::parse(url).map(|_| ());
            let is_refused = matches!(
                outcome,
                Err(EndpointError {
                    cause: Cause::Address(_),
                    ..
                })
            );
            assert_eq!(is_refused, !is_permitted, "{url}");
        }
    }
}
