//! The memory back-ends with two accounts in them.

use std::sync::Arc;
use std::time::Duration;

use restante_auth::password::{HashParams, Password, Rule};
use restante_auth::{Directory, DirectoryAdmin, LoginName, MemoryDirectory, NewAccount, NewPassword};
use restante_lock::{LockManager, LockTable, MaildropLock, MemoryLockManager, fresh_session_id};
use restante_store::{
    BlobStore, BlobStores, Deliverer, Delivery, Listing, MailIndex, MemoryBlobStore, MemoryMailIndex, Quota,
    Spool, SpoolSettings, StorageId,
};
use restante_types::{AccountId, Octets, SystemClock, UniqueId};
use tempfile::TempDir;

/// The name of the first account.
pub const ALICE: &str = "alice@example.test";
/// The name of the second account.
pub const BOB: &str = "bob@example.test";
/// The password of both.
pub const PASSWORD: &str = "correct horse";

/// What hashing costs in tests: as little as the scheme allows.
pub(crate) const QUICK: HashParams = HashParams {
    memory_kib: 8,
    iterations: 1,
    parallelism: 1,
};
/// The tenant of both accounts.
pub const TENANT: &str = "default";

const STORAGE: StorageId = StorageId(1);
const STORAGE_NAME: &str = "memory";
const RETENTION: Duration = Duration::from_hours(24);

/// How passwords are hashed in tests: cheaply, without a pepper.
pub fn quick_rule() -> Rule {
    Rule {
        params: QUICK,
        keyring: None,
    }
}

/// A test account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// [`ALICE`].
    Alice,
    /// [`BOB`].
    Bob,
}

/// What stands behind the services.
#[derive(Debug)]
pub struct Backends {
    /// Knows the messages.
    pub index: Arc<dyn MailIndex>,
    /// Keep their octets.
    pub blobs: Arc<BlobStores>,
    /// Grants maildrops.
    pub locks: Arc<dyn LockManager>,
    /// Knows the accounts.
    pub directory: Arc<dyn Directory>,
    /// Changes them, past what was put around the directory.
    pub admin: Arc<dyn DirectoryAdmin>,
    deliverer: Deliverer,
    accounts: [AccountId; 2],
    spool: TempDir,
}

/// Puts something around a back-end.
pub(crate) type Wrap<T> = Box<dyn FnOnce(Arc<T>) -> Arc<T> + Send>;

/// What is put around the memory back-ends before the server sees them.
pub(crate) struct Wraps {
    pub(crate) index: Wrap<dyn MailIndex>,
    pub(crate) blobs: Wrap<dyn BlobStore>,
    pub(crate) locks: Wrap<dyn LockManager>,
    pub(crate) directory: Wrap<dyn Directory>,
}

impl Default for Wraps {
    fn default() -> Self {
        Self {
            index: Box::new(|index| index),
            blobs: Box::new(|blobs| blobs),
            locks: Box::new(|locks| locks),
            directory: Box::new(|directory| directory),
        }
    }
}

impl Backends {
    pub(crate) async fn new(wraps: Wraps) -> Self {
        let table = Arc::new(LockTable::new(1).expect("the first incarnation"));
        let directory = MemoryDirectory::new();
        let index = MemoryMailIndex::new(Arc::clone(&table), Arc::new(SystemClock));
        let accounts = [
            add_account(&directory, &index, ALICE).await,
            add_account(&directory, &index, BOB).await,
        ];
        let index = (wraps.index)(Arc::new(index));
        let mut blobs = BlobStores::new();
        blobs
            .add(
                STORAGE,
                STORAGE_NAME,
                (wraps.blobs)(Arc::new(MemoryBlobStore::new())),
            )
            .expect("the only storage");
        let blobs = Arc::new(blobs);
        Self {
            deliverer: Deliverer::new(Arc::clone(&index), Arc::clone(&blobs), Arc::new(SystemClock)),
            index,
            blobs,
            locks: (wraps.locks)(Arc::new(MemoryLockManager::new(table))),
            admin: Arc::new(directory.clone()),
            directory: (wraps.directory)(Arc::new(directory)),
            accounts,
            spool: tempfile::tempdir().expect("a temporary directory can be made"),
        }
    }

