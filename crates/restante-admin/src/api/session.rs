//! Sessions and locks of all frontends. A lock is what a session holds, so both lists have the same things; what is
//! done to them differs: a session is ended whether it lives or not, a lock is freed only if nobody lives to use it.

use axum::extract::State;
use http::StatusCode;
use restante_auth::{AuditAction, LoginName};
use restante_lock::{HeldMaildrop, LockDesk};
use restante_server::LiveSession;
use restante_types::{AccountId, MaildropId, TenantId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AdminService;
use crate::caller::{Caller, Note};
use crate::extract::{Answer, Gone, Path, Query, done, gone};
use crate::problem::{Kind, Problem};
use crate::wire::session::{SessionKey, SessionView};
use crate::wire::{Listing, PageQuery, page_limit};

/// Locks that are asked for at once.
const AT_ONCE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(sessions))
        .routes(routes!(kick))
        .routes(routes!(here))
        .routes(routes!(locks))
        .routes(routes!(unlock))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SessionQuery {
    /// Of this account only.
    account: Option<String>,
    /// Of the account of this key only; with `tenant_id`.
    account_id: Option<i64>,
    /// The key of the tenant of `account_id`.
    tenant_id: Option<i64>,
    /// Only what comes after this in the list: `next` of the page before.
    after: Option<String>,
    /// At most so many things.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LockQuery {
    /// Only those whose frontend gives no sign of life.
    #[serde(default)]
    dead: bool,
    /// Only what comes after this in the list: `next` of the page before.
    after: Option<String>,
    /// At most so many things.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// The sessions of all frontends that have a maildrop open
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions",
    params(SessionQuery), responses((status = 200, description = "a page of them", body = Listing<SessionView>)))]
async fn sessions(
    State(service): State<AdminService>,
    caller: Caller,
    Query(query): Query<SessionQuery>,
) -> Answer<Listing<SessionView>> {
    let of = Of {
        maildrop: maildrop_of(&caller, &query).await?,
        dead_only: false,
    };
    listed(&service, &caller, of, query.after, query.limit).await
}

/// The sessions of this frontend that have a maildrop open
#[utoipa::path(get, path = "/api/v1/node/sessions", tag = "sessions", operation_id = "list_node_sessions",
    params(PageQuery), responses((status = 200, description = "a page of them", body = Listing<SessionView>)))]
async fn here(
    State(service): State<AdminService>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Answer<Listing<SessionView>> {
    let (after, limit) = (after_of(query.after)?, page_limit(query.limit) as usize);
    let held = of_registry(&service, &caller, Of::default(), after, limit + 1);
    cut(held, limit)
}

/// The locks of maildrops
#[utoipa::path(get, path = "/api/v1/locks", tag = "sessions", operation_id = "list_locks", params(LockQuery),
    responses((status = 200, description = "a page of them", body = Listing<SessionView>)))]
async fn locks(
    State(service): State<AdminService>,
    caller: Caller,
    Query(query): Query<LockQuery>,
) -> Answer<Listing<SessionView>> {
    let of = Of {
        maildrop: None,
        dead_only: query.dead,
    };
    listed(&service, &caller, of, query.after, query.limit).await
}

/// End a session; it deletes nothing, and ends within 30 seconds if it lives
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(("id" = String, Path, description = "Its address, as the list has it")),
    responses((status = 204, description = "its maildrop is free")))]
async fn kick(State(service): State<AdminService>, caller: Caller, Path(id): Path<String>) -> Gone {
    let held = known(&service, &caller, &id).await?;
    end(&service, &caller, &held).await
}

/// Free a maildrop whose frontend gives no sign of life
#[utoipa::path(delete, path = "/api/v1/locks/{id}", tag = "sessions", operation_id = "free_lock",
    params(("id" = String, Path, description = "Its address, as the list has it")),
    responses((status = 204, description = "the maildrop is free")))]
async fn unlock(State(service): State<AdminService>, caller: Caller, Path(id): Path<String>) -> Gone {
    let held = known(&service, &caller, &id).await?;
    if held.is_alive {
        let detail = format!(
            "the maildrop is in use on {}, which is alive; DELETE /api/v1/sessions/{id} ends the session",
            held.frontend
        );
        return Err(Problem::new(Kind::InUse, detail));
    }
    end(&service, &caller, &held).await
}

/// Which sessions.
#[derive(Clone, Copy, Default)]
struct Of {
    maildrop: Option<MaildropId>,
    dead_only: bool,
}

impl Of {
    fn admits(self, caller: &Caller, held: &HeldMaildrop) -> bool {
        caller.sees(held.maildrop.tenant())
            && self.maildrop.is_none_or(|maildrop| maildrop == held.maildrop)
            && !(self.dead_only && held.is_alive)
    }
}

