//! What a session holds while its maildrop is open, and by which rules.

use std::sync::Arc;
use std::time::Duration;

use restante_auth::{Authenticated, LiveLogin, Policy, UsageLimiter};
use restante_lock::MaildropLock;
use restante_session::Refusal;
use restante_store::{ForeignMaildrop, Listing};
use restante_types::{AccountId, SessionId, TenantId};
use restante_wire::Expire;
use tokio::time::timeout;
use tracing::warn;

use crate::Ports;
use crate::sessions::Seat;

/// How long the counting of usage may take. It is local where the shared limits are lost.
const LIMIT: Duration = Duration::from_secs(2);

/// An open maildrop.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Gone while the deletions are being written, and when that broke off.
    pub(crate) lock: Option<MaildropLock>,
    pub(crate) messages: Messages,
    pub(crate) seat: Seat,
    pub(crate) reading: Option<Reading>,
    pub(crate) place: Option<Place>,
}

/// Where the messages that the session numbers are.
#[derive(Clone, Debug)]
pub(crate) enum Messages {
    /// In our own index and storages.
    Own(Arc<Listing>),
    /// In another mail system.
    Foreign(Arc<ForeignMaildrop>),
}

/// One of a tenant's places for sessions.
#[derive(Debug)]
pub(crate) struct Place {
    usage: Arc<dyn UsageLimiter>,
    pub(crate) tenant: TenantId,
    session: SessionId,
}

impl Place {
    /// Takes a place, if the tenant's are counted; `None` if they are not.
    ///
    /// # Errors
    /// The refusal: all are taken.
    pub(crate) async fn take(
        ports: &Ports,
        authenticated: &Authenticated,
        session: SessionId,
    ) -> Result<Option<Self>, Refusal> {
        let Some(cap) = authenticated.policy().max_sessions else {
            return Ok(None);
        };
        let tenant = authenticated.account().id.tenant();
        let taken = timeout(LIMIT, ports.usage.enter(tenant, session, cap)).await;
        match taken {
            Ok(Ok(true)) => Ok(Some(Self {
                usage: Arc::clone(&ports.usage),
                tenant,
                session,
            })),
            Ok(Ok(false)) => Err(Refusal::TooManySessions),
            Ok(Err(_)) | Err(_) => {
                warn!(%tenant, "a tenant's sessions cannot be counted");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// Gives the place back; one that is not given back is free when its lease ends.
    pub(crate) async fn give_back(self) {
        if !matches!(
            timeout(LIMIT, self.usage.leave(self.tenant, self.session)).await,
            Ok(Ok(()))
        ) {
            warn!(tenant = %self.tenant, session = %self.session, "a place for a session was not given back; its lease ends by itself");
        }
    }
}

/// How much an account reads in a day, where that is limited.
#[derive(Debug)]
pub(crate) struct Reading {
    usage: Arc<dyn UsageLimiter>,
    account: AccountId,
    limit: u64,
}

impl Reading {
    pub(crate) fn begin(ports: &Ports, account: AccountId, policy: &Policy) -> Option<Self> {
        Some(Self {
            usage: Arc::clone(&ports.usage),
            account,
            limit: policy.max_octets_per_day?,
        })
    }

    /// Whether another message may be read. One that was counted may have gone past the limit, or a session elsewhere.
    pub(crate) async fn may_read(&self) -> bool {
        self.count(0).await
    }

    /// Counts octets that were read. `false` if the limit was reached before; where nobody can tell, reading goes on.
    pub(crate) async fn count(&self, octets: u64) -> bool {
        let spent = timeout(LIMIT, self.usage.spend(self.account, octets, self.limit)).await;
        if let Ok(Ok(within)) = spent {
            return within;
        }
        warn!(account = %self.account, "what an account reads cannot be counted");
        true
    }
}

/// The login as the directory is asked about it.
pub(crate) fn live_login(authenticated: &Authenticated) -> LiveLogin {
    LiveLogin {
        account: authenticated.account().id,
        app_password: authenticated.app_password(),
    }
}

/// What CAPA says of messages' stay (RFC 2449 section 6.7).
pub(crate) fn expire(days: Option<u32>) -> Expire {
    days.map_or(Expire::Never, Expire::Days)
}
