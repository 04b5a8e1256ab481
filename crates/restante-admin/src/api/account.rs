//! Accounts: their names, states, quotas, passwords, and how full their maildrops are.

use axum::extract::State;
use restante_auth::{AccountPatch, LoginName, NewAccount, NewPassword};
use restante_types::Octets;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page;
use crate::AdminService;
use crate::caller::Caller;
use crate::extract::{Answer, Body, Gone, Path, Query, done, gone, made};
use crate::problem::Problem;
use crate::service::imported;
use crate::wire::account::{AccountChange, AccountView, NewUser, UsageView};
use crate::wire::{Hidden, Listing, page_limit};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(usage))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AccountQuery {
    /// Of this domain only.
    domain: Option<String>,
    /// Only what comes after this in the list: `next` of the page before.
    after: Option<String>,
    /// At most so many things.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Accounts in the order of their names
#[utoipa::path(get, path = "/api/v1/accounts", tag = "accounts", operation_id = "list_accounts",
    params(AccountQuery), responses((status = 200, description = "a page of them", body = Listing<AccountView>)))]
async fn list(caller: Caller, Query(query): Query<AccountQuery>) -> Answer<Listing<AccountView>> {
    let limit = page_limit(query.limit);
    let of = query.domain.as_deref();
    let accounts = caller.directory.accounts(of, page(query.after, limit)).await?;
    let views = accounts.into_iter().map(AccountView::from).collect();
    done(Listing::cut(views, limit as usize, |view: &AccountView| {
        view.name.clone()
    }))
}

/// Add an account with an empty maildrop
#[utoipa::path(post, path = "/api/v1/accounts", tag = "accounts", operation_id = "add_account",
    request_body = NewUser, responses((status = 201, description = "it is added", body = AccountView)))]
async fn add(
    State(service): State<AdminService>,
    caller: Caller,
    Body(new): Body<NewUser>,
) -> Answer<AccountView> {
    let name = LoginName::parse(&new.name)?;
    let given = Given {
        password: new.password,
        hash: new.password_hash,
        scram: new.scram_keys,
    };
    let account = NewAccount {
        password: given.make(&service, &caller, &name).await?,
        name,
        quota_octets: new.quota_octets.map(Octets),
        quota_messages: new.quota_messages,
    };
    made(caller.directory.add_account(account).await?.into())
}

/// An account
#[utoipa::path(get, path = "/api/v1/accounts/{account}", tag = "accounts", operation_id = "show_account",
    params(("account" = String, Path, description = "Its name: user@domain")),
    responses((status = 200, description = "as it is", body = AccountView)))]
async fn show(caller: Caller, Path(name): Path<String>) -> Answer<AccountView> {
    done(caller.known_account(&LoginName::parse(&name)?).await?.into())
}

/// How full the maildrop of an account is
#[utoipa::path(get, path = "/api/v1/accounts/{account}/usage", tag = "accounts", operation_id = "show_usage",
    params(("account" = String, Path, description = "Its name: user@domain")),
    responses((status = 200, description = "what it holds and may hold", body = UsageView)))]
async fn usage(
    State(service): State<AdminService>,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer<UsageView> {
    let account = caller.known_account(&LoginName::parse(&name)?).await?;
    let (usage, quota) = service.ports().index.usage(account.id.maildrop()).await?;
    done(UsageView {
        messages: usage.messages,
        octets: usage.octets.get(),
        limit_messages: quota.messages,
        limit_octets: quota.octets.map(Octets::get),
    })
}

/// Change an account
#[utoipa::path(patch, path = "/api/v1/accounts/{account}", tag = "accounts", operation_id = "change_account",
    params(("account" = String, Path, description = "Its name: user@domain")), request_body = AccountChange,
    responses((status = 200, description = "as it is now", body = AccountView)))]
async fn change(
    State(service): State<AdminService>,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<AccountChange>,
) -> Answer<AccountView> {
    let name = LoginName::parse(&name)?;
    let given = Given {
        password: change.password,
        hash: change.password_hash,
        scram: change.scram_keys,
    };
    let patch = AccountPatch {
        state: change.state.map(|state| state.0),
        name: change.name.as_deref().map(LoginName::parse).transpose()?,
        password: given.make(&service, &caller, &name).await?,
        quota_octets: change.quota_octets.map(|quota| quota.map(Octets)),
        quota_messages: change.quota_messages,
    };
    done(caller.directory.set_account(&name, patch).await?.into())
}

/// Remove an account and its mail
#[utoipa::path(delete, path = "/api/v1/accounts/{account}", tag = "accounts", operation_id = "remove_account",
    params(("account" = String, Path, description = "Its name: user@domain")),
    responses((status = 204, description = "it is gone; its mail is, once the tenant's retention is over")))]
async fn remove(caller: Caller, Path(name): Path<String>) -> Gone {
    caller.directory.remove_account(&LoginName::parse(&name)?).await?;
    gone()
}

/// A password as a request gives it.
struct Given {
    password: Option<Hidden>,
    hash: Option<Hidden>,
    scram: Option<Hidden>,
}

impl Given {
    async fn make(
        self,
        service: &AdminService,
        caller: &Caller,
        name: &LoginName,
    ) -> Result<Option<NewPassword>, Problem> {
        match (self.password, self.hash, self.scram) {
            (None, None, None) => Ok(None),
            (Some(password), None, None) => {
                let scram = wants_scram(caller, name).await?;
                service.hash(password, scram).await.map(Some)
            }
            (None, Some(hash), scram) => imported(&hash, scram.as_ref()).map(Some),
            (None, None, Some(_)) | (Some(_), _, _) => Err(Problem::invalid(
                "give either password, or password_hash with scram_keys or without",
            )),
        }
    }
}

/// Whether the tenant of a name wants SCRAM keys kept beside a password's hash. Another's domain is not looked at: no
/// password is hashed for it.
async fn wants_scram(caller: &Caller, name: &LoginName) -> Result<bool, Problem> {
    let Some(domain) = caller.directory.domain(name.domain()).await? else {
        return Err(Problem::not_found(format!(
            "there is no domain {}",
            name.domain()
        )));
    };
    let tenant = caller.directory.tenant(&domain.tenant_name).await?;
    Ok(tenant.is_some_and(|tenant| tenant.policy.wants_scram()))
}
