//! HTTP over sockets of loopback: in the clear, inside TLS, and until it is told to end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use restante_admin::{AdminLimits, AdminService};
use restante_net::{CertificateStore, Drain, ListenerSpec, TlsSettings, TlsStack, bind};
use restante_testkit::{Socket, TestCertificate, TlsOptions, eventually};
use tokio::task::JoinHandle;

use crate::world::{PROVIDER, SystemClockNow, World};

/// A service on a port of loopback.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) drain: Drain,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) fn start(service: &AdminService) -> Self {
        Self::with(service, None, false)
    }

    pub(crate) fn inside_tls(service: &AdminService, tls: Arc<TlsStack>) -> Self {
        Self::with(service, Some(tls), false)
    }

    fn with(service: &AdminService, tls: Option<Arc<TlsStack>>, metrics_only: bool) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = bind(&ListenerSpec::tcp(loopback)).unwrap();
        let address = listener.tcp_address().unwrap();
        let (service, drain) = (service.clone(), Drain::new());
        let told = drain.clone();
        let task = tokio::spawn(async move {
            if metrics_only {
                service.serve_metrics(listener, told).await;
            } else {
                service.serve(listener, tls, told).await;
            }
        });
        Self { address, drain, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one answer: its status line, and its whole text.
pub(crate) async fn answer(socket: &mut Socket) -> (String, String) {
    let head = String::from_utf8(socket.until(b"\r\n\r\n").await).unwrap();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    let mut body = Vec::new();
    while body.len() < length {
        body.extend(socket.octets().await.expect("the whole body"));
    }
    (
        head.lines().next().unwrap().to_owned(),
        head + &String::from_utf8(body).unwrap(),
    )
}

pub(crate) async fn get(socket: &mut Socket, path: &str) -> (String, String) {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {PROVIDER}\r\n\r\n");
    socket.send(request.as_bytes()).await;
    answer(socket).await
}

#[tokio::test]
async fn one_connection_takes_many_requests() {
    let world = World::new().await.settled().await;
    let served = Served::start(&world.service(AdminLimits::default()));
    let mut socket = Socket::connect(served.address).await;
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/",
        "/openapi.json",
        "/api/v1/accounts",
        "/api/v1/tenants",
    ] {
        let (status, _) = get(&mut socket, path).await;
        assert_eq!(status, "HTTP/1.1 200 OK", "{path}");
    }
    let (status, text) = get(&mut socket, "/api/v1/accounts").await;
    assert!(
        status.ends_with("200 OK") && text.contains("ann@acme.example"),
        "{text}"
    );
}

#[tokio::test]
async fn tls_carries_the_same() {
    let world = World::new().await.settled().await;
    let certificate = TestCertificate::new();
    let (store, _) = CertificateStore::open(&[certificate.files()], SystemClockNow::now()).unwrap();
    let settings = TlsSettings {
        alpn: Some("http/1.1"),
        ..TlsSettings::default()
    };
    let stack = Arc::new(TlsStack::new(&settings, store).unwrap());
    let served = Served::inside_tls(&world.service(AdminLimits::default()), stack);
    let options = TlsOptions {
        alpn: vec!["h2", "http/1.1"],
        ..TlsOptions::default()
    };
    let plain = Socket::connect(served.address).await;
    let mut socket = plain.start_tls(&certificate, &options).await.unwrap();
    let (status, text) = get(&mut socket, "/api/v1/accounts").await;
    assert!(
        status.ends_with("200 OK") && text.contains("ann@acme.example"),
        "{text}"
    );
    // Whoever speaks in the clear is not answered in the clear.
    let mut clear = Socket::connect(served.address).await;
    clear
        .send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let rest = clear.rest().await;
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP"), "{rest:?}");
}

#[tokio::test]
async fn the_metrics_port_has_metrics_and_health_and_nothing_else() {
    let world = World::new().await.settled().await;
    let served = Served::with(&world.service(AdminLimits::default()), None, true);
    let mut socket = Socket::connect(served.address).await;
    for path in ["/metrics", "/livez", "/readyz"] {
        assert!(get(&mut socket, path).await.0.ends_with("200 OK"), "{path}");
    }
    for path in ["/", "/openapi.json", "/api/v1/tenants"] {
        assert!(
            get(&mut socket, path).await.0.ends_with("404 Not Found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn it_answers_while_sessions_drain_and_until_it_is_told_to_end() {
    let world = World::new().await;
    let served = Served::start(&world.service(AdminLimits::default()));
    let sessions = Drain::new();
    let mut socket = Socket::connect(served.address).await;
    get(&mut socket, "/livez").await;
    sessions.start(Duration::from_mins(1));
    *world.facts.unready.lock().unwrap() = vec!["draining".to_owned()];
    assert!(get(&mut socket, "/livez").await.0.ends_with("200 OK"));
    assert!(get(&mut socket, "/readyz").await.0.contains("503"));
    let mut fresh = Socket::connect(served.address).await;
    assert!(get(&mut fresh, "/livez").await.0.ends_with("200 OK"));
    served.drain.start(Duration::from_secs(20));
    let report = served.drain.finished().await;
    assert_eq!(report.n_cut, 0);
    assert!(
        report.elapsed < Duration::from_secs(5),
        "idle connections go at once"
    );
    assert!(socket.rest().await.is_empty() && fresh.rest().await.is_empty());
    eventually("the listener is closed", || {
        std::net::TcpStream::connect(served.address).is_err()
    })
    .await;
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_before_the_end() {
    let limits = AdminLimits {
        refusal_delay: Duration::from_millis(500),
        ..AdminLimits::default()
    };
    let world = World::new().await;
    let served = Served::start(&world.service(limits));
    let mut socket = Socket::connect(served.address).await;
    socket
        .send(b"GET /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.drain.start(Duration::from_secs(20));
    let (status, _) = answer(&mut socket).await;
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
    let report = served.drain.finished().await;
    assert_eq!(report.n_cut, 0);
    assert!(
        report.elapsed < Duration::from_secs(5),
        "and then the connection goes"
    );
}

#[tokio::test]
async fn there_are_so_many_connections_and_no_more() {
    let limits = AdminLimits {
        connections: 2,
        ..AdminLimits::default()
    };
    let world = World::new().await;
    let served = Served::start(&world.service(limits));
    let mut first = Socket::connect(served.address).await;
    let mut second = Socket::connect(served.address).await;
    get(&mut first, "/livez").await;
    get(&mut second, "/livez").await;
    let mut third = Socket::connect(served.address).await;
    assert!(third.rest().await.is_empty());
    drop(first);
    eventually("its place is free", || served.drain.n_running() == 1).await;
    let mut fourth = Socket::connect(served.address).await;
    assert!(get(&mut fourth, "/livez").await.0.ends_with("200 OK"));
}
