//! What every request passes: the token and its limits, refusal of other sites, the time limit, the headers of the
//! answer.
//!
//! Knows no address but the prefix of the API. Start at [`pass`].

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method};
use restante_types::ClientAddr;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::caller::Caller;
use crate::problem::{Kind, Problem};
use crate::{AdminService, AnswerClass};

/// What every address of the API begins with.
const API: &str = "/api/";

/// The answer may be used by whoever asked and by nobody else, and by no page of another site.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];
/// For every answer that is not a page of ours.
const NO_CONTENT_AT_ALL: &str = "default-src 'none'; frame-ancestors 'none'";

/// Lets a request through to its handler, or answers it, if it is for the API; all else passes.
pub(crate) async fn pass(State(service): State<AdminService>, mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(API) {
        return next.run(request).await;
    }
    let response = match enter(&service, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    (service.ports().on_answer)(AnswerClass::of(response.status().as_u16()));
    response
}

/// Answers for a handler that takes too long.
pub(crate) async fn in_time(State(service): State<AdminService>, request: Request, next: Next) -> Response {
    match timeout(service.limits().request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => late().into_response(),
    }
}

/// Adds to every answer the headers that keep it to whoever asked.
pub(crate) async fn keep_private(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(NO_CONTENT_AT_ALL));
    response
}

fn late() -> Problem {
    Problem::new(
        Kind::Late,
        "the request was not done within its time; it may have been done all the same",
    )
}

/// Whether the request may go on to the API, and on whose behalf.
async fn enter(service: &AdminService, request: &mut Request) -> Result<(), Problem> {
    let holder = bearer(request.headers()).and_then(|token| service.tokens().find(token));
    let Some(holder) = holder else {
        let client = request.extensions().get::<ClientAddr>().copied();
        return Err(service.refusals().refuse(client).await);
    };
    if is_write(request.method()) {
        refuse_other_sites(request.headers())?;
        if holder.read_only {
            return Err(Problem::new(Kind::ReadOnly, "the request would change something"));
        }
        want_json(request.method(), request.headers())?;
        refuse_large(request.headers(), service.limits().body_octets)?;
    }
    let admitting = Caller::admit(service.ports(), holder);
    let limit = service.limits().request_timeout;
    let caller = timeout(limit, admitting).await.map_err(|_| late())??;
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The token of a request that has exactly one.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

const fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// A browser says where a request comes from. A program says nothing, and is no danger.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || Problem::new(Kind::CrossSite, "the request comes from a page of another site");
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(refused());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let authority = |value: &HeaderValue| value.to_str().ok()?.parse::<Authority>().ok();
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let origin = origin.and_then(|(_, rest)| rest.parse::<Authority>().ok());
    match (origin, headers.get(header::HOST).and_then(authority)) {
        (Some(origin), Some(host)) if origin == host => Ok(()),
        _ => Err(refused()),
    }
}

/// A form of another site cannot send this type without asking first, and nobody here answers such a question.
fn want_json(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0");
    if *method == Method::DELETE && !has_body {
        return Ok(());
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        Kind::MediaType,
        "a request that changes something says that its body is application/json",
    ))
}

/// A body that says how large it is need not come to be refused. Of others so much is read as is permitted.
fn refuse_large(headers: &HeaderMap, most: usize) -> Result<(), Problem> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_none_or(|length| length <= most as u64) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::TooLarge,
        format!(
            "the body has {} octets; a request has at most {most}",
            length.unwrap_or_default()
        ),
    ))
}

/// Answers requests without a right token: all alike, each after a while, so many in that while.
#[derive(Debug)]
pub(crate) struct Refusals {
    turn: Semaphore,
    delay: std::time::Duration,
    said: std::sync::Mutex<Said>,
}

/// What the log has been told.
#[derive(Debug, Default)]
struct Said {
    at: Option<Instant>,
    n_since: u64,
}

/// How often the log is told.
const SAY_EVERY: std::time::Duration = std::time::Duration::from_mins(1);
/// How long a refusal waits for its turn, in delays.
const MOST_DELAYS: u32 = 8;

