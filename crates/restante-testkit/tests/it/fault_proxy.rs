//! Each fault as client and server see it.

use std::net::SocketAddr;
use std::time::Duration;

use restante_testkit::{Direction, Fault, FaultProxy, Socket, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Answers every line with `+` and the line, and tells of each.
struct Echo {
    address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, tell.clone()));
            }
        });
        Self { address, heard }
    }
}

async fn serve(mut stream: TcpStream, tell: mpsc::UnboundedSender<Vec<u8>>) {
    let mut line = Vec::new();
    while let Ok(octet) = stream.read_u8().await {
        line.push(octet);
        if octet == b'\n' {
            let answer = [b"+", line.as_slice()].concat();
            tell.send(std::mem::take(&mut line)).unwrap_or(());
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

async fn ask(client: &mut Socket, question: &str) -> Option<String> {
    client.send(format!("{question}\r\n").as_bytes()).await;
    client.line().await.map(|line| String::from_utf8(line).unwrap())
}

async fn scene() -> (Echo, FaultProxy) {
    let echo = Echo::start().await;
    let proxy = FaultProxy::to(echo.address).await;
    (echo, proxy)
}

#[tokio::test]
async fn octets_pass_and_round_trips_are_counted() {
    let (_echo, proxy) = scene().await;
    let mut client = Socket::connect(proxy.address()).await;
    for question in ["one", "two", "three"] {
        assert_eq!(ask(&mut client, question).await.unwrap(), format!("+{question}"));
    }
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.flights, counts.cuts), (1, 3, 0));
    assert_eq!((counts.to_server_octets, counts.to_client_octets), (17, 20));
}

#[tokio::test]
async fn what_a_black_hole_holds_arrives_when_it_is_lifted() {
    let (mut echo, proxy) = scene().await;
    let mut client = Socket::connect(proxy.address()).await;
    ask(&mut client, "before").await.unwrap();
    echo.heard.recv().await.unwrap();
    proxy.set(&Fault::BlackHole);
    client.send(b"held\r\n").await;
    assert!(client.is_silent_for(Duration::from_millis(100)).await);
    assert!(echo.heard.try_recv().is_err());
    proxy.set(&Fault::Pass);
    assert_eq!(client.line().await.unwrap(), b"+held");
}

#[tokio::test]
async fn rejection_ends_open_connections_and_new_ones() {
    let (_echo, proxy) = scene().await;
    let mut open = Socket::connect(proxy.address()).await;
    ask(&mut open, "before").await.unwrap();
    proxy.set(&Fault::Reject);
    assert_eq!(open.rest().await, b"");
    assert_eq!(Socket::connect(proxy.address()).await.rest().await, b"");
    proxy.set(&Fault::Pass);
    let mut later = Socket::connect(proxy.address()).await;
    assert_eq!(ask(&mut later, "after").await.unwrap(), "+after");
}

#[tokio::test]
async fn an_answer_is_lost_once_and_what_was_asked_is_done() {
    let (mut echo, proxy) = scene().await;
    proxy.set_once(Direction::ToServer, Fault::CutAfter(b"COMMIT\r\n".to_vec()));
    let mut client = Socket::connect(proxy.address()).await;
    client.send(b"COM").await;
    client.send(b"MIT\r\n").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(echo.heard.recv().await.unwrap(), b"COMMIT\r\n");
    assert_eq!(proxy.counts().cuts, 1);
    let mut again = Socket::connect(proxy.address()).await;
    assert_eq!(ask(&mut again, "COMMIT").await.unwrap(), "+COMMIT");
}

#[tokio::test]
async fn a_question_is_lost_and_nothing_of_it_is_done() {
    let (mut echo, proxy) = scene().await;
    proxy.set_towards(Direction::ToServer, Fault::CutBefore(b"COMMIT".to_vec()));
    let mut client = Socket::connect(proxy.address()).await;
    assert_eq!(ask(&mut client, "BEGIN").await.unwrap(), "+BEGIN");
    client.send(b"COMMIT\r\n").await;
    assert_eq!(client.rest().await, b"");
    eventually("the cut is counted", || proxy.counts().cuts == 1).await;
    assert_eq!(echo.heard.recv().await.unwrap(), b"BEGIN\r\n");
    assert!(echo.heard.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_octets() {
    let (_echo, proxy) = scene().await;
    proxy.set_towards(Direction::ToServer, Fault::CutAfterOctets(7));
    let mut client = Socket::connect(proxy.address()).await;
    assert_eq!(ask(&mut client, "1").await.unwrap(), "+1");
    client.send(b"2345\r\n").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(proxy.counts().cuts, 1);
}

#[tokio::test]
async fn garbled_octets_are_others_of_the_same_number() {
    let (_echo, proxy) = scene().await;
    proxy.set_towards(Direction::ToClient, Fault::Garble);
    let mut client = Socket::connect(proxy.address()).await;
    client.send(b"a\r\n").await;
    client.finish().await;
    assert_eq!(client.rest().await, [!b'+', !b'a', !b'\r', !b'\n']);
}

#[tokio::test]
async fn slow_faults_lose_nothing() {
    let (_echo, proxy) = scene().await;
    let delay = Duration::from_millis(30);
    // Five octets a twentieth of a second: sixteen octets are four pieces, and the last one waited for three.
    let faults = [
        (Fault::Delay(delay), 2 * delay),
        (Fault::Throttle(100), Duration::from_millis(150)),
        (Fault::Split, Duration::ZERO),
    ];
    for (fault, least) in faults {
        proxy.set(&fault);
        let mut client = Socket::connect(proxy.address()).await;
        let start = tokio::time::Instant::now();
        let answer = ask(&mut client, "the whole line").await;
        assert_eq!(answer.unwrap(), "+the whole line");
        assert!(start.elapsed() >= least, "{fault:?}");
    }
}
