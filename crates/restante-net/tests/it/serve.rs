//! The accept loop over loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use restante_net::{
    AcceptEvent, AcceptRules, Accepted, BudgetLimits, ConnectionBudget, Drain, DrainReport, HandshakeFault,
    ListenerSpec, ProxyError, ProxyInfo, ProxyPolicy, Refusal, TlsSettings, bind, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{PATIENCE, Shelf, eventually, loopback, pop3_settings, stack_with};

const REFUSAL: &[u8] = b"-ERR [SYS/TEMP] Too many connections\r\n";
const WIDE: BudgetLimits = BudgetLimits {
    total: 100,
    per_client: 100,
    unauthenticated: 100,
};

struct Server {
    address: SocketAddr,
    drain: Drain,
    budget: ConnectionBudget,
    events: Arc<Mutex<Vec<AcceptEvent>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Greets, then says back a line at a time. `PANIC` panics, `STAY` stops listening, a drain ends it with a good-bye.
    fn start(limits: BudgetLimits, trusted: &[&str]) -> Self {
        let listener = bind(&loopback()).unwrap();
        let address = listener.tcp_address().unwrap();
        let drain = Drain::new();
        let budget = ConnectionBudget::new(limits);
        let events = Arc::new(Mutex::new(Vec::new()));
        let rules = rules(&budget, &events, trusted);
        let accepting = tokio::spawn(serve(listener, rules, drain.clone(), echo));
        Self {
            address,
            drain,
            budget,
            events,
            accepting,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn saw(&self, event: AcceptEvent) -> bool {
        self.events.lock().unwrap().contains(&event)
    }
}

fn rules(budget: &ConnectionBudget, events: &Arc<Mutex<Vec<AcceptEvent>>>, trusted: &[&str]) -> AcceptRules {
    let events = Arc::clone(events);
    AcceptRules {
        proxy: ProxyPolicy {
            trusted: trusted.iter().map(|net| net.parse().unwrap()).collect(),
            ..ProxyPolicy::default()
        },
        budget: budget.clone(),
        refusal: REFUSAL.into(),
        on_event: Arc::new(move |event| events.lock().unwrap().push(event)),
    }
}

async fn echo(mut accepted: Accepted) {
    let greeting = format!("hello {}\r\n", accepted.client);
    accepted.stream.write_all(greeting.as_bytes()).await.unwrap();
    let mut buf = [0; 256];
    loop {
        let n = tokio::select! {
            n = accepted.stream.read(&mut buf) => n.unwrap_or(0),
            () = accepted.drain.draining() => {
                accepted.stream.write_all(b"bye\r\n").await.unwrap();
                return;
            }
        };
        match &buf[..n] {
            b"" => return,
            b"PANIC\r\n" => panic!("asked to"),
            b"LOGIN\r\n" => accepted.permit.authenticated(),
            _ => {}
        }
        accepted.stream.write_all(&buf[..n]).await.unwrap();
        if &buf[..n] == b"STAY\r\n" {
            std::future::pending::<()>().await;
        }
    }
}

async fn line(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        match timeout(PATIENCE, stream.read_u8()).await.expect("no answer") {
            Ok(octet) => line.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn panic_of_one_handler_ends_its_own_connection_only() {
    let server = Server::start(WIDE, &[]);
    let (mut doomed, mut other) = (server.connect().await, server.connect().await);
    line(&mut doomed).await;
    line(&mut other).await;
    doomed.write_all(b"PANIC\r\n").await.unwrap();
    assert_eq!(line(&mut doomed).await, "");
    eventually("permit freed", || server.budget.usage().open == 1).await;
    assert!(server.saw(AcceptEvent::HandlerPanicked));
    other.write_all(b"NOOP\r\n").await.unwrap();
    assert_eq!(line(&mut other).await, "NOOP\r\n");
    assert!(
        line(&mut server.connect().await)
            .await
            .starts_with("hello 127.0.0.1:")
    );
}

#[tokio::test]
async fn connection_beyond_the_budget_is_told_and_closed() {
    let server = Server::start(BudgetLimits { total: 1, ..WIDE }, &[]);
    let mut first = server.connect().await;
    line(&mut first).await;
    let mut second = server.connect().await;
    assert_eq!(line(&mut second).await.as_bytes(), REFUSAL);
    assert_eq!(line(&mut second).await, "");
    assert!(server.saw(AcceptEvent::Refused(Refusal::Total)));
    drop(first);
    eventually("place freed", || server.budget.usage().open == 0).await;
    assert!(line(&mut server.connect().await).await.starts_with("hello"));
}

#[tokio::test]
async fn one_client_cannot_take_every_place() {
    let server = Server::start(
        BudgetLimits {
            per_client: 1,
            ..WIDE
        },
        &[],
    );
    let mut first = server.connect().await;
    line(&mut first).await;
    assert_eq!(line(&mut server.connect().await).await.as_bytes(), REFUSAL);
    assert!(server.saw(AcceptEvent::Refused(Refusal::PerClient)));
    eventually("refused connection freed", || server.budget.usage().open == 1).await;
}

#[tokio::test]
async fn login_makes_room_for_the_next_stranger() {
    let server = Server::start(
        BudgetLimits {
            unauthenticated: 1,
            ..WIDE
        },
        &[],
    );
    let mut known = server.connect().await;
    line(&mut known).await;
    assert_eq!(line(&mut server.connect().await).await.as_bytes(), REFUSAL);
    known.write_all(b"LOGIN\r\n").await.unwrap();
    line(&mut known).await;
    assert!(line(&mut server.connect().await).await.starts_with("hello"));
}

#[tokio::test]
async fn client_of_the_balancer_is_the_client_and_its_limit_applies() {
    let server = Server::start(
        BudgetLimits {
            per_client: 1,
            ..WIDE
        },
        &["127.0.0.0/8"],
    );
    let header = b"PROXY TCP4 198.51.100.7 203.0.113.1 40000 995\r\nCAPA\r\n";
    let mut first = server.connect().await;
    first.write_all(header).await.unwrap();
    assert_eq!(line(&mut first).await, "hello 198.51.100.7:40000\r\n");
    assert_eq!(
        line(&mut first).await,
        "CAPA\r\n",
        "octets behind the header are the session's"
    );
    let mut again = server.connect().await;
    again.write_all(header).await.unwrap();
    assert_eq!(line(&mut again).await.as_bytes(), REFUSAL);
    let mut other = server.connect().await;
    other
        .write_all(b"PROXY TCP4 198.51.100.8 203.0.113.1 40000 995\r\n")
        .await
        .unwrap();
    assert_eq!(line(&mut other).await, "hello 198.51.100.8:40000\r\n");
}

#[tokio::test]
async fn health_checks_of_the_balancer_never_fill_its_share() {
    let server = Server::start(
        BudgetLimits {
            per_client: 1,
            ..WIDE
        },
        &["127.0.0.0/8"],
    );
    let mut probes = Vec::new();
    for _ in 0..3 {
        let mut probe = server.connect().await;
        probe.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
        assert!(line(&mut probe).await.starts_with("hello 127.0.0.1:"));
        probes.push(probe);
    }
}

#[tokio::test]
async fn connection_without_header_is_closed_unanswered_where_one_is_due() {
    let server = Server::start(WIDE, &["127.0.0.0/8"]);
    let mut client = server.connect().await;
    client.write_all(b"CAPA\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "");
    assert!(server.saw(AcceptEvent::ProxyRejected(ProxyError::Missing)));
}

#[tokio::test]
async fn stranger_at_a_listener_for_balancers_is_closed_unanswered() {
    let server = Server::start(WIDE, &["192.0.2.0/24"]);
    let mut client = server.connect().await;
    assert_eq!(line(&mut client).await, "");
    assert!(server.saw(AcceptEvent::ProxyRejected(ProxyError::Untrusted)));
    eventually("place freed", || server.budget.usage().open == 0).await;
}

#[tokio::test]
async fn handshake_that_goes_silent_frees_its_place() {
    let listener = bind(&loopback()).unwrap();
    let address = listener.tcp_address().unwrap();
    let budget = ConnectionBudget::new(WIDE);
    let events = Arc::default();
    let settings = TlsSettings {
        handshake_timeout: Duration::from_millis(100),
        ..pop3_settings()
    };
    let stack = stack_with(&settings, &[Shelf::new().put("pop", &["pop.example.org"])]);
    tokio::spawn(serve(
        listener,
        rules(&budget, &events, &[]),
        Drain::new(),
        move |accepted| {
            let stack = stack.clone();
            async move {
                let Accepted {
                    stream,
                    permit: _permit,
                    ..
                } = accepted;
                assert_eq!(
                    stack.accept(stream).await.unwrap_err().fault,
                    HandshakeFault::TimedOut
                );
            }
        },
    ));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&[22, 3, 1]).await.unwrap();
    assert_eq!(line(&mut client).await, "");
    eventually("place freed", || budget.usage().open == 0).await;
    assert_eq!(
        *events.lock().unwrap(),
        [AcceptEvent::Accepted],
        "and the handler saw a time-out"
    );
}

#[tokio::test]
async fn drain_closes_the_listener_and_lets_connections_say_good_bye() {
    let server = Server::start(WIDE, &[]);
    let mut client = server.connect().await;
    line(&mut client).await;
    server.drain.start(PATIENCE);
    timeout(PATIENCE, server.accepting).await.unwrap().unwrap();
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody listens any more"
    );
    assert_eq!(line(&mut client).await, "bye\r\n");
    assert_eq!(server.drain.finished().await.n_cut, 0);
    assert_eq!(server.budget.usage().open, 0);
}

#[tokio::test]
async fn connection_that_outstays_the_drain_is_cut_and_frees_its_place() {
    let server = Server::start(WIDE, &[]);
    let mut client = server.connect().await;
    line(&mut client).await;
    client.write_all(b"STAY\r\n").await.unwrap();
    line(&mut client).await;
    server.drain.start(Duration::from_millis(200));
    let DrainReport { n_cut, .. } = timeout(PATIENCE, server.drain.finished()).await.unwrap();
    assert_eq!((n_cut, server.budget.usage().open), (1, 0));
    assert_eq!(line(&mut client).await, "");
}

#[tokio::test]
async fn local_process_is_served_over_a_unix_socket_without_a_client_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lmtp.sock");
    let budget = ConnectionBudget::new(BudgetLimits {
        per_client: 1,
        ..WIDE
    });
    let events = Arc::default();
    let drain = Drain::new();
    let listener = bind(&ListenerSpec::unix(&path)).unwrap();
    tokio::spawn(serve(listener, rules(&budget, &events, &[]), drain.clone(), echo));
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert_eq!(line(&mut client).await, "hello 127.0.0.1:0\r\n");
        clients.push(client);
    }
    drain.start(PATIENCE);
    assert_eq!(drain.finished().await.n_cut, 0);
    eventually("socket removed", || !path.exists()).await;
}

#[tokio::test]
async fn handler_learns_both_ends_and_what_the_balancer_said() {
    let listener = bind(&loopback()).unwrap();
    let address = listener.tcp_address().unwrap();
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let events = Arc::default();
    let rules = rules(&ConnectionBudget::new(WIDE), &events, &[]);
    let drain = Drain::new();
    tokio::spawn(serve(listener, rules, drain, move |accepted: Accepted| {
        let tell = tell.clone();
        async move {
            tell.send((accepted.client, accepted.local, accepted.proxy))
                .await
                .unwrap();
        }
    }));
    let client = TcpStream::connect(address).await.unwrap();
    let (seen, local, proxy) = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert_eq!(seen.to_string(), client.local_addr().unwrap().to_string());
    assert_eq!((local, proxy), (address, ProxyInfo::Direct));
}
