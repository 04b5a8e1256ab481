//! The addresses below `/api/v1`, a file for each kind of thing. Start at [`routes`].

mod account;
mod alias;
mod app_password;
mod audit;
mod certificate;
mod domain;
mod plugin;
mod policy;
mod session;
mod storage;
mod tenant;

use restante_auth::Page;
use utoipa_axum::router::OpenApiRouter;

use crate::AdminService;

pub(crate) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .merge(tenant::routes())
        .merge(policy::routes())
        .merge(domain::routes())
        .merge(account::routes())
        .merge(alias::routes())
        .merge(app_password::routes())
        .merge(certificate::routes())
        .merge(session::routes())
        .merge(storage::routes())
        .merge(plugin::routes())
        .merge(audit::routes())
}

/// A page with one thing more than asked for, which says whether there is another page.
const fn page(after: Option<String>, limit: u32) -> Page {
    Page {
        after,
        limit: limit + 1,
    }
}
