//! Accounts, their passwords and usage, aliases and application passwords.

use restante_auth::TenantPatch;
use restante_auth::password::{AppPassword, Password, Verified, verify};
use restante_sasl::LoginMechanism;
use restante_types::Secret;
use serde_json::{Value, json};

use crate::world::{PROVIDER, World, name};

const ANN: &str = "/api/v1/accounts/ann@acme.example";

async fn matches(world: &World, account: &str, password: &str) -> bool {
    let credentials = world
        .directory
        .credentials(&name(account))
        .await
        .unwrap()
        .unwrap();
    let Some(stored) = credentials.password else {
        return false;
    };
    let prepared = Password::prepare(password.as_bytes()).unwrap();
    let raw = Secret::new(password.as_bytes().to_vec());
    matches!(
        verify(&stored, &prepared, &raw, &world.ports.rule).unwrap(),
        Verified::Matched { .. }
    )
}

#[tokio::test]
async fn an_account_is_added_shown_changed_and_removed() {
    let world = World::new().await.settled().await;
    let body = json!({"name": "Bob@ACME.example", "password": "correct horse", "quota_messages": 7});
    let answer = world.ask(PROVIDER, "POST", "/api/v1/accounts", body).await;
    assert!(
        !answer.text.contains("horse") && !answer.text.contains("argon2"),
        "{answer:?}"
    );
    let added = answer.ok(201);
    assert_eq!(
        (&added["name"], &added["quota_messages"]),
        (&json!("bob@acme.example"), &json!(7))
    );
    assert!(matches(&world, "bob@acme.example", "correct horse").await);
    let bob = "/api/v1/accounts/bob%40acme.example";
    assert_eq!(world.get(PROVIDER, bob).await.ok(200), added);
    let change = json!({"state": "login-suspended", "password": "battery staple", "quota_messages": null});
    let changed = world.ask(PROVIDER, "PATCH", bob, change).await.ok(200);
    assert_eq!(
        (&changed["state"], &changed["quota_messages"]),
        (&json!("login-suspended"), &Value::Null)
    );
    assert!(matches(&world, "bob@acme.example", "battery staple").await);
    let renamed = world
        .ask(PROVIDER, "PATCH", bob, json!({"name": "rob@acme.example"}))
        .await
        .ok(200);
    assert_eq!(
        (&renamed["name"], &renamed["id"]),
        (&json!("rob@acme.example"), &added["id"])
    );
    world.get(PROVIDER, bob).await.problem(404, "not-found");
    let rob = "/api/v1/accounts/rob@acme.example";
    world.ask(PROVIDER, "DELETE", rob, Value::Null).await.ok(204);
    world
        .ask(PROVIDER, "DELETE", rob, Value::Null)
        .await
        .problem(404, "not-found");
    assert_eq!(
        world
            .get(PROVIDER, "/api/v1/accounts?domain=acme.example")
            .await
            .names("name"),
        ["ann@acme.example"]
    );
    assert_eq!(
        world.get(PROVIDER, "/api/v1/accounts").await.names("name").len(),
        2
    );
}

