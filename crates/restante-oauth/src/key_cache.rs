//! Published keys in memory, fetched when they are needed and at most so often. Decides nothing about tokens but
//! whether they are signed. Start at [`KeyCache::check`].
//!
//! | keys                     | what a login does                                                             |
//! |--------------------------|-------------------------------------------------------------------------------|
//! | at most 10 minutes old   | goes by them                                                                  |
//! | at most an hour old      | goes by them and starts a fetch                                               |
//! | at most 24 hours old     | waits for a fetch; goes by them if it fails, so that an issuer may be down    |
//! | older, missing, or lack the key | waits for a fetch; cannot be decided if it fails                       |
//!
//! For one address there is one fetch at a time, which all that need it wait for, and one in 30 seconds: what the last
//! one brought, be it nothing, holds until then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use restante_types::Clock;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::OauthLimits;
use crate::denial::{Denial, Refusal};
use crate::endpoint::{Cause, Endpoint, EndpointError, Endpoints};
use crate::jwt::Signature;
use crate::key_set::{KeySet, Proof};

/// When keys are fetched again behind the logins' back.
const REFRESH_AFTER: Duration = Duration::from_mins(10);

/// When logins wait for newer keys: one that an issuer took back must not live on only because nobody logged in.
const WAIT_AFTER: Duration = Duration::from_hours(1);

/// How long keys are good while their issuer does not answer.
const KEEP: Duration = Duration::from_hours(24);

/// The least time between two fetches from one address.
const SPACING: Duration = Duration::from_secs(30);

/// The keys of many issuers, by address.
pub(crate) struct KeyCache {
    sources: Cache<String, Arc<Source>>,
    endpoints: Endpoints,
    /// How many fetches at once, so that slow issuers hold up no more than that.
    fetches: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

/// One address.
struct Source {
    endpoint: Endpoint,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Option<Kept>,
    attempted: Option<Instant>,
    /// Whether the last attempt brought keys.
    answered: bool,
    /// Closed when the fetch is over, however it ends.
    under_way: Option<watch::Receiver<()>>,
}

#[derive(Clone)]
struct Kept {
    set: Arc<KeySet>,
    fetched: Instant,
}

impl KeyCache {
    /// An empty one.
    pub(crate) fn new(endpoints: Endpoints, clock: Arc<dyn Clock>, limits: &OauthLimits) -> Self {
        Self {
            sources: Cache::builder()
                .max_capacity(limits.endpoints)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            endpoints,
            fetches: Arc::new(Semaphore::new(limits.fetches)),
            clock,
            patience: limits.timeout,
        }
    }

    /// Whether one of the keys published at `url` made a signature.
    ///
    /// # Errors
    /// It was refused, or the keys cannot be had now.
    ///
    /// # Cancel safety
    /// Safe: a fetch goes on by itself.
    pub(crate) async fn check(&self, url: &str, signature: &Signature<'_>) -> Result<(), Denial> {
        let source = self.source(url).map_err(|error| {
            error!(host = error.host, op = "jwks", cause = %error.cause, "an OAuth provider is misconfigured");
            Denial::Unavailable
        })?;
        let now = self.clock.now();
        if let Some(kept) = source.kept(now) {
            let age = now.saturating_duration_since(kept.fetched);
            let proof = kept.set.check(signature);
            if proof != Proof::NoSuchKey && age <= WAIT_AFTER {
                if age > REFRESH_AFTER {
                    self.fetch(&source, now);
                }
                return verdict(proof);
            }
        }
        if let Some(under_way) = self.fetch(&source, now) {
            self.wait(under_way).await;
        }
        let proof = source
            .kept(self.clock.now())
            .map_or(Proof::NoSuchKey, |kept| kept.set.check(signature));
        if proof == Proof::NoSuchKey && !source.state().answered {
            return Err(Denial::Unavailable);
        }
        verdict(proof)
    }

    fn source(&self, url: &str) -> Result<Arc<Source>, EndpointError> {
        if let Some(source) = self.sources.get(url) {
            return Ok(source);
        }
        let source = Arc::new(Source {
            endpoint: Endpoint::parse(url)?,
            state: Mutex::default(),
        });
        let source = self.sources.get_with_by_ref(url, || source);
        // The bound holds now and not only soon.
        self.sources.run_pending_tasks();
        Ok(source)
    }

    /// The fetch that is under way, or a new one; `None` if the last one was a moment ago.
    fn fetch(&self, source: &Arc<Source>, now: Instant) -> Option<watch::Receiver<()>> {
        let mut state = source.state();
        if let Some(under_way) = &state.under_way
            && under_way.has_changed().is_ok()
        {
            return Some(under_way.clone());
        }
        if state
            .attempted
            .is_some_and(|last| now.saturating_duration_since(last) < SPACING)
        {
            return None;
        }
        let (over, under_way) = watch::channel(());
        state.attempted = Some(now);
        state.answered = false;
        state.under_way = Some(under_way.clone());
        drop(state);
        tokio::spawn(fetch(
            Arc::clone(source),
            self.endpoints.clone(),
            Arc::clone(&self.fetches),
            Arc::clone(&self.clock),
            over,
        ));
        Some(under_way)
    }

    /// Not longer than a fetch may take: behind many others it may begin late.
    async fn wait(&self, mut under_way: watch::Receiver<()>) {
        let over = async { while under_way.changed().await.is_ok() {} };
        if timeout(self.patience, over).await.is_err() {
            debug!(op = "jwks", "a login does not wait any longer for keys");
        }
    }
}

/// Fetches keys and puts them in force; drops `over` at the end.
async fn fetch(
    source: Arc<Source>,
    endpoints: Endpoints,
    fetches: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    over: watch::Sender<()>,
) {
    let Ok(_turn) = fetches.acquire().await else {
        return;
    };
    let keys = endpoints
        .fetch(&source.endpoint)
        .await
        .and_then(|body| KeySet::parse(&body).map_err(|why| source.endpoint.error(Cause::Malformed(why))));
    let fetched = clock.now();
    let mut state = source.state();
    match keys {
        Ok(set) => {
            debug!(
                host = source.endpoint.host(),
                op = "jwks",
                "an OAuth provider's keys were fetched"
            );
            state.answered = true;
            state.keys = Some(Kept {
                set: Arc::new(set),
                fetched,
            });
        }
        Err(error) => {
            warn!(host = error.host, op = "jwks", cause = %error.cause, "an OAuth provider's keys cannot be fetched");
        }
    }
    state.under_way = None;
    drop(state);
    drop(over);
}

fn verdict(proof: Proof) -> Result<(), Denial> {
    match proof {
        Proof::Genuine => Ok(()),
        Proof::Forged => Err(Refusal::Signature.into()),
        Proof::NoSuchKey => Err(Refusal::UnknownKey.into()),
    }
}

impl Source {
    /// The keys, unless they are too old even for an issuer that is down.
    fn kept(&self, now: Instant) -> Option<Kept> {
        let mut state = self.state();
        state.keys = state
            .keys
            .take()
            .filter(|kept| now.saturating_duration_since(kept.fetched) <= KEEP);
        state.keys.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
