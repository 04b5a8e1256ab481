//! A service with its back-ends, and a client that speaks to it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use restante_auth::{Account, AccountState, DirectoryError, LoginName, Recipient};
use restante_lmtp::{LmtpConnection, LmtpService, LmtpSettings, LmtpSummary};
use restante_lock::{LockManager, LockTable, MemoryLockManager};
use restante_net::Drain;
use restante_store::{
    BlobStores, Deliverer, FaultPlan, Faulty, MailIndex, MemoryBlobStore, MemoryMailIndex, OctetRange, Quota,
    StorageId,
};
use restante_types::{AccountId, Clock, Fence, Octets, SessionId, SystemClock, TenantId};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_hours(1);
const STORAGE: StorageId = StorageId(1);

/// Knows a handful of accounts.
#[derive(Debug, Default)]
pub(crate) struct Phonebook {
    recipients: Mutex<HashMap<String, Recipient>>,
    pub(crate) broken: std::sync::atomic::AtomicBool,
}

impl fmt::Display for Phonebook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("phonebook")
    }
}

restante_testkit::knows_recipients!(Phonebook, Phonebook::find);

impl Phonebook {
    fn find(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(DirectoryError::unavailable("the phonebook is lost"));
        }
        Ok(self.recipients.lock().unwrap().get(&address.to_string()).cloned())
    }
}

pub(crate) struct World {
    pub(crate) phonebook: Arc<Phonebook>,
    pub(crate) plan: Arc<FaultPlan>,
    pub(crate) drain: Drain,
    pub(crate) settings: LmtpSettings,
    pub(crate) tenant: Option<TenantId>,
    spool: tempfile::TempDir,
    index: Arc<MemoryMailIndex>,
    blobs: Arc<MemoryBlobStore>,
    locks: MemoryLockManager,
}

/// The message, and whether only clients in UTF-8 mode may see it.
pub(crate) type Stored = (Vec<u8>, bool);

impl World {
    pub(crate) fn new() -> Self {
        let table = Arc::new(LockTable::new(1).unwrap());
        let spool = tempfile::tempdir().unwrap();
        let world = Self {
            phonebook: Arc::default(),
            plan: Arc::default(),
            drain: Drain::new(),
            settings: LmtpSettings::new("mx.example", spool.path()),
            tenant: None,
            spool,
            index: Arc::new(MemoryMailIndex::new(Arc::clone(&table), Arc::new(SystemClock))),
            blobs: Arc::default(),
            locks: MemoryLockManager::new(table),
        };
        world.add(1, "ann@a.example", AccountState::Active);
        world.add(2, "bob@a.example", AccountState::Active);
        world
    }

    pub(crate) fn add(&self, number: i64, address: &str, state: AccountState) {
        self.add_with(1, number, address, state, Quota::default(), "main");
    }

    pub(crate) fn add_with(
        &self,
        tenant: i64,
        number: i64,
        address: &str,
        state: AccountState,
        quota: Quota,
        storage: &str,
    ) {
        let id = AccountId::new(TenantId::new(tenant).unwrap(), number).unwrap();
        let name = LoginName::parse(address).unwrap();
        let (key, asked) = (name.to_string(), name.clone());
        let storage = storage.to_owned();
        let account = Account {
            id,
            name,
            state,
            tenant_state: AccountState::Active,
            quota_octets: None,
            quota_messages: None,
            storage,
        };
        let recipient = Recipient { asked, account };
        self.phonebook.recipients.lock().unwrap().insert(key, recipient);
        self.index.add_maildrop(id.maildrop(), quota, Duration::ZERO);
    }

    /// Makes the directory answer a question about one name with another's account.
    pub(crate) fn confuse(&self, asked: &str, answered: &str) {
        let mut recipients = self.phonebook.recipients.lock().unwrap();
        let other = recipients[answered].clone();
        recipients.insert(asked.to_owned(), other);
    }

    fn service(&self) -> LmtpService {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut stores = BlobStores::new();
        let store = Arc::new(Faulty::new(Arc::clone(&self.blobs), Arc::clone(&self.plan)));
        stores.add(STORAGE, "main", store).unwrap();
        let index = Arc::new(Faulty::new(Arc::clone(&self.index), Arc::clone(&self.plan)));
        let deliverer = Deliverer::new(index, Arc::new(stores), clock);
        LmtpService::new(
            Arc::clone(&self.phonebook) as _,
            deliverer,
            self.settings.clone(),
            restante_telemetry::Telemetry::default(),
        )
    }

    /// A client that has read the greeting.
    pub(crate) async fn connect(&self) -> Client {
        let (near, far) = duplex(16 * 1024);
        let service = self.service();
        let connection = LmtpConnection {
            session: SessionId::from_octets([7; 16]),
            peer: None,
            tenant: self.tenant,
            drain: self.drain.signal(),
        };
        let server = tokio::spawn(async move { service.serve(far, connection).await });
        let (reader, writer) = split(near);
        let mut client = Client {
            replies: Replies {
                reader,
                unread: Vec::new(),
            },
            writer,
            server,
        };
        client.expect("220 mx.example").await;
        client
    }

