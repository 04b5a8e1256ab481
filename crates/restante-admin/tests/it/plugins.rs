//! Plugins and storages.

use restante_admin::Health;
use restante_auth::{AuditAction, AuditFilter};
use restante_store::PluginRegistry;
use serde_json::{Value, json};

use crate::world::{PROVIDER, World, storage};

#[tokio::test]
async fn a_plugin_is_listed_disabled_and_enabled() {
    let world = World::new().await;
    world.install("archive", b"one").await;
    let shown = world.get(PROVIDER, "/api/v1/plugins/archive").await.ok(200);
    assert_eq!(
        (&shown["enabled"], &shown["octets"], &shown["storages"]),
        (&json!(true), &json!(3), &json!(["archive"]))
    );
    assert_eq!(
        shown["sha256"],
        "6f6e656f6e656f6e656f6e656f6e656f6e656f6e656f6e656f6e656f6e656f6e"
    );
    assert_eq!(
        world.get(PROVIDER, "/api/v1/plugins").await.ok(200)["items"],
        json!([shown])
    );
    for enabled in [false, true] {
        let answer = world
            .ask(
                PROVIDER,
                "PATCH",
                "/api/v1/plugins/archive",
                json!({"enabled": enabled}),
            )
            .await;
        assert_eq!(answer.ok(200)["enabled"], enabled);
        assert_eq!(world.registry.plugins().await.unwrap()[0].is_enabled, enabled);
    }
    let filter = AuditFilter {
        action: Some(AuditAction::PluginChanged),
        limit: 10,
        ..AuditFilter::default()
    };
    let details = world
        .directory
        .audit(filter)
        .await
        .unwrap()
        .into_iter()
        .map(|line| line.record.detail);
    assert_eq!(
        details.collect::<Vec<_>>(),
        ["archive: enabled", "archive: disabled"]
    );
}

#[tokio::test]
async fn a_plugin_goes_back_to_its_previous_version() {
    let world = World::new().await;
    world.install("archive", b"one").await;
    let path = "/api/v1/plugins/archive/roll-back";
    world
        .ask(PROVIDER, "POST", path, json!({}))
        .await
        .problem(409, "conflict");
    world.install("archive", b"second").await;
    let rolled = world.ask(PROVIDER, "POST", path, json!({})).await.ok(200);
    assert_eq!(
        (&rolled["octets"], rolled["previous_sha256"].is_string()),
        (&json!(3), true)
    );
    world
        .ask(PROVIDER, "POST", "/api/v1/plugins/none/roll-back", json!({}))
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn a_plugin_that_a_storage_uses_is_not_removed() {
    let world = World::new().await;
    world.install("archive", b"one").await;
    world.install("seal", b"two").await;
    let problem = world
        .ask(PROVIDER, "DELETE", "/api/v1/plugins/archive", Value::Null)
        .await
        .problem(409, "in-use");
    assert!(
        problem["detail"].as_str().unwrap().contains("[storage.archive]"),
        "{problem}"
    );
    world
        .ask(PROVIDER, "DELETE", "/api/v1/plugins/seal", Value::Null)
        .await
        .ok(204);
    world
        .ask(PROVIDER, "DELETE", "/api/v1/plugins/seal", Value::Null)
        .await
        .problem(404, "not-found");
    world
        .get(PROVIDER, "/api/v1/plugins/seal")
        .await
        .problem(404, "not-found");
    world
        .ask(
            PROVIDER,
            "PATCH",
            "/api/v1/plugins/seal",
            json!({"enabled": true}),
        )
        .await
        .problem(404, "not-found");
    world
        .ask(PROVIDER, "PATCH", "/api/v1/plugins/archive", json!({}))
        .await
        .problem(400, "malformed");
    assert_eq!(world.registry.plugins().await.unwrap().len(), 1);
}

#[tokio::test]
async fn storages_are_listed_with_their_health() {
    let world = World::new().await;
    let mut failing = storage("cold", None);
    failing.health = Health::Failing("no answer in 10 s".to_owned());
    world.facts.storages.lock().unwrap().insert(0, failing);
    let listed = world.get(PROVIDER, "/api/v1/storages").await;
    assert_eq!(listed.names("name"), ["archive", "cold", "local"]);
    let shown = world.get(PROVIDER, "/api/v1/storages/cold").await.ok(200);
    assert_eq!(
        shown,
        json!({
            "name": "cold", "kind": "file", "is_default": false, "plugin": null, "health": "failing",
            "trouble": "no answer in 10 s"
        })
    );
    world
        .get(PROVIDER, "/api/v1/storages/none")
        .await
        .problem(404, "not-found");
    let page = world
        .get(PROVIDER, "/api/v1/storages?limit=1&after=archive")
        .await
        .ok(200);
    assert_eq!(
        (&page["items"][0]["name"], &page["next"]),
        (&json!("cold"), &json!("cold"))
    );
}