impl Refusals {
    pub(crate) fn new(at_once: usize, delay: std::time::Duration) -> Self {
        Self {
            turn: Semaphore::new(at_once.max(1)),
            delay,
            said: std::sync::Mutex::default(),
        }
    }

    async fn refuse(&self, client: Option<ClientAddr>) -> Problem {
        self.say(client);
        // Whoever waits too long for a turn is answered all the same: a connection is not kept for ever.
        if let Ok(Ok(_turn)) = timeout(self.delay * MOST_DELAYS, self.turn.acquire()).await {
            sleep(self.delay).await;
        }
        Problem::new(Kind::Unauthorized, "the request has no token of this server")
    }

    fn say(&self, client: Option<ClientAddr>) {
        let now = Instant::now();
        let mut said = self
            .said
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        said.n_since += 1;
        if said.at.is_some_and(|at| now.duration_since(at) < SAY_EVERY) {
            return;
        }
        let n = std::mem::take(&mut said.n_since);
        said.at = Some(now);
        drop(said);
        let client = client.map(|client| client.ip().to_string());
        warn!(n, client, "requests to the admin API without a right token");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_taken_from_one_header_of_the_right_scheme() {
        let token = |pairs: &[(&'static str, &str)]| bearer(&headers(pairs)).map(<[u8]>::to_vec);
        assert_eq!(token(&[("authorization", "Bearer abc")]), Some(b"abc".to_vec()));
        assert_eq!(token(&[("authorization", "bearer  abc ")]), Some(b"abc".to_vec()));
        assert_eq!(token(&[]), None);
        assert_eq!(token(&[("authorization", "Basic abc")]), None);
        assert_eq!(token(&[("authorization", "Bearer")]), None);
        assert_eq!(
            token(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]),
            None
        );
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_programs_are_not() {
        let host = ("host", "127.0.0.1:8180");
        let passes = |pairs: &[(&'static str, &str)]| refuse_other_sites(&headers(pairs)).is_ok();
        assert!(passes(&[host]));
        assert!(passes(&[host, ("origin", "http://127.0.0.1:8180")]));
        assert!(passes(&[host, ("sec-fetch-site", "same-origin")]));
        for origin in [
            "null",
            "http://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:8181",
            "",
            "127.0.0.1:8180",
        ] {
            assert!(!passes(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(!passes(&[("origin", "http://127.0.0.1:8180")]));
        assert!(!passes(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[host, ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn what_changes_something_is_json() {
        let passes =
            |method: Method, pairs: &[(&'static str, &str)]| want_json(&method, &headers(pairs)).is_ok();
        assert!(passes(
            Method::POST,
            &[("content-type", "application/json; charset=utf-8")]
        ));
        assert!(!passes(Method::POST, &[]));
        assert!(!passes(Method::PATCH, &[("content-type", "text/plain")]));
        assert!(!passes(
            Method::POST,
            &[("content-type", "application/x-www-form-urlencoded")]
        ));
        assert!(passes(Method::DELETE, &[]));
        assert!(passes(Method::DELETE, &[("content-length", "0")]));
        assert!(!passes(Method::DELETE, &[("content-length", "2")]));
        assert!(!passes(Method::DELETE, &[("transfer-encoding", "chunked")]));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_take_turns() {
        let refusals = Refusals::new(2, std::time::Duration::from_secs(1));
        let begun = Instant::now();
        let four = (0..4).map(|_| refusals.refuse(None));
        let mut waited = Vec::new();
        let mut running: Vec<_> = four.map(Box::pin).collect();
        std::future::poll_fn(|cx| {
            running.retain_mut(|one| {
                let is_ready = one.as_mut().poll(cx).is_ready();
                if is_ready {
                    waited.push(begun.elapsed().as_secs());
                }
                !is_ready
            });
            if running.is_empty() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        assert_eq!(waited, [1, 1, 2, 2]);
    }
}
