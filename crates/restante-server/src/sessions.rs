//! The sessions that have a maildrop open, and what they are told from outside. Start at [`SessionRegistry`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use restante_auth::{LiveLogin, Standing};
use restante_types::{SessionId, TenantId};
use tokio::sync::watch;

/// The live sessions of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SessionRegistry {
    live: Arc<Mutex<HashMap<SessionId, Live>>>,
}

#[derive(Debug)]
struct Live {
    login: LiveLogin,
    /// Whose place for a session it holds, if that tenant's are counted.
    place: Option<TenantId>,
    standing: watch::Sender<Standing>,
}

impl SessionRegistry {
    /// Without sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live().is_empty()
    }

    /// Who is logged in.
    pub fn logins(&self) -> Vec<(SessionId, LiveLogin)> {
        self.live()
            .iter()
            .map(|(session, live)| (*session, live.login))
            .collect()
    }

    /// The places for sessions that are held.
    pub fn places(&self) -> Vec<(TenantId, SessionId)> {
        self.live()
            .iter()
            .filter_map(|(session, live)| Some((live.place?, *session)))
            .collect()
    }

    /// Tells a session how it stands. It acts on it before its next command; one that has ended is passed over.
    pub fn tell(&self, session: SessionId, standing: Standing) {
        if let Some(live) = self.live().get(&session) {
            live.standing.send_if_modified(|known| {
                let changed = *known != standing;
                *known = standing;
                changed
            });
        }
    }

    /// Enters a session that has opened its maildrop.
    pub(crate) fn enter(&self, session: SessionId, login: LiveLogin, place: Option<TenantId>) -> Seat {
        let (sender, standing) = watch::channel(Standing::Good);
        let live = Live {
            login,
            place,
            standing: sender,
        };
        self.live().insert(session, live);
        Seat {
            registry: self.clone(),
            session,
            standing,
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<SessionId, Live>> {
        // A panic between two lines of this file leaves the map whole.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's entry; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: SessionRegistry,
    session: SessionId,
    standing: watch::Receiver<Standing>,
}

impl Seat {
    /// How the session stands, if that changed since it was last asked.
    pub(crate) fn news(&mut self) -> Option<Standing> {
        let changed = self.standing.has_changed().unwrap_or(false);
        changed.then(|| *self.standing.borrow_and_update())
    }

    /// Waits until the session stands otherwise than before. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        let mut standing = self.standing.clone();
        if standing.changed().await.is_err() {
            // The registry is gone: nothing will come any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.registry.live().remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use restante_types::AccountId;

    use super::*;

    fn login() -> LiveLogin {
        let account = AccountId::new(TenantId::new(1).unwrap(), 7).unwrap();
        LiveLogin {
            account,
            app_password: None,
        }
    }

    #[tokio::test]
    async fn a_session_hears_how_it_stands_and_leaves_by_being_dropped() {
        let registry = SessionRegistry::new();
        let session = SessionId::from_octets([7; 16]);
        let mut seat = registry.enter(session, login(), TenantId::new(1));
        assert_eq!(seat.news(), None);
        assert_eq!(registry.logins(), [(session, login())]);
        assert_eq!(registry.places(), [(TenantId::new(1).unwrap(), session)]);
        registry.tell(session, Standing::Good);
        assert_eq!(seat.news(), None, "nothing changed");
        registry.tell(session, Standing::ReadOnly);
        seat.changed().await;
        assert_eq!(seat.news(), Some(Standing::ReadOnly));
        assert_eq!(seat.news(), None);
        drop(seat);
        assert!(registry.is_empty());
        registry.tell(session, Standing::Ended);
    }
}
