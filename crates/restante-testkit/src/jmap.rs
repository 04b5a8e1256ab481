//! A mail server that speaks JMAP (RFC 8620, RFC 8621), with faults on demand.
//!
//! It keeps everything in memory. One token opens all accounts; as the user `NAME%master`, with the token as password,
//! the account NAME alone. It takes each octet as it comes, so a message may hold whatever line ends a test wants.
//! Start at [`JmapServer::start`].

mod account;
mod fault;
mod method;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use account::Account;
use fault::{Answer, Closed, Script, with_body};

pub use account::JmapEmail;
pub use fault::JmapFault;

const TOKEN: &str = "jmap-token-of-the-tests";
const CORE: &str = "urn:ietf:params:jmap:core";
const MAIL: &str = "urn:ietf:params:jmap:mail";

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JmapCall {
    /// The session resource.
    Session,
    /// A request of methods that change nothing.
    Read,
    /// One with `Email/set` among its methods.
    Set,
    /// One with `Email/import` among its methods.
    Import,
    /// A blob is read.
    Download,
    /// A blob is made.
    Upload,
}

/// A running server. It stops, and its mail is gone, when it is dropped.
#[derive(Debug)]
pub struct JmapServer {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    base: String,
    address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accounts: BTreeMap<String, Account>,
    /// Grows with each change of the session resource.
    session: u64,
    limits: Limits,
    /// What happens to the next call, whatever it is.
    next: Option<JmapFault>,
    scripts: HashMap<JmapCall, Script>,
    counts: HashMap<JmapCall, usize>,
}

/// What a client may ask for at once.
#[derive(Clone, Copy, Debug)]
struct Limits {
    get: usize,
    set: usize,
    query: usize,
    upload: usize,
}

impl JmapServer {
    /// A server without accounts.
    ///
    /// # Panics
    /// If this host has no loopback.
    pub async fn start() -> Self {
        Self::over(None).await
    }

    /// The same over TLS, for clients that know it as `localhost`.
    ///
    /// # Panics
    /// If this host has no loopback.
    pub async fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::over(Some(config.into())).await
    }

    async fn over(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let base = match tls {
            None => format!("http://{address}"),
            Some(_) => format!("https://localhost:{}", address.port()),
        };
        let shared = Arc::new(Shared {
            base,
            address,
            state: Mutex::new(State::new()),
        });
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self { shared, accepting }
    }

    /// Where the session resource is.
    pub fn url(&self) -> String {
        format!("{}/.well-known/jmap", self.shared.base)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// What opens all accounts.
    pub const fn token(&self) -> &'static str {
        TOKEN
    }

    /// Makes an account with the mailboxes `inbox`, `archive` and `trash`. Answers its id.
    pub fn add_account(&self, name: &str) -> String {
        let mut state = self.shared.state();
        state.session += 1;
        let id = format!("u{}", state.accounts.len() + 1);
        state.accounts.insert(id.clone(), Account::new(name));
        id
    }

    /// Adds a message to the inbox, later than all before. Answers the email's id.
    ///
    /// # Panics
    /// If there is no account of that name; so do all methods below.
    pub fn add(&self, account: &str, octets: impl Into<Bytes>) -> String {
        self.shared
            .with(account, |account| account.add(octets.into(), None))
    }

    /// The same with this `receivedAt`, like `2026-01-31T23:59:59Z`.
    pub fn add_at(&self, account: &str, octets: impl Into<Bytes>, received_at: &str) -> String {
        self.shared.with(account, |account| {
            account.add(octets.into(), Some(received_at.to_owned()))
        })
    }

    /// The inbox, oldest first.
    pub fn emails(&self, account: &str) -> Vec<JmapEmail> {
        self.mailbox(account, "inbox")
    }

    /// The mailbox of a role, oldest first.
    pub fn mailbox(&self, account: &str, role: &str) -> Vec<JmapEmail> {
        self.shared.with(account, |account| account.emails_of(role))
    }

    /// Puts an email into exactly the mailboxes of these roles, as another client would.
    pub fn put_into(&self, account: &str, email: &str, roles: &[&str]) {
        self.shared
            .with(account, |account| account.put_into(email, roles));
    }

    /// Destroys an email, as another client would.
    pub fn destroy(&self, account: &str, email: &str) {
        self.shared.with(account, |account| drop(account.destroy(email)));
    }

    /// The mailbox of a role is another one from now on, with the same emails.
    pub fn replace_mailbox(&self, account: &str, role: &str) {
        self.shared.with(account, |account| account.replace_mailbox(role));
    }

    /// The email's blob bears another id from now on.
    pub fn rename_blob(&self, account: &str, email: &str) {
        self.shared.with(account, |account| account.rename_blob(email));
    }

    /// From now on no message is imported that the account has already.
    pub fn refuse_copies(&self, account: &str) {
        self.shared.with(account, Account::refuse_copies);
    }

    /// From now on this email is not to be changed.
    pub fn forbid(&self, account: &str, email: &str) {
        self.shared.with(account, |account| account.forbid(email));
    }

    /// How many objects one call may get, set, and find.
    pub fn limit(&self, get: usize, set: usize, query: usize) {
        let mut state = self.shared.state();
        let upload = state.limits.upload;
        state.limits = Limits {
            get,
            set,
            query,
            upload,
        };
        state.session += 1;
    }

    /// How many octets a message may have.
    pub fn limit_upload(&self, octets: usize) {
        let mut state = self.shared.state();
        state.limits.upload = octets;
        state.session += 1;
    }

    /// The next call, whatever it is, is refused with this status.
    pub fn fail_next(&self, status: u16) {
        self.shared.state().next = Some(JmapFault::Refuse(status));
    }

    /// From now on `fault` happens to every such call, after `skip` of them have passed.
    pub fn set(&self, call: JmapCall, skip: usize, fault: JmapFault) {
        let script = Script::always(skip, fault);
        self.shared.state().scripts.insert(call, script);
    }

    /// `fault` happens to one such call, after `skip` of them have passed.
    pub fn set_once(&self, call: JmapCall, skip: usize, fault: JmapFault) {
        let script = Script::once(skip, fault);
        self.shared.state().scripts.insert(call, script);
    }

    /// Lifts all faults.
    pub fn mend(&self) {
        let mut state = self.shared.state();
        state.next = None;
        state.scripts.clear();
    }

    /// How many such calls have come so far.
    pub fn count(&self, call: JmapCall) -> usize {
        self.shared.state().counts.get(&call).copied().unwrap_or_default()
    }
}

