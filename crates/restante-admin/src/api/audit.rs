//! The audit.

use restante_auth::{AuditAction, AuditFilter, LoginName};
use restante_types::{AccountId, TenantId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app_password::numbered;
use crate::AdminService;
use crate::caller::Caller;
use crate::extract::{Answer, Query, done};
use crate::problem::Problem;
use crate::wire::audit::AuditView;
use crate::wire::{Listing, page_limit};

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// About this tenant only.
    tenant: Option<String>,
    /// About the tenant of this key only, which may be removed by now.
    tenant_id: Option<i64>,
    /// About this account only.
    account: Option<String>,
    /// About the account of this key only, which may be removed by now; with `tenant_id`.
    account_id: Option<i64>,
    /// Of this kind only.
    #[param(value_type = Option<crate::wire::Action>)]
    action: Option<String>,
    /// Only lines that come after this one in the list, which are older: `next` of the page before.
    after: Option<String>,
    /// At most so many things.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Who did what, newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", operation_id = "list_audit", params(AuditQuery),
    responses((status = 200, description = "a page of it", body = Listing<AuditView>)))]
async fn list(caller: Caller, Query(query): Query<AuditQuery>) -> Answer<Listing<AuditView>> {
    let limit = page_limit(query.limit);
    let action = query.action.as_deref().map(|name| {
        AuditAction::from_name(name)
            .ok_or_else(|| Problem::invalid("there is no such action; /openapi.json lists them"))
    });
    let filter = AuditFilter {
        tenant: tenant_of(&caller, &query).await?,
        account: account_of(&caller, &query).await?,
        action: action.transpose()?,
        before: numbered(query.after)?,
        limit: limit + 1,
    };
    let entries = caller.directory.audit(filter).await?;
    let views = entries.into_iter().map(AuditView::from).collect();
    done(Listing::cut(views, limit as usize, |view: &AuditView| {
        view.id.to_string()
    }))
}

async fn tenant_of(caller: &Caller, query: &AuditQuery) -> Result<Option<TenantId>, Problem> {
    match (&query.tenant, query.tenant_id) {
        (None, None) => Ok(None),
        (Some(name), None) => Ok(Some(caller.known_tenant(name).await?.id)),
        (None, Some(key)) => {
            let tenant = TenantId::new(key).filter(|tenant| caller.sees(*tenant));
            tenant
                .map(Some)
                .ok_or_else(|| Problem::not_found("there is no tenant of that key"))
        }
        (Some(_), Some(_)) => Err(Problem::invalid("give either tenant or tenant_id")),
    }
}

async fn account_of(caller: &Caller, query: &AuditQuery) -> Result<Option<AccountId>, Problem> {
    match (&query.account, query.account_id, query.tenant_id) {
        (None, None, _) => Ok(None),
        (Some(name), None, _) => Ok(Some(caller.known_account(&LoginName::parse(name)?).await?.id)),
        (None, Some(number), Some(tenant)) => {
            let account = TenantId::new(tenant).and_then(|tenant| AccountId::new(tenant, number));
            account
                .map(Some)
                .ok_or_else(|| Problem::not_found("there is no account of that key"))
        }
        _ => Err(Problem::invalid(
            "give either account, or account_id with tenant_id",
        )),
    }
}
