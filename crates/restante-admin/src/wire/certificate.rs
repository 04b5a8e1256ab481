//! Certificates of tenants in JSON. Private keys go in and never come out.

use restante_auth::{CertificateId, StoredCertificate};
use restante_types::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Hidden, Time, Unfit};

/// A certificate of a tenant, without its private key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CertificateView {
    /// Its number.
    pub(crate) id: i64,
    /// The key of the tenant.
    pub(crate) tenant_id: i64,
    /// Which of the tenant's server names it serves.
    pub(crate) names: Vec<String>,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) not_after: Time,
    /// The certificate and its chain, PEM.
    pub(crate) chain: String,
}

impl From<StoredCertificate> for CertificateView {
    fn from(certificate: StoredCertificate) -> Self {
        Self {
            id: certificate.id.0,
            tenant_id: certificate.tenant.get(),
            names: certificate.server_names,
            not_after: Time(certificate.not_after),
            chain: certificate.chain,
        }
    }
}

/// Without the sealed key, which the server keeps to itself.
impl TryFrom<CertificateView> for StoredCertificate {
    type Error = Unfit;

    fn try_from(view: CertificateView) -> Result<Self, Unfit> {
        Ok(Self {
            id: CertificateId(view.id),
            tenant: TenantId::new(view.tenant_id).ok_or(Unfit("tenant_id"))?,
            server_names: view.names,
            chain: view.chain,
            sealed_key: Vec::new(),
            not_after: view.not_after.0,
        })
    }
}

/// A certificate to be, with its private key: either in PEM, which the server seals, or sealed by its keys already.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCertificateRequest {
    /// The certificate, followed by its chain, PEM.
    pub(crate) chain: String,
    /// The private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only)]
    pub(crate) private_key: Option<Hidden>,
    /// Instead the private key as the server's keyring sealed it for this tenant, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_key: Option<String>,
    /// Server names of the tenant to show it for; all that stand in the certificate if left out.
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) names: Vec<String>,
}