impl Drop for JmapServer {
    fn drop(&mut self) {
        // The set of its connections goes with it.
        self.accepting.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: &str, then: impl FnOnce(&mut Account) -> T) -> T {
        let mut state = self.state();
        let account = state.accounts.values_mut().find(|account| account.name == name);
        then(account.expect("an account of that name was added"))
    }

    fn answer(&self, request: &Parts, body: Bytes) -> Answer {
        let Some(who) = Who::of(request) else {
            return with_body(401, Bytes::new());
        };
        let path: Vec<&str> = request.uri.path().split('/').skip(1).collect();
        let mut state = self.state();
        match (&request.method, path.as_slice()) {
            (&Method::GET, [".well-known", "jmap"] | ["session"]) => {
                json_body(200, &state.session_resource(&self.base, &who))
            }
            (&Method::POST, ["api"]) => match serde_json::from_slice(&body) {
                Ok(request) => state.call_methods(&request, &who),
                Err(_) => problem("notJSON"),
            },
            (&Method::GET, ["download", account, blob, _]) => {
                match state
                    .account(account, &who)
                    .and_then(|account| account.blob(blob))
                {
                    Some(octets) => with_body(200, octets),
                    None => with_body(404, Bytes::new()),
                }
            }
            (&Method::POST, ["upload", id]) => {
                if body.len() > state.limits.upload {
                    return with_body(413, Bytes::new());
                }
                let size = body.len();
                let Some(account) = state.account(id, &who) else {
                    return with_body(404, Bytes::new());
                };
                let blob = account.upload(body);
                json_body(
                    201,
                    &json!({"accountId": id, "blobId": blob, "type": "message/rfc822", "size": size}),
                )
            }
            _ => with_body(404, Bytes::new()),
        }
    }
}

impl State {
    fn new() -> Self {
        Self {
            accounts: BTreeMap::new(),
            session: 0,
            limits: Limits {
                get: 500,
                set: 500,
                query: 1000,
                upload: 64 << 20,
            },
            next: None,
            scripts: HashMap::new(),
            counts: HashMap::new(),
        }
    }

    /// Counts the call. Answers what happens to it.
    fn begin(&mut self, call: JmapCall) -> Option<JmapFault> {
        *self.counts.entry(call).or_default() += 1;
        self.next
            .take()
            .or_else(|| self.scripts.get_mut(&call).and_then(Script::next))
    }

