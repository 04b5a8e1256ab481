//! Sessions and locks: over all frontends by their desk, of one process by its registry.

use std::time::Duration;

use restante_admin::AdminPorts;
use restante_auth::{AuditAction, AuditFilter};
use restante_testkit::{ALICE, BOB, TestServer, eventually};
use serde_json::{Value, json};

use crate::world::{PROVIDER, World};

#[tokio::test]
async fn the_sessions_of_all_frontends_are_listed_and_ended() {
    let world = World::new().await.settled().await;
    let (ann, gus) = (
        world.account("ann@acme.example").await,
        world.account("gus@globex.example").await,
    );
    let held = world.desk.hold(ann.id, "ann@acme.example", true);
    world.desk.hold(gus.id, "gus@globex.example", false);
    let all = world.get(PROVIDER, "/api/v1/sessions").await;
    assert_eq!(all.names("account"), ["ann@acme.example", "gus@globex.example"]);
    let first = &all.json()["items"][0];
    assert_eq!(
        (&first["frontend"], &first["is_alive"]),
        (&json!("node-b"), &json!(true))
    );
    assert_eq!(first["since"], "2027-01-15T08:00:00.000042Z");
    assert_eq!(
        world
            .get(PROVIDER, "/api/v1/sessions?account=gus@globex.example")
            .await
            .names("account")
            .len(),
        1
    );
    let by_key = format!(
        "/api/v1/sessions?tenant_id={}&account_id={}",
        ann.id.tenant(),
        ann.id.number()
    );
    assert_eq!(
        world.get(PROVIDER, &by_key).await.names("account"),
        ["ann@acme.example"]
    );
    let one = format!("/api/v1/sessions/{}", first["id"].as_str().unwrap());
    world.ask(PROVIDER, "DELETE", &one, Value::Null).await.ok(204);
    assert_eq!(world.desk.all().len(), 1);
    world
        .ask(PROVIDER, "DELETE", &one, Value::Null)
        .await
        .problem(404, "not-found");
    let filter = AuditFilter {
        action: Some(AuditAction::SessionKicked),
        limit: 10,
        ..AuditFilter::default()
    };
    let lines = world.directory.audit(filter).await.unwrap();
    assert_eq!(lines.len(), 1);
    let line = &lines[0].record;
    assert_eq!(
        (line.actor.as_str(), line.account, line.session),
        ("api:provider", Some(ann.id), Some(held.session))
    );
}

#[tokio::test]
async fn what_is_no_session_is_said() {
    let world = World::new().await.settled().await;
    let ann = world.account("ann@acme.example").await;
    let held = world.desk.hold(ann.id, "ann@acme.example", true);
    let other = format!("{}-{}-{}", ann.id.tenant(), ann.id.number(), "0".repeat(32));
    for id in [other.as_str(), "x", "1-1-1", &held.session.to_string()] {
        let path = format!("/api/v1/sessions/{id}");
        world
            .ask(PROVIDER, "DELETE", &path, Value::Null)
            .await
            .problem(404, "not-found");
    }
    assert_eq!(
        world.desk.all().len(),
        1,
        "another session of the same account is not ended"
    );
    world
        .get(PROVIDER, "/api/v1/sessions?account=no@acme.example")
        .await
        .problem(404, "not-found");
    world
        .get(PROVIDER, "/api/v1/sessions?account_id=1")
        .await
        .problem(422, "invalid");
    world
        .get(PROVIDER, "/api/v1/sessions?after=x")
        .await
        .problem(422, "invalid");
}

#[tokio::test]
async fn only_a_dead_lock_is_freed() {
    let world = World::new().await.settled().await;
    let (ann, gus) = (
        world.account("ann@acme.example").await,
        world.account("gus@globex.example").await,
    );
    world.desk.hold(ann.id, "ann@acme.example", true);
    world.desk.hold(gus.id, "gus@globex.example", false);
    assert_eq!(
        world.get(PROVIDER, "/api/v1/locks").await.names("account").len(),
        2
    );
    let dead = world.get(PROVIDER, "/api/v1/locks?dead=true").await;
    assert_eq!(dead.names("account"), ["gus@globex.example"]);
    let all = world.get(PROVIDER, "/api/v1/locks").await.json();
    let free = async |nth: usize| {
        let path = format!("/api/v1/locks/{}", all["items"][nth]["id"].as_str().unwrap());
        world.ask(PROVIDER, "DELETE", &path, Value::Null).await
    };
    let problem = free(0).await.problem(409, "in-use");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("DELETE /api/v1/sessions/"),
        "{problem}"
    );
    free(1).await.ok(204);
    free(1).await.problem(404, "not-found");
    assert_eq!(world.desk.all().len(), 1);
}

