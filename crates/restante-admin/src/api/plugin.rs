//! Plugins: which are installed and in force. Components do not come this way: what is installed is compiled, checked
//! and tried first, by `restante plugin install`.

use axum::extract::State;
use http::StatusCode;
use restante_auth::AuditAction;
use restante_store::InstalledPlugin;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AdminService;
use crate::caller::{Caller, Note};
use crate::extract::{Answer, Body, Gone, Path, Query, done, gone};
use crate::problem::{Kind, Problem};
use crate::wire::plugin::{PluginChange, PluginView};
use crate::wire::{Listing, PageQuery, page_limit};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, change, remove))
        .routes(routes!(roll_back))
}

/// Installed plugins in the order of their names; for a token of a tenant the one behind its storage
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", operation_id = "list_plugins", params(PageQuery),
    responses((status = 200, description = "a page of them", body = Listing<PluginView>)))]
async fn list(
    State(service): State<AdminService>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Answer<Listing<PluginView>> {
    let installed = service.ports().registry.plugins().await?;
    let visible = installed
        .into_iter()
        .filter(|plugin| sees(&service, &caller, &plugin.name));
    let views = visible.map(|plugin| view(&service, &caller, plugin)).collect();
    let limit = page_limit(query.limit) as usize;
    let name = |view: &PluginView| view.name.clone();
    done(Listing::of_whole(views, name, query.after.as_ref(), limit, name))
}

/// A plugin
#[utoipa::path(get, path = "/api/v1/plugins/{plugin}", tag = "plugins", operation_id = "show_plugin",
    params(("plugin" = String, Path, description = "Its name")),
    responses((status = 200, description = "as it is", body = PluginView)))]
async fn show(
    State(service): State<AdminService>,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer<PluginView> {
    let plugin = known(&service, &caller, &name).await?;
    done(view(&service, &caller, plugin))
}

/// Let a plugin be called, or not; frontends follow within some seconds
#[utoipa::path(patch, path = "/api/v1/plugins/{plugin}", tag = "plugins", operation_id = "change_plugin",
    params(("plugin" = String, Path, description = "Its name")), request_body = PluginChange,
    responses((status = 200, description = "as it is now", body = PluginView)))]
async fn change(
    State(service): State<AdminService>,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<PluginChange>,
) -> Answer<PluginView> {
    let mut plugin = of_provider(&service, &caller, &name).await?;
    if !service
        .ports()
        .registry
        .set_enabled(&name, change.enabled)
        .await?
    {
        return Err(missing(&name));
    }
    plugin.is_enabled = change.enabled;
    let word = if change.enabled { "enabled" } else { "disabled" };
    note(&service, &caller, AuditAction::PluginChanged, &name, word).await?;
    done(view(&service, &caller, plugin))
}

/// Put the version before the present one in force again; frontends follow within some seconds
#[utoipa::path(post, path = "/api/v1/plugins/{plugin}/roll-back", tag = "plugins", operation_id = "roll_back_plugin",
    params(("plugin" = String, Path, description = "Its name")),
    responses((status = 200, description = "as it is now", body = PluginView)))]
async fn roll_back(
    State(service): State<AdminService>,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer<PluginView> {
    of_provider(&service, &caller, &name).await?;
    let ports = service.ports();
    if !ports.registry.roll_back(&name, ports.clock.wall()).await? {
        let detail = format!("{name} has no previous version");
        return Err(Problem::new(Kind::Conflict, detail));
    }
    note(
        &service,
        &caller,
        AuditAction::PluginChanged,
        &name,
        "back at its previous version",
    )
    .await?;
    let plugin = known(&service, &caller, &name).await?;
    done(view(&service, &caller, plugin))
}

/// Forget a plugin that no storage uses
#[utoipa::path(delete, path = "/api/v1/plugins/{plugin}", tag = "plugins", operation_id = "remove_plugin",
    params(("plugin" = String, Path, description = "Its name")), responses((status = 204, description = "it is gone")))]
async fn remove(State(service): State<AdminService>, caller: Caller, Path(name): Path<String>) -> Gone {
    of_provider(&service, &caller, &name).await?;
    if let Some(storage) = storages(&service, &caller, &name).first() {
        let detail = format!(
            "storage {storage} uses it; take [storage.{storage}] out of the configuration of every frontend first"
        );
        return Err(Problem::new(Kind::InUse, detail));
    }
    if !service.ports().registry.remove(&name).await? {
        return Err(missing(&name));
    }
    note(&service, &caller, AuditAction::PluginRemoved, &name, "removed").await?;
    let gone: StatusCode = gone()?;
    Ok(gone)
}

fn view(service: &AdminService, caller: &Caller, plugin: InstalledPlugin) -> PluginView {
    let storages = storages(service, caller, &plugin.name);
    PluginView::new(plugin, storages)
}

/// The storages that use a plugin, those that exist for the caller.
fn storages(service: &AdminService, caller: &Caller, plugin: &str) -> Vec<String> {
    let storages = (service.ports().storages)().into_iter();
    let using = storages.filter(|storage| storage.plugin.as_deref() == Some(plugin));
    let visible = using.filter(|storage| caller.sees_storage(storage));
    visible.map(|storage| storage.name).collect()
}

/// A plugin exists for a tenant if it is behind its storage.
fn sees(service: &AdminService, caller: &Caller, plugin: &str) -> bool {
    caller.tenant.is_none() || !storages(service, caller, plugin).is_empty()
}

async fn known(service: &AdminService, caller: &Caller, name: &str) -> Result<InstalledPlugin, Problem> {
    let installed = service.ports().registry.plugins().await?;
    let found = installed.into_iter().find(|plugin| plugin.name == name);
    found
        .filter(|_| sees(service, caller, name))
        .ok_or_else(|| missing(name))
}

async fn of_provider(
    service: &AdminService,
    caller: &Caller,
    name: &str,
) -> Result<InstalledPlugin, Problem> {
    let plugin = known(service, caller, name).await?;
    caller.provider_only("plugins")?;
    Ok(plugin)
}

fn missing(name: &str) -> Problem {
    Problem::not_found(format!("no plugin {name} is installed"))
}

async fn note(
    service: &AdminService,
    caller: &Caller,
    action: AuditAction,
    name: &str,
    word: &str,
) -> Result<(), Problem> {
    let note = Note {
        action,
        tenant: None,
        account: None,
        session: None,
        detail: format!("{name}: {word}"),
    };
    caller.note(service.ports(), note).await
}
