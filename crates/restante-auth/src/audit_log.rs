//! The way of records into the audit: never in the way of a session. Start at [`AuditLog`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use restante_telemetry::{AuditStored, AuditTold, Telemetry};
use restante_types::{AccountId, TenantId};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::{AuditRecord, Directory, DirectoryErrorKind};

/// Records that wait to be written; more are dropped and counted.
const QUEUE: usize = 8192;
/// Records written at once.
const BATCH: usize = 1024;
/// How long a record waits for others to be written with.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Takes records and writes them to the directory in batches, on a task of its own. Clones share the queue; the task
/// ends with the last of them.
#[derive(Clone, Debug)]
pub struct AuditLog {
    queue: mpsc::Sender<Entry>,
    dropped: Arc<AtomicU64>,
    telemetry: Telemetry,
}

#[derive(Debug)]
enum Entry {
    Record(AuditRecord),
    Flush(oneshot::Sender<()>),
}

impl AuditLog {
    /// Begins. Must be called within a tokio runtime.
    pub fn start(directory: Arc<dyn Directory>, telemetry: Telemetry) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(directory, entries, telemetry.clone()));
        Self {
            queue,
            dropped: Arc::default(),
            telemetry,
        }
    }

    /// Takes a record, and tells the log of it. Never waits: if the directory does not keep up, the record is dropped
    /// and counted.
    pub fn record(&self, record: AuditRecord) {
        tell(&self.telemetry, &record);
        if self.queue.try_send(Entry::Record(record)).is_err() {
            let before = self.dropped.fetch_add(1, Ordering::Relaxed);
            self.telemetry.emit(AuditStored {
                n_records: 1,
                is_written: false,
            });
            if before.is_power_of_two() || before == 0 {
                error!(
                    dropped = before + 1,
                    "the audit does not keep up; records are lost"
                );
            }
        }
    }

    /// How many records were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was recorded before is written, or `limit` is over.
    pub async fn flush(&self, limit: Duration) {
        let (done, is_done) = oneshot::channel();
        let written = async {
            if self.queue.send(Entry::Flush(done)).await.is_ok() {
                // An error means that the task ended, which it does only when nothing is left.
                is_done.await.unwrap_or(());
            }
        };
        if tokio::time::timeout(limit, written).await.is_err() {
            warn!("the audit could not be written to its end");
        }
    }
}

fn tell(telemetry: &Telemetry, record: &AuditRecord) {
    let session = record.session.map(|session| session.to_string());
    telemetry.emit(AuditTold {
        action: record.action.as_str(),
        actor: &record.actor,
        tenant: record.tenant.map(TenantId::get),
        account: record.account.map(AccountId::number),
        session: session.as_deref(),
        client: record.client,
        detail: &record.detail,
    });
}

async fn write_all(directory: Arc<dyn Directory>, mut entries: mpsc::Receiver<Entry>, telemetry: Telemetry) {
    let mut batch = Vec::new();
    let mut flushed = Vec::new();
    while let Some(first) = entries.recv().await {
        sort_in(first, &mut batch, &mut flushed);
        gather(&mut entries, &mut batch, &mut flushed).await;
        while !batch.is_empty() {
            let stored = |is_written| AuditStored {
                n_records: u64::try_from(batch.len()).unwrap_or(u64::MAX),
                is_written,
            };
            match directory.record(&batch).await {
                Ok(()) => {
                    telemetry.emit(stored(true));
                    batch.clear();
                }
                Err(error) if error.kind != DirectoryErrorKind::Unavailable => {
                    error!(%error, records = batch.len(), "the directory takes no such records; they are lost");
                    telemetry.emit(stored(false));
                    batch.clear();
                }
                Err(error) => {
                    warn!(%error, records = batch.len(), "the audit cannot be written now");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        for done in flushed.drain(..) {
            // Whoever asked may have gone.
            done.send(()).unwrap_or(());
        }
    }
}

/// Takes what comes within the patience, up to a batch; a flush ends it.
async fn gather(
    entries: &mut mpsc::Receiver<Entry>,
    batch: &mut Vec<AuditRecord>,
    flushed: &mut Vec<oneshot::Sender<()>>,
) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while batch.len() < BATCH && flushed.is_empty() {
        match tokio::time::timeout_at(until, entries.recv()).await {
            Ok(Some(entry)) => sort_in(entry, batch, flushed),
            Ok(None) | Err(_) => return,
        }
    }
}

fn sort_in(entry: Entry, batch: &mut Vec<AuditRecord>, flushed: &mut Vec<oneshot::Sender<()>>) {
    match entry {
        Entry::Record(record) => batch.push(record),
        Entry::Flush(done) => flushed.push(done),
    }
}
