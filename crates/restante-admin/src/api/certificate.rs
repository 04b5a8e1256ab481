//! Certificates of tenants: checked whole, their keys sealed here.

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_auth::{CertificateId, Keyring, NewCertificate, Tenant};
use restante_net::HeldPair;
use restante_types::Secret;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app_password::numbered;
use super::policy::no_keyring;
use crate::caller::Caller;
use crate::extract::{Answer, Body, Gone, Path, Query, done, gone, made};
use crate::problem::{Kind, Problem};
use crate::wire::certificate::{CertificateView, NewCertificateRequest};
use crate::wire::{Listing, page_limit};
use crate::{AdminService, seal};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(add))
        .routes(routes!(remove))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CertificateQuery {
    /// Of this tenant only.
    tenant: Option<String>,
    /// Only what comes after this in the list: `next` of the page before.
    after: Option<String>,
    /// At most so many things.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Certificates of tenants in the order of their numbers, without their keys
#[utoipa::path(get, path = "/api/v1/certificates", tag = "certificates", operation_id = "list_certificates",
    params(CertificateQuery),
    responses((status = 200, description = "a page of them", body = Listing<CertificateView>)))]
async fn list(caller: Caller, Query(query): Query<CertificateQuery>) -> Answer<Listing<CertificateView>> {
    let after = numbered(query.after)?;
    let certificates = caller.directory.certificates(query.tenant.as_deref()).await?;
    let views = certificates.into_iter().map(CertificateView::from).collect();
    let limit = page_limit(query.limit) as usize;
    done(Listing::of_whole(
        views,
        |view: &CertificateView| view.id,
        after.as_ref(),
        limit,
        |view| view.id.to_string(),
    ))
}

/// Keep a certificate for a tenant's server names; frontends show it within half a minute
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/certificates", tag = "certificates",
    operation_id = "add_certificate", params(("tenant" = String, Path, description = "Its name")),
    request_body = NewCertificateRequest,
    responses((status = 201, description = "it is kept, its key under seal", body = CertificateView)))]
async fn add(
    State(service): State<AdminService>,
    caller: Caller,
    Path(tenant): Path<String>,
    Body(new): Body<NewCertificateRequest>,
) -> Answer<CertificateView> {
    let owner = caller.known_tenant(&tenant).await?;
    caller.provider_only("certificates")?;
    let keyring = service.ports().rule.keyring().ok_or_else(no_keyring)?;
    let (key, sealed) = keys(&new, keyring, &owner)?;
    let pair = HeldPair {
        label: "the certificate".to_owned(),
        names: Vec::new(),
        chain: new.chain.into_bytes(),
        key,
    };
    let facts = pair
        .inspect()
        .map_err(|error| Problem::invalid(error.to_string()))?;
    let sealed_key = match sealed {
        Some(sealed) => sealed,
        None => seal::seal_private_key(keyring, owner.id, pair.key.expose())
            .map_err(|error| Problem::new(Kind::Failed, error.to_string()))?,
    };
    let chain = String::from_utf8(pair.chain).map_err(|_| Problem::invalid("the certificate is not PEM"))?;
    let certificate = NewCertificate {
        server_names: names(&owner, &facts.names, new.names)?,
        chain,
        sealed_key,
        not_after: facts.not_after,
    };
    made(
        caller
            .directory
            .add_certificate(&tenant, certificate)
            .await?
            .into(),
    )
}

/// Remove a certificate; an earlier one for the same names is shown again
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/certificates/{id}", tag = "certificates",
    operation_id = "remove_certificate",
    params(("tenant" = String, Path, description = "Its name"), ("id" = i64, Path, description = "The certificate's number")),
    responses((status = 204, description = "it is gone")))]
async fn remove(caller: Caller, Path((tenant, id)): Path<(String, i64)>) -> Gone {
    caller
        .directory
        .remove_certificate(&tenant, CertificateId(id))
        .await?;
    gone()
}

/// A private key in the clear, and as it was sealed if it came so.
type Key = (Secret<Vec<u8>>, Option<Vec<u8>>);

fn keys(new: &NewCertificateRequest, keyring: &Keyring, owner: &Tenant) -> Result<Key, Problem> {
    match (&new.private_key, &new.sealed_key) {
        (Some(key), None) => Ok((Secret::new(key.expose().as_bytes().to_vec()), None)),
        (None, Some(sealed)) => {
            let sealed = STANDARD.decode(sealed);
            let sealed = sealed.map_err(|_| Problem::invalid("sealed_key is not base64"))?;
            let key = seal::open_private_key(keyring, owner.id, &sealed);
            let key = key.map_err(|error| Problem::invalid(format!("sealed_key: {error}")))?;
            Ok((key, Some(sealed)))
        }
        _ => Err(Problem::invalid("give either private_key or sealed_key")),
    }
}

/// The server names to show it for: those asked for, or the tenant's own that stand in the certificate.
fn names(tenant: &Tenant, certified: &[String], asked: Vec<String>) -> Result<Vec<String>, Problem> {
    if !asked.is_empty() {
        return Ok(asked);
    }
    let covered = |name: &&String| certified.iter().any(|certified| covers(certified, name));
    let names: Vec<String> = tenant.server_names.iter().filter(covered).cloned().collect();
    if names.is_empty() {
        return Err(Problem::invalid(format!(
            "the certificate is for {}, and none of these is a server name of {}: add the server name first",
            certified.join(", "),
            tenant.name
        )));
    }
    Ok(names)
}

/// Whether a name in a certificate is that name, or its wildcard (RFC 6125 section 6.4.3).
fn covers(certified: &str, name: &str) -> bool {
    certified == name
        || certified
            .strip_prefix("*.")
            .is_some_and(|parent| name.split_once('.').is_some_and(|(_, rest)| rest == parent))
}
