//! The admin interface as a whole: its routes, put together with their document. Start at [`AdminService`].

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use restante_auth::NewPassword;
use restante_auth::password::{self, Password, PasswordError, Rule, Scheme, ScramKeys};
use restante_types::Secret;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::gate::{self, Refusals};
use crate::problem::{Kind, Problem};
use crate::wire::Hidden;
use crate::{AdminLimits, AdminPorts, Tokens, api, document, probe, status};

/// Answers the requests of one process. Clones are the same service.
#[derive(Clone)]
pub struct AdminService(Arc<Inner>);

struct Inner {
    ports: AdminPorts,
    tokens: Tokens,
    limits: AdminLimits,
    refusals: Refusals,
    hashing: Semaphore,
    document: String,
}

impl AdminService {
    /// Puts it together. Without any token nobody may use the API; all else answers.
    pub fn new(ports: AdminPorts, tokens: Tokens, limits: AdminLimits) -> Self {
        Self(Arc::new(Inner {
            ports,
            tokens,
            refusals: Refusals::new(limits.refusals_at_once, limits.refusal_delay),
            hashing: Semaphore::new(limits.hashes_at_once.max(1)),
            limits,
            document: Self::document(),
        }))
    }

    /// The whole interface.
    pub fn router(&self) -> Router {
        let (router, _) = routes().split_for_parts();
        // Around all of it: what a router adds of its own, such as the methods of an address, is for those who pass.
        let gated = from_fn_with_state(self.clone(), gate::pass);
        self.bounded(router)
            .layer(gated)
            .layer(from_fn(gate::keep_private))
    }

    /// Metrics and health alone. No token is looked at, so nobody can guess one here.
    pub fn metrics_router(&self) -> Router {
        let (router, _) = probe::routes().split_for_parts();
        self.bounded(router).layer(from_fn(gate::keep_private))
    }

    /// What the API is, by the OpenAPI specification, in JSON.
    pub fn document() -> String {
        let (_, document) = routes().split_for_parts();
        document::finished(document)
    }

    fn bounded(&self, router: Router<Self>) -> Router {
        let routed = router
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .with_state(self.clone());
        Router::new()
            .fallback_service(routed)
            .layer(DefaultBodyLimit::max(self.0.limits.body_octets))
            .layer(from_fn_with_state(self.clone(), gate::in_time))
    }

    pub(crate) fn ports(&self) -> &AdminPorts {
        &self.0.ports
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn limits(&self) -> &AdminLimits {
        &self.0.limits
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub(crate) fn document_text(&self) -> &str {
        &self.0.document
    }

    /// Hashes a password as the server's configuration says, some at a time and beside the threads that others wait
    /// for.
    pub(crate) async fn hash(&self, password: Hidden, scram: bool) -> Result<NewPassword, Problem> {
        let prepared = Password::prepare(password.expose().as_bytes());
        let prepared = prepared.map_err(|error: PasswordError| Problem::invalid(error.to_string()))?;
        let busy = || Problem::new(Kind::Unavailable, "no password can be hashed now");
        let _turn = self.0.hashing.acquire().await.map_err(|_| busy())?;
        let rule: Rule = self.0.ports.rule.clone();
        let hashing = tokio::task::spawn_blocking(move || NewPassword::make(&prepared, &rule, scram));
        let made = hashing.await.map_err(|_| busy())?;
        made.map_err(|error| Problem::new(Kind::Failed, error.to_string()))
    }
}

/// A hash from another server, as it is, if it is one that can be verified; with its SCRAM keys, if there are any.
pub(crate) fn imported(hash: &Hidden, scram: Option<&Hidden>) -> Result<NewPassword, Problem> {
    let wrong = |error: password::HashError| Problem::invalid(error.to_string());
    let keys = |text: &str| ScramKeys::parse(text).map(|keys| keys.to_text()).map_err(wrong);
    let scheme = password::inspect(hash.expose()).map_err(wrong)?;
    let scram = match (scram, scheme) {
        (Some(scram), _) => Some(keys(scram.expose())?),
        // SCRAM keys from elsewhere serve SCRAM here too.
        (None, Scheme::ScramSha256) => Some(keys(hash.expose())?),
        (None, _) => None,
    };
    Ok(NewPassword {
        hash: Secret::new(hash.expose().to_owned()),
        scram,
    })
}

fn routes() -> OpenApiRouter<AdminService> {
    document::begun()
        .merge(probe::routes())
        .merge(status::routes())
        .merge(api::routes())
}

async fn no_route() -> Problem {
    Problem::new(Kind::NoRoute, "no address of this server is so")
}

async fn no_method() -> Problem {
    Problem::new(Kind::Method, "this address is asked in another way")
}

impl fmt::Debug for AdminService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminService")
            .field("ports", &self.0.ports)
            .field("tokens", &self.0.tokens)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
