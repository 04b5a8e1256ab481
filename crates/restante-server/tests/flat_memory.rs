//! What is large passes through the server without staying in it. In a process of its own, one test after the other,
//! because memory is counted per process.

#![expect(clippy::unwrap_used, reason = "a test that meets trouble fails")]
#![expect(clippy::print_stdout, reason = "what was measured is worth reading")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use restante_message::{Canonicalizer, Measured};
use restante_store::{
    BlobKey, BlobReader, BlobStore, BytesReader, NewMessage, OctetRange, StoreError, StoreErrorKind,
};
use restante_testkit::{ALICE, Account, LmtpClient, Pop3Client, TestServer, memory};
use restante_types::{Clock, Octets, SystemClock};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How far memory may grow. The messages are larger.
const BOUND: u64 = 64 << 20;
const BLOCKS: usize = 100;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A message of about 100 MB: a header, the same megabyte again and again, a line end.
#[derive(Clone, Debug)]
struct Huge {
    header: Bytes,
    /// The megabyte as it is stored, and as it is on the wire.
    stored: Bytes,
    wire: Bytes,
}

impl Huge {
    /// One line of 100 MB.
    fn one_line() -> Self {
        let block = Bytes::from(b"abcdefghijklmnop".repeat(1 << 16));
        Self::of(block.clone(), block)
    }

    /// Lines of 34 octets that start with dots.
    fn dot_lines() -> Self {
        let lines = 1 << 15;
        let stored = Bytes::from(b"\r\n.abcdefghijklmnopqrstuvwxyz01234".repeat(lines));
        let wire = Bytes::from(b"\r\n..abcdefghijklmnopqrstuvwxyz01234".repeat(lines));
        Self::of(stored, wire)
    }

    fn of(stored: Bytes, wire: Bytes) -> Self {
        let header = Bytes::from_static(b"Subject: huge\r\n\r\nbegin");
        Self { header, stored, wire }
    }

    fn octets(&self) -> usize {
        self.header.len() + BLOCKS * self.stored.len() + 2
    }

    fn pieces(&self, block: &Bytes) -> Vec<Bytes> {
        let mut pieces = vec![self.header.clone()];
        pieces.resize(1 + BLOCKS, block.clone());
        pieces.push(Bytes::from_static(b"\r\n"));
        pieces
    }
}

/// Octets that must come, in this order.
struct Expected {
    pieces: std::vec::IntoIter<Bytes>,
    rest: Bytes,
}

impl Expected {
    fn new(pieces: Vec<Bytes>) -> Self {
        Self {
            pieces: pieces.into_iter(),
            rest: Bytes::new(),
        }
    }

    /// Whether these octets come next.
    fn take(&mut self, mut octets: &[u8]) -> bool {
        while !octets.is_empty() {
            if self.rest.is_empty() {
                match self.pieces.next() {
                    Some(piece) => self.rest = piece,
                    None => return false,
                }
            }
            let n = octets.len().min(self.rest.len());
            if octets[..n] != self.rest.split_to(n) {
                return false;
            }
            octets = &octets[n..];
        }
        true
    }

    fn ends_here(mut self) -> bool {
        self.rest.is_empty() && self.pieces.next().is_none()
    }
}

/// A store that keeps nothing: it compares what it is given with the huge message, and gives out the same.
#[derive(Debug)]
struct Echo(Huge);

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("echo")
    }
}

#[async_trait]
impl BlobStore for Echo {
    async fn put(&self, _: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let mut expected = Expected::new(self.0.pieces(&self.0.stored));
        let differs = || StoreError::new(StoreErrorKind::Damaged, "put", "echo");
        while let Some(piece) = body.next().await? {
            if !expected.take(&piece) {
                return Err(differs());
            }
        }
        if expected.ends_here() && octets == Octets(self.0.octets() as u64) {
            Ok(())
        } else {
            Err(differs())
        }
    }

    async fn get(&self, _: &BlobKey, _: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        Ok(Box::new(BytesReader::new(self.0.pieces(&self.0.stored))))
    }

    async fn delete(&self, _: &BlobKey) -> Result<(), StoreError> {
        Ok(())
    }
}

async fn send(mut lmtp: LmtpClient, message: &Huge) {
    lmtp.begin(ALICE).await;
    for piece in message.pieces(&message.wire) {
        lmtp.send(&piece).await;
    }
    lmtp.send(b".\r\n").await;
    let reply = lmtp.reply().await;
    assert!(reply.starts_with("250"), "{reply}");
}

async fn receive(mut client: Pop3Client, message: &Huge) {
    assert_eq!(
        client.command("STAT").await,
        format!("+OK 1 {}", message.octets())
    );
    let line = client.ok("RETR 1").await;
    assert_eq!(line, format!("+OK {} octets", message.octets()));
    client.send(b"QUIT\r\n").await;
    let mut pieces = message.pieces(&message.wire);
    pieces.push(Bytes::from_static(b".\r\n+OK Goodbye\r\n"));
    let mut expected = Expected::new(pieces);
    while let Some(octets) = client.octets().await {
        assert!(expected.take(&octets), "the message differs");
    }
    assert!(expected.ends_here(), "the message is cut");
}

