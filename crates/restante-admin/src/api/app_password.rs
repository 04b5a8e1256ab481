//! Application passwords.

use axum::extract::State;
use restante_auth::password::AppPassword;
use restante_auth::{AppPasswordId, LoginName, NewAppPassword};
use restante_types::Secret;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AdminService;
use crate::caller::Caller;
use crate::extract::{Answer, Body, Gone, Path, Query, done, gone, made};
use crate::problem::{Kind, Problem};
use crate::wire::app_password::{AppPasswordView, NewAppPasswordRequest};
use crate::wire::{Hidden, Listing, PageQuery, page_limit};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
}

/// The application passwords of an account in the order of their numbers, without the passwords
#[utoipa::path(get, path = "/api/v1/accounts/{account}/app-passwords", tag = "accounts",
    operation_id = "list_app_passwords", params(("account" = String, Path, description = "Its name: user@domain"), PageQuery),
    responses((status = 200, description = "a page of them", body = Listing<AppPasswordView>)))]
async fn list(
    caller: Caller,
    Path(account): Path<String>,
    Query(query): Query<PageQuery>,
) -> Answer<Listing<AppPasswordView>> {
    let after = numbered(query.after)?;
    let passwords = caller
        .directory
        .app_passwords(&LoginName::parse(&account)?)
        .await?;
    let views = passwords.into_iter().map(AppPasswordView::from).collect();
    let limit = page_limit(query.limit) as usize;
    done(Listing::of_whole(
        views,
        |view: &AppPasswordView| view.id,
        after.as_ref(),
        limit,
        |view| view.id.to_string(),
    ))
}

/// Make an application password; the answer shows it this once
#[utoipa::path(post, path = "/api/v1/accounts/{account}/app-passwords", tag = "accounts",
    operation_id = "add_app_password", params(("account" = String, Path, description = "Its name: user@domain")),
    request_body = NewAppPasswordRequest,
    responses((status = 201, description = "it is made", body = AppPasswordView)))]
async fn add(
    State(service): State<AdminService>,
    caller: Caller,
    Path(account): Path<String>,
    Body(new): Body<NewAppPasswordRequest>,
) -> Answer<AppPasswordView> {
    let account = LoginName::parse(&account)?;
    let (shown, verifier) = if let Some(verifier) = new.verifier {
        (None, checked(verifier)?)
    } else {
        let made = AppPassword::generate();
        let (shown, secret) = made.map_err(|error| Problem::new(Kind::Failed, error.to_string()))?;
        (
            Some(Hidden(shown)),
            secret.verifier(service.ports().rule.keyring()),
        )
    };
    let new = NewAppPassword {
        label: new.label,
        verifier,
        scope: new.scope.map(|scope| scope.0).unwrap_or_default(),
        networks: new.networks.into_iter().map(|network| network.0).collect(),
        expires_at: new.expires_at.map(|time| time.0),
    };
    let info = caller.directory.add_app_password(&account, new).await?;
    made(AppPasswordView {
        password: shown,
        ..info.into()
    })
}

/// Revoke an application password; sessions that were opened with it end within a minute
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/app-passwords/{id}", tag = "accounts",
    operation_id = "remove_app_password",
    params(("account" = String, Path, description = "Its name: user@domain"), ("id" = i64, Path, description = "Its number")),
    responses((status = 204, description = "it is gone")))]
async fn remove(caller: Caller, Path((account, id)): Path<(String, i64)>) -> Gone {
    let account = LoginName::parse(&account)?;
    caller
        .directory
        .remove_app_password(&account, AppPasswordId(id))
        .await?;
    gone()
}

/// The number after which a page begins.
pub(super) fn numbered(after: Option<String>) -> Result<Option<i64>, Problem> {
    let parsed = after.map(|after| after.parse().ok());
    match parsed {
        Some(None) => Err(Problem::invalid("after is the next of the page before")),
        Some(number) => Ok(number),
        None => Ok(None),
    }
}

/// A verifier of the form that restante writes: one that is not would never fit, and nobody would know why.
fn checked(verifier: Hidden) -> Result<Secret<String>, Problem> {
    let parts: Vec<&str> = verifier.expose().split('$').collect();
    let is_whole = match parts[..] {
        ["1", id, hex] => {
            id.parse::<u8>().is_ok() && hex.len() == 64 && hex.bytes().all(|digit| digit.is_ascii_hexdigit())
        }
        _ => false,
    };
    if is_whole {
        return Ok(verifier.0);
    }
    Err(Problem::invalid(
        "verifier is not one that restante has written: leave it out and the server makes a password",
    ))
}