    /// A client that has said LHLO.
    pub(crate) async fn greeted(&self) -> Client {
        let mut client = self.connect().await;
        client.command("LHLO c.example", "250").await;
        client
    }

    /// A client in a transaction with these recipients.
    pub(crate) async fn addressed(&self, recipients: &[&str]) -> Client {
        let mut client = self.greeted().await;
        client.address(recipients).await;
        client
    }

    pub(crate) async fn lock(&self, number: i64) -> Fence {
        let account = AccountId::new(TenantId::new(1).unwrap(), number).unwrap();
        self.locks
            .open(account.maildrop(), SessionId::from_octets([9; 16]))
            .await
            .unwrap()
    }

    pub(crate) async fn unlock(&self, fence: &Fence) {
        self.locks.release(fence).await.unwrap();
    }

    /// What account `number` of tenant 1 finds in its maildrop.
    pub(crate) async fn stored(&self, number: i64) -> Vec<Stored> {
        let fence = self.lock(number).await;
        let listing = self.index.snapshot(&fence).await.unwrap();
        self.unlock(&fence).await;
        let mut messages = Vec::new();
        for (entry, body) in listing.snapshot.iter().zip(&listing.bodies) {
            use restante_store::BlobStore as _;
            let mut reader = self
                .blobs
                .get(&body.blob, OctetRange::first(entry.octets))
                .await
                .unwrap();
            let mut whole = Vec::new();
            while let Some(piece) = reader.next().await.unwrap() {
                whole.extend_from_slice(&piece);
            }
            messages.push((whole, entry.needs_utf8));
        }
        messages
    }

    /// The octets alone.
    pub(crate) async fn octets(&self, number: i64) -> Vec<Vec<u8>> {
        self.stored(number)
            .await
            .into_iter()
            .map(|(octets, _)| octets)
            .collect()
    }

    pub(crate) fn n_spool_files(&self) -> usize {
        std::fs::read_dir(self.spool.path()).unwrap().count()
    }
}

/// A quota in octets.
pub(crate) fn octets_quota(octets: u64) -> Quota {
    Quota {
        messages: None,
        octets: Some(Octets(octets)),
    }
}

pub(crate) struct Replies {
    reader: ReadHalf<DuplexStream>,
    unread: Vec<u8>,
}

impl Replies {
    /// One line with its CRLF; empty at the end of the stream.
    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                assert!(line.ends_with(b"\r\n"));
                return String::from_utf8(line).unwrap();
            }
            let mut piece = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.reader.read(&mut piece)).await;
            match read.expect("a reply in time").unwrap_or(0) {
                0 => return String::from_utf8(std::mem::take(&mut self.unread)).unwrap(),
                n => self.unread.extend_from_slice(&piece[..n]),
            }
        }
    }

    /// One reply, its lines together.
    pub(crate) async fn next(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await;
            reply += &line;
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    pub(crate) async fn expect(&mut self, start: &str) {
        let reply = self.next().await;
        assert!(reply.starts_with(start), "expected {start}, got {reply:?}");
    }
}

pub(crate) struct Client {
    pub(crate) replies: Replies,
    pub(crate) writer: WriteHalf<DuplexStream>,
    pub(crate) server: JoinHandle<LmtpSummary>,
}

impl Client {
    pub(crate) async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.writer.write_all(octets.as_ref()).await.unwrap();
    }

    pub(crate) async fn expect(&mut self, start: &str) {
        self.replies.expect(start).await;
    }

    pub(crate) async fn command(&mut self, line: &str, start: &str) {
        self.send(format!("{line}\r\n")).await;
        let reply = self.replies.next().await;
        assert!(
            reply.starts_with(start),
            "{line}: expected {start}, got {reply:?}"
        );
    }

    pub(crate) async fn address(&mut self, recipients: &[&str]) {
        self.command("MAIL FROM:<sender@s.example>", "250 2.1.0").await;
        for recipient in recipients {
            self.command(&format!("RCPT TO:<{recipient}>"), "250 2.1.5").await;
        }
    }

    /// Sends a message that is stuffed already, and its terminator.
    pub(crate) async fn data(&mut self, stuffed: impl AsRef<[u8]>) {
        self.command("DATA", "354 ").await;
        self.send(stuffed).await;
        self.send(".\r\n").await;
    }

    pub(crate) async fn bdat(&mut self, octets: &[u8], last: &str) {
        self.send(format!("BDAT {}{last}\r\n", octets.len())).await;
        self.send(octets).await;
    }

    /// Says QUIT and takes the summary.
    pub(crate) async fn quit(mut self) -> LmtpSummary {
        self.command("QUIT", "221 2.0.0").await;
        self.ended().await
    }

    /// Expects the end of the stream.
    pub(crate) async fn ended(mut self) -> LmtpSummary {
        assert_eq!(self.replies.next().await, "");
        self.server.await.unwrap()
    }

    /// Closes the stream without a word.
    pub(crate) async fn vanish(self) -> LmtpSummary {
        drop((self.replies, self.writer));
        self.server.await.unwrap()
    }
}
