//! The sessions that have a maildrop open, and what they are told from outside. Start at [`SessionRegistry`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use restante_auth::{LiveLogin, LoginName, Standing};
use restante_types::{Fence, SessionId, TenantId};
use tokio::sync::watch;
use tokio::time::Instant;

/// The live sessions of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SessionRegistry {
    live: Arc<Mutex<HashMap<SessionId, Live>>>,
}

/// A session that has a maildrop open, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// Which.
    pub session: SessionId,
    /// Who logged in, and how.
    pub login: LiveLogin,
    /// The account's name when it did.
    pub name: LoginName,
    /// How long ago.
    pub elapsed: Duration,
}

#[derive(Debug)]
struct Live {
    login: LiveLogin,
    name: LoginName,
    begun: Instant,
    /// By which it holds its maildrop.
    fence: Fence,
    /// Whose place for a session it holds, if that tenant's are counted.
    place: Option<TenantId>,
    news: watch::Sender<News>,
}

/// What a session is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// How its account stands.
    Standing(Standing),
    /// Its maildrop is its own no more: an operator has ended it, or a later session holds the maildrop.
    Superseded,
}

impl News {
    /// Whether nothing that comes later matters.
    const fn is_final(self) -> bool {
        matches!(self, Self::Superseded | Self::Standing(Standing::Ended))
    }
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

    /// Every session, for people.
    pub fn sessions(&self) -> Vec<LiveSession> {
        let live = self.live();
        let sessions = live.iter().map(|(session, live)| LiveSession {
            session: *session,
            login: live.login,
            name: live.name.clone(),
            elapsed: live.begun.elapsed(),
        });
        sessions.collect()
    }

    /// Ends a session that may have its maildrop no longer; it acts on it before its next command. `false` if there is
    /// none of that key.
    pub fn supersede(&self, session: SessionId) -> bool {
        self.bring(session, News::Superseded)
    }

    /// By which fences maildrops are held.
    pub fn fences(&self) -> Vec<(SessionId, Fence)> {
        self.live()
            .iter()
            .map(|(session, live)| (*session, live.fence))
            .collect()
    }

    /// The places for sessions that are held.
    pub fn places(&self) -> Vec<(TenantId, SessionId)> {
        self.live()
            .iter()
            .filter_map(|(session, live)| Some((live.place?, *session)))
            .collect()
    }

    /// Tells a session how it stands. It acts on it before its next command; one that has ended is passed over, and an
    /// end is for good.
    pub fn tell(&self, session: SessionId, standing: Standing) {
        self.bring(session, News::Standing(standing));
    }

    fn bring(&self, session: SessionId, news: News) -> bool {
        let live = self.live();
        let Some(live) = live.get(&session) else {
            return false;
        };
        live.news.send_if_modified(|known| {
            let changed = !known.is_final() && *known != news;
            if changed {
                *known = news;
            }
            changed
        });
        true
    }

    /// Enters a session that has opened its maildrop.
    pub(crate) fn enter(
        &self,
        session: SessionId,
        login: LiveLogin,
        name: LoginName,
        fence: Fence,
        place: Option<TenantId>,
    ) -> Seat {
        let (sender, news) = watch::channel(News::Standing(Standing::Good));
        let live = Live {
            login,
            name,
            begun: Instant::now(),
            fence,
            place,
            news: sender,
        };
        self.live().insert(session, live);
        Seat {
            registry: self.clone(),
            session,
            news,
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
    news: watch::Receiver<News>,
}

impl Seat {
    /// What the session is told, if anything since it last asked.
    pub(crate) fn news(&mut self) -> Option<News> {
        let changed = self.news.has_changed().unwrap_or(false);
        changed.then(|| *self.news.borrow_and_update())
    }

    /// Waits until the session is told something. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        let mut news = self.news.clone();
        if news.changed().await.is_err() {
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

    fn fence() -> Fence {
        Fence {
            maildrop: login().account.maildrop(),
            token: std::num::NonZeroU64::MIN,
        }
    }

    fn name() -> LoginName {
        LoginName::parse("alice@example.test").unwrap()
    }

    #[tokio::test]
    async fn an_operator_sees_a_session_and_ends_it_for_good() {
        let registry = SessionRegistry::new();
        let session = SessionId::from_octets([7; 16]);
        assert!(!registry.supersede(session));
        let mut seat = registry.enter(session, login(), name(), fence(), None);
        let [seen] = &registry.sessions()[..] else {
            panic!("one session")
        };
        assert_eq!(
            (seen.session, seen.login, &seen.name),
            (session, login(), &name())
        );
        assert_eq!(registry.fences(), [(session, fence())]);
        assert!(registry.supersede(session));
        registry.tell(session, Standing::Good);
        registry.tell(session, Standing::Ended);
        assert_eq!(seat.news(), Some(News::Superseded));
        assert_eq!(seat.news(), None);
    }

    #[tokio::test]
    async fn a_session_hears_how_it_stands_and_leaves_by_being_dropped() {
        let registry = SessionRegistry::new();
        let session = SessionId::from_octets([7; 16]);
        let mut seat = registry.enter(session, login(), name(), fence(), TenantId::new(1));
        assert_eq!(seat.news(), None);
        assert_eq!(registry.logins(), [(session, login())]);
        assert_eq!(registry.places(), [(TenantId::new(1).unwrap(), session)]);
        registry.tell(session, Standing::Good);
        assert_eq!(seat.news(), None, "nothing changed");
        registry.tell(session, Standing::ReadOnly);
        seat.changed().await;
        assert_eq!(seat.news(), Some(News::Standing(Standing::ReadOnly)));
        assert_eq!(seat.news(), None);
        drop(seat);
        assert!(registry.is_empty());
        registry.tell(session, Standing::Ended);
    }
}
