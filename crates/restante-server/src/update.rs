//! UPDATE: exactly the marked messages or none, and an answer that is true.

use std::sync::Arc;
use std::time::Duration;

use restante_lock::MaildropLock;
use restante_session::{DeleteSet, Refusal};
use restante_store::{Committed, MailIndex, StoreErrorKind};
use restante_types::SessionId;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

/// How long an unknown outcome is asked for before the client is told that it is unknown.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// Commits on a task of its own, so that neither a client that went away nor a drain interrupts it. The lock goes
/// along and comes back: it is not released while the outcome is open.
pub(crate) async fn commit(
    index: Arc<dyn MailIndex>,
    lock: MaildropLock,
    session: SessionId,
    deletes: DeleteSet,
) -> (Result<Committed, Refusal>, Option<MaildropLock>) {
    let task = tokio::spawn(async move {
        let result = decide(&*index, &lock, session, &deletes).await;
        (result, lock)
    });
    match task.await {
        Ok((result, lock)) => (result, Some(lock)),
        Err(error) => {
            error!(%session, %error, "the commit broke off");
            (Err(Refusal::OutcomeUnknown), None)
        }
    }
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
                error!(%session, %fence, %error, "it stays unknown whether messages were deleted");
                return Err(Refusal::OutcomeUnknown);
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}
