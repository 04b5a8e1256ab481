//! Aliases.

use restante_auth::{Alias, LoginName};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page;
use crate::AdminService;
use crate::caller::Caller;
use crate::extract::{Answer, Body, Gone, Path, Query, done, gone, made};
use crate::wire::alias::AliasView;
use crate::wire::{Listing, page_limit};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AliasQuery {
    /// Of this account only.
    account: Option<String>,
    /// In this domain only.
    domain: Option<String>,
    /// Only what comes after this in the list: `next` of the page before.
    after: Option<String>,
    /// At most so many things.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Aliases in the order of their addresses
#[utoipa::path(get, path = "/api/v1/aliases", tag = "accounts", operation_id = "list_aliases", params(AliasQuery),
    responses((status = 200, description = "a page of them", body = Listing<AliasView>)))]
async fn list(caller: Caller, Query(query): Query<AliasQuery>) -> Answer<Listing<AliasView>> {
    let limit = page_limit(query.limit);
    let account = query.account.as_deref().map(LoginName::parse).transpose()?;
    let domain = query.domain.as_deref();
    let aliases = caller
        .directory
        .aliases(account.as_ref(), domain, page(query.after, limit))
        .await?;
    let views = aliases.into_iter().map(AliasView::from).collect();
    done(Listing::cut(views, limit as usize, |view: &AliasView| {
        view.address.clone()
    }))
}

/// Give an account a second address
#[utoipa::path(post, path = "/api/v1/aliases", tag = "accounts", operation_id = "add_alias",
    request_body = AliasView, responses((status = 201, description = "it is added", body = AliasView)))]
async fn add(caller: Caller, Body(new): Body<AliasView>) -> Answer<AliasView> {
    made(caller.directory.add_alias(Alias::try_from(new)?).await?.into())
}

/// Remove an alias
#[utoipa::path(delete, path = "/api/v1/aliases/{address}", tag = "accounts", operation_id = "remove_alias",
    params(("address" = String, Path, description = "The address: user@domain")),
    responses((status = 204, description = "it is gone")))]
async fn remove(caller: Caller, Path(address): Path<String>) -> Gone {
    caller
        .directory
        .remove_alias(&LoginName::parse(&address)?)
        .await?;
    gone()
}
