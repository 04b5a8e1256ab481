//! The checker of the cluster bites: each promise that a server breaks on purpose is found broken, by the same workload
//! that finds nothing wrong with a sound one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use restante_lock::{LockManager, fresh_session_id};
use restante_message::BodyCheck;
use restante_session::DeleteSet;
use restante_store::{
    BlobKey, BlobReader, BlobStore, Committed, Delivered, Listing, MailIndex, NewMessage, OctetRange, Quota,
    StorageId, StoreError, StoreErrorKind, Usage, fresh_unique_id,
};
use restante_testkit::cluster::{Frontend, Report, Workload};
use restante_testkit::{ALICE, BOB, PASSWORD, TestServer, TestServerBuilder};
use restante_types::{Clock as _, Fence, MaildropId, Octets, SessionId, SystemClock};

const SESSIONS: u64 = 400;

/// What the workload says about a server.
async fn judged(builder: TestServerBuilder) -> Report {
    let server = builder.start().await;
    let (locks, directory) = (
        Arc::clone(&server.backends.locks),
        Arc::clone(&server.backends.directory),
    );
    let workload = Workload {
        seed: 20_251,
        frontends: vec![Frontend {
            pop3: server.trusted(),
            lmtp: server.lmtp(),
        }],
        accounts: [ALICE, BOB].map(str::to_owned).to_vec(),
        password: PASSWORD.to_owned(),
        kick: Arc::new(move |account| {
            let (locks, directory) = (Arc::clone(&locks), Arc::clone(&directory));
            Box::pin(async move {
                let name = restante_testkit::auth::LoginName::parse(&account).unwrap();
                let account = directory.credentials(&name).await.unwrap().unwrap().account.id;
                locks.supersede(account.maildrop()).await.unwrap()
            })
        }),
    };
    let (mut report, mailboxes) = workload.run(|n| n >= SESSIONS).await;
    let last = workload.check(mailboxes).await;
    report.violations.extend(last.violations);
    report
}

#[track_caller]
fn assert_caught(report: &Report, what: &str) {
    let is_caught = report.violations.iter().any(|violation| violation.contains(what));
    assert!(is_caught, "{what:?} is not among {:?}", report.violations);
}

#[tokio::test]
async fn a_sound_server_is_found_sound() {
    let report = judged(TestServer::builder()).await;
    assert!(report.violations.is_empty(), "{report:?}");
    assert!(
        report.sessions >= SESSIONS && report.committed > 50 && report.kicked > 10,
        "{report:?}"
    );
}

#[tokio::test]
async fn an_update_without_a_fence_is_caught() {
    let locks: Arc<OnceLock<Arc<dyn LockManager>>> = Arc::default();
    let seen = Arc::clone(&locks);
    let builder = TestServer::builder()
        .wrap_locks(move |locks| Arc::clone(seen.get_or_init(|| locks)))
        .wrap_index(|inner| {
            Arc::new(Sabotaged {
                inner,
                how: How::NoFence(locks),
            })
        });
    assert_caught(&judged(builder).await, "commits that has lost its maildrop");
}

#[tokio::test]
async fn mail_that_is_acknowledged_before_it_is_durable_is_caught() {
    let builder = TestServer::builder().wrap_index(|inner| {
        Arc::new(Sabotaged {
            inner,
            how: How::LosesOneIn(20, AtomicU64::new(0)),
        })
    });
    assert_caught(&judged(builder).await, "acknowledged and is lost");
}

#[tokio::test]
async fn a_terminator_without_a_digest_is_caught() {
    let blobs: Arc<OnceLock<Arc<dyn BlobStore>>> = Arc::default();
    let seen = Arc::clone(&blobs);
    let builder = TestServer::builder()
        .wrap_blobs(move |inner| Arc::clone(seen.get_or_init(|| Arc::new(Spoilt(inner)))))
        .wrap_index(|inner| {
            Arc::new(Sabotaged {
                inner,
                how: How::TrustsTheStore(blobs),
            })
        });
    assert_caught(&judged(builder).await, "other octets");
}

