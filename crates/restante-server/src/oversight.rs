//! Keeps what runs in step with the directory and the locks: tenants, certificates, and whether live sessions may go on.
//!
//! The directory wakes it when something may have changed; beneath that it asks by itself. Start at [`Oversight`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use restante_auth::{
    AuditAction, AuditRecord, Authenticator, Directory, DirectoryError, Roster, Standing, TenantTable,
    UsageLimiter,
};
use restante_lock::LockManager;
use restante_types::{Clock, SessionId};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::SessionRegistry;

/// How often the locks are looked at, and the directory is asked without being woken: a missed wake-up costs no more than
/// this.
const EVERY: Duration = Duration::from_secs(20);
/// Changes that come in a burst are looked at together.
const CALM: Duration = Duration::from_millis(250);
/// How long a call to the directory may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Places for sessions are renewed at least this often: three times within their lease.
const RENEW_EVERY: Duration = Duration::from_secs(50);
/// Sessions asked about at once, as [`Directory::standing`] permits.
const AT_ONCE: usize = 1000;

/// What to do with a new roster besides putting its tenants in force: its certificates.
pub type OnRoster = Box<dyn Fn(&Roster) + Send + Sync>;

/// Watches the directory for one process.
pub struct Oversight {
    /// Who is asked.
    pub directory: Arc<dyn Directory>,
    /// Which tenants there are.
    pub tenants: Arc<TenantTable>,
    /// Which sessions there are.
    pub sessions: SessionRegistry,
    /// Who knows whether a session still has its maildrop.
    pub locks: Arc<dyn LockManager>,
    /// Who keeps the places for sessions.
    pub usage: Arc<dyn UsageLimiter>,
    /// Where it is written down that a session was ended.
    pub authenticator: Arc<Authenticator>,
    /// Civil time, for the audit.
    pub clock: Arc<dyn Clock>,
    /// Called with every new roster.
    pub on_roster: OnRoster,
    /// When the directory was last compared with, for the metrics.
    pub seen: LastSeen,
}

/// When something was last seen. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct LastSeen(Arc<Mutex<Option<Instant>>>);

impl LastSeen {
    /// It is seen now.
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago it was; `None` before the first time.
    pub fn age(&self) -> Option<Duration> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.map(|seen| seen.elapsed())
    }
}

impl Oversight {
    /// Brings the tenants in force up to date.
    ///
    /// # Errors
    /// The directory does not answer; what was known stays in force.
    pub async fn refresh(&self) -> Result<(), DirectoryError> {
        let known = self.tenants.revision();
        if let Some(roster) = limited(self.directory.roster(known)).await? {
            self.tenants.replace(&roster);
            (self.on_roster)(&roster);
            info!(
                revision = roster.revision,
                tenants = roster.tenants.len(),
                "tenants up to date"
            );
        }
        Ok(())
    }

    /// Watches for ever.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn run(self) {
        let mut changes = self.directory.changes();
        let (mut parted, mut renewed) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                // An error means that the directory wakes nobody.
                Ok(()) = changes.changed() => sleep(CALM).await,
                () = sleep_until(parted + EVERY) => {}
            }
            changes.mark_unchanged();
            let refreshed = self.refresh().await;
            if let Err(error) = &refreshed {
                warn!(%error, "tenants not brought up to date; what was known stays in force");
            }
            let judged = self.judge().await;
            if let Err(error) = &judged {
                warn!(%error, "live sessions go on unasked; the directory cannot be asked");
            }
            if refreshed.is_ok() && judged.is_ok() {
                self.seen.now();
            }
            // Not at every change: how busy the directory is says nothing about the locks.
            if parted.elapsed() >= EVERY {
                self.part().await;
                parted = Instant::now();
            }
            if renewed.elapsed() >= RENEW_EVERY {
                renewed = Instant::now();
                self.renew().await;
            }
        }
    }

    /// Asks how all live sessions stand, and tells them.
    async fn judge(&self) -> Result<(), DirectoryError> {
        let live = self.sessions.logins();
        for some in live.chunks(AT_ONCE) {
            let logins: Vec<_> = some.iter().map(|(_, login)| *login).collect();
            let standings = limited(self.directory.standing(&logins)).await?;
            if standings.len() != logins.len() {
                return Err(DirectoryError::unavailable(
                    "the directory answered for other sessions",
                ));
            }
            for ((session, login), standing) in some.iter().zip(standings) {
                self.sessions.tell(*session, standing);
                if standing == Standing::Ended {
                    self.authenticator.record(self.ended(*session, login));
                }
            }
        }
        Ok(())
    }

    /// Ends sessions whose maildrop is another's: whoever does not act does not notice by itself.
    async fn part(&self) {
        for some in self.sessions.fences().chunks(AT_ONCE) {
            let fences: Vec<_> = some.iter().map(|(_, fence)| *fence).collect();
            let superseded = match timeout(LIMIT, self.locks.probe(&fences)).await {
                Ok(Ok(superseded)) => superseded,
                Ok(Err(error)) => {
                    warn!(%error, "locks not looked at; whoever has lost a maildrop is told at QUIT");
                    return;
                }
                Err(_) => {
                    warn!("locks not looked at in time; whoever has lost a maildrop is told at QUIT");
                    return;
                }
            };
            for (session, _) in some.iter().filter(|(_, fence)| superseded.contains(fence)) {
                self.sessions.supersede(*session);
            }
        }
    }

    async fn renew(&self) {
        let places = self.sessions.places();
        if !places.is_empty()
            && let Err(lost) = self.usage.renew(&places).await
        {
            warn!(%lost, "places for sessions not renewed");
        }
    }

    fn ended(&self, session: SessionId, login: &restante_auth::LiveLogin) -> AuditRecord {
        AuditRecord {
            at: self.clock.wall(),
            actor: "system".to_owned(),
            action: AuditAction::SessionEnded,
            tenant: Some(login.account.tenant()),
            account: Some(login.account),
            session: Some(session),
            client: None,
            detail: "the account, its tenant or its application password no longer admits it".to_owned(),
        }
    }
}

async fn limited<T>(call: impl Future<Output = Result<T, DirectoryError>>) -> Result<T, DirectoryError> {
    timeout(LIMIT, call).await.unwrap_or_else(|_| {
        Err(DirectoryError::unavailable(
            "the directory does not answer in time",
        ))
    })
}

impl fmt::Debug for Oversight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Oversight({}, {} sessions)",
            self.directory,
            self.sessions.len()
        )
    }
}
