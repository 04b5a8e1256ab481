//! Memory stays flat however long a message is. Alone in its process, because it measures the process.

#![expect(clippy::unwrap_used, reason = "a test that meets trouble fails")]

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{Account, AccountState, DirectoryError, LoginName, Recipient};
use restante_lmtp::{LmtpConnection, LmtpService, LmtpSettings};
use restante_lock::LockTable;
use restante_message::BodyCheck;
use restante_net::Drain;
use restante_store::{
    BlobKey, BlobReader, BlobStore, BlobStores, Deliverer, MemoryMailIndex, OctetRange, Quota, StorageId,
    StoreError, StoreErrorKind,
};
use restante_types::{AccountId, Clock, Octets, SessionId, SystemClock, TenantId};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

const MESSAGE: usize = 100 << 20;
const LIMIT: Octets = Octets(MESSAGE as u64 + 2);
/// What may come on top while 100 MiB go through: pieces in the spool, in the reader and in the stream.
const ROOM_KIB: u64 = 8 * 1024;

/// Reads blobs and keeps their length and digest.
#[derive(Debug, Default)]
struct Sink(Mutex<Vec<(Octets, u64)>>);

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sink")
    }
}

#[async_trait]
impl BlobStore for Sink {
    async fn put(&self, _: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let mut check = BodyCheck::new();
        while let Some(piece) = body.next().await? {
            check.update(&piece);
        }
        assert_eq!(check.octets(), octets);
        self.0.lock().unwrap().push((octets, check.crc64()));
        Ok(())
    }

    async fn get(&self, _: &BlobKey, _: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        Err(StoreError::new(StoreErrorKind::Unsupported, "get", "sink"))
    }

    async fn delete(&self, _: &BlobKey) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Every address is the one account.
#[derive(Debug)]
struct Everybody(AccountId);

impl fmt::Display for Everybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("everybody")
    }
}

restante_testkit::knows_recipients!(Everybody, Everybody::account);

impl Everybody {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the shape that every directory answers in"
    )]
    fn account(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        Ok(Some(Recipient {
            asked: address.clone(),
            account: Account {
                id: self.0,
                name: address.clone(),
                state: AccountState::Active,
                tenant_state: AccountState::Active,
                quota_octets: None,
                quota_messages: None,
                storage: "sink".into(),
            },
        }))
    }
}

fn service(sink: &Arc<Sink>, spool: &tempfile::TempDir) -> LmtpService {
    let account = AccountId::new(TenantId::new(1).unwrap(), 1).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let index = MemoryMailIndex::new(Arc::new(LockTable::new(1).unwrap()), Arc::clone(&clock));
    index.add_maildrop(account.maildrop(), Quota::default(), Duration::ZERO);
    let mut stores = BlobStores::new();
    stores.add(StorageId(1), "sink", Arc::clone(sink) as _).unwrap();
    let deliverer = Deliverer::new(Arc::new(index), Arc::new(stores), clock);
    let mut settings = LmtpSettings::new("mx.example", spool.path());
    settings.message_octets = LIMIT;
    LmtpService::new(
        Arc::new(Everybody(account)),
        deliverer,
        settings,
        restante_telemetry::Telemetry::default(),
    )
}

struct Client(BufReader<DuplexStream>);

impl Client {
    async fn expect(&mut self, start: &str) {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(start), "expected {start}, got {line}");
    }

    async fn send(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
    }

    async fn address(&mut self) {
        self.send(b"MAIL FROM:<>\r\nRCPT TO:<a@a.example>\r\n").await;
        self.expect("250 2.1.0").await;
        self.expect("250 2.1.5").await;
    }
}

/// The most memory that the process ever had resident, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_hundred_mebibytes_go_through_data_and_bdat_in_flat_memory() {
    let sink = Arc::new(Sink::default());
    let spool = tempfile::tempdir().unwrap();
    let service = service(&sink, &spool);
    let (near, far) = duplex(64 * 1024);
    let connection = LmtpConnection {
        session: SessionId::from_octets([1; 16]),
        peer: None,
        tenant: None,
        drain: Drain::new().signal(),
    };
    let server = tokio::spawn(async move { service.serve(far, connection).await });
    let mut client = Client(BufReader::new(near));
    client.expect("220").await;
    client.send(b"LHLO c.example\r\n").await;
    for _ in 0..6 {
        client.expect("250-").await;
    }
    client.expect("250 SIZE").await;

    let piece = vec![b'x'; 1 << 20];
    let mut whole = BodyCheck::new();
    for _ in 0..MESSAGE >> 20 {
        whole.update(&piece);
    }
    whole.update(b"\r\n");
    let before = peak_kib();

    client.address().await;
    client.send(b"DATA\r\n").await;
    client.expect("354").await;
    for _ in 0..MESSAGE >> 20 {
        client.send(&piece).await;
    }
    client.send(b"\r\n.\r\n").await;
    client.expect("250 2.0.0").await;

    client.address().await;
    client.send(format!("BDAT {MESSAGE} LAST\r\n").as_bytes()).await;
    for _ in 0..MESSAGE >> 20 {
        client.send(&piece).await;
    }
    client.expect("250 2.0.0").await;

    client.address().await;
    client.send(b"DATA\r\n").await;
    client.expect("354").await;
    for _ in 0..(2 * MESSAGE) >> 20 {
        client.send(&piece).await;
    }
    client.send(b"\r\n.\r\n").await;
    client.expect("552 5.3.4").await;

    let grown = peak_kib() - before;
    assert!(grown < ROOM_KIB, "{grown} KiB more at the peak");
    assert_eq!(*sink.0.lock().unwrap(), [(whole.octets(), whole.crc64()); 2]);
    drop(client);
    assert_eq!(server.await.unwrap().n_delivered, 2);
}
