//! A service that speaks the S3 protocol over HTTP, with faults on demand.
//!
//! By default it keeps objects in a folder of its own (`s3s-fs`, with one put at a time, because that one looks before
//! it writes). With `RESTANTE_S3_URL=http://KEY:SECRET@host:port/bucket?region=R` everything is handed on to that
//! service, faults included. Start at [`S3::start`].

mod fault;
mod upstream;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use fault::S3Fault;
use fault::{Answer, Script};
use upstream::Upstream;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum S3Call {
    /// An object is read.
    Get,
    /// It is asked about.
    Head,
    /// It is written, whole or a part of it.
    Put,
    /// It is removed, or an upload in parts is given up.
    Delete,
    /// An upload in parts is begun or ended.
    Post,
}

impl S3Call {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            _ => Self::Post,
        }
    }
}

/// A running service. It stops, and its objects are gone, when it is dropped.
#[derive(Debug)]
pub struct S3 {
    address: SocketAddr,
    shared: Arc<Shared>,
    folder: TempDir,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scripts: HashMap<S3Call, Script>,
    counts: HashMap<S3Call, usize>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl S3 {
    /// A service with one empty bucket.
    ///
    /// # Panics
    /// If this host has no loopback, or `RESTANTE_S3_URL` is not of the form above.
    pub async fn start() -> Self {
        Self::over(Upstream::choose).await
    }

    /// The same, whatever `RESTANTE_S3_URL` says: for tests that look at the objects themselves.
    ///
    /// # Panics
    /// If this host has no loopback.
    pub async fn own() -> Self {
        Self::over(Upstream::own).await
    }

    async fn over(upstream: fn(&Path) -> Upstream) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let upstream = upstream(&folder.path().join("objects"));
        write_credentials(&folder.path().join("credentials"), &upstream);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            folder,
            accepting,
        }
    }

    /// Where clients connect.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of [`S3::endpoint`].
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bucket that is there.
    pub fn bucket(&self) -> &str {
        &self.shared.upstream.place().bucket
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.shared.upstream.place().region
    }

    /// A file in the form of `~/.aws/credentials` with the profile `default`.
    pub fn credentials_file(&self) -> PathBuf {
        self.folder.path().join("credentials")
    }

    /// From now on `fault` happens to every such call, after `skip` of them have passed.
    pub fn set(&self, call: S3Call, skip: usize, fault: S3Fault) {
        self.shared
            .state()
            .scripts
            .insert(call, Script::always(skip, fault));
    }

    /// `fault` happens to one such call, after `skip` of them have passed.
    pub fn set_once(&self, call: S3Call, skip: usize, fault: S3Fault) {
        self.shared
            .state()
            .scripts
            .insert(call, Script::once(skip, fault));
    }

    /// Lifts all faults.
    pub fn mend(&self) {
        self.shared.state().scripts.clear();
    }

    /// How many such calls have come so far.
    pub fn count(&self, call: S3Call) -> usize {
        self.shared.state().counts.get(&call).copied().unwrap_or_default()
    }

    /// Where the objects of the bucket are as files; not for a service elsewhere.
    ///
    /// # Panics
    /// With `RESTANTE_S3_URL`.
    pub fn objects(&self) -> PathBuf {
        assert!(self.is_own(), "the objects are elsewhere");
        self.folder.path().join("objects").join(self.bucket())
    }

    /// Whether the objects are this fixture's own, and not of a service elsewhere.
    pub fn is_own(&self) -> bool {
        matches!(self.shared.upstream, Upstream::Own(_))
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn write_credentials(path: &Path, upstream: &Upstream) {
    let place = upstream.place();
    let mut text = String::new();
    writeln!(
        text,
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}",
        place.access_key, place.secret_key
    )
    .expect("a string takes everything");
    std::fs::write(path, text).expect("a file can be written");
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Ends all connections when the service is dropped.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let serving = service_fn(move |request| answer(Arc::clone(&shared), request));
            // A connection that is cut is what some faults are for.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), serving)
                    .await,
            );
        });
    }
}

/// An error closes the connection without an answer.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, fault::Closed> {
    let call = S3Call::of(request.method());
    let fault = {
        let mut state = shared.state();
        *state.counts.entry(call).or_default() += 1;
        state.scripts.get_mut(&call).and_then(Script::next)
    };
    let (parts, body) = request.into_parts();
    let body: Bytes = body.collect().await.map_err(|_| fault::Closed)?.to_bytes();
    if let Some(fault) = &fault
        && let Some(instead) = fault.instead().await?
    {
        return Ok(instead);
    }
    let replaces = matches!(fault, Some(S3Fault::IgnoreConditions));
    let answer = shared
        .upstream
        .ask(Request::from_parts(parts, body), replaces)
        .await;
    match fault {
        Some(fault) => fault.spoil(answer),
        None => Ok(answer),
    }
}

/// For bodies that cannot fail.
fn never(never: Infallible) -> std::io::Error {
    match never {}
}