    fn account(&mut self, id: &str, who: &Who) -> Option<&mut Account> {
        let account = self.accounts.get_mut(id)?;
        who.sees(&account.name).then_some(account)
    }

    fn session_resource(&self, base: &str, who: &Who) -> Value {
        let seen = || {
            self.accounts
                .iter()
                .filter(|(_, account)| who.sees(&account.name))
        };
        let accounts: serde_json::Map<String, Value> = seen()
            .map(|(id, account)| {
                let account = json!({
                    "name": account.name, "isPersonal": true, "isReadOnly": false,
                    "accountCapabilities": {MAIL: {}},
                });
                (id.clone(), account)
            })
            .collect();
        let mut primary = json!({});
        if let (Who::User(_), Some((id, _))) = (who, seen().next()) {
            primary[MAIL] = json!(id);
        }
        json!({
            "capabilities": {
                CORE: {
                    "maxSizeUpload": self.limits.upload, "maxConcurrentUpload": 4,
                    "maxSizeRequest": 10_000_000, "maxConcurrentRequests": 8, "maxCallsInRequest": 16,
                    "maxObjectsInGet": self.limits.get, "maxObjectsInSet": self.limits.set,
                    "collationAlgorithms": [],
                },
                MAIL: {},
            },
            "accounts": accounts,
            "primaryAccounts": primary,
            "username": "tests",
            "apiUrl": format!("{base}/api"),
            // Relative, as of some servers.
            "downloadUrl": "/download/{accountId}/{blobId}/{name}?accept={type}",
            "uploadUrl": format!("{base}/upload/{{accountId}}"),
            "eventSourceUrl": format!("{base}/events"),
            "state": self.session.to_string(),
        })
    }
}

/// In whose name a request comes.
enum Who {
    Everybody,
    User(String),
}

impl Who {
    fn of(request: &Parts) -> Option<Self> {
        let (scheme, credential) = request
            .headers
            .get(AUTHORIZATION)?
            .to_str()
            .ok()?
            .split_once(' ')?;
        match scheme {
            "Bearer" => (credential == TOKEN).then_some(Self::Everybody),
            "Basic" => {
                let pair = String::from_utf8(STANDARD.decode(credential).ok()?).ok()?;
                let (user, password) = pair.split_once(':')?;
                let user = user.strip_suffix("%master")?;
                (password == TOKEN).then(|| Self::User(user.to_owned()))
            }
            _ => None,
        }
    }

    fn sees(&self, account: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::User(user) => user == account,
        }
    }
}

impl JmapCall {
    /// None for what no client should ask for.
    fn of(request: &Parts, body: &[u8]) -> Option<Self> {
        let has = |word: &[u8]| body.windows(word.len()).any(|octets| octets == word);
        match request.uri.path().split('/').nth(1)? {
            ".well-known" | "session" => Some(Self::Session),
            "download" => Some(Self::Download),
            "upload" => Some(Self::Upload),
            "api" if has(b"\"Email/set\"") => Some(Self::Set),
            "api" if has(b"\"Email/import\"") => Some(Self::Import),
            "api" => Some(Self::Read),
            _ => None,
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Ends all connections when the server is dropped.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        let tls = tls.clone();
        connections.spawn(async move {
            match tls {
                None => serve(stream, shared).await,
                Some(tls) => {
                    // A client that does not trust the certificate has gone.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let serving = service_fn(move |request| exchange(Arc::clone(&shared), request));
    // A connection that is cut is what some faults are for.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), serving)
            .await,
    );
}

/// An error closes the connection without an answer.
async fn exchange(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Closed> {
    let (request, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let call = JmapCall::of(&request, &body);
    let fault = call.and_then(|call| shared.state().begin(call));
    if let Some(fault) = &fault
        && let Some(instead) = fault.instead().await?
    {
        return Ok(instead);
    }
    let answer = shared.answer(&request, body);
    match fault {
        Some(fault) => fault.spoil(answer).await,
        None => Ok(answer),
    }
}

fn json_body(status: u16, value: &Value) -> Answer {
    with_body(status, value.to_string().into())
}

/// Refuses a whole request (RFC 8620 section 3.6.1).
fn problem(kind: &str) -> Answer {
    json_body(
        400,
        &json!({"type": format!("urn:ietf:params:jmap:error:{kind}"), "status": 400}),
    )
}
