//! A token of a tenant sees that tenant, and nothing shows that there are others.

use restante_auth::AuditFilter;
use restante_store::PluginRegistry;
use serde_json::{Value, json};

use crate::certificates::pair;
use crate::world::{ACME, GONE, PROVIDER, World};

/// acme and globex, each with everything that a tenant can have.
async fn world() -> World {
    let world = World::new().await.settled().await;
    for (tenant, domain, user) in [
        ("acme", "acme.example", "ann"),
        ("globex", "globex.example", "gus"),
    ] {
        let account = format!("{user}@{domain}");
        let body = json!({"label": "phone"});
        world
            .ask(
                PROVIDER,
                "POST",
                &format!("/api/v1/accounts/{account}/app-passwords"),
                body,
            )
            .await
            .ok(201);
        let name = format!("pop.{domain}");
        world.directory.add_server_name(tenant, &name).await.unwrap();
        let (chain, key) = pair(&[&name]);
        let body = json!({"chain": chain, "private_key": key});
        world
            .ask(
                PROVIDER,
                "POST",
                &format!("/api/v1/tenants/{tenant}/certificates"),
                body,
            )
            .await
            .ok(201);
        let account = world.account(&account).await;
        world
            .desk
            .hold(account.id, &account.name.to_string(), tenant == "acme");
    }
    world.install("archive", b"one").await;
    world.install("unused", b"two").await;
    world
}

#[tokio::test]
async fn lists_have_what_is_its_own_and_nothing_else() {
    let world = world().await;
    for (path, field, own) in [
        ("tenants", "name", vec!["acme"]),
        ("domains", "name", vec!["acme.example"]),
        ("domains?tenant=globex", "name", vec![]),
        ("accounts", "name", vec!["ann@acme.example"]),
        ("accounts?domain=globex.example", "name", vec![]),
        ("aliases", "address", vec!["info@acme.example"]),
        ("aliases?domain=globex.example", "address", vec![]),
        ("certificates?tenant=globex", "chain", vec![]),
        ("sessions", "account", vec!["ann@acme.example"]),
        ("locks", "account", vec!["ann@acme.example"]),
        ("locks?dead=true", "account", vec![]),
        ("node/sessions", "account", vec![]),
        ("storages", "name", vec!["local"]),
        ("plugins", "name", vec![]),
    ] {
        assert_eq!(
            world.get(ACME, &format!("/api/v1/{path}")).await.names(field),
            own,
            "{path}"
        );
    }
    let certificates = world.get(ACME, "/api/v1/certificates").await.ok(200);
    assert_eq!(certificates["items"].as_array().unwrap().len(), 1);
    assert_eq!(certificates["items"][0]["names"], json!(["pop.acme.example"]));
}

#[tokio::test]
async fn the_audit_has_its_own_lines_alone() {
    let world = world().await;
    let own = world.directory.tenant("acme").await.unwrap().unwrap().id.get();
    let lines = world.get(ACME, "/api/v1/audit?limit=1000").await.ok(200);
    let lines = lines["items"].as_array().unwrap();
    assert!(
        lines.len() >= 6 && lines.iter().all(|line| line["tenant_id"] == own),
        "{lines:?}"
    );
    let other = world.directory.tenant("globex").await.unwrap().unwrap().id;
    let gus = world.account("gus@globex.example").await.id.number();
    for query in [
        "tenant=globex".to_owned(),
        format!("tenant_id={other}"),
        "account=gus@globex.example".to_owned(),
        format!("tenant_id={other}&account_id={gus}"),
    ] {
        world
            .get(ACME, &format!("/api/v1/audit?{query}"))
            .await
            .problem(404, "not-found");
    }
}

