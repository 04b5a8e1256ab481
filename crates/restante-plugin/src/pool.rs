//! Instances of one plugin for one tenant, kept between calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult};
use restante_store::{StoreError, StoreErrorKind};

use crate::breaker::Breaker;
use crate::engine::Plugin;
use crate::error::{Fault, STORE};
use crate::instance::Instance;
use crate::key_value::{KeySpace, KeyValueStore};
use crate::limits::Limits;

/// Makes instances, and throws away those that must not be used again.
#[derive(Debug)]
pub(crate) struct Maker {
    pub(crate) plugin: Plugin,
    pub(crate) limits: Limits,
    pub(crate) space: KeySpace,
    pub(crate) values: Arc<dyn KeyValueStore>,
    pub(crate) config: Arc<str>,
}

impl managed::Manager for Maker {
    type Type = Instance;
    type Error = Fault;

    async fn create(&self) -> Result<Instance, Fault> {
        let values = Arc::clone(&self.values);
        Instance::start(
            &self.plugin,
            self.limits,
            self.space.clone(),
            values,
            &self.config,
        )
        .await
    }

    async fn recycle(&self, instance: &mut Instance, _: &Metrics) -> RecycleResult<Fault> {
        if instance.is_fresh() {
            Ok(())
        } else {
            Err(RecycleError::message("worn out"))
        }
    }
}

/// The pool with its circuit breaker.
#[derive(Debug)]
pub(crate) struct Pool {
    instances: managed::Pool<Maker>,
    breaker: Mutex<Breaker>,
}

pub(crate) type Held = managed::Object<Maker>;

impl Pool {
    pub(crate) fn new(maker: Maker) -> Result<Self, StoreError> {
        let limits = maker.limits;
        let instances = managed::Pool::builder(maker)
            .max_size(limits.instances)
            .wait_timeout(Some(limits.wait))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Invalid, "open", STORE).because(error.to_string())
            })?;
        Ok(Self {
            instances,
            breaker: Mutex::default(),
        })
    }

    /// An instance for a call or a few that belong together.
    pub(crate) async fn hold(&self, op: &'static str) -> Result<Held, StoreError> {
        self.with_breaker(Breaker::admit).map_err(|wait: Duration| {
            StoreError::new(StoreErrorKind::Unavailable, op, STORE)
                .because("the plugin broke too often and is given a rest")
                .retry_after(wait)
        })?;
        self.instances.get().await.map_err(|error| match error {
            PoolError::Backend(fault) => self.note(op, fault),
            PoolError::Timeout(_) => StoreError::new(StoreErrorKind::Unavailable, op, STORE)
                .because("all instances of the plugin are busy"),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                StoreError::new(StoreErrorKind::Unavailable, op, STORE).because("the pool is closed")
            }
        })
    }

    /// Takes note of how a call went.
    pub(crate) fn noted<T>(&self, op: &'static str, answer: Result<T, Fault>) -> Result<T, StoreError> {
        match answer {
            Ok(value) => {
                self.with_breaker(Breaker::succeeded);
                Ok(value)
            }
            Err(fault) => Err(self.note(op, fault)),
        }
    }

    fn note(&self, op: &'static str, fault: Fault) -> StoreError {
        if fault.is_breakage() {
            self.with_breaker(Breaker::failed);
        } else {
            self.with_breaker(Breaker::succeeded);
        }
        fault.into_error(op)
    }

    fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        // A breaker is whole between any two statements that change it.
        act(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