async fn passes_through(what: &str, message: Huge) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let store = Echo(message.clone());
    let server = TestServer::builder()
        .wrap_blobs(move |_| Arc::new(store))
        .start()
        .await;
    let watch = memory::Watch::begin();
    let begun = Instant::now();
    send(server.lmtp_client().await, &message).await;
    let sent = begun.elapsed();
    let begun = Instant::now();
    receive(server.alice().await, &message).await;
    let received = begun.elapsed();
    println!(
        "{what}: {} octets in within {sent:?}, out within {received:?}; memory grew by {} KiB",
        message.octets(),
        watch.growth() >> 10,
    );
    assert!(watch.growth() < BOUND, "memory grew by {}", watch.growth());
    server.still_serves().await;
}

#[tokio::test]
async fn l06_a_line_of_100_mb_passes_from_lmtp_to_retr() {
    passes_through("one line", Huge::one_line()).await;
}

#[tokio::test]
async fn l06_three_million_stuffed_lines_pass_from_lmtp_to_retr() {
    passes_through("dot lines", Huge::dot_lines()).await;
}

#[tokio::test]
async fn n03_a_line_without_end_is_cut_off_and_not_kept() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let megabyte = vec![b'A'; 1 << 20];
    let watch = memory::Watch::begin();
    let mut sent = 0;
    // The server stops listening long before the gigabyte is through.
    while sent < 1024 && client.try_send(&megabyte).await.is_ok() {
        sent += 1;
    }
    println!(
        "endless line: cut within {sent} MiB; memory grew by {} KiB",
        watch.growth() >> 10
    );
    assert!(sent < 64, "{sent} MiB were read");
    assert!(watch.growth() < 8 << 20, "memory grew by {}", watch.growth());
    server.still_serves().await;
}

/// Rows of the index alone: listing a maildrop touches no body.
async fn deliver_rows(server: &TestServer, n: usize) {
    let backends = &server.backends;
    let maildrop = backends.id(Account::Alice).maildrop();
    let measured = Canonicalizer::new().finish(&mut Vec::new());
    for number in 1..=n {
        let message = NewMessage {
            storage: backends.storage(),
            blob: backends
                .index
                .reserve(maildrop, backends.storage())
                .await
                .unwrap(),
            measured: Measured {
                octets: Octets(number as u64),
                ..measured
            },
            unique_id: None,
            received: SystemClock.wall(),
            needs_utf8: false,
            deduplicate: false,
        };
        backends.index.deliver(maildrop, message).await.unwrap();
    }
}

#[tokio::test]
async fn l07_a_hundred_thousand_messages_are_listed_at_once_and_in_bounded_memory() {
    const MESSAGES: usize = 100_000;
    let _alone = ONE_AT_A_TIME.lock().await;
    let server = TestServer::start().await;
    deliver_rows(&server, MESSAGES).await;
    let watch = memory::Watch::begin();
    let begun = Instant::now();
    let mut client = server.alice().await;
    let login = begun.elapsed();

    let begun = Instant::now();
    client.ok("LIST").await;
    let first = begun.elapsed();
    let list = client.multiline().await;
    let whole = begun.elapsed();
    let mut lines = list.split_inclusive(|octet| *octet == b'\n');
    for number in 1..=MESSAGES {
        assert_eq!(lines.next().unwrap(), format!("{number} {number}\r\n").as_bytes());
    }
    assert_eq!(lines.next(), Some(&b".\r\n"[..]));
    assert_eq!(client.listing("UIDL").await.len(), MESSAGES);
    println!(
        "{MESSAGES} messages: login {login:?}, first octet of LIST {first:?}, whole LIST {whole:?}; memory grew by {} KiB",
        watch.growth() >> 10
    );
    assert!(first < Duration::from_secs(1), "{first:?}");
    assert!(watch.growth() < BOUND, "memory grew by {}", watch.growth());
    client.quit().await;
    server.still_serves().await;
}

/// Clients that go away in the middle of a dialogue, a few at a time.
async fn break_off(server: &Arc<TestServer>, times: usize) {
    const AT_ONCE: usize = 8;
    let clients = (0..AT_ONCE).map(|_| {
        let server = Arc::clone(server);
        tokio::spawn(async move {
            for nth in 0..times / AT_ONCE {
                let mut client = server.client().await;
                match nth % 3 {
                    0 => assert_eq!(client.command("AUTH PLAIN").await, "+ "),
                    1 => client.send(b"AUTH PLAIN\r\nAGFsaWNlAHNlY").await,
                    _ => client.send(b"USER alice\r\nPASS secr").await,
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a06_a_hundred_thousand_clients_that_go_away_in_mid_auth_leave_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let server = Arc::new(TestServer::start().await);
    // What is kept for the next connections is there from now on.
    break_off(&server, 2_000).await;
    let watch = memory::Watch::begin();
    break_off(&server, 100_000).await;
    println!("broken off: memory grew by {} KiB", watch.growth() >> 10);
    assert!(watch.growth() < 8 << 20, "memory grew by {}", watch.growth());
    server.still_serves().await;
}
