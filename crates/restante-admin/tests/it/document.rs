//! The OpenAPI document: it is the one that is checked in, and it is true.

use std::collections::BTreeSet;
use std::path::Path;

use restante_admin::AdminService;
use serde_json::{Value, json};

use crate::world::{PROVIDER, World};

/// Set to anything, it has the document written anew.
const REWRITE: &str = "RESTANTE_REWRITE";

const METHODS: [&str; 7] = ["get", "put", "post", "patch", "delete", "head", "options"];

#[test]
fn the_document_is_the_one_that_is_checked_in() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let document = AdminService::document();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&file, &document).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == document,
        "crates/restante-admin/openapi.json is not what the code says; write it anew with\n  \
         {REWRITE}=1 cargo test -p restante-admin --test it the_document_is_the_one"
    );
}

fn operations(document: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| METHODS.contains(&key.as_str()))
        {
            all.push((method.clone(), path.clone()));
        }
    }
    all
}

#[tokio::test]
async fn every_documented_address_answers_and_takes_no_other_method() {
    let world = World::new().await.settled().await;
    let document = world.get("", "/openapi.json").await.json();
    let all = operations(&document);
    assert!(all.len() > 40, "{}", all.len());
    let paths: BTreeSet<&String> = all.iter().map(|(_, path)| path).collect();
    for path in paths {
        let named = path.replace(['{', '}'], "");
        for method in METHODS {
            let is_there = all.contains(&(method.to_owned(), path.clone())) || method == "head";
            let is_there = is_there && (method != "head" || all.contains(&("get".to_owned(), path.clone())));
            let answer = world
                .ask(PROVIDER, &method.to_uppercase(), &named, json!({}))
                .await;
            assert_eq!(answer.status != 405, is_there, "{method} {path}: {answer:?}");
            let is_route = answer.status != 404 || !answer.text.contains("no-route");
            assert!(is_route, "{method} {path}: {answer:?}");
        }
    }
}

/// Routes come into being by one macro alone, which documents what it routes.
#[test]
fn no_route_is_made_past_the_document() {
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30);
    for text in &found {
        for other in [
            ".route(",
            ".route_service(",
            ".nest(",
            ".nest_service(",
            "axum::routing",
        ] {
            assert!(!text.contains(other), "{other}");
        }
    }
    let routed: usize = found
        .iter()
        .map(|text| text.matches("#[utoipa::path(").count())
        .sum();
    let document: Value = serde_json::from_str(&AdminService::document()).unwrap();
    assert_eq!(
        operations(&document).len(),
        routed,
        "every handler with an address is routed"
    );
}

#[test]
fn every_operation_says_what_it_is_and_how_it_fails() {
    let document: Value = serde_json::from_str(&AdminService::document()).unwrap();
    let mut names = BTreeSet::new();
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][&method];
        let what = format!("{method} {path}");
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|summary| summary.len() > 5),
            "{what}"
        );
        assert!(
            operation["tags"].as_array().is_some_and(|tags| tags.len() == 1),
            "{what}"
        );
        assert!(
            names.insert(operation["operationId"].as_str().unwrap().to_owned()),
            "{what}"
        );
        let is_api = path.starts_with("/api/");
        assert_eq!(operation["security"] == json!([{"token": []}]), is_api, "{what}");
        let problem =
            &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(
            *problem == json!("#/components/schemas/Problem"),
            is_api,
            "{what}"
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let has_kind =
                parameter["schema"].get("type").is_some() || parameter["schema"].get("$ref").is_some();
            assert!(
                has_kind && parameter["description"].is_string(),
                "{what}: {parameter}"
            );
        }
        let in_path = path.matches('{').count();
        let parameters = operation["parameters"].as_array().map_or(0, |all| {
            all.iter()
                .filter(|one| one["in"] == "path" && one["required"] == true)
                .count()
        });
        assert_eq!(in_path, parameters, "{what}");
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn lists_answer_by_their_schema() {
    let world = World::new().await.settled().await;
    let ann = world.account("ann@acme.example").await;
    world.desk.hold(ann.id, "ann@acme.example", true);
    world.install("archive", b"one").await;
    let document = world.get("", "/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    for (path, schema) in [
        ("tenants", "TenantView"),
        ("domains", "DomainView"),
        ("accounts", "AccountView"),
        ("aliases", "AliasView"),
        ("sessions", "SessionView"),
        ("storages", "StorageView"),
        ("plugins", "PluginView"),
        ("audit", "AuditView"),
    ] {
        let listing = world.get(PROVIDER, &format!("/api/v1/{path}")).await.json();
        let item = listing["items"][0].as_object().unwrap();
        let said: BTreeSet<&String> = schemas[schema]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(item.keys().collect::<BTreeSet<_>>(), said, "{path}");
        let required = schemas[schema]["required"].as_array().unwrap();
        assert!(
            required
                .iter()
                .all(|name| item.contains_key(name.as_str().unwrap())),
            "{path}"
        );
    }
}
