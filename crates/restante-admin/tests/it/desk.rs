//! Locks in memory, as a desk shows those of many frontends.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use restante_lock::{HeldMaildrop, LockDesk, LockError};
use restante_types::{AccountId, MaildropId, SessionId};

#[derive(Debug, Default)]
pub(crate) struct MemoryDesk(Mutex<Vec<HeldMaildrop>>);

impl MemoryDesk {
    /// Lets a session hold the maildrop of an account on a frontend.
    pub(crate) fn hold(&self, account: AccountId, name: &str, is_alive: bool) -> HeldMaildrop {
        let number = u8::try_from(account.number()).unwrap_or(u8::MAX);
        let held = HeldMaildrop {
            maildrop: account.maildrop(),
            name: Some(name.to_owned()),
            session: SessionId::from_octets([number; 16]),
            frontend: "node-b".to_owned(),
            opened: SystemTime::UNIX_EPOCH + Duration::from_micros(1_800_000_000_000_042),
            is_alive,
        };
        let mut all = self.0.lock().unwrap();
        all.push(held.clone());
        all.sort_by_key(|held| held.maildrop.number());
        held
    }

    /// Shows a session that really is open.
    pub(crate) fn adopt(&self, session: SessionId, account: AccountId, name: &str) {
        let held = HeldMaildrop {
            maildrop: account.maildrop(),
            name: Some(name.to_owned()),
            session,
            frontend: "node-a".to_owned(),
            opened: SystemTime::UNIX_EPOCH,
            is_alive: true,
        };
        self.0.lock().unwrap().push(held);
    }

    pub(crate) fn all(&self) -> Vec<HeldMaildrop> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl LockDesk for MemoryDesk {
    async fn held(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MaildropId>,
        limit: usize,
    ) -> Result<Vec<HeldMaildrop>, LockError> {
        let after = after.map_or(0, MaildropId::number);
        let all = self.all().into_iter();
        let wanted = all.filter(|held| {
            held.maildrop.number() > after
                && maildrop.is_none_or(|one| one.number() == held.maildrop.number())
        });
        Ok(wanted.take(limit).collect())
    }

    async fn free(&self, held: &HeldMaildrop) -> Result<bool, LockError> {
        let mut all = self.0.lock().unwrap();
        let before = all.len();
        all.retain(|one| one.maildrop != held.maildrop || one.session != held.session);
        Ok(all.len() < before)
    }
}
