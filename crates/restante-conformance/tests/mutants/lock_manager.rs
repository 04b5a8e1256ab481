//! Locks that break one promise each.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use restante_conformance::lock_manager_cases;
use restante_lock::{LockError, LockManager, MemoryLockManager};
use restante_types::{Fence, MaildropId, SessionId};

use crate::assert_bitten;
use crate::fixture::MemoryLocks;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    FrozenToken,
    ForgetfulToken,
    SecondOpenGranted,
    LateReleaseFrees,
    SupersedeDoesNothing,
    SupersedeAlwaysSaysYes,
    ProbeKnowsNothing,
    ProbeLosesAll,
    ReleaseDoesNothing,
}

#[derive(Debug)]
struct Broken {
    how: Break,
    inner: MemoryLockManager,
    /// What the sound manager granted.
    held: Mutex<HashMap<MaildropId, Fence>>,
}

impl Broken {
    fn truth(&self, fence: &Fence) -> Fence {
        match self.how {
            Break::FrozenToken | Break::ForgetfulToken => self
                .held
                .lock()
                .unwrap()
                .get(&fence.maildrop)
                .copied()
                .unwrap_or(*fence),
            _ => *fence,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.how)
    }
}

#[async_trait]
impl LockManager for Broken {
    async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
        if self.how == Break::SecondOpenGranted {
            self.inner.supersede(maildrop).await?;
        }
        let mut fence = self.inner.open(maildrop, session).await?;
        self.held.lock().unwrap().insert(maildrop, fence);
        match self.how {
            Break::FrozenToken => fence.token = NonZeroU64::MIN,
            // Counts from the start of the process only.
            Break::ForgetfulToken => {
                fence.token = NonZeroU64::new(fence.token.get() & 0xFFFF).unwrap();
            }
            _ => {}
        }
        Ok(fence)
    }

    async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError> {
        match self.how {
            Break::ProbeKnowsNothing => Ok(Vec::new()),
            Break::ProbeLosesAll => Ok(fences.to_vec()),
            _ => {
                let mut superseded = Vec::new();
                for fence in fences {
                    if !self.inner.probe(&[self.truth(fence)]).await?.is_empty() {
                        superseded.push(*fence);
                    }
                }
                Ok(superseded)
            }
        }
    }

    async fn release(&self, fence: &Fence) -> Result<(), LockError> {
        match self.how {
            Break::ReleaseDoesNothing => Ok(()),
            Break::LateReleaseFrees => self.inner.supersede(fence.maildrop).await.map(drop),
            _ => self.inner.release(&self.truth(fence)).await,
        }
    }

    async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
        match self.how {
            Break::SupersedeDoesNothing => Ok(true),
            Break::SupersedeAlwaysSaysYes => self.inner.supersede(maildrop).await.map(|_| true),
            _ => self.inner.supersede(maildrop).await,
        }
    }

    async fn heartbeat(&self) -> Result<(), LockError> {
        self.inner.heartbeat().await
    }
}

/// The cases that notice it. One function for all mutants: to compile all cases for each takes minutes.
async fn bitten(how: Break) -> Vec<&'static str> {
    let open = move || async move {
        MemoryLocks::behind(move |inner| {
            Arc::new(Broken {
                how,
                inner,
                held: Mutex::default(),
            })
        })
    };
    lock_manager_cases! { emit_bites { open } }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_bitten(&bitten(Break::$how).await, &[$($case),+]);
        }
    };
}

mutant!(a_frozen_token_is_noticed: FrozenToken, [
    "tokens_grow_with_every_opening", "tokens_grow_over_a_restart", "a_late_release_frees_nothing",
]);
mutant!(tokens_that_start_again_are_noticed: ForgetfulToken, ["tokens_grow_over_a_restart"]);
mutant!(a_second_opening_granted_is_noticed: SecondOpenGranted, [
    "a_held_maildrop_is_in_use", "a_held_maildrop_is_in_use_for_its_own_session_too",
    "one_of_many_racing_openings_wins",
]);
mutant!(a_late_release_that_frees_is_noticed: LateReleaseFrees, [
    "a_late_release_frees_nothing", "a_superseded_release_frees_nothing",
]);
mutant!(supersede_that_does_nothing_is_noticed: SupersedeDoesNothing, ["supersede_frees_the_maildrop"]);
mutant!(supersede_that_always_says_yes_is_noticed: SupersedeAlwaysSaysYes, [
    "supersede_of_a_free_maildrop_says_so",
]);
mutant!(a_probe_that_knows_nothing_is_noticed: ProbeKnowsNothing, ["probe_answers_the_superseded_alone"]);
mutant!(a_probe_that_loses_all_is_noticed: ProbeLosesAll, [
    "probe_answers_the_superseded_alone", "heartbeat_succeeds",
]);
mutant!(a_release_that_does_nothing_is_noticed: ReleaseDoesNothing, ["a_released_maildrop_opens_again"]);
