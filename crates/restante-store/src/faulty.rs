//! Faults on purpose, for tests: the n-th call fails, a body is cut, an octet flips. Start at [`FaultPlan`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use restante_types::Octets;

use crate::wrapper::index_through_call;
use crate::{BlobKey, BlobReader, BlobStore, OctetRange, StoreError, StoreErrorKind};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is not made, the error comes at once.
    Before(StoreErrorKind),
    /// The call is made, but its success is not told: the answer was lost.
    After(StoreErrorKind),
    /// The call waits so long and then goes on.
    Delay(Duration),
    /// The body of a `get` ends after so many octets, as if that were all of it.
    CutAt(Octets),
    /// The octet at this place of the body of a `get` has its lowest bit flipped.
    FlipAt(Octets),
    /// The body of a `get` goes on past its end with so many octets.
    Extend(usize),
}

/// Which calls fail. Shared by all wrappers that play one script, so that `nth` counts over all of them.
///
/// In the manner of SQLite's tests: let the first call fail, then the second, and so on, until a run has fewer
/// calls than that ([`FaultPlan::calls`]); check the promises after each run.
#[derive(Debug, Default)]
pub struct FaultPlan {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    calls: u64,
    rules: Vec<Rule>,
    chance: Option<Chance>,
}

#[derive(Debug)]
struct Rule {
    op: Option<&'static str>,
    /// How many matching calls go by before it bites.
    skip: u64,
    persistent: bool,
    fault: Fault,
}

/// One call in `one_in` fails, at places that the seed decides.
#[derive(Debug)]
struct Chance {
    state: u64,
    one_in: u64,
    fault: Fault,
}

impl FaultPlan {
    /// A plan in which nothing fails yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A plan in which about one call in `one_in` meets `fault`; the same seed, the same calls.
    pub fn seeded(seed: u64, one_in: u64, fault: Fault) -> Self {
        let plan = Self::default();
        plan.lock().chance = Some(Chance {
            state: seed,
            one_in: one_in.max(1),
            fault,
        });
        plan
    }

    /// The `nth` call from now, counted from 1, meets `fault`: of the operation `op`, or of any.
    pub fn once(&self, op: Option<&'static str>, nth: u64, fault: Fault) {
        self.add(op, nth, false, fault);
    }

    /// The `nth` call and all later ones meet `fault`.
    pub fn from(&self, op: Option<&'static str>, nth: u64, fault: Fault) {
        self.add(op, nth, true, fault);
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.rules.clear();
        inner.chance = None;
    }

    /// How many calls there have been.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    fn add(&self, op: Option<&'static str>, nth: u64, persistent: bool, fault: Fault) {
        self.lock().rules.push(Rule {
            op,
            skip: nth.saturating_sub(1),
            persistent,
            fault,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what goes wrong with it.
    fn next(&self, op: &'static str) -> Option<Fault> {
        let mut inner = self.lock();
        inner.calls += 1;
        let mut bites = None;
        inner.rules.retain_mut(|rule| {
            if rule.op.is_some_and(|only| only != op) {
                return true;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                return true;
            }
            bites = bites.or(Some(rule.fault));
            rule.persistent
        });
        bites.or_else(|| inner.chance.as_mut().and_then(Chance::draw))
    }
}

impl Chance {
    /// SplitMix64.
    fn draw(&mut self) -> Option<Fault> {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).is_multiple_of(self.one_in).then_some(self.fault)
    }
}

/// A storage with the faults of a plan. For tests only.
#[derive(Debug)]
pub struct Faulty<S: ?Sized> {
    plan: Arc<FaultPlan>,
    inner: Arc<S>,
}

impl<S: ?Sized> Faulty<S> {
    /// Lets `plan` decide what goes wrong with `inner`.
    pub const fn new(inner: Arc<S>, plan: Arc<FaultPlan>) -> Self {
        Self { plan, inner }
    }

    async fn call<T>(
        &self,
        op: &'static str,
        _n_messages: usize,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        with_fault(self.plan.next(op), op, call).await
    }
}

async fn with_fault<T>(
    fault: Option<Fault>,
    op: &'static str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let injected = |kind| Err(StoreError::new(kind, op, "faulty").because("injected"));
    match fault {
        Some(Fault::Before(kind)) => injected(kind),
        Some(Fault::After(kind)) => {
            call.await?;
            injected(kind)
        }
        Some(Fault::Delay(wait)) => {
            tokio::time::sleep(wait).await;
            call.await
        }
        Some(Fault::CutAt(_) | Fault::FlipAt(_) | Fault::Extend(_)) | None => call.await,
    }
}

index_through_call!(Faulty);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: BlobStore + ?Sized> BlobStore for Faulty<S> {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        self.call("put", 0, self.inner.put(key, octets, body)).await
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let fault = self.plan.next("get");
        let reader = with_fault(fault, "get", self.inner.get(key, range)).await?;
        Ok(match fault {
            Some(fault @ (Fault::CutAt(_) | Fault::FlipAt(_) | Fault::Extend(_))) => Box::new(FaultyReader {
                reader,
                fault,
                at: Octets::ZERO,
                ended: false,
            }),
            _ => reader,
        })
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.call("delete", 0, self.inner.delete(key)).await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        self.call("list", 0, self.inner.list(after, limit)).await
    }
}

struct FaultyReader {
    reader: Box<dyn BlobReader>,
    fault: Fault,
    at: Octets,
    ended: bool,
}

#[async_trait]
impl BlobReader for FaultyReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let Some(piece) = self.reader.next().await? else {
            self.ended = true;
            return Ok(match self.fault {
                Fault::Extend(octets) if octets > 0 => Some(Bytes::from(vec![b'x'; octets])),
                _ => None,
            });
        };
        let start = self.at;
        self.at += Octets::of(&piece);
        Ok(match self.fault {
            Fault::CutAt(cut) if self.at >= cut => {
                self.ended = true;
                let keep = usize::try_from((cut - start).get()).unwrap_or(usize::MAX);
                Some(piece.slice(..keep.min(piece.len()))).filter(|rest| !rest.is_empty())
            }
            Fault::FlipAt(place) if (start..self.at).contains(&place) => {
                let mut flipped = BytesMut::from(piece.as_ref());
                let index = usize::try_from((place - start).get()).unwrap_or(usize::MAX);
                if let Some(octet) = flipped.get_mut(index) {
                    *octet ^= 1;
                }
                Some(flipped.freeze())
            }
            _ => Some(piece),
        })
    }
}