#[tokio::test]
async fn what_an_account_cannot_be_is_said() {
    let world = World::new().await.settled().await;
    let add = async |body| world.ask(PROVIDER, "POST", "/api/v1/accounts", body).await;
    add(json!({"name": "ann@acme.example"}))
        .await
        .problem(409, "exists");
    add(json!({"name": "info@acme.example"}))
        .await
        .problem(409, "exists");
    add(json!({"name": "new@nowhere.example"}))
        .await
        .problem(404, "not-found");
    add(json!({"name": "no name"})).await.problem(422, "invalid");
    add(json!({"name": "new@acme.example", "password": ""}))
        .await
        .problem(422, "invalid");
    add(json!({"name": "new@acme.example", "password": "a\u{0}b"}))
        .await
        .problem(422, "invalid");
    add(json!({"name": "new@acme.example", "password_hash": "{MD4}x"}))
        .await
        .problem(422, "invalid");
    add(json!({"name": "new@acme.example", "password": "a", "password_hash": "{PLAIN}a"}))
        .await
        .problem(422, "invalid");
    add(json!({"name": "new@acme.example", "scram_keys": "x"}))
        .await
        .problem(422, "invalid");
    let wrong = add(json!({"name": "new@acme.example", "password": 4711})).await;
    let problem = wrong.problem(400, "malformed");
    assert!(
        !problem["detail"].as_str().unwrap().contains("4711"),
        "a password in the wrong place is not repeated"
    );
    world
        .ask(PROVIDER, "PATCH", ANN, json!({"name": "ann@globex.example"}))
        .await
        .problem(422, "invalid");
    world
        .ask(PROVIDER, "PATCH", ANN, json!({"name": "info@acme.example"}))
        .await
        .problem(409, "exists");
    world
        .ask(PROVIDER, "PATCH", "/api/v1/accounts/no@acme.example", json!({}))
        .await
        .problem(404, "not-found");
    world
        .get(PROVIDER, "/api/v1/accounts/nonsense")
        .await
        .problem(422, "invalid");
}

#[tokio::test]
async fn scram_keys_are_made_where_the_tenant_wants_them_and_imported_hashes_are_kept() {
    let world = World::new().await.settled().await;
    let mut policy = world.directory.tenant("acme").await.unwrap().unwrap().policy;
    let scram = async || {
        let credentials = world
            .directory
            .credentials(&name("ann@acme.example"))
            .await
            .unwrap()
            .unwrap();
        credentials.scram.is_some()
    };
    world
        .ask(PROVIDER, "PATCH", ANN, json!({"password": "correct horse"}))
        .await
        .ok(200);
    assert!(!scram().await);
    policy.mechanisms.push(LoginMechanism::ScramSha256);
    let patch = TenantPatch {
        policy: Some(policy),
        ..TenantPatch::default()
    };
    world.directory.set_tenant("acme", patch).await.unwrap();
    world
        .ask(PROVIDER, "PATCH", ANN, json!({"password": "correct horse"}))
        .await
        .ok(200);
    assert!(scram().await);
    world
        .ask(
            PROVIDER,
            "PATCH",
            ANN,
            json!({"password_hash": "{PLAIN}from elsewhere"}),
        )
        .await
        .ok(200);
    assert!(!scram().await);
    assert!(matches(&world, "ann@acme.example", "from elsewhere").await);
}

