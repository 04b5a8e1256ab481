//! The locks of all frontends, by way of one of them.

use async_trait::async_trait;
use restante_lock::{HeldMaildrop, LockDesk, LockError};
use restante_types::{MaildropId, SessionId};

use super::AdminClient;
use super::call::{CallError, Place};
use crate::problem::Kind;
use crate::wire::session::{SessionKey, SessionView};

#[async_trait]
impl LockDesk for AdminClient {
    async fn held(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MaildropId>,
        limit: usize,
    ) -> Result<Vec<HeldMaildrop>, LockError> {
        let place = Place::at(&["sessions"])
            .with("tenant_id", maildrop.map(MaildropId::tenant))
            .with("account_id", maildrop.map(MaildropId::number));
        // Only the maildrop of an address says where a page begins.
        let after = after.map(|maildrop| SessionKey {
            maildrop,
            session: SessionId::from_octets([0; 16]),
        });
        let after = after.map(|key| key.to_string());
        match self.list::<SessionView, _>(place, after, limit).await {
            Err(CallError::Problem(Kind::NotFound, _)) => Ok(Vec::new()),
            held => held.map_err(failed),
        }
    }

    async fn free(&self, held: &HeldMaildrop) -> Result<bool, LockError> {
        let id = SessionKey::of(held).to_string();
        match self.remove_at(Place::at(&["sessions", &id])).await {
            Ok(()) => Ok(true),
            Err(CallError::Problem(Kind::NotFound, _)) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: CallError) -> LockError {
    match error {
        CallError::Problem(Kind::InUse, _) => LockError::InUse,
        error => LockError::Unavailable(error.text().into()),
    }
}