#[tokio::test]
async fn a_long_list_of_sessions_comes_in_pages() {
    let world = World::new().await.settled().await;
    let mut names = Vec::new();
    for n in 0..25 {
        let account = format!("user{n:02}@acme.example");
        let account = world
            .directory
            .add_account(crate::world::new_account(&account))
            .await
            .unwrap();
        world.desk.hold(account.id, &account.name.to_string(), n % 2 == 0);
        names.push(account.name.to_string());
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/sessions?limit=10".to_owned();
    loop {
        let page = world.get(PROVIDER, &path).await;
        seen.extend(page.names("account"));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else {
            break;
        };
        path = format!("/api/v1/sessions?limit=10&after={next}");
    }
    assert_eq!(seen, names);
}

/// A POP3 server, and the admin interface of its process.
async fn with_server(change: impl FnOnce(&mut AdminPorts)) -> (TestServer, World) {
    let server = TestServer::start().await;
    let (admin, sessions) = (server.backends.admin.clone(), server.sessions());
    let world = World::with(|ports, _| {
        ports.directory = admin;
        ports.sessions = sessions;
        ports.desk = None;
        change(ports);
    })
    .await;
    (server, world)
}

#[tokio::test]
async fn without_a_desk_the_sessions_of_the_process_are_all_there_are() {
    let (server, world) = with_server(|_| {}).await;
    let mut alice = server.alice().await;
    let mut bob = server.bob().await;
    for path in ["/api/v1/sessions", "/api/v1/node/sessions", "/api/v1/locks"] {
        let mut names = world.get(PROVIDER, path).await.names("account");
        names.sort();
        assert_eq!(names, [ALICE, BOB], "{path}");
    }
    let one = world
        .get(PROVIDER, &format!("/api/v1/sessions?account={ALICE}"))
        .await
        .json();
    let item = &one["items"][0];
    assert_eq!(
        (&item["frontend"], &item["is_alive"]),
        (&json!("pop-1"), &json!(true))
    );
    let id = item["id"].as_str().unwrap();
    world
        .ask(PROVIDER, "DELETE", &format!("/api/v1/locks/{id}"), Value::Null)
        .await
        .problem(409, "in-use");
    world
        .ask(PROVIDER, "DELETE", &format!("/api/v1/sessions/{id}"), Value::Null)
        .await
        .ok(204);
    eventually("the session is gone", || server.sessions().len() == 1).await;
    let last = alice.reply().await;
    assert!(last.starts_with("-ERR"), "{last}");
    bob.ok("NOOP").await;
    world
        .ask(PROVIDER, "DELETE", &format!("/api/v1/sessions/{id}"), Value::Null)
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn a_session_of_this_process_hears_at_once_that_its_lock_is_taken() {
    let desk = std::sync::Arc::new(crate::desk::MemoryDesk::default());
    let shown = desk.clone();
    let (server, world) = with_server(|ports| ports.desk = Some(shown)).await;
    let mut alice = server.alice().await;
    let live = server.sessions().sessions().remove(0);
    assert!(live.elapsed < Duration::from_mins(1));
    desk.adopt(live.session, live.login.account, ALICE);
    let id = world.get(PROVIDER, "/api/v1/sessions").await.json()["items"][0]["id"].clone();
    world
        .ask(
            PROVIDER,
            "DELETE",
            &format!("/api/v1/sessions/{}", id.as_str().unwrap()),
            Value::Null,
        )
        .await
        .ok(204);
    assert!(alice.reply().await.starts_with("-ERR"));
    assert!(desk.all().is_empty());
}
