//! The status page, health and metrics as texts.

use restante_admin::{CertificateFacts, Health, PluginFacts, PluginState};

use crate::world::{PROVIDER, SystemClockNow, World, storage};

#[tokio::test]
async fn the_page_shows_the_process() {
    let world = World::new().await.settled().await;
    let page = world.get("", "/").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    for text in [
        "pop-1",
        "0.1.0",
        "2 d 2 h",
        "1\u{202f}203",
        "48\u{202f}211",
        "0.0.0.0:995",
        "pop.example.org",
        "61",
        "6",
        "archive",
        "href=\"/metrics\"",
        "href=\"/openapi.json\"",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
    assert!(page.text.contains("class=\"pill good\""));
    assert!(
        !page.text.contains("<script") && !page.text.contains("http://") && !page.text.contains("https://")
    );
    for account in ["ann", "gus@", "acme.example\""] {
        assert!(
            !page.text.contains(account),
            "{account}: no account and no client is named"
        );
    }
}

#[tokio::test]
async fn a_process_that_is_not_ready_says_why() {
    let world = World::new().await;
    assert_eq!(world.get("", "/readyz").await.ok_text(200), "ready\n");
    *world.facts.unready.lock().unwrap() =
        vec!["the database is lost".to_owned(), "draining\r\nX: y".to_owned()];
    let answer = world.get("", "/readyz").await;
    assert_eq!(
        answer.ok_text(503),
        "the database is lost\ndraining\u{fffd}\u{fffd}X: y\n"
    );
    assert_eq!(
        world.get("", "/livez").await.ok_text(200),
        "ok\n",
        "it runs all the same"
    );
    let page = world.get("", "/").await.text;
    assert!(page.contains("class=\"pill bad\"") && page.contains("<li>the database is lost</li>"));
}

#[tokio::test]
async fn metrics_are_handed_on() {
    let world = World::new().await;
    let answer = world.get("", "/metrics").await;
    assert_eq!(
        answer.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(answer.ok_text(200), "restante_ready 1\n");
    assert!(
        world.classes.lock().unwrap().is_empty(),
        "scrapes are no requests to the API"
    );
}

#[tokio::test]
async fn names_with_an_effect_have_none_on_the_page() {
    let world = World::new().await;
    let evil = "<script>alert(1)</script>\"'&\u{1b}[31m\u{202e}\r\n";
    let mut storage = storage(evil, Some(evil));
    storage.health = Health::Failing(evil.to_owned());
    world.facts.storages.lock().unwrap().push(storage);
    world.facts.unready.lock().unwrap().push(evil.to_owned());
    {
        let mut node = world.facts.node.lock().unwrap();
        let node = node.as_mut().unwrap();
        node.node = evil.to_owned();
        node.version = evil.to_owned();
        node.listeners[0].address = evil.to_owned();
        node.listeners[0].protocol = evil.to_owned();
        node.certificates.push(CertificateFacts {
            source: evil.to_owned(),
            names: vec![evil.to_owned()],
            not_after: SystemClockNow::now(),
        });
        node.plugins.push(PluginFacts {
            name: evil.to_owned(),
            state: PluginState::Failing,
            detail: evil.to_owned(),
        });
    }
    let page = world.get("", "/").await.text;
    assert!(!page.contains("<script") && !page.contains("alert(1)</script>"));
    assert!(!page.contains(['\u{1b}', '\u{202e}', '\r']));
    let safe = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}";
    assert!(page.matches(safe).count() >= 12, "{page}");
    // In JSON they are what they are, and JSON has no effect.
    let stored = world.get(PROVIDER, "/api/v1/storages").await.ok(200);
    assert!(
        stored["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == evil)
    );
}

#[tokio::test]
async fn long_tables_are_cut_and_the_next_to_end_come_first() {
    let world = World::new().await;
    {
        let mut node = world.facts.node.lock().unwrap();
        let node = node.as_mut().unwrap();
        let one = node.certificates[0].clone();
        node.certificates = (0..200)
            .map(|n| CertificateFacts {
                names: vec![format!("name{n}.example")],
                not_after: one.not_after - std::time::Duration::from_hours(n),
                ..one.clone()
            })
            .collect();
        node.certificates[199].not_after = SystemClockNow::now() - std::time::Duration::from_hours(30);
    }
    let page = world.get("", "/").await.text;
    assert!(page.contains("and 150 more") && page.contains("name198.") && !page.contains("name3."));
    let first = page.find("name199.").unwrap();
    assert!(first < page.find("name198.").unwrap() && page.contains("ended"));
}

#[tokio::test]
async fn an_empty_process_has_a_page_too() {
    let world = World::new().await;
    world.facts.storages.lock().unwrap().clear();
    {
        let mut node = world.facts.node.lock().unwrap();
        let node = node.as_mut().unwrap();
        node.listeners.clear();
        node.certificates.clear();
        node.plugins.clear();
        node.sessions = restante_admin::SessionFacts::default();
        node.logins = restante_admin::LoginFacts::default();
    }
    let page = world.get("", "/").await.text;
    for text in [
        "TLS is not configured",
        "No plugin is configured",
        "It listens nowhere",
        "No storage",
    ] {
        assert!(page.contains(text), "{text}");
    }
}