/// Every way to name something of globex, and something that is not there at all in its place.
async fn foreign(world: &World) -> Vec<(&'static str, String, String, Value)> {
    let sessions = world.get(PROVIDER, "/api/v1/sessions").await.json();
    let of_gus = |item: &&Value| item["account"] == "gus@globex.example";
    let session = sessions["items"].as_array().unwrap().iter().find(of_gus).unwrap()["id"].clone();
    let session = session.as_str().unwrap();
    let none = format!("9999-9999-{}", "0".repeat(32));
    let certificate = world.directory.certificates(Some("globex")).await.unwrap()[0]
        .id
        .0;
    let app = world
        .directory
        .app_passwords(&crate::world::name("gus@globex.example"))
        .await
        .unwrap()[0]
        .id
        .0;
    let gus = world.account("gus@globex.example").await.id;
    let mut all = Vec::new();
    let mut add = |method, path: &str, theirs: &str, none: &str, body: Value| {
        all.push((method, path.replace("{}", theirs), path.replace("{}", none), body));
    };
    add("GET", "/tenants/{}", "globex", "none", Value::Null);
    add("GET", "/tenants/{}/policy", "globex", "none", Value::Null);
    add(
        "GET",
        "/domains/{}",
        "globex.example",
        "none.example",
        Value::Null,
    );
    add(
        "DELETE",
        "/domains/{}",
        "globex.example",
        "none.example",
        Value::Null,
    );
    add(
        "POST",
        "/domains",
        "",
        "",
        json!({"name": "new.example", "tenant": "globex"}),
    );
    let (user, nobody) = ("gus@globex.example", "nobody@globex.example");
    add("GET", "/accounts/{}", user, nobody, Value::Null);
    add("GET", "/accounts/{}/usage", user, nobody, Value::Null);
    add("PATCH", "/accounts/{}", user, nobody, json!({"state": "closed"}));
    add(
        "PATCH",
        "/accounts/{}",
        user,
        nobody,
        json!({"password": "correct horse"}),
    );
    add("DELETE", "/accounts/{}", user, nobody, Value::Null);
    add("POST", "/accounts", "", "", json!({"name": "new@globex.example"}));
    add("GET", "/accounts/{}/app-passwords", user, nobody, Value::Null);
    add(
        "POST",
        "/accounts/{}/app-passwords",
        user,
        nobody,
        json!({"label": "mine"}),
    );
    add(
        "DELETE",
        &format!("/accounts/{{}}/app-passwords/{app}"),
        user,
        nobody,
        Value::Null,
    );
    add(
        "DELETE",
        "/accounts/ann@acme.example/app-passwords/{}",
        &app.to_string(),
        "4711",
        Value::Null,
    );
    add(
        "POST",
        "/aliases",
        "",
        "",
        json!({"address": "x@acme.example", "account": user}),
    );
    add(
        "POST",
        "/aliases",
        "",
        "",
        json!({"address": "x@globex.example", "account": "ann@acme.example"}),
    );
    add(
        "DELETE",
        "/aliases/{}",
        "info@globex.example",
        "none@globex.example",
        Value::Null,
    );
    add("GET", "/sessions?account={}", user, nobody, Value::Null);
    let by_key = format!("/sessions?tenant_id={}&account_id={{}}", gus.tenant());
    add("GET", &by_key, &gus.number().to_string(), "4711", Value::Null);
    add("DELETE", "/sessions/{}", session, &none, Value::Null);
    add("DELETE", "/locks/{}", session, &none, Value::Null);
    add("GET", "/storages/{}", "archive", "none", Value::Null);
    for plugin in ["archive", "unused"] {
        add("GET", "/plugins/{}", plugin, "none", Value::Null);
        add("PATCH", "/plugins/{}", plugin, "none", json!({"enabled": false}));
        add("POST", "/plugins/{}/roll-back", plugin, "none", json!({}));
        add("DELETE", "/plugins/{}", plugin, "none", Value::Null);
    }
    add(
        "POST",
        "/tenants/{}/certificates",
        "globex",
        "none",
        json!({"chain": "", "private_key": ""}),
    );
    let _ = certificate;
    all
}

