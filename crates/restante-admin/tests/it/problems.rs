//! What cannot be done, and requests that must not be: always whole problems, with the right headers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::Request;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST,
    ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use restante_admin::{AdminLimits, AnswerClass};
use restante_store::{ComponentDigest, InstalledPlugin, PluginRegistry, StoreError, StoreErrorKind};
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::world::{Answer, PROVIDER, World, in_memory};

async fn post(world: &World, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let mut request = Request::post("/api/v1/tenants")
        .header(HOST, "127.0.0.1:8180")
        .header(AUTHORIZATION, format!("Bearer {PROVIDER}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(body)).unwrap()).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn there_is_a_problem_for_every_wrong_address_and_method() {
    let world = World::new().await;
    for path in [
        "/nowhere",
        "/api/v1/nowhere",
        "/api/v1/tenants/",
        "/api/v2/tenants",
        "/metrics/",
        "//",
    ] {
        world.get(PROVIDER, path).await.problem(404, "no-route");
    }
    for (method, path) in [
        ("POST", "/"),
        ("DELETE", "/metrics"),
        ("PUT", "/api/v1/tenants"),
        ("OPTIONS", "/api/v1/tenants"),
    ] {
        world
            .ask(PROVIDER, method, path, json!({}))
            .await
            .problem(405, "method");
    }
}

#[tokio::test]
async fn bodies_that_are_not_what_was_asked_for_are_refused() {
    let world = World::new().await;
    for body in ["{", "[]x", "\u{feff}{}", "{\"name\": \"a\", }"] {
        post(&world, &[JSON], body).await.problem(400, "malformed");
    }
    for body in [
        "[]",
        "null",
        "7",
        "\"x\"",
        "{\"name\": 7}",
        "{\"name\": \"a\", \"extra\": 1}",
        "{\"name\":\"a\",\"name\":\"b\"}",
    ] {
        post(&world, &[JSON], body).await.problem(400, "malformed");
    }
    let unknown = post(&world, &[JSON], "{\"nmae\": \"acme\"}")
        .await
        .problem(400, "malformed");
    assert!(
        unknown["detail"].as_str().unwrap().contains("`nmae`"),
        "{unknown}"
    );
    for path in [
        "/api/v1/tenants?limti=3",
        "/api/v1/tenants?limit=x",
        "/api/v1/locks?dead=perhaps",
    ] {
        world.get(PROVIDER, path).await.problem(400, "malformed");
    }
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let world = World::new().await;
    let body = "{\"name\": \"acme\"}";
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        post(&world, &[JSON, (name, value)], body)
            .await
            .problem(403, "cross-site");
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ] {
        post(&world, &[("content-type", kind)], body)
            .await
            .problem(415, "media-type");
    }
    post(&world, &[], body).await.problem(415, "media-type");
    assert!(world.directory.tenant("acme").await.unwrap().is_none());
    post(&world, &[JSON, ("origin", "http://127.0.0.1:8180")], body)
        .await
        .ok(201);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_it_where_it_belongs() {
    let world = World::new().await;
    for (token, path) in [
        (PROVIDER, "/"),
        (PROVIDER, "/api/v1/tenants"),
        ("", "/api/v1/tenants"),
        ("", "/nowhere"),
        ("", "/metrics"),
    ] {
        let request = Request::get(path)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(ORIGIN, "https://evil.example")
            .body(Body::empty())
            .unwrap();
        let headers = world.send(request).await.headers;
        assert_eq!(headers[CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert!(
            headers[CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none';"),
            "{path}"
        );
        assert!(headers.contains_key(CONTENT_TYPE), "{path}");
        assert!(
            !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN),
            "no other site may read it"
        );
    }
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let world = World::with(|_, limits| limits.body_octets = 1_000).await;
    let large = json!({"name": "x".repeat(2_000)});
    world
        .ask(PROVIDER, "POST", "/api/v1/tenants", large)
        .await
        .problem(413, "too-large");
    world
        .ask(
            PROVIDER,
            "POST",
            "/api/v1/tenants",
            json!({"name": "x".repeat(900)}),
        )
        .await
        .problem(422, "invalid");
}

/// A registry whose database is lost: it says so, or it never answers.
#[derive(Debug)]
struct Lost {
    is_silent: bool,
}

impl Lost {
    async fn fail<T>(&self) -> Result<T, StoreError> {
        if self.is_silent {
            std::future::pending::<()>().await;
        }
        Err(
            StoreError::new(StoreErrorKind::Unavailable, "plugins", "postgres")
                .because("10.0.0.7:5432 refused"),
        )
    }
}

#[async_trait::async_trait]
impl PluginRegistry for Lost {
    async fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError> {
        self.fail().await
    }

    async fn component(&self, _: &ComponentDigest) -> Result<Option<Vec<u8>>, StoreError> {
        self.fail().await
    }

    async fn install(
        &self,
        _: &str,
        _: ComponentDigest,
        _: Vec<u8>,
        _: SystemTime,
    ) -> Result<(), StoreError> {
        self.fail().await
    }

    async fn set_enabled(&self, _: &str, _: bool) -> Result<bool, StoreError> {
        self.fail().await
    }

    async fn roll_back(&self, _: &str, _: SystemTime) -> Result<bool, StoreError> {
        self.fail().await
    }

    async fn remove(&self, _: &str) -> Result<bool, StoreError> {
        self.fail().await
    }
}

#[tokio::test]
async fn a_lost_database_is_said_without_its_address() {
    let world = World::with(|ports, _| ports.registry = Arc::new(Lost { is_silent: false })).await;
    let answer = world.get(PROVIDER, "/api/v1/plugins").await;
    assert!(!answer.text.contains("5432"), "{answer:?}");
    answer.problem(503, "unavailable");
    assert_eq!(world.classes.lock().unwrap().last(), Some(&AnswerClass::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_time_limit() {
    let silent = Arc::new(Lost { is_silent: true });
    let service = in_memory(|ports| ports.registry = silent, AdminLimits::default());
    let request = Request::get("/api/v1/plugins")
        .header(AUTHORIZATION, format!("Bearer {PROVIDER}"))
        .body(Body::empty())
        .unwrap();
    let begun = Instant::now();
    let response = service.router().oneshot(request).await.unwrap();
    Answer::read(response).await.problem(503, "late");
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
}
