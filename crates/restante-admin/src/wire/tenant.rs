//! Tenants in JSON.

#![expect(
    clippy::option_option,
    reason = "left out, taken away and given are three things"
)]

use std::time::Duration;

use restante_auth::{Tenant, TenantPatch};
use restante_types::{Octets, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::policy::PolicyView;
use super::{State, Unfit, given};

/// A customer of the provider.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TenantView {
    /// Its key.
    pub(crate) id: i64,
    /// Its name: 1 to 63 of a-z, 0-9 and -.
    pub(crate) name: String,
    /// Which configured storage takes its new mail.
    pub(crate) storage: String,
    /// What its accounts may do at most.
    pub(crate) state: State,
    /// The domain of a login name without one.
    pub(crate) default_domain: Option<String>,
    /// Names of the server (SNI) that belong to it.
    pub(crate) server_names: Vec<String>,
    /// How long a deleted message can be brought back; 0 expunges at once.
    pub(crate) retention_secs: u64,
    /// Octets that each account without a quota of its own may hold; null is no limit.
    pub(crate) quota_octets: Option<u64>,
    /// The same in messages.
    pub(crate) quota_messages: Option<u64>,
    /// Its rules for logins and sessions.
    pub(crate) policy: PolicyView,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.get(),
            name: tenant.name,
            storage: tenant.storage,
            state: State(tenant.state),
            default_domain: tenant.default_domain,
            server_names: tenant.server_names,
            retention_secs: tenant.retention.as_secs(),
            quota_octets: tenant.quota_octets.map(Octets::get),
            quota_messages: tenant.quota_messages,
            policy: tenant.policy.into(),
        }
    }
}

impl TryFrom<TenantView> for Tenant {
    type Error = Unfit;

    fn try_from(view: TenantView) -> Result<Self, Unfit> {
        Ok(Self {
            id: TenantId::new(view.id).ok_or(Unfit("id"))?,
            name: view.name,
            storage: view.storage,
            state: view.state.0,
            default_domain: view.default_domain,
            server_names: view.server_names,
            retention: Duration::from_secs(view.retention_secs),
            quota_octets: view.quota_octets.map(Octets),
            quota_messages: view.quota_messages,
            policy: view.policy.into_policy().ok_or(Unfit("policy"))?,
        })
    }
}

/// A tenant to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// Its name: 1 to 63 of a-z, 0-9 and -.
    pub(crate) name: String,
    /// The storage for its mail; the configuration's default if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage: Option<String>,
}

/// What to change in a tenant; what is left out stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantChange {
    /// What its accounts may do at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<State>,
    /// One of its domains, or null for none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) default_domain: Option<Option<String>>,
    /// The storage for new mail; older mail stays where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage: Option<String>,
    /// How long a deleted message can be brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 315_360_000)]
    pub(crate) retention_secs: Option<u64>,
    /// Octets that each account may hold, or null for no limit.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub(crate) quota_octets: Option<Option<u64>>,
    /// Messages that each account may hold, or null for no limit.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub(crate) quota_messages: Option<Option<u64>>,
    /// All of its rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<PolicyView>,
}

impl From<TenantPatch> for TenantChange {
    fn from(patch: TenantPatch) -> Self {
        Self {
            state: patch.state.map(State),
            default_domain: patch.default_domain,
            storage: patch.storage,
            retention_secs: patch.retention.map(|retention| retention.as_secs()),
            quota_octets: patch.quota_octets.map(|quota| quota.map(Octets::get)),
            quota_messages: patch.quota_messages,
            policy: patch.policy.map(PolicyView::from),
        }
    }
}

/// A name of the server (SNI).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewServerName {
    /// The name, in letters or as A-labels.
    pub(crate) name: String,
}
