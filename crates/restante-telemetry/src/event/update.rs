//! UPDATE, decided.

use std::time::Duration;

use restante_types::{Fence, SessionId};

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry};

/// What an UPDATE came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateResult {
    /// So many messages are gone.
    Committed(usize),
    /// A later session holds the maildrop; nothing was deleted.
    Fenced,
    /// Nothing was deleted.
    Failed,
    /// All or none was deleted, and nobody can tell.
    Unknown,
}

impl UpdateResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Committed(_) => "committed",
            Self::Fenced => "fenced",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// The outcome of an UPDATE that deletes.
#[derive(Clone, Copy, Debug)]
pub struct UpdateDecided<'a> {
    /// Whose it is.
    pub session: SessionId,
    /// The maildrop and the token by which it was held; none where the commit broke off.
    pub fence: Option<&'a Fence>,
    /// What it came to.
    pub result: UpdateResult,
    /// How long it took.
    pub elapsed: Duration,
}

impl InternalEvent for UpdateDecided<'_> {
    fn emit(self, telemetry: &Telemetry) {
        let Self { session, result, .. } = self;
        let fence = self.fence.map(tracing::field::display);
        match result {
            UpdateResult::Committed(n_deleted) => {
                tracing::debug!(%session, fence, n_deleted, "messages deleted");
                let n = u64::try_from(n_deleted).unwrap_or(u64::MAX);
                telemetry.metrics().count(Counter::MessagesDeleted, &[], n);
            }
            UpdateResult::Fenced => {
                tracing::warn!(%session, fence, "nothing deleted: a later session holds the maildrop");
            }
            UpdateResult::Failed => tracing::warn!(%session, fence, "nothing deleted"),
            UpdateResult::Unknown => {
                tracing::error!(%session, fence, "it stays unknown whether messages were deleted");
            }
        }
        telemetry.count(Counter::Updates, &[result.as_str()]);
        telemetry
            .metrics()
            .observe(Histogram::UpdateSeconds, &[], self.elapsed);
    }
}
