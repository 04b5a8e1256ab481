//! Requests of plugins over HTTP: only to where the operator lets them, and never to this network by a name's detour.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use reqwest::{Client, Method, Response, Url};
use wasmtime::component::Resource;

use crate::bindings::v1::restante::storage::{http, types};
use crate::instance::{Guest, PIECE};
use crate::log_gate::printable;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest body of a request.
const BODY: usize = 16 * 1024 * 1024;
/// Headers that say how a request is carried: the host's own affair.
const RESERVED: [&str; 7] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "te",
    "proxy-authorization",
];

/// Why a grant of HTTP cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpGrantError {
    /// It is no origin.
    #[error(
        "{0:?} is not `https://host` or `https://host:port`; plain `http://` is for loopback addresses only"
    )]
    NotAnOrigin(String),
    /// The certificates are none.
    #[error("the extra certificates are not PEM: {0}")]
    Certificates(#[source] reqwest::Error),
    /// There is no client.
    #[error("no HTTP client can be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// The origins that a plugin may send requests to.
#[derive(Clone)]
pub struct HttpGate {
    client: Client,
    origins: Arc<[Url]>,
}

impl HttpGate {
    /// Lets a plugin reach `origins`: `https://host[:port]`, or `http://` with a loopback address. A name must resolve to
    /// public addresses unless `to_private`; an address that is named as such may be any. `roots` (PEM) are trusted
    /// besides the system's.
    ///
    /// # Errors
    /// [`HttpGrantError`].
    pub fn new(origins: &[String], to_private: bool, roots: Option<&[u8]>) -> Result<Self, HttpGrantError> {
        let origins = origins
            .iter()
            .map(|text| origin(text))
            .collect::<Result<_, _>>()?;
        let mut builder = Client::builder()
            .user_agent(concat!("restante/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(8)
            .resolve_to_addrs(
                "localhost",
                &[
                    SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                    SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
                ],
            )
            .dns_resolver(Arc::new(CheckedResolver { to_private }));
        if let Some(roots) = roots {
            let roots = Certificate::from_pem_bundle(roots).map_err(HttpGrantError::Certificates)?;
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Self {
            client: builder.build().map_err(HttpGrantError::Client)?,
            origins,
        })
    }

    fn admits(&self, url: &Url) -> bool {
        url.username().is_empty()
            && url.password().is_none()
            && self.origins.iter().any(|origin| origin.origin() == url.origin())
    }
}

impl fmt::Debug for HttpGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.origins.iter().map(Url::as_str))
            .finish()
    }
}

fn origin(text: &str) -> Result<Url, HttpGrantError> {
    let bad = || HttpGrantError::NotAnOrigin(text.to_owned());
    let url = Url::parse(text).map_err(|_| bad())?;
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" if is_bare => Ok(url),
        "http" if is_bare && is_loopback => Ok(url),
        _ => Err(bad()),
    }
}

/// Resolves names, and forgets addresses that a name from outside must not lead to.
struct CheckedResolver {
    to_private: bool,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let to_private = self.to_private;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || (host.as_str(), 0).to_socket_addrs()).await??;
            let admitted: Vec<SocketAddr> = found
                .filter(|address| to_private || is_public(address.ip()))
                .collect();
            if admitted.is_empty() {
                return Err("the name leads to no public address".into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            // Only global unicast, and of it none that embeds an IPv4 address (6to4, Teredo) or is for documentation.
            first & 0xe000 == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (v6.segments()[1] == 0 || v6.segments()[1] == 0xdb8))
        }
    }
}

/// The body of an answer being read.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct HttpBody {
    response: Response,
    rest: Bytes,
}

