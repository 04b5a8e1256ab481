//! Domains.

use restante_auth::LoginName;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page;
use crate::AdminService;
use crate::caller::Caller;
use crate::extract::{Answer, Body, Gone, Path, Query, done, gone, made};
use crate::problem::Problem;
use crate::wire::domain::{DomainChange, DomainView, NewDomain};
use crate::wire::{Listing, page_limit};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DomainQuery {
    /// Of this tenant only.
    tenant: Option<String>,
    /// Only what comes after this in the list: `next` of the page before.
    after: Option<String>,
    /// At most so many things.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Domains in the order of their names
#[utoipa::path(get, path = "/api/v1/domains", tag = "domains", operation_id = "list_domains", params(DomainQuery),
    responses((status = 200, description = "a page of them", body = Listing<DomainView>)))]
async fn list(caller: Caller, Query(query): Query<DomainQuery>) -> Answer<Listing<DomainView>> {
    let limit = page_limit(query.limit);
    let of = query.tenant.as_deref();
    let domains = caller.directory.domains(of, page(query.after, limit)).await?;
    let views = domains.into_iter().map(DomainView::from).collect();
    done(Listing::cut(views, limit as usize, |view: &DomainView| {
        view.name.clone()
    }))
}

/// Add a domain to a tenant
#[utoipa::path(post, path = "/api/v1/domains", tag = "domains", operation_id = "add_domain",
    request_body = NewDomain, responses((status = 201, description = "it is added", body = DomainView)))]
async fn add(caller: Caller, Body(new): Body<NewDomain>) -> Answer<DomainView> {
    made(caller.directory.add_domain(&new.tenant, &new.name).await?.into())
}

/// A domain
#[utoipa::path(get, path = "/api/v1/domains/{domain}", tag = "domains", operation_id = "show_domain",
    params(("domain" = String, Path, description = "Its name")),
    responses((status = 200, description = "as it is", body = DomainView)))]
async fn show(caller: Caller, Path(name): Path<String>) -> Answer<DomainView> {
    let found = caller.directory.domain(&LoginName::domain_form(&name)?).await?;
    let missing = || Problem::not_found(format!("there is no domain {name}"));
    done(found.ok_or_else(missing)?.into())
}

/// Move a domain without accounts to another tenant
#[utoipa::path(patch, path = "/api/v1/domains/{domain}", tag = "domains", operation_id = "change_domain",
    params(("domain" = String, Path, description = "Its name")), request_body = DomainChange,
    responses((status = 200, description = "as it is now", body = DomainView)))]
async fn change(
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<DomainChange>,
) -> Answer<DomainView> {
    done(caller.directory.set_domain(&name, &change.tenant).await?.into())
}

/// Remove a domain that has no accounts
#[utoipa::path(delete, path = "/api/v1/domains/{domain}", tag = "domains", operation_id = "remove_domain",
    params(("domain" = String, Path, description = "Its name")), responses((status = 204, description = "it is gone")))]
async fn remove(caller: Caller, Path(name): Path<String>) -> Gone {
    caller.directory.remove_domain(&name).await?;
    gone()
}
