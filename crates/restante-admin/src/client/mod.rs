//! The other side of the API: the contracts that the operator's commands work on, answered by a server elsewhere.
//!
//! What cannot be done from elsewhere fails with what to do instead. Start at [`AdminClient`].

mod call;
mod desk;
mod directory;
mod extras;
mod registry;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use reqwest::{Client, ClientBuilder};
use restante_types::Secret;
use url::Url;
use zeroize::Zeroizing;

use crate::address;

/// Time for a connection, and for a whole call: longer than the server takes at most.
const CONNECT: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_mins(1);

/// How to reach a server's admin interface.
#[derive(Debug)]
pub struct AdminClientOptions {
    /// Its address: `https://...`, or `http://...` to a loopback address.
    pub url: String,
    /// A token of its configuration.
    pub token: Secret<String>,
    /// Trusted besides the system's roots: bundles of certificates in PEM.
    pub extra_roots: Vec<Vec<u8>>,
}

/// There is no client. The text says what is wrong, and holds no token.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// A token must not be sent there.
    #[error("the address of the server cannot be used: {0}")]
    Address(&'static str),
    /// The token has characters that no token has.
    #[error(
        "the token has other characters than printable ASCII: give the first line of the file as it was made"
    )]
    Token,
    /// An extra root is no certificate.
    #[error("an extra root is not a certificate in PEM")]
    Root,
    /// The client could not be made.
    #[error("the client cannot be made: {0}")]
    Setup(#[source] reqwest::Error),
}

/// Speaks to the admin interface of a server. Clones share their connections.
#[derive(Clone)]
pub struct AdminClient {
    http: Client,
    base: Url,
    /// Marked as sensitive: no library prints it.
    authorization: HeaderValue,
}

impl AdminClient {
    /// Prepares to speak to a server; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn new(options: &AdminClientOptions) -> Result<Self, ClientFault> {
        let base = address::check(&options.url).map_err(ClientFault::Address)?;
        let header = Zeroizing::new(format!("Bearer {}", options.token.expose()));
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| ClientFault::Token)?;
        authorization.set_sensitive(true);
        let mut roots = Vec::new();
        for bundle in &options.extra_roots {
            let bundle = Certificate::from_pem_bundle(bundle).map_err(|_| ClientFault::Root)?;
            if bundle.is_empty() {
                return Err(ClientFault::Root);
            }
            roots.extend(bundle);
        }
        // A system without any roots still has those that are given.
        let with_system = builder().tls_certs_merge(roots.iter().cloned()).build();
        let without_system = || builder().tls_certs_only(roots).build();
        let http = with_system
            .or_else(|_| without_system())
            .map_err(ClientFault::Setup)?;
        Ok(Self {
            http,
            base,
            authorization,
        })
    }
}

/// A token goes to the address that was given and nowhere else: no redirect, no proxy. `localhost` is this machine
/// whatever a resolver says.
fn builder() -> ClientBuilder {
    let loopback = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ];
    Client::builder()
        .user_agent(concat!("restante/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .resolve_to_addrs("localhost", &loopback)
        .connect_timeout(CONNECT)
        .timeout(CALL)
}

impl fmt::Display for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminClient({})", self.base)
    }
}