#[tokio::test]
async fn usage_says_how_full_a_maildrop_is_and_may_be() {
    let world = World::new().await.settled().await;
    world
        .ask(
            PROVIDER,
            "PATCH",
            "/api/v1/tenants/acme",
            json!({"quota_octets": 5000}),
        )
        .await
        .ok(200);
    world
        .ask(PROVIDER, "PATCH", ANN, json!({"quota_messages": 3}))
        .await
        .ok(200);
    let usage = world.get(PROVIDER, &format!("{ANN}/usage")).await.ok(200);
    assert_eq!(
        usage,
        json!({"messages": 0, "octets": 0, "limit_messages": 3, "limit_octets": 5000})
    );
    world
        .get(PROVIDER, "/api/v1/accounts/no@acme.example/usage")
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn aliases_come_and_go() {
    let world = World::new().await.settled().await;
    let add = async |body| world.ask(PROVIDER, "POST", "/api/v1/aliases", body).await;
    let body = json!({"address": "Sales@acme.example", "account": "ann@acme.example", "login": true});
    let added = add(body.clone()).await.ok(201);
    assert_eq!(
        added,
        json!({"address": "sales@acme.example", "account": "ann@acme.example", "login": true})
    );
    add(body).await.problem(409, "exists");
    add(json!({"address": "x@acme.example", "account": "no@acme.example"}))
        .await
        .problem(404, "not-found");
    add(json!({"address": "x@globex.example", "account": "ann@acme.example"}))
        .await
        .problem(422, "invalid");
    add(json!({"address": "x", "account": "ann@acme.example"}))
        .await
        .problem(422, "invalid");
    let list = async |query: &str| {
        world
            .get(PROVIDER, &format!("/api/v1/aliases{query}"))
            .await
            .names("address")
    };
    assert_eq!(list("").await.len(), 3);
    assert_eq!(
        list("?account=ann@acme.example").await,
        ["info@acme.example", "sales@acme.example"]
    );
    assert_eq!(list("?domain=globex.example").await, ["info@globex.example"]);
    world
        .ask(
            PROVIDER,
            "DELETE",
            "/api/v1/aliases/sales@acme.example",
            Value::Null,
        )
        .await
        .ok(204);
    world
        .ask(
            PROVIDER,
            "DELETE",
            "/api/v1/aliases/sales@acme.example",
            Value::Null,
        )
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn an_application_password_is_shown_once_and_opens() {
    let world = World::new().await.settled().await;
    let path = format!("{ANN}/app-passwords");
    let body = json!({
        "label": "phone", "scope": "read-only", "networks": ["192.0.2.0/24", "2001:db8::1"],
        "expires_at": "2040-01-01T00:00:00Z"
    });
    let made = world.ask(PROVIDER, "POST", &path, body).await.ok(201);
    assert_eq!(made["networks"], json!(["192.0.2.0/24", "2001:db8::1/128"]));
    let shown = made["password"].as_str().unwrap();
    let credentials = world
        .directory
        .credentials(&name("ann@acme.example"))
        .await
        .unwrap()
        .unwrap();
    let parsed = AppPassword::parse(shown.as_bytes()).unwrap();
    let verifier = credentials.app_passwords[0].verifier.expose();
    assert!(parsed.matches(verifier, world.ports.rule.keyring()));
    let listed = world.get(PROVIDER, &path).await;
    assert!(!listed.text.contains(shown));
    let listed = listed.ok(200);
    assert_eq!(listed["items"][0]["label"], "phone");
    assert_eq!(listed["items"][0]["expires_at"], "2040-01-01T00:00:00Z");
    assert!(listed["items"][0].get("password").is_none());
    let one = format!("{path}/{}", made["id"]);
    world.ask(PROVIDER, "DELETE", &one, Value::Null).await.ok(204);
    world
        .ask(PROVIDER, "DELETE", &one, Value::Null)
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn what_an_application_password_cannot_be_is_said() {
    let world = World::new().await.settled().await;
    let path = format!("{ANN}/app-passwords");
    let add = async |body| world.ask(PROVIDER, "POST", &path, body).await;
    add(json!({})).await.problem(400, "malformed");
    add(json!({"label": ""})).await.problem(422, "invalid");
    add(json!({"label": "x", "scope": "all"}))
        .await
        .problem(400, "malformed");
    add(json!({"label": "x", "networks": ["everywhere"]}))
        .await
        .problem(400, "malformed");
    add(json!({"label": "x", "expires_at": "soon"}))
        .await
        .problem(400, "malformed");
    add(json!({"label": "x", "verifier": "secret"}))
        .await
        .problem(422, "invalid");
    world
        .ask(
            PROVIDER,
            "POST",
            "/api/v1/accounts/no@acme.example/app-passwords",
            json!({"label": "x"}),
        )
        .await
        .problem(404, "not-found");
    world
        .get(PROVIDER, "/api/v1/accounts/no@acme.example/app-passwords")
        .await
        .problem(404, "not-found");
    world
        .ask(PROVIDER, "DELETE", &format!("{path}/none"), Value::Null)
        .await
        .problem(404, "not-found");
    world
        .get(PROVIDER, &format!("{path}?after=x"))
        .await
        .problem(422, "invalid");
}
