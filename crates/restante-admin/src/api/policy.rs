//! Policies of tenants.

use std::collections::BTreeSet;

use axum::extract::State;
use restante_auth::{Policy, TenantPatch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::caller::Caller;
use crate::extract::{Answer, Body, Path, done};
use crate::problem::Problem;
use crate::wire::policy::PolicyView;
use crate::{AdminPorts, AdminService, address, seal};

/// More issuers than any tenant has.
const MOST_ISSUERS: usize = 8;

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new().routes(routes!(show, replace))
}

/// What a tenant lays down for its users
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/policy", tag = "tenants", operation_id = "show_policy",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "as it is", body = PolicyView)))]
async fn show(caller: Caller, Path(tenant): Path<String>) -> Answer<PolicyView> {
    done(caller.known_tenant(&tenant).await?.policy.into())
}

/// Replace what a tenant lays down for its users; what is left out has its default
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/policy", tag = "tenants", operation_id = "replace_policy",
    params(("tenant" = String, Path, description = "Its name")), request_body = PolicyView,
    responses((status = 200, description = "as it is now", body = PolicyView)))]
async fn replace(
    State(service): State<AdminService>,
    caller: Caller,
    Path(tenant): Path<String>,
    Body(policy): Body<PolicyView>,
) -> Answer<PolicyView> {
    let patch = TenantPatch {
        policy: Some(checked(service.ports(), policy)?),
        ..TenantPatch::default()
    };
    done(caller.directory.set_tenant(&tenant, patch).await?.policy.into())
}

/// The policy, with its secrets sealed, if everything in it can be.
pub(super) fn checked(ports: &AdminPorts, mut view: PolicyView) -> Result<Policy, Problem> {
    for issuer in &mut view.oauth {
        if let Some(secret) = issuer.client_secret.take() {
            let keyring = ports.rule.keyring().ok_or_else(no_keyring)?;
            let sealed = seal::seal_client_secret(keyring, &issuer.issuer, secret.expose().as_bytes());
            issuer.sealed_client_secret = Some(sealed.map_err(|error| Problem::invalid(error.to_string()))?);
        }
    }
    let whole = view.into_policy();
    let mut policy = whole.ok_or_else(|| {
        Problem::invalid(
            "an issuer has jwks_url alone, or introspection_url with client_id and client_secret",
        )
    })?;
    if policy.oauth.len() > MOST_ISSUERS {
        return Err(Problem::invalid(format!(
            "a tenant has at most {MOST_ISSUERS} issuers"
        )));
    }
    let different: BTreeSet<&str> = policy.oauth.iter().map(|issuer| issuer.issuer.as_str()).collect();
    if different.len() != policy.oauth.len() {
        return Err(Problem::invalid("an issuer stands there twice"));
    }
    for issuer in &policy.oauth {
        if let Err(reason) = address::check(issuer.check.url()) {
            return Err(Problem::invalid(format!(
                "the URL of an issuer cannot be asked: {reason}"
            )));
        }
    }
    if !(1..=1000).contains(&policy.login_burst) {
        return Err(Problem::invalid("login_burst is from 1 to 1000"));
    }
    if policy.expire_days == Some(0) || policy.listing_days == Some(0) {
        return Err(Problem::invalid(
            "expire_days and listing_days are at least 1, or null",
        ));
    }
    policy.mechanisms.sort_unstable();
    policy.mechanisms.dedup();
    Ok(policy)
}

pub(super) fn no_keyring() -> Problem {
    Problem::invalid(
        "a secret is kept under seal only, and this server has no keys: make a file with keys and name it in auth.keys_file",
    )
}
