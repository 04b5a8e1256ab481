//! The OpenAPI document: what stands at its head, and what holds for every operation of the API. The rest comes from
//! the handlers. Start at [`finished`].

use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use crate::AdminService;
use crate::problem::Problem;

const SCHEME: &str = "token";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Restante admin API",
        version = "1",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "Tenants, domains, accounts, sessions, storages, plugins and the audit of a Restante installation. \
            Lists come in pages in the order of their keys: give `next` of one page as `after` of the following one. \
            What cannot be done is answered with a problem of RFC 9457 and a remedy. A token of a tenant sees that \
            tenant alone; everything else does not exist for it."
    ),
    components(schemas(Problem)),
    tags(
        (name = "health", description = "What machines ask; no token is needed"),
        (name = "tenants", description = "Customers of the provider"),
        (name = "domains", description = "Mail domains of tenants"),
        (name = "accounts", description = "Users who read mail, their aliases and application passwords"),
        (name = "certificates", description = "Certificates of tenants"),
        (name = "sessions", description = "Sessions and locks of all frontends"),
        (name = "storages", description = "Where messages are kept"),
        (name = "plugins", description = "Storage plugins; they are installed by `restante plugin install` alone"),
        (name = "audit", description = "Who did what"),
    )
)]
struct Head;

/// A router whose document has its head.
pub(crate) fn begun() -> OpenApiRouter<AdminService> {
    OpenApiRouter::with_openapi(Head::openapi())
}

/// The document in JSON, with what holds for every operation of the API.
pub(crate) fn finished(mut document: OpenApi) -> String {
    for (path, item) in &mut document.paths.paths {
        if path.starts_with("/api/") {
            operations(item).for_each(of_api);
        }
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of [[admin.token]] in the configuration"))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn of_api(operation: &mut Operation) {
    let none: [&str; 0] = [];
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, none)]);
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let problem = ResponseBuilder::new()
        .description("Why it was not done, and what to do")
        .content("application/problem+json", content)
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), problem.into());
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}
