//! The plugins of a server elsewhere. Components do not go this way.

use std::time::SystemTime;

use async_trait::async_trait;
use http::Method;
use restante_store::{ComponentDigest, InstalledPlugin, PluginRegistry, StoreError, StoreErrorKind};

use super::AdminClient;
use super::call::{CallError, Place};
use crate::problem::Kind;
use crate::wire::plugin::{PluginChange, PluginView};

/// As errors call it.
const STORE: &str = "server";

#[async_trait]
impl PluginRegistry for AdminClient {
    async fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError> {
        let all = self.list::<PluginView, _>(Place::at(&["plugins"]), None, usize::MAX);
        all.await.map_err(failed("plugins"))
    }

    async fn component(&self, _: &ComponentDigest) -> Result<Option<Vec<u8>>, StoreError> {
        let why = "components are not read over the admin interface: run the command with --config";
        Err(StoreError::new(StoreErrorKind::Unsupported, "component", STORE).because(why))
    }

    async fn install(
        &self,
        _: &str,
        _: ComponentDigest,
        _: Vec<u8>,
        _: SystemTime,
    ) -> Result<(), StoreError> {
        let why = "a component is compiled and tried where its grants are: run `restante plugin install` with --config \
            on a host of the servers";
        Err(StoreError::new(StoreErrorKind::Unsupported, "install", STORE).because(why))
    }

    async fn set_enabled(&self, name: &str, is_enabled: bool) -> Result<bool, StoreError> {
        let change = PluginChange { enabled: is_enabled };
        let place = Place::at(&["plugins", name]);
        let changed = self.tell::<PluginView>(Method::PATCH, place, &change).await;
        was_there(changed.map(drop), "set_enabled")
    }

    /// By the server's own clock.
    async fn roll_back(&self, name: &str, _: SystemTime) -> Result<bool, StoreError> {
        let place = Place::at(&["plugins", name, "roll-back"]);
        let rolled = self.ask::<PluginView>(Method::POST, place).await;
        match rolled {
            Err(CallError::Problem(Kind::Conflict, _)) => Ok(false),
            rolled => was_there(rolled.map(drop), "roll_back"),
        }
    }

    async fn remove(&self, name: &str) -> Result<bool, StoreError> {
        was_there(self.remove_at(Place::at(&["plugins", name])).await, "remove")
    }
}

fn was_there(done: Result<(), CallError>, op: &'static str) -> Result<bool, StoreError> {
    match done {
        Ok(()) => Ok(true),
        Err(CallError::Problem(Kind::NotFound, _)) => Ok(false),
        Err(error) => Err(failed(op)(error)),
    }
}

fn failed(op: &'static str) -> impl Fn(CallError) -> StoreError {
    move |error| {
        let kind = match &error {
            CallError::Problem(Kind::Unavailable | Kind::Late, _) | CallError::Lost(_) => {
                StoreErrorKind::Unavailable
            }
            CallError::Problem(Kind::NotPermitted | Kind::ReadOnly | Kind::Unauthorized, _) => {
                StoreErrorKind::Denied
            }
            CallError::Problem(..) => StoreErrorKind::Invalid,
        };
        StoreError::new(kind, op, STORE).because(error.text())
    }
}
