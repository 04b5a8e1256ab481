//! An OAuth 2.0 identity provider on loopback: publishes keys (RFC 7517), answers introspection (RFC 7662), behaves as
//! it is told.
//!
//! It logs nobody in: a test makes its tokens itself. HTTP/1.1, one request a connection. Start at
//! [`IdentityProvider::start`].

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::TokenSigner;

/// Octets of a request's body that are read, at most.
const BODY: usize = 1 << 20;

/// How the provider answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As the standards say.
    #[default]
    Right,
    /// Rightly, so much later.
    Slow(Duration),
    /// With this status, and nothing else.
    Status(u16),
    /// With 10 MB of JSON.
    Huge,
    /// With 200 and what is no JSON.
    Garbage,
    /// Not at all, with the connection open.
    Silent,
}

/// A running provider. It stops, with its connections, when it is dropped.
#[derive(Debug)]
pub struct IdentityProvider {
    address: SocketAddr,
    shared: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    signer: Arc<TokenSigner>,
    generation: u32,
    active: HashMap<String, Value>,
    n_key_sets: u64,
    n_introspections: u64,
}

impl IdentityProvider {
    /// The client that may introspect.
    pub const CLIENT: &str = "restante";
    /// Its password.
    pub const CLIENT_SECRET: &str = "introspection-secret";

    /// A provider with keys of its own.
    ///
    /// # Panics
    /// If this host has no loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Mutex::new(State {
            manner: Manner::Right,
            signer: Arc::new(TokenSigner::new(1)),
            generation: 1,
            active: HashMap::new(),
            n_key_sets: 0,
            n_introspections: 0,
        }));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// What its tokens name as `iss`.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its keys are published.
    pub fn key_set_url(&self) -> String {
        format!("{}/jwks", self.issuer())
    }

    /// Where it says whether a token is active.
    pub fn introspection_url(&self) -> String {
        format!("{}/introspect", self.issuer())
    }

    /// From the next request on it answers so.
    pub fn behave(&self, manner: Manner) {
        lock(&self.shared).manner = manner;
    }

    /// The keys that are published now.
    pub fn signer(&self) -> Arc<TokenSigner> {
        Arc::clone(&lock(&self.shared).signer)
    }

    /// Replaces all keys by new ones with new ids.
    pub fn rotate(&self) {
        let generation = lock(&self.shared).generation + 1;
        let signer = Arc::new(TokenSigner::new(generation));
        let mut state = lock(&self.shared);
        state.generation = generation;
        state.signer = signer;
    }

    /// From now on introspection calls `token` active, with these claims.
    pub fn activate(&self, token: &str, claims: Value) {
        lock(&self.shared).active.insert(token.to_owned(), claims);
    }

    /// From now on introspection calls `token` inactive.
    pub fn revoke(&self, token: &str) {
        lock(&self.shared).active.remove(token);
    }

    /// How often its keys were asked for.
    pub fn n_key_sets(&self) -> u64 {
        lock(&self.shared).n_key_sets
    }

    /// How often it was asked about a token.
    pub fn n_introspections(&self) -> u64 {
        lock(&self.shared).n_introspections
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        // The set of its connections goes with it.
        self.accepting.abort();
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> (u16, Vec<u8>) {
        let (status, body) = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/jwks") => {
                self.n_key_sets += 1;
                (200, self.signer.key_set())
            }
            ("POST", "/introspect") => {
                self.n_introspections += 1;
                self.introspect(request)
            }
            _ => (404, json!({})),
        };
        match self.manner {
            Manner::Right | Manner::Slow(_) | Manner::Silent => (status, body.to_string().into_bytes()),
            Manner::Status(status) => (status, Vec::new()),
            Manner::Huge => (200, huge()),
            Manner::Garbage => (200, b"<html>not what you asked for</html>".to_vec()),
        }
    }

    fn introspect(&self, request: &Request) -> (u16, Value) {
        let expected = format!("{}:{}", IdentityProvider::CLIENT, IdentityProvider::CLIENT_SECRET);
        if request.authorization != format!("Basic {}", STANDARD.encode(expected)) {
            return (401, json!({"error": "invalid_client"}));
        }
        let Some(claims) = self.active.get(&request.token()) else {
            return (200, json!({"active": false}));
        };
        let mut answer = claims.clone();
        answer["active"] = json!(true);
        (200, answer)
    }
}

#[derive(Default)]
struct Request {
    method: String,
    path: String,
    authorization: String,
    body: Vec<u8>,
}

impl Request {
    async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let mut words = line.split(' ').map(ToOwned::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            path: words.next().unwrap_or_default(),
            ..Self::default()
        };
        let mut length = 0;
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => value.trim().clone_into(&mut request.authorization),
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                _ => {}
            }
        }
        request.body = vec![0; BODY.min(length)];
        stream.read_exact(&mut request.body).await?;
        Ok(request)
    }

    /// The form's field `token`; tokens hold no octet that forms write in another way.
    fn token(&self) -> String {
        let form = String::from_utf8_lossy(&self.body);
        let mut fields = form.split('&').filter_map(|field| field.split_once('='));
        let token = fields.find(|(name, _)| *name == "token");
        token.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(exchange(stream, Arc::clone(&shared)));
    }
}

/// Answers one request. A client that hangs up ends its connection, not the provider.
async fn exchange(stream: TcpStream, shared: Arc<Mutex<State>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let request = Request::read(&mut stream).await?;
    let (manner, (status, body)) = {
        let mut state = lock(&shared);
        (state.manner, state.answer(&request))
    };
    match manner {
        Manner::Slow(delay) => tokio::time::sleep(delay).await,
        Manner::Silent => std::future::pending().await,
        _ => {}
    }
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

fn huge() -> Vec<u8> {
    let mut body = b"{\"active\":true,\"keys\":[],\"more\":\"".to_vec();
    body.resize(10 << 20, b'x');
    body.extend_from_slice(b"\"}");
    body
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
