//! Storages in JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Unfit;
use crate::{Health, StorageFacts};

/// A storage of this frontend's configuration.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct StorageView {
    /// Its name.
    pub(crate) name: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Whether new tenants get it.
    pub(crate) is_default: bool,
    /// The plugin behind it.
    pub(crate) plugin: Option<String>,
    /// How it does, as far as this frontend has seen lately: well, unknown or failing.
    pub(crate) health: String,
    /// What fails, in words.
    pub(crate) trouble: Option<String>,
}

impl From<StorageFacts> for StorageView {
    fn from(facts: StorageFacts) -> Self {
        Self {
            health: facts.health.as_str().to_owned(),
            trouble: match facts.health {
                Health::Failing(trouble) => Some(trouble),
                Health::Well | Health::Unknown => None,
            },
            name: facts.name,
            kind: facts.kind,
            is_default: facts.is_default,
            plugin: facts.plugin,
        }
    }
}

impl TryFrom<StorageView> for StorageFacts {
    type Error = Unfit;

    fn try_from(view: StorageView) -> Result<Self, Unfit> {
        let health = match (view.health.as_str(), view.trouble) {
            ("well", None) => Health::Well,
            ("unknown", None) => Health::Unknown,
            ("failing", Some(trouble)) => Health::Failing(trouble),
            _ => return Err(Unfit("health")),
        };
        Ok(Self {
            name: view.name,
            kind: view.kind,
            is_default: view.is_default,
            plugin: view.plugin,
            health,
        })
    }
}