async fn maildrop_of(caller: &Caller, query: &SessionQuery) -> Result<Option<MaildropId>, Problem> {
    match (&query.account, query.tenant_id, query.account_id) {
        (None, None, None) => Ok(None),
        (Some(name), None, None) => {
            let account = caller.known_account(&LoginName::parse(name)?).await?;
            Ok(Some(account.id.maildrop()))
        }
        (None, Some(tenant), Some(number)) => {
            let account = TenantId::new(tenant).and_then(|tenant| AccountId::new(tenant, number));
            let seen = account.filter(|account| caller.sees(account.tenant()));
            let missing = || Problem::not_found("there is no account of that key");
            Ok(Some(seen.ok_or_else(missing)?.maildrop()))
        }
        _ => Err(Problem::invalid(
            "give either account, or account_id with tenant_id",
        )),
    }
}

async fn listed(
    service: &AdminService,
    caller: &Caller,
    of: Of,
    after: Option<String>,
    limit: Option<u32>,
) -> Answer<Listing<SessionView>> {
    let (after, limit) = (after_of(after)?, page_limit(limit) as usize);
    let held = match &service.ports().desk {
        Some(desk) => of_desk(desk.as_ref(), caller, of, after, limit + 1).await?,
        None => of_registry(service, caller, of, after, limit + 1),
    };
    cut(held, limit)
}

fn after_of(after: Option<String>) -> Result<Option<MaildropId>, Problem> {
    let key = after.map(|after| after.parse::<SessionKey>());
    let key = key.transpose();
    let key = key.map_err(|_| Problem::invalid("after is the next of the page before"))?;
    Ok(key.map(|key| key.maildrop))
}

fn cut(held: Vec<HeldMaildrop>, limit: usize) -> Answer<Listing<SessionView>> {
    let views = held.into_iter().map(SessionView::from).collect();
    done(Listing::cut(views, limit, |view: &SessionView| view.id.clone()))
}

/// Those that the caller may see, from as many pages as it takes: what is passed over on the way is not told.
async fn of_desk(
    desk: &dyn LockDesk,
    caller: &Caller,
    of: Of,
    mut after: Option<MaildropId>,
    wanted: usize,
) -> Result<Vec<HeldMaildrop>, Problem> {
    let mut found = Vec::new();
    loop {
        let page = desk.held(of.maildrop, after, AT_ONCE).await?;
        let is_last = page.len() < AT_ONCE;
        after = page.last().map(|held| held.maildrop);
        found.extend(page.into_iter().filter(|held| of.admits(caller, held)));
        if is_last || found.len() >= wanted {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}

/// The same from this process alone.
fn of_registry(
    service: &AdminService,
    caller: &Caller,
    of: Of,
    after: Option<MaildropId>,
    wanted: usize,
) -> Vec<HeldMaildrop> {
    let (node, now) = ((service.ports().node)().node, service.ports().clock.wall());
    let held = |live: LiveSession| HeldMaildrop {
        maildrop: live.login.account.maildrop(),
        name: Some(live.name.to_string()),
        session: live.session,
        frontend: node.clone(),
        opened: now.checked_sub(live.elapsed).unwrap_or(now),
        is_alive: true,
    };
    let live = service.ports().sessions.sessions();
    let mut found: Vec<HeldMaildrop> = live.into_iter().map(held).collect();
    let place = |maildrop: MaildropId| (maildrop.number(), maildrop.tenant());
    found.retain(|held| {
        of.admits(caller, held) && after.is_none_or(|after| place(held.maildrop) > place(after))
    });
    found.sort_by_key(|held| place(held.maildrop));
    found.truncate(wanted);
    found
}

/// The session of that address, as it is now.
async fn known(service: &AdminService, caller: &Caller, id: &str) -> Result<HeldMaildrop, Problem> {
    let missing = || Problem::not_found("no session of this address has a maildrop open");
    let key: SessionKey = id.parse().map_err(|_| missing())?;
    if !caller.sees(key.maildrop.tenant()) {
        return Err(missing());
    }
    let of = Of {
        maildrop: Some(key.maildrop),
        dead_only: false,
    };
    let held = match &service.ports().desk {
        Some(desk) => of_desk(desk.as_ref(), caller, of, None, 1).await?,
        None => of_registry(service, caller, of, None, 1),
    };
    let found = held.into_iter().find(|held| held.session == key.session);
    found.ok_or_else(missing)
}

async fn end(service: &AdminService, caller: &Caller, held: &HeldMaildrop) -> Result<StatusCode, Problem> {
    let ports = service.ports();
    // Here it hears of it at once; elsewhere its frontend finds the lock taken.
    let is_here = ports.sessions.supersede(held.session);
    let is_freed = match &ports.desk {
        Some(desk) => desk.free(held).await?,
        None => is_here,
    };
    if !is_freed {
        return Err(Problem::not_found("the session has just ended"));
    }
    let maildrop = held.maildrop;
    let note = Note {
        action: AuditAction::SessionKicked,
        tenant: Some(maildrop.tenant()),
        account: AccountId::new(maildrop.tenant(), maildrop.number()),
        session: Some(held.session),
        detail: format!("on {}", held.frontend),
    };
    caller.note(ports, note).await?;
    gone()
}
