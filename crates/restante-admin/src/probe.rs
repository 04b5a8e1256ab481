//! What machines ask: metrics, whether the process runs, whether it wants connections. Start at [`routes`].

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AdminService;
use crate::text::one_line;

/// The text format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(metrics))
        .routes(routes!(livez))
        .routes(routes!(readyz))
}

/// The metrics of this process
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "in the text format of Prometheus", content_type = "text/plain", body = String)
))]
async fn metrics(State(service): State<AdminService>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, EXPOSITION)], (service.ports().metrics)())
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health", responses(
    (status = 200, description = "it runs", content_type = "text/plain", body = String)
))]
async fn livez() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, PLAIN)], "ok\n")
}

/// Whether the process wants connections
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "it does", content_type = "text/plain", body = String),
    (status = 503, description = "it does not; a line for every reason", content_type = "text/plain", body = String)
))]
async fn readyz(State(service): State<AdminService>) -> Response {
    let reasons = (service.ports().unready)();
    let headers = [(header::CONTENT_TYPE, PLAIN)];
    if reasons.is_empty() {
        return (headers, "ready\n").into_response();
    }
    let mut lines = String::new();
    for reason in &reasons {
        lines.push_str(&one_line(reason));
        lines.push('\n');
    }
    (StatusCode::SERVICE_UNAVAILABLE, headers, lines).into_response()
}