    pub(crate) fn deliverer(&self) -> &Deliverer {
        &self.deliverer
    }

    pub(crate) fn spool_directory(&self) -> &std::path::Path {
        self.spool.path()
    }

    /// The storage that takes messages.
    pub const fn storage(&self) -> StorageId {
        STORAGE
    }

    /// The key of an account.
    pub const fn id(&self, account: Account) -> AccountId {
        match account {
            Account::Alice => self.accounts[0],
            Account::Bob => self.accounts[1],
        }
    }

    /// Puts a message into an account's maildrop.
    ///
    /// # Panics
    /// If it is not taken.
    pub async fn deliver(&self, account: Account, message: &[u8]) -> UniqueId {
        let mut spool = Spool::new(SpoolSettings {
            directory: self.spool.path().to_owned(),
            max_octets: Octets(1 << 40),
        });
        spool.write(message).await;
        let message = spool.finish().await.expect("the message can be spooled");
        let maildrop = self.id(account).maildrop();
        self.deliverer
            .deliver(Delivery::new(maildrop, "", STORAGE), &message)
            .await
            .expect("the message can be delivered")
            .unique_id
    }

    /// What a session would see now, once no other holds the maildrop.
    ///
    /// # Panics
    /// If the maildrop stays in use, or cannot be listed.
    pub async fn listing(&self, account: Account) -> Listing {
        let lock = self.hold(account).await;
        let listing = self.index.snapshot(lock.fence()).await;
        lock.release().await.expect("the memory lock is released");
        listing.expect("the maildrop can be listed")
    }

    /// The unique-ids of a maildrop in order.
    ///
    /// # Panics
    /// As [`Backends::listing`].
    pub async fn unique_ids(&self, account: Account) -> Vec<String> {
        let listing = self.listing(account).await;
        listing
            .snapshot
            .iter()
            .map(|entry| entry.unique_id.to_owned())
            .collect()
    }

    /// Opens the maildrop as a session would, once no other holds it.
    ///
    /// # Panics
    /// If it stays in use.
    pub async fn hold(&self, account: Account) -> MaildropLock {
        let mut held = None;
        let deadline = tokio::time::Instant::now() + crate::PATIENCE;
        while held.is_none() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "never: the maildrop is free"
            );
            held = self.try_hold(account).await;
            if held.is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        held.expect("the loop ends with a lock")
    }

    /// Opens the maildrop as a session would; `None` if one holds it.
    ///
    /// # Panics
    /// If the system gives no random octets.
    pub async fn try_hold(&self, account: Account) -> Option<MaildropLock> {
        let session = fresh_session_id().expect("the system gives random octets");
        let maildrop = self.id(account).maildrop();
        MaildropLock::open(Arc::clone(&self.locks), maildrop, session)
            .await
            .ok()
    }
}

async fn add_account(directory: &MemoryDirectory, index: &MemoryMailIndex, name: &str) -> AccountId {
    let name = LoginName::parse(name).expect("a login name");
    if directory.tenant(TENANT).await.expect("memory answers").is_none() {
        directory
            .add_tenant(TENANT, STORAGE_NAME)
            .await
            .expect("the first tenant");
        directory
            .add_domain(TENANT, name.domain())
            .await
            .expect("the first domain");
    }
    let password = Password::prepare(PASSWORD.as_bytes()).expect("a password");
    let account = NewAccount {
        name,
        password: Some(
            NewPassword::make(&password, &quick_rule(), true).expect("the password can be hashed"),
        ),
        quota_octets: None,
        quota_messages: None,
    };
    let account = directory.add_account(account).await.expect("a new account");
    index.add_maildrop(account.id.maildrop(), Quota::default(), RETENTION);
    account.id
}
