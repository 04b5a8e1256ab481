//! Tenants and their server names.

use std::time::Duration;

use axum::extract::State;
use restante_auth::TenantPatch;
use restante_types::Octets;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{page, policy};
use crate::caller::Caller;
use crate::extract::{Answer, Body, Gone, Path, Query, done, gone, made};
use crate::problem::Problem;
use crate::wire::tenant::{NewServerName, NewTenant, TenantChange, TenantView};
use crate::wire::{Listing, PageQuery, page_limit};
use crate::{AdminPorts, AdminService};

/// The longest retention, as the command line has it.
const LONGEST: Duration = Duration::from_hours(3650 * 24);

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(add_server_name))
        .routes(routes!(remove_server_name))
}

/// Tenants in the order of their names
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", operation_id = "list_tenants", params(PageQuery),
    responses((status = 200, description = "a page of them", body = Listing<TenantView>)))]
async fn list(caller: Caller, Query(query): Query<PageQuery>) -> Answer<Listing<TenantView>> {
    let limit = page_limit(query.limit);
    let tenants = caller.directory.tenants(page(query.after, limit)).await?;
    let views = tenants.into_iter().map(TenantView::from).collect();
    done(Listing::cut(views, limit as usize, |view: &TenantView| {
        view.name.clone()
    }))
}

/// Add a tenant
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", operation_id = "add_tenant",
    request_body = NewTenant, responses((status = 201, description = "it is added", body = TenantView)))]
async fn add(
    State(service): State<AdminService>,
    caller: Caller,
    Body(new): Body<NewTenant>,
) -> Answer<TenantView> {
    let storage = match new.storage {
        Some(storage) => storage,
        None => default_storage(service.ports())?,
    };
    check_storage(service.ports(), &storage)?;
    made(caller.directory.add_tenant(&new.name, &storage).await?.into())
}

/// A tenant
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", tag = "tenants", operation_id = "show_tenant",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "as it is", body = TenantView)))]
async fn show(caller: Caller, Path(name): Path<String>) -> Answer<TenantView> {
    done(caller.known_tenant(&name).await?.into())
}

/// Change a tenant
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}", tag = "tenants", operation_id = "change_tenant",
    params(("tenant" = String, Path, description = "Its name")), request_body = TenantChange,
    responses((status = 200, description = "as it is now", body = TenantView)))]
async fn change(
    State(service): State<AdminService>,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<TenantChange>,
) -> Answer<TenantView> {
    if let Some(storage) = &change.storage {
        check_storage(service.ports(), storage)?;
    }
    let retention = change.retention_secs.map(Duration::from_secs);
    if retention.is_some_and(|retention| retention > LONGEST) {
        return Err(Problem::invalid("retention_secs is at most 315360000, ten years"));
    }
    let policy = change
        .policy
        .map(|policy| policy::checked(service.ports(), policy));
    let patch = TenantPatch {
        state: change.state.map(|state| state.0),
        default_domain: change.default_domain,
        policy: policy.transpose()?,
        storage: change.storage,
        retention,
        quota_octets: change.quota_octets.map(|quota| quota.map(Octets)),
        quota_messages: change.quota_messages,
    };
    done(caller.directory.set_tenant(&name, patch).await?.into())
}

/// Remove a tenant that has no domains
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}", tag = "tenants", operation_id = "remove_tenant",
    params(("tenant" = String, Path, description = "Its name")), responses((status = 204, description = "it is gone")))]
async fn remove(caller: Caller, Path(name): Path<String>) -> Gone {
    caller.directory.remove_tenant(&name).await?;
    gone()
}

/// Bind a name of the server (SNI) to a tenant
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/server-names", tag = "tenants", operation_id = "add_server_name",
    params(("tenant" = String, Path, description = "Its name")), request_body = NewServerName,
    responses((status = 201, description = "the tenant as it is now", body = TenantView)))]
async fn add_server_name(
    caller: Caller,
    Path(tenant): Path<String>,
    Body(new): Body<NewServerName>,
) -> Answer<TenantView> {
    made(caller.directory.add_server_name(&tenant, &new.name).await?.into())
}

/// Take a server name from its tenant
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/server-names/{name}", tag = "tenants",
    operation_id = "remove_server_name",
    params(("tenant" = String, Path, description = "Its name"), ("name" = String, Path, description = "The server name")),
    responses((status = 200, description = "the tenant as it is now", body = TenantView)))]
async fn remove_server_name(
    caller: Caller,
    Path((tenant, name)): Path<(String, String)>,
) -> Answer<TenantView> {
    done(caller.directory.remove_server_name(&tenant, &name).await?.into())
}

fn default_storage(ports: &AdminPorts) -> Result<String, Problem> {
    let storages = (ports.storages)();
    let default = storages.into_iter().find(|storage| storage.is_default);
    let named = default.map(|storage| storage.name);
    named.ok_or_else(|| Problem::invalid("there is no default storage: name one"))
}

fn check_storage(ports: &AdminPorts, name: &str) -> Result<(), Problem> {
    let is_there = (ports.storages)().iter().any(|storage| storage.name == name);
    if is_there {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "there is no storage {name} in the server's configuration; /api/v1/storages lists them"
    )))
}