enum How {
    /// A session that has lost its maildrop commits all the same.
    NoFence(Arc<OnceLock<Arc<dyn LockManager>>>),
    /// Of so many deliveries one is acknowledged and forgotten, as by a crash after a commit that was not waited for.
    LosesOneIn(u64, AtomicU64),
    /// The digest that is compared is of what the storage gives, not of what was delivered.
    TrustsTheStore(Arc<OnceLock<Arc<dyn BlobStore>>>),
}

struct Sabotaged {
    inner: Arc<dyn MailIndex>,
    how: How,
}

impl std::fmt::Display for Sabotaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sabotaged")
    }
}

impl std::fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sabotaged")
    }
}

#[async_trait]
impl MailIndex for Sabotaged {
    async fn snapshot(&self, fence: &Fence) -> Result<Listing, StoreError> {
        let mut listing = self.inner.snapshot(fence).await?;
        if let How::TrustsTheStore(blobs) = &self.how {
            for body in &mut listing.bodies {
                let store = blobs.get().unwrap();
                let mut reader = store.get(&body.blob, OctetRange::first(body.octets)).await?;
                let mut check = BodyCheck::new();
                while let Some(piece) = reader.next().await? {
                    check.update(&piece);
                }
                body.crc64 = check.crc64();
            }
        }
        Ok(listing)
    }

    async fn commit(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError> {
        let committed = self.inner.commit(fence, session, deletes).await;
        let (How::NoFence(locks), Err(error)) = (&self.how, &committed) else {
            return committed;
        };
        if error.kind != StoreErrorKind::Fenced {
            return committed;
        }
        let locks = locks.get().unwrap();
        locks.supersede(fence.maildrop).await.unwrap();
        let another = locks.open(fence.maildrop, fresh_session_id().unwrap()).await;
        let another = another
            .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, "commit", "x").because(error))?;
        let committed = self.inner.commit(&another, session, deletes).await;
        locks.release(&another).await.unwrap();
        committed
    }

    async fn outcome(&self, fence: &Fence, session: SessionId) -> Result<Option<Committed>, StoreError> {
        self.inner.outcome(fence, session).await
    }

    async fn reserve(&self, maildrop: MaildropId, storage: StorageId) -> Result<BlobKey, StoreError> {
        self.inner.reserve(maildrop, storage).await
    }

    async fn deliver(&self, maildrop: MaildropId, message: NewMessage) -> Result<Delivered, StoreError> {
        if let How::LosesOneIn(n, nth) = &self.how
            && nth.fetch_add(1, Ordering::Relaxed) % n == n - 1
        {
            return Ok(Delivered {
                unique_id: fresh_unique_id(SystemClock.wall())?,
                is_repeat: false,
            });
        }
        self.inner.deliver(maildrop, message).await
    }

    async fn usage(&self, maildrop: MaildropId) -> Result<(Usage, Quota), StoreError> {
        self.inner.usage(maildrop).await
    }
}

/// Of every second blob an octet of the body is another than was stored.
#[derive(Debug)]
struct Spoilt(Arc<dyn BlobStore>);

impl std::fmt::Display for Spoilt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("spoilt")
    }
}

#[async_trait]
impl BlobStore for Spoilt {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        self.0.put(key, octets, body).await
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let reader = self.0.get(key, range).await?;
        let is_spoilt = key.number.is_multiple_of(2);
        Ok(if is_spoilt {
            Box::new(SpoiltReader(reader, 0))
        } else {
            reader
        })
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.0.delete(key).await
    }
}

/// Turns the octet at this place, which is behind the header of every message of the workload.
const PLACE: usize = 110;

struct SpoiltReader(Box<dyn BlobReader>, usize);

#[async_trait]
impl BlobReader for SpoiltReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(piece) = self.0.next().await? else {
            return Ok(None);
        };
        let start = self.1;
        self.1 += piece.len();
        let mut piece = piece.to_vec();
        if let Some(octet) = PLACE.checked_sub(start).and_then(|place| piece.get_mut(place)) {
            *octet ^= 1;
        }
        Ok(Some(piece.into()))
    }
}
