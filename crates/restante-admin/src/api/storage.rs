//! Storages of this frontend's configuration.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::caller::Caller;
use crate::extract::{Answer, Path, Query, done};
use crate::problem::Problem;
use crate::wire::storage::StorageView;
use crate::wire::{Listing, PageQuery, page_limit};
use crate::{AdminService, StorageFacts};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// Storages in the order of their names, and how each does; for a token of a tenant the one that takes its new mail
#[utoipa::path(get, path = "/api/v1/storages", tag = "storages", operation_id = "list_storages", params(PageQuery),
    responses((status = 200, description = "a page of them", body = Listing<StorageView>)))]
async fn list(
    State(service): State<AdminService>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Answer<Listing<StorageView>> {
    let mut views: Vec<StorageView> = visible(&service, &caller).map(StorageView::from).collect();
    views.sort_by(|one, other| one.name.cmp(&other.name));
    let limit = page_limit(query.limit) as usize;
    let name = |view: &StorageView| view.name.clone();
    done(Listing::of_whole(views, name, query.after.as_ref(), limit, name))
}

/// A storage
#[utoipa::path(get, path = "/api/v1/storages/{storage}", tag = "storages", operation_id = "show_storage",
    params(("storage" = String, Path, description = "Its name")),
    responses((status = 200, description = "as it does", body = StorageView)))]
async fn show(
    State(service): State<AdminService>,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer<StorageView> {
    let found = visible(&service, &caller).find(|storage| storage.name == name);
    let missing = || Problem::not_found(format!("there is no storage {name}"));
    done(found.ok_or_else(missing)?.into())
}

fn visible<'c>(service: &AdminService, caller: &'c Caller) -> impl Iterator<Item = StorageFacts> + use<'c> {
    let storages = (service.ports().storages)();
    storages
        .into_iter()
        .filter(|storage| caller.sees_storage(storage))
}
