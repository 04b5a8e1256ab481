//! Tenants, their server names and policies, and domains.

use restante_auth::{AuditAction, AuditFilter, Policy, TokenCheck};
use serde_json::{Value, json};

use crate::world::{PROVIDER, World, keyring};

#[tokio::test]
async fn a_tenant_is_added_shown_changed_and_removed() {
    let world = World::new().await;
    let added = world
        .ask(PROVIDER, "POST", "/api/v1/tenants", json!({"name": "acme"}))
        .await
        .ok(201);
    assert_eq!(
        (&added["name"], &added["storage"], &added["state"]),
        (&json!("acme"), &json!("local"), &json!("active"))
    );
    assert_eq!(world.get(PROVIDER, "/api/v1/tenants/acme").await.ok(200), added);
    assert_eq!(
        world.get(PROVIDER, "/api/v1/tenants").await.ok(200),
        json!({"items": [added], "next": null})
    );
    let change =
        json!({"state": "read-only", "quota_octets": 5000, "retention_secs": 3600, "storage": "archive"});
    let changed = world
        .ask(PROVIDER, "PATCH", "/api/v1/tenants/acme", change)
        .await
        .ok(200);
    assert_eq!(
        (&changed["state"], &changed["quota_octets"]),
        (&json!("read-only"), &json!(5000))
    );
    assert_eq!(
        (&changed["retention_secs"], &changed["storage"]),
        (&json!(3600), &json!("archive"))
    );
    let lifted = world
        .ask(
            PROVIDER,
            "PATCH",
            "/api/v1/tenants/acme",
            json!({"quota_octets": null}),
        )
        .await
        .ok(200);
    assert_eq!(
        (&lifted["quota_octets"], &lifted["state"]),
        (&Value::Null, &json!("read-only"))
    );
    world
        .ask(PROVIDER, "DELETE", "/api/v1/tenants/acme", Value::Null)
        .await
        .ok(204);
    world
        .get(PROVIDER, "/api/v1/tenants/acme")
        .await
        .problem(404, "not-found");
    world
        .ask(PROVIDER, "DELETE", "/api/v1/tenants/acme", Value::Null)
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn what_a_tenant_cannot_be_is_said() {
    let world = World::new().await.settled().await;
    let add = async |body| world.ask(PROVIDER, "POST", "/api/v1/tenants", body).await;
    add(json!({"name": "acme"})).await.problem(409, "exists");
    add(json!({"name": "No Such Name"})).await.problem(422, "invalid");
    add(json!({"name": "new", "storage": "nowhere"}))
        .await
        .problem(422, "invalid");
    add(json!({})).await.problem(400, "malformed");
    let change = async |body| world.ask(PROVIDER, "PATCH", "/api/v1/tenants/acme", body).await;
    change(json!({"storage": "nowhere"}))
        .await
        .problem(422, "invalid");
    change(json!({"state": "asleep"})).await.problem(400, "malformed");
    change(json!({"default_domain": "globex.example"}))
        .await
        .problem(422, "invalid");
    change(json!({"retention_secs": u64::MAX}))
        .await
        .problem(422, "invalid");
    world
        .ask(PROVIDER, "DELETE", "/api/v1/tenants/acme", Value::Null)
        .await
        .problem(409, "in-use");
    assert_eq!(
        change(json!({"default_domain": "acme.example"})).await.ok(200)["default_domain"],
        "acme.example"
    );
}

#[tokio::test]
async fn server_names_come_and_go() {
    let world = World::new().await.settled().await;
    let names = "/api/v1/tenants/acme/server-names";
    let bound = world
        .ask(PROVIDER, "POST", names, json!({"name": "POP.acme.example"}))
        .await
        .ok(201);
    assert_eq!(bound["server_names"], json!(["pop.acme.example"]));
    world
        .ask(PROVIDER, "POST", names, json!({"name": "pop.acme.example"}))
        .await
        .problem(409, "exists");
    world
        .ask(PROVIDER, "POST", names, json!({"name": "no name"}))
        .await
        .problem(422, "invalid");
    let gone = format!("{names}/pop.acme.example");
    assert_eq!(
        world.ask(PROVIDER, "DELETE", &gone, Value::Null).await.ok(200)["server_names"],
        json!([])
    );
    world
        .ask(PROVIDER, "DELETE", &gone, Value::Null)
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn a_policy_is_replaced_whole_and_its_secrets_are_sealed() {
    let world = World::new().await.settled().await;
    let path = "/api/v1/tenants/acme/policy";
    assert_eq!(
        world.get(PROVIDER, path).await.ok(200),
        serde_json::to_value(Policy::default()).unwrap()
    );
    let policy = json!({
        "mechanisms": ["PLAIN", "OAUTHBEARER", "PLAIN"],
        "tls": "tls13",
        "login_delay_secs": 60,
        "oauth": [{
            "issuer": "https://id.acme.example", "audiences": ["mail"], "client_id": "pop3",
            "introspection_url": "https://id.acme.example/ask", "client_secret": "correct horse"
        }]
    });
    let answer = world.ask(PROVIDER, "PUT", path, policy).await;
    assert!(!answer.text.contains("correct horse"));
    let answer = answer.ok(200);
    assert_eq!(
        (&answer["mechanisms"], &answer["tls"]),
        (&json!(["PLAIN", "OAUTHBEARER"]), &json!("tls13"))
    );
    assert_eq!(world.get(PROVIDER, path).await.ok(200), answer);
    let stored = world.directory.tenant("acme").await.unwrap().unwrap().policy;
    let TokenCheck::Introspection {
        sealed_client_secret, ..
    } = &stored.oauth[0].check
    else {
        panic!("{stored:?}")
    };
    let opened =
        restante_admin::seal::open_client_secret(&keyring(), "https://id.acme.example", sealed_client_secret);
    assert_eq!(opened.unwrap().expose(), b"correct horse");
    // What is answered can be sent back, sealed as it is.
    assert_eq!(
        world.ask(PROVIDER, "PUT", path, answer.clone()).await.ok(200),
        answer
    );
    // What is left out has its default.
    let bare = world.ask(PROVIDER, "PUT", path, json!({})).await.ok(200);
    assert_eq!(bare, serde_json::to_value(Policy::default()).unwrap());
}

#[tokio::test]
async fn what_a_policy_cannot_be_is_said() {
    let world = World::new().await.settled().await;
    let put = async |body| {
        world
            .ask(PROVIDER, "PUT", "/api/v1/tenants/acme/policy", body)
            .await
    };
    put(json!({"mechanisms": ["APOP"]}))
        .await
        .problem(400, "malformed");
    put(json!({"tls": "ssl3"})).await.problem(400, "malformed");
    put(json!({"mecanisms": []})).await.problem(400, "malformed");
    put(json!({"login_burst": 0})).await.problem(422, "invalid");
    put(json!({"expire_days": 0})).await.problem(422, "invalid");
    let issuer = |url: &str| json!({"issuer": "i", "audiences": ["mail"], "jwks_url": url});
    put(json!({"oauth": [issuer("http://id.example/keys")]}))
        .await
        .problem(422, "invalid");
    put(json!({"oauth": [issuer("https://i/a"), issuer("https://i/a")]}))
        .await
        .problem(422, "invalid");
    let many: Vec<_> = (0..9)
        .map(|n| json!({"issuer": n.to_string(), "audiences": [], "jwks_url": "https://i/"}))
        .collect();
    put(json!({"oauth": many})).await.problem(422, "invalid");
    put(json!({"oauth": [{"issuer": "i", "audiences": []}]}))
        .await
        .problem(422, "invalid");
    world
        .ask(PROVIDER, "PUT", "/api/v1/tenants/none/policy", json!({}))
        .await
        .problem(404, "not-found");
    world
        .get(PROVIDER, "/api/v1/tenants/none/policy")
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn a_domain_is_added_shown_moved_and_removed() {
    let world = World::new().await.settled().await;
    let body = json!({"name": "M\u{fc}nchen.example", "tenant": "acme"});
    let added = world.ask(PROVIDER, "POST", "/api/v1/domains", body).await.ok(201);
    assert_eq!(
        (&added["name"], &added["tenant"]),
        (&json!("xn--mnchen-3ya.example"), &json!("acme"))
    );
    assert_eq!(
        world
            .get(PROVIDER, "/api/v1/domains/m%C3%BCnchen.example")
            .await
            .ok(200),
        added
    );
    assert_eq!(
        world
            .get(PROVIDER, "/api/v1/domains?tenant=acme")
            .await
            .names("name")
            .len(),
        2
    );
    assert_eq!(
        world
            .get(PROVIDER, "/api/v1/domains?tenant=none")
            .await
            .names("name")
            .len(),
        0
    );
    let path = "/api/v1/domains/xn--mnchen-3ya.example";
    let moved = world
        .ask(PROVIDER, "PATCH", path, json!({"tenant": "globex"}))
        .await
        .ok(200);
    assert_eq!(moved["tenant"], "globex");
    world.ask(PROVIDER, "DELETE", path, Value::Null).await.ok(204);
    world
        .ask(PROVIDER, "DELETE", path, Value::Null)
        .await
        .problem(404, "not-found");
    world.get(PROVIDER, path).await.problem(404, "not-found");
}

#[tokio::test]
async fn what_a_domain_cannot_be_is_said() {
    let world = World::new().await.settled().await;
    let add = async |name, tenant| {
        world
            .ask(
                PROVIDER,
                "POST",
                "/api/v1/domains",
                json!({"name": name, "tenant": tenant}),
            )
            .await
    };
    add("acme.example", "globex").await.problem(409, "exists");
    add("new.example", "none").await.problem(404, "not-found");
    add("no domain", "acme").await.problem(422, "invalid");
    let path = "/api/v1/domains/acme.example";
    world
        .ask(PROVIDER, "PATCH", path, json!({"tenant": "globex"}))
        .await
        .problem(409, "in-use");
    world
        .ask(PROVIDER, "DELETE", path, Value::Null)
        .await
        .problem(409, "in-use");
    world
        .get(PROVIDER, "/api/v1/domains/not%20one")
        .await
        .problem(422, "invalid");
}

#[tokio::test]
async fn the_audit_names_the_token() {
    let world = World::new().await;
    world
        .ask(PROVIDER, "POST", "/api/v1/tenants", json!({"name": "acme"}))
        .await
        .ok(201);
    let filter = AuditFilter {
        action: Some(AuditAction::TenantAdded),
        limit: 10,
        ..AuditFilter::default()
    };
    let lines = world.directory.audit(filter).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].record.actor, "api:provider");
}
