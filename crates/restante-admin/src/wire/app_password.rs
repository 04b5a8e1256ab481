//! Application passwords in JSON.

use restante_auth::{AppPasswordId, AppPasswordInfo, NewAppPassword};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Hidden, Network, Opens, Time};

/// An application password.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AppPasswordView {
    /// Its number.
    pub(crate) id: i64,
    /// What its owner calls it.
    pub(crate) label: String,
    /// What it opens.
    pub(crate) scope: Opens,
    /// From where alone it is good; empty is from everywhere.
    #[schema(value_type = Vec<String>)]
    pub(crate) networks: Vec<Network>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Time,
    /// Until when it is good; null is for ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Time>,
    /// When it was last good, to within some minutes.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_used_at: Option<Time>,
    /// The password itself, in the answer to its making and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, read_only)]
    pub(crate) password: Option<Hidden>,
}

impl From<AppPasswordInfo> for AppPasswordView {
    fn from(info: AppPasswordInfo) -> Self {
        Self {
            id: info.id.0,
            label: info.label,
            scope: Opens(info.scope),
            networks: info.networks.into_iter().map(Network).collect(),
            created_at: Time(info.created_at),
            expires_at: info.expires_at.map(Time),
            last_used_at: info.last_used_at.map(Time),
            password: None,
        }
    }
}

impl From<AppPasswordView> for AppPasswordInfo {
    fn from(view: AppPasswordView) -> Self {
        Self {
            id: AppPasswordId(view.id),
            label: view.label,
            scope: view.scope.0,
            networks: view.networks.into_iter().map(|network| network.0).collect(),
            created_at: view.created_at.0,
            expires_at: view.expires_at.map(|time| time.0),
            last_used_at: view.last_used_at.map(|time| time.0),
        }
    }
}

/// An application password to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAppPasswordRequest {
    /// What its owner calls it: 1 to 100 octets.
    pub(crate) label: String,
    /// What it opens; full if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<Opens>,
    /// From where alone it is good; everywhere if left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false)]
    pub(crate) networks: Vec<Network>,
    /// Until when it is good; for ever if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Time>,
    /// What verifies a password that was made elsewhere, as restante writes it: then the server makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) verifier: Option<Hidden>,
}

impl From<NewAppPassword> for NewAppPasswordRequest {
    fn from(new: NewAppPassword) -> Self {
        Self {
            label: new.label,
            scope: Some(Opens(new.scope)),
            networks: new.networks.into_iter().map(Network).collect(),
            expires_at: new.expires_at.map(Time),
            verifier: Some(Hidden(new.verifier)),
        }
    }
}