impl http::Host for Guest {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, types::Error>> {
        let gate = self.terms.grants.http.clone();
        match exchange(gate, request).await {
            Ok(response) => {
                let status = response.status().as_u16();
                let headers = response.headers().iter();
                let headers = headers
                    .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
                    .collect();
                let body = self.table.push(HttpBody {
                    response,
                    rest: Bytes::new(),
                })?;
                Ok(Ok(http::Response {
                    status,
                    headers,
                    body,
                }))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

async fn exchange(gate: Option<HttpGate>, request: http::Request) -> Result<Response, types::Error> {
    let invalid = |what: &str| types::Error::Invalid(what.to_owned());
    let gate = gate.ok_or(types::Error::Unsupported)?;
    let url = Url::parse(&request.url).map_err(|_| invalid("url: not a URL"))?;
    if !gate.admits(&url) {
        return Err(types::Error::Denied(format!(
            "{} is not granted",
            printable(&url.origin().ascii_serialization(), 200)
        )));
    }
    if request.body.len() > BODY {
        return Err(invalid("body: at most 16 MiB"));
    }
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| invalid("method"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("headers: a name"))?;
        if RESERVED.contains(&name.as_str()) {
            return Err(invalid("headers: one that says how the request is carried"));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| invalid("headers: a value"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let request = gate
        .client
        .request(method, url)
        .headers(headers)
        .body(request.body);
    request.send().await.map_err(|error| lost(&error))
}

impl http::HostBody for Guest {
    async fn read(
        &mut self,
        body: Resource<HttpBody>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, types::Error>> {
        let body = self.table.get_mut(&body)?;
        let max = max.min(PIECE) as usize;
        while body.rest.is_empty() {
            match body.response.chunk().await {
                Ok(Some(piece)) => body.rest = piece,
                Ok(None) => return Ok(Ok(Vec::new())),
                Err(error) => return Ok(Err(lost(&error))),
            }
        }
        Ok(Ok(body.rest.split_to(max.min(body.rest.len())).to_vec()))
    }

    async fn drop(&mut self, body: Resource<HttpBody>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

/// No connection was made: then nothing can have happened; else the request may have arrived. The innermost cause
/// alone, since the others name the address with its query.
fn lost(error: &reqwest::Error) -> types::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = printable(&cause.to_string(), 200);
    if error.is_connect() {
        types::Error::Unavailable(text)
    } else {
        types::Error::Unknown(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_are_granted_and_http_is_for_loopback() {
        for (text, is_granted) in [
            ("https://mail.example.org", true),
            ("https://mail.example.org:8443", true),
            ("https://mail.example.org/", true),
            ("https://192.0.2.1", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("http://mail.example.org", false),
            ("https://mail.example.org/jmap", false),
            ("https://mail.example.org?x", false),
            ("https://user@mail.example.org", false),
            ("mail.example.org", false),
            ("ftp://mail.example.org", false),
        ] {
            assert_eq!(origin(text).is_ok(), is_granted, "{text}");
        }
    }

    #[test]
    fn a_gate_admits_its_origins_and_no_other() {
        let gate = HttpGate::new(&["https://mail.example.org".to_owned()], false, None).unwrap();
        for (url, is_admitted) in [
            ("https://mail.example.org/jmap?x=1", true),
            ("https://mail.example.org:443/", true),
            ("https://MAIL.example.org/", true),
            ("https://mail.example.org:8443/", false),
            ("http://mail.example.org/", false),
            ("https://mail.example.org.evil.example/", false),
            ("https://evil.example/?mail.example.org", false),
            ("https://mail.example.org@evil.example/", false),
            ("https://user@mail.example.org/", false),
        ] {
            assert_eq!(gate.admits(&Url::parse(url).unwrap()), is_admitted, "{url}");
        }
    }

    #[test]
    fn addresses_of_this_network_are_not_public() {
        for (address, expected) in [
            ("93.184.216.34", true),
            ("2606:2800:220:1::1", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("::ffff:10.0.0.1", false),
            ("fe80::1", false),
            ("fc00::1", false),
            ("fd12::1", false),
            ("2002:a00:1::", false),
            ("64:ff9b::a00:1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused_unless_it_may() {
        let refused = CheckedResolver { to_private: false };
        assert!(refused.resolve("localhost.".parse().unwrap()).await.is_err());
    }
}