#[tokio::test]
async fn what_is_anothers_does_not_exist() {
    let world = world().await;
    for (method, theirs, none, body) in foreign(&world).await {
        let theirs = format!("/api/v1{theirs}");
        let answer = world.ask(ACME, method, &theirs, body.clone()).await;
        let problem = answer.problem(404, "not-found");
        // Apart from the name that was asked for, the answer is that about something that is not there at all.
        let none = format!("/api/v1{none}");
        let of_none = world
            .ask(ACME, method, &none, body)
            .await
            .problem(404, "not-found");
        let plain = |problem: &Value| {
            let words = [
                "globex.example",
                "globex",
                "gus",
                "nobody",
                "none.example",
                "none",
                "archive",
                "unused",
                "info",
            ];
            let text = problem
                .to_string()
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .collect::<String>();
            words.iter().fold(text, |text, word| text.replace(word, "*"))
        };
        assert_eq!(plain(&problem), plain(&of_none), "{method} {theirs}");
    }
    // None of it has changed anything.
    assert!(
        world
            .directory
            .account(&crate::world::name("gus@globex.example"))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(world.desk.all().len(), 2);
    assert!(
        world
            .registry
            .plugins()
            .await
            .unwrap()
            .iter()
            .all(|plugin| plugin.is_enabled)
    );
    let filter = AuditFilter {
        limit: 1_000,
        ..AuditFilter::default()
    };
    let lines = world.directory.audit(filter).await.unwrap();
    assert!(
        lines.iter().all(|line| line.record.actor != "api:acme"),
        "nothing was done"
    );
}

#[tokio::test]
async fn a_name_that_another_has_is_taken_and_no_more_is_said() {
    let world = world().await;
    let body = json!({"name": "globex.example", "tenant": "acme"});
    let problem = world
        .ask(ACME, "POST", "/api/v1/domains", body)
        .await
        .problem(409, "exists");
    assert!(
        !problem.to_string().contains("globex\""),
        "whose it is stays unsaid: {problem}"
    );
}

#[tokio::test]
async fn the_providers_things_are_not_the_tenants_to_change() {
    let world = world().await;
    let certificate = world.directory.certificates(Some("acme")).await.unwrap()[0].id.0;
    let (chain, key) = pair(&["pop.acme.example"]);
    for (method, path, body) in [
        ("POST", "/tenants".to_owned(), json!({"name": "new"})),
        ("PATCH", "/tenants/acme".to_owned(), json!({"quota_octets": null})),
        (
            "PATCH",
            "/tenants/globex".to_owned(),
            json!({"quota_octets": null}),
        ),
        ("DELETE", "/tenants/acme".to_owned(), Value::Null),
        ("PUT", "/tenants/acme/policy".to_owned(), json!({})),
        (
            "POST",
            "/tenants/acme/server-names".to_owned(),
            json!({"name": "x.example"}),
        ),
        (
            "DELETE",
            "/tenants/acme/server-names/pop.acme.example".to_owned(),
            Value::Null,
        ),
        (
            "PATCH",
            "/domains/acme.example".to_owned(),
            json!({"tenant": "acme"}),
        ),
        (
            "POST",
            "/tenants/acme/certificates".to_owned(),
            json!({"chain": chain, "private_key": key}),
        ),
        (
            "DELETE",
            format!("/tenants/acme/certificates/{certificate}"),
            Value::Null,
        ),
    ] {
        let answer = world.ask(ACME, method, &format!("/api/v1{path}"), body).await;
        answer.problem(403, "not-permitted");
    }
}

#[tokio::test]
async fn its_own_things_are_the_tenants_to_change() {
    let world = world().await;
    let ask = async |method, path: &str, body| world.ask(ACME, method, &format!("/api/v1{path}"), body).await;
    ask(
        "POST",
        "/domains",
        json!({"name": "new.example", "tenant": "acme"}),
    )
    .await
    .ok(201);
    ask(
        "POST",
        "/accounts",
        json!({"name": "new@new.example", "password": "correct horse"}),
    )
    .await
    .ok(201);
    ask("PATCH", "/accounts/new@new.example", json!({"state": "closed"}))
        .await
        .ok(200);
    ask(
        "POST",
        "/aliases",
        json!({"address": "two@new.example", "account": "new@new.example"}),
    )
    .await
    .ok(201);
    ask(
        "POST",
        "/accounts/new@new.example/app-passwords",
        json!({"label": "phone"}),
    )
    .await
    .ok(201);
    ask("GET", "/accounts/new@new.example/usage", Value::Null)
        .await
        .ok(200);
    ask("DELETE", "/aliases/two@new.example", Value::Null)
        .await
        .ok(204);
    ask("DELETE", "/accounts/new@new.example", Value::Null)
        .await
        .ok(204);
    ask("DELETE", "/domains/new.example", Value::Null).await.ok(204);
    let sessions = ask("GET", "/sessions", Value::Null).await.ok(200);
    let id = sessions["items"][0]["id"].as_str().unwrap();
    ask("DELETE", &format!("/sessions/{id}"), Value::Null)
        .await
        .ok(204);
    assert_eq!(world.desk.all().len(), 1);
}

#[tokio::test]
async fn the_plugin_behind_its_storage_is_shown_and_is_the_providers_to_change() {
    let world = world().await;
    world
        .ask(
            PROVIDER,
            "PATCH",
            "/api/v1/tenants/acme",
            json!({"storage": "archive"}),
        )
        .await
        .ok(200);
    let shown = world.get(ACME, "/api/v1/plugins").await;
    assert_eq!(shown.names("name"), ["archive"]);
    let path = "/api/v1/plugins/archive";
    world
        .ask(ACME, "PATCH", path, json!({"enabled": false}))
        .await
        .problem(403, "not-permitted");
    world
        .ask(ACME, "POST", &format!("{path}/roll-back"), json!({}))
        .await
        .problem(403, "not-permitted");
    world
        .ask(ACME, "DELETE", path, Value::Null)
        .await
        .problem(403, "not-permitted");
}

#[tokio::test]
async fn a_token_of_a_tenant_that_is_gone_opens_nothing() {
    let world = world().await;
    for path in [
        "/tenants",
        "/accounts",
        "/sessions",
        "/plugins",
        "/storages",
        "/audit",
    ] {
        world
            .get(GONE, &format!("/api/v1{path}"))
            .await
            .problem(403, "not-permitted");
    }
}
