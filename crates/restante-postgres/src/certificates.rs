//! Certificates of tenants as rows.

use restante_auth::{CertificateId, StoredCertificate};

use crate::values::{Undecodable, tenant_from_row, time_from_row};

pub(crate) type CertificateRow = (i64, i64, Vec<String>, String, Vec<u8>, i64);

pub(crate) fn certificate_from_row(row: CertificateRow) -> Result<StoredCertificate, Undecodable> {
    let (id, tenant, server_names, chain, sealed_key, not_after) = row;
    Ok(StoredCertificate {
        id: CertificateId(id),
        tenant: tenant_from_row(tenant)?,
        server_names,
        chain,
        sealed_key,
        not_after: time_from_row(not_after)?,
    })
}
