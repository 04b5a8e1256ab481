//! Domains in JSON.

use restante_auth::Domain;
use restante_types::{DomainId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Unfit;

/// A mail domain of a tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DomainView {
    /// Its key.
    pub(crate) id: i64,
    /// The domain as A-labels.
    pub(crate) name: String,
    /// The tenant that owns it.
    pub(crate) tenant: String,
    /// The tenant's key.
    pub(crate) tenant_id: i64,
}

impl From<Domain> for DomainView {
    fn from(domain: Domain) -> Self {
        Self {
            id: domain.id.get(),
            name: domain.name,
            tenant: domain.tenant_name,
            tenant_id: domain.tenant.get(),
        }
    }
}

impl TryFrom<DomainView> for Domain {
    type Error = Unfit;

    fn try_from(view: DomainView) -> Result<Self, Unfit> {
        Ok(Self {
            id: DomainId::new(view.id).ok_or(Unfit("id"))?,
            tenant: TenantId::new(view.tenant_id).ok_or(Unfit("tenant_id"))?,
            tenant_name: view.tenant,
            name: view.name,
        })
    }
}

/// A domain to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDomain {
    /// The domain, in letters or as A-labels.
    pub(crate) name: String,
    /// The tenant that is to own it.
    pub(crate) tenant: String,
}

/// What to change in a domain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainChange {
    /// The tenant that is to own it; the domain must have no accounts.
    pub(crate) tenant: String,
}
