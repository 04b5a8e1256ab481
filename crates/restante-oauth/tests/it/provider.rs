//! An issuer on loopback: HTTP/1.1 by hand, one request a connection, answers as it is told, remembers what was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What it answers.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A status and a body.
    Body(u16, Vec<u8>),
    /// 200 with that body, once the gate is open.
    Gated(watch::Receiver<bool>, Vec<u8>),
    /// 302 to another path.
    Redirect(&'static str),
    /// Nothing, with the connection open.
    Silence,
}

impl Reply {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::Body(200, body.to_string().into_bytes())
    }
}

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Client id and secret, as they came.
    pub(crate) credentials: Option<String>,
    pub(crate) body: String,
}

pub(crate) struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    reply: Mutex<Reply>,
    requests: Mutex<Vec<Request>>,
    count: watch::Sender<usize>,
}

impl Provider {
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::start_with(reply, None).await
    }

    /// With TLS, if an acceptor is given.
    pub(crate) async fn start_with(reply: Reply, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            reply: Mutex::new(reply),
            requests: Mutex::default(),
            count: watch::channel(0).0,
        });
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn answer(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests().len()
    }

    /// Returns once so many requests have come.
    pub(crate) async fn asked(&self, times: usize) {
        let mut count = self.shared.count.subscribe();
        let deadline = std::time::Duration::from_secs(20);
        tokio::time::timeout(deadline, count.wait_for(|count| *count >= times))
            .await
            .unwrap()
            .unwrap();
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        // A client that hangs up ends its connection, not the server.
        tokio::spawn(async move {
            match tls {
                Some(tls) => exchange(tls.accept(stream).await?, &shared).await,
                None => exchange(stream, &shared).await,
            }
        });
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let request = read(&mut stream).await?;
    let reply = shared.reply.lock().unwrap().clone();
    let count = {
        let mut requests = shared.requests.lock().unwrap();
        requests.push(request);
        requests.len()
    };
    shared.count.send_replace(count);
    let (head, body) = match reply {
        Reply::Body(status, body) => (format!("{status} Whatever"), body),
        Reply::Redirect(path) => (format!("302 Found\r\nlocation: {path}"), Vec::new()),
        Reply::Silence => std::future::pending().await,
        Reply::Gated(mut gate, body) => {
            gate.wait_for(|open| *open).await.unwrap();
            ("200 OK".to_owned(), body)
        }
    };
    let head = format!(
        "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<impl AsyncRead + Unpin>) -> std::io::Result<Request> {
    let mut start = String::new();
    stream.read_line(&mut start).await?;
    let mut credentials = None;
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name {
            "authorization" => {
                let octets = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
                credentials = Some(String::from_utf8(octets).unwrap());
            }
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Request {
        path: start.split(' ').nth(1).unwrap_or_default().to_owned(),
        credentials,
        body: String::from_utf8(body).unwrap(),
    })
}
