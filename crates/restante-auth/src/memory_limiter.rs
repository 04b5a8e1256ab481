//! Limits of one process, in memory: for a single frontend, and for the time in which shared limits are lost.
//!
//! Knows nothing of other frontends and forgets all with the process. The arithmetic is in [`pacing`].

pub mod pacing;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use restante_types::{AccountId, SessionId, TenantId};
use tokio::time::Instant;

use self::pacing::{KNOWN_FOR, Pace, Paces};
use crate::{Admission, Attempt, AttemptLimiter, LimiterLost, NameKey, PLACE_LEASE, UsageLimiter};

/// Keys remembered of each kind; the least recently used goes.
const KEYS: u64 = 100_000;

/// A success is not noted again within this time of the last one that was: a network is known for an account for so
/// much less than [`KNOWN_FOR`] at most.
const NOTED_FOR: Duration = Duration::from_hours(1);

/// Limits in memory. Never an error.
pub struct MemoryLimiter {
    origin: Instant,
    /// The keys of one attempt are read and written together.
    state: Mutex<State>,
}

struct State {
    addresses: Cache<IpAddr, Pace>,
    networks: Cache<IpAddr, Pace>,
    names: Cache<NameKey, Pace>,
    known: Cache<(NameKey, IpAddr), Known>,
    /// Until when the day of an account is spent.
    spent: Cache<AccountId, u64>,
    places: HashMap<TenantId, HashMap<SessionId, Instant>>,
}

/// A network that logged in to an account.
#[derive(Clone, Copy)]
struct Known {
    pace: Pace,
    since: Instant,
}

impl MemoryLimiter {
    /// Nobody has tried or used anything.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
            state: Mutex::new(State {
                addresses: bounded(),
                networks: bounded(),
                names: bounded(),
                known: bounded(),
                spent: bounded(),
                places: HashMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

fn bounded<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
    Cache::builder()
        .max_capacity(KEYS)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

impl State {
    fn paces(&self, attempt: &Attempt) -> Paces {
        let (address, network) = pacing::networks(attempt.client);
        Paces {
            address: self.addresses.get(&address).unwrap_or_default(),
            network: self.networks.get(&network).unwrap_or_default(),
            name: attempt.name.map(|name| self.names.get(&name).unwrap_or_default()),
            known: attempt
                .name
                .and_then(|name| self.known(name, network))
                .map(|known| known.pace),
        }
    }

    fn known(&self, name: NameKey, network: IpAddr) -> Option<Known> {
        let known = self.known.get(&(name, network))?;
        (known.since.elapsed() < KNOWN_FOR).then_some(known)
    }

    /// Writes what has changed.
    fn keep(&self, attempt: &Attempt, before: &Paces, after: &Paces) {
        let (address, network) = pacing::networks(attempt.client);
        if after.address != before.address {
            self.addresses.insert(address, after.address);
        }
        if after.network != before.network {
            self.networks.insert(network, after.network);
        }
        let Some(name) = attempt.name else { return };
        if let Some(pace) = after.name.filter(|_| after.name != before.name) {
            self.names.insert(name, pace);
        }
        if after.known != before.known
            && let (Some(pace), Some(known)) = (after.known, self.known(name, network))
        {
            self.known.insert((name, network), Known { pace, ..known });
        }
    }

    /// The places of a tenant without those that nobody renewed.
    fn places(&mut self, tenant: TenantId, now: Instant) -> &mut HashMap<SessionId, Instant> {
        let places = self.places.entry(tenant).or_default();
        places.retain(|_, end| now < *end);
        places
    }
}

#[async_trait]
impl AttemptLimiter for MemoryLimiter {
    async fn admit(&self, attempt: &Attempt) -> Result<Admission, LimiterLost> {
        let state = self.state();
        let before = state.paces(attempt);
        let mut paces = before;
        let admission = paces.admit(self.now());
        state.keep(attempt, &before, &paces);
        Ok(admission)
    }

    async fn failed(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        let state = self.state();
        let before = state.paces(attempt);
        let mut paces = before;
        paces.failed(self.now());
        state.keep(attempt, &before, &paces);
        Ok(())
    }

    async fn succeeded(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        let Some(name) = attempt.name else { return Ok(()) };
        let (_, network) = pacing::networks(attempt.client);
        let state = self.state();
        let known = state.known(name, network);
        if known.is_some_and(|known| known.since.elapsed() < NOTED_FOR) {
            return Ok(());
        }
        let known = Known {
            pace: known.map(|known| known.pace).unwrap_or_default(),
            since: Instant::now(),
        };
        state.known.insert((name, network), known);
        Ok(())
    }
}

#[async_trait]
impl UsageLimiter for MemoryLimiter {
    async fn spend(&self, account: AccountId, octets: u64, limit: u64) -> Result<bool, LimiterLost> {
        let Some(share) = pacing::share_of_day(octets, limit) else {
            return Ok(false);
        };
        let state = self.state();
        let spent = state.spent.get(&account).unwrap_or_default();
        let spent = pacing::spend(spent, share, self.now());
        if let Some(spent) = spent {
            state.spent.insert(account, spent);
        }
        Ok(spent.is_some())
    }

    async fn enter(&self, tenant: TenantId, session: SessionId, cap: u32) -> Result<bool, LimiterLost> {
        let now = Instant::now();
        let mut state = self.state();
        let places = state.places(tenant, now);
        let cap = usize::try_from(cap).unwrap_or(usize::MAX);
        let is_in = places.contains_key(&session) || places.len() < cap;
        if is_in {
            places.insert(session, now + PLACE_LEASE);
        }
        Ok(is_in)
    }

    async fn leave(&self, tenant: TenantId, session: SessionId) -> Result<(), LimiterLost> {
        let mut state = self.state();
        let places = state.places(tenant, Instant::now());
        places.remove(&session);
        if places.is_empty() {
            state.places.remove(&tenant);
        }
        Ok(())
    }

    async fn renew(&self, sessions: &[(TenantId, SessionId)]) -> Result<(), LimiterLost> {
        let end = Instant::now() + PLACE_LEASE;
        let mut state = self.state();
        for (tenant, session) in sessions {
            state.places.entry(*tenant).or_default().insert(*session, end);
        }
        Ok(())
    }
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limits in memory")
    }
}

impl fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryLimiter")
            .field("addresses", &state.addresses.entry_count())
            .field("networks", &state.networks.entry_count())
            .field("names", &state.names.entry_count())
            .finish_non_exhaustive()
    }
}
