//! The directory in memory. Complete, but forgotten when the process ends. Start at [`MemoryDirectory`].
//!
//! What is kept is in `memory/state.rs`, how it is changed in `memory/admin.rs`.

mod admin;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use restante_types::{AccountId, Clock, Secret, SystemClock, TenantId};
use tokio::sync::watch;

use self::state::State;
use crate::{
    Actor, AuditAction, AuditRecord, Credentials, Directory, DirectoryError, LiveLogin, LoginName, LoginNote,
    NewPassword, Recipient, Roster, Standing,
};

/// Keeps tenants, domains and accounts in memory: for tests, and for a demonstration that may forget. Clones share
/// what is kept.
///
/// Knows no maildrops: who adds an account here adds its maildrop to the index.
#[derive(Clone)]
pub struct MemoryDirectory {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    changes: Arc<watch::Sender<u64>>,
    actor: Actor,
}

impl MemoryDirectory {
    /// A directory without tenants, by the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// A directory without tenants.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Arc::default(),
            clock,
            changes: Arc::new(watch::Sender::new(0)),
            actor: Actor::system(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Changes are made after everything that can fail, so a panic leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the actor may see what belongs to a tenant.
    fn sees(&self, tenant: TenantId) -> bool {
        self.actor.tenant.is_none_or(|own| own == tenant)
    }

    /// Wakes whoever watches.
    fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }
}

impl Default for MemoryDirectory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for MemoryDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl fmt::Debug for MemoryDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryDirectory({} accounts)", self.lock().accounts.len())
    }
}

#[async_trait]
impl Directory for MemoryDirectory {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        let found = self.lock().credentials(name);
        Ok(found.filter(|found| self.sees(found.account.id.tenant())))
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        let state = self.lock();
        let row = state.by_address(address, false);
        let row = row.filter(|row| self.sees(row.id.tenant()));
        let account = row.and_then(|row| state.account(row));
        Ok(account.map(|account| Recipient {
            asked: address.clone(),
            account,
        }))
    }

    async fn note_login(&self, note: &LoginNote) -> Result<bool, DirectoryError> {
        Ok(self.lock().note_login(note, self.clock.wall()))
    }

    async fn upgrade(
        &self,
        account: AccountId,
        version: i64,
        password: NewPassword,
    ) -> Result<bool, DirectoryError> {
        let mut state = self.lock();
        let Some(row) = state.accounts.values_mut().find(|row| row.id == account) else {
            return Ok(false);
        };
        if row.version != version {
            return Ok(false);
        }
        row.set_password(password);
        let detail = row.name.to_string();
        state.append(AuditRecord {
            at: self.clock.wall(),
            actor: self.actor.name.clone(),
            action: AuditAction::PasswordRehashed,
            tenant: Some(account.tenant()),
            account: Some(account),
            session: None,
            client: None,
            detail,
        });
        Ok(true)
    }

    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>, DirectoryError> {
        let (state, now) = (self.lock(), self.clock.wall());
        Ok(logins.iter().map(|login| state.standing(login, now)).collect())
    }

    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>, DirectoryError> {
        let state = self.lock();
        Ok((known != Some(state.revision)).then(|| state.roster()))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>, DirectoryError> {
        let mut state = self.lock();
        if state.installation.is_none() {
            let mut octets = [0; 32];
            getrandom::fill(&mut octets)
                .map_err(|_| DirectoryError::unavailable("the system gives no random octets"))?;
            state.installation = Some(Secret::new(octets));
        }
        match &state.installation {
            Some(secret) => Ok(Secret::new(*secret.expose())),
            None => Err(DirectoryError::unavailable("there is no installation secret")),
        }
    }

    async fn record(&self, records: &[AuditRecord]) -> Result<(), DirectoryError> {
        let mut state = self.lock();
        for record in records {
            state.append(record.clone());
        }
        Ok(())
    }
}
