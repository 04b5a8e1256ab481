//! UPDATE: exactly the marked messages or none, and an answer that is true.

use std::sync::Arc;
use std::time::Duration;

use restante_lock::{LockManager, MaildropLock};
use restante_session::{DeleteSet, Refusal};
use restante_store::{Committed, ForeignMaildrop, MailIndex, StoreErrorKind};
use restante_telemetry::{Telemetry, UpdateDecided, UpdateResult};
use restante_types::SessionId;
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, error, warn};

use crate::Ports;
use crate::hold::Messages;

/// How long an unknown outcome is asked for before the client is told that it is unknown.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// Who decides which messages exist.
pub(crate) enum Truth {
    /// Our own index.
    Own(Arc<dyn MailIndex>),
    /// Another mail system. It knows no fence that the host could rely on, so the lock is asked before each call.
    Foreign(Arc<ForeignMaildrop>, Arc<dyn LockManager>),
}

impl Truth {
    pub(crate) fn of(messages: &Messages, ports: &Ports) -> Self {
        match messages {
            Messages::Own(_) => Self::Own(Arc::clone(&ports.index)),
            Messages::Foreign(maildrop) => Self::Foreign(Arc::clone(maildrop), Arc::clone(&ports.locks)),
        }
    }
}

/// Commits on a task of its own, so that neither a client that went away nor a drain interrupts it. The lock goes
/// along and comes back: it is not released while the outcome is open.
pub(crate) async fn commit(
    truth: Truth,
    lock: MaildropLock,
    session: SessionId,
    deletes: DeleteSet,
    telemetry: Telemetry,
) -> (Result<Committed, Refusal>, Option<MaildropLock>) {
    let begun = Instant::now();
    let deciding = async move {
        let result = match truth {
            Truth::Own(index) => decide(&*index, &lock, session, &deletes).await,
            Truth::Foreign(maildrop, locks) => remove(&maildrop, &*locks, &lock, session, &deletes).await,
        };
        (result, lock)
    };
    let (result, lock) = match tokio::spawn(deciding.in_current_span()).await {
        Ok((result, lock)) => (result, Some(lock)),
        Err(error) => {
            error!(%session, %error, "the commit broke off");
            (Err(Refusal::OutcomeUnknown), None)
        }
    };
    telemetry.emit(UpdateDecided {
        session,
        fence: lock.as_ref().map(MaildropLock::fence),
        result: match &result {
            Ok(receipt) => UpdateResult::Committed(receipt.n_deleted()),
            Err(Refusal::Expired) => UpdateResult::Fenced,
            Err(Refusal::OutcomeUnknown) => UpdateResult::Unknown,
            Err(_) => UpdateResult::Failed,
        },
        elapsed: begun.elapsed(),
    });
    (result, lock)
}

async fn decide(
    index: &dyn MailIndex,
    lock: &MaildropLock,
    session: SessionId,
    deletes: &DeleteSet,
) -> Result<Committed, Refusal> {
    let fence = lock.fence();
    let error = match index.commit(fence, session, deletes).await {
        Ok(receipt) => return Ok(receipt),
        Err(error) => error,
    };
    warn!(%session, %fence, %error, n_deletes = deletes.len(), "commit failed");
    if error.kind == StoreErrorKind::Fenced {
        return Err(Refusal::Expired);
    }
    if !error.kind.outcome_unknown() {
        return Err(Refusal::NotDeleted);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match index.outcome(fence, session).await {
            Ok(Some(receipt)) => return Ok(receipt),
            Ok(None) => return Err(Refusal::NotDeleted),
            Err(error) if Instant::now() >= until => {
                warn!(%session, %fence, %error, "the outcome of a commit cannot be asked for");
                return Err(Refusal::OutcomeUnknown);
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Has another mail system remove the messages. The same call may come twice there, so a lost answer is asked for by
/// calling again; once one was lost, a later failure does not tell that nothing was removed.
async fn remove(
    maildrop: &ForeignMaildrop,
    locks: &dyn LockManager,
    lock: &MaildropLock,
    session: SessionId,
    deletes: &DeleteSet,
) -> Result<Committed, Refusal> {
    let fence = lock.fence();
    let until = Instant::now() + PATIENCE;
    let mut is_unknown = false;
    loop {
        let refusal = match locks.probe(&[*fence]).await {
            Ok(superseded) if superseded.is_empty() => match maildrop.remove(fence, session, deletes).await {
                Ok(receipt) => return Ok(receipt),
                Err(error) => {
                    warn!(%session, %fence, %error, n_deletes = deletes.len(), "removal in another mail system failed");
                    is_unknown |= error.kind.outcome_unknown();
                    match error.kind {
                        StoreErrorKind::Fenced => Refusal::Expired,
                        _ => Refusal::NotDeleted,
                    }
                }
            },
            Ok(_) => Refusal::Expired,
            Err(error) => {
                warn!(%session, %fence, %error, "it cannot be known whether a later session holds the maildrop");
                Refusal::NotDeleted
            }
        };
        if !is_unknown {
            return Err(refusal);
        }
        if refusal == Refusal::Expired || Instant::now() >= until {
            return Err(Refusal::OutcomeUnknown);
        }
        sleep(PAUSE).await;
    }
}
