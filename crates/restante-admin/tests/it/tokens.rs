//! Who may do what, and how those are answered who may nothing.

use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request};
use restante_admin::{AnswerClass, Tokens};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{ACME, ACME_READER, Answer, PROVIDER, READER, World, tokens};

async fn with_header(world: &World, value: Option<&[u8]>) -> Answer {
    let mut request = Request::get("/api/v1/tenants");
    if let Some(value) = value {
        request = request.header(AUTHORIZATION, value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

fn told(headers: &HeaderMap) -> Vec<String> {
    let mut told: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn whoever_has_no_right_token_is_answered_alike() {
    let world = World::new().await.settled().await;
    let mut answers = Vec::new();
    let half = PROVIDER.strip_suffix('f').unwrap();
    let wrong = [
        None,
        Some(b"".to_vec()),
        Some(b"Bearer".to_vec()),
        Some(b"Bearer ".to_vec()),
        Some(format!("Basic {PROVIDER}").into_bytes()),
        Some(format!("Bearer {half}").into_bytes()),
        Some(format!("Bearer {PROVIDER}x").into_bytes()),
        Some(format!("Bearer {}", PROVIDER.to_uppercase()).into_bytes()),
        Some(format!("Bearer {PROVIDER} {ACME}").into_bytes()),
        Some(b"Bearer \xff\xfe".to_vec()),
        Some(vec![b'x'; 20_000]),
    ];
    for value in &wrong {
        let answer = with_header(&world, value.as_deref()).await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer");
        answers.push((told(&answer.headers), answer.text));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // It makes no difference whether there is such an address, or what is asked for.
    for (method, path) in [
        ("GET", "/api/v1/nowhere"),
        ("POST", "/api/v1/tenants"),
        ("GET", "/api/"),
        ("BREW", "/api/v1/audit"),
    ] {
        let answer = world.ask("no such token at all", method, path, Value::Null).await;
        assert_eq!(
            (told(&answer.headers), answer.text),
            answers[0],
            "{method} {path}"
        );
    }
    let classes = world.classes.lock().unwrap();
    assert_eq!(classes.len(), wrong.len() + 4);
    assert!(classes.iter().all(|class| *class == AnswerClass::Unauthorized));
}

#[tokio::test]
async fn without_any_token_nobody_may_anything() {
    let world = World::new().await;
    world.tokens.replace(Vec::new()).unwrap();
    world
        .get(PROVIDER, "/api/v1/tenants")
        .await
        .problem(401, "unauthorized");
    world
        .get("", "/api/v1/tenants")
        .await
        .problem(401, "unauthorized");
    with_header(&world, None).await.problem(401, "unauthorized");
    for path in ["/", "/metrics", "/livez", "/readyz", "/openapi.json"] {
        assert_eq!(world.get("", path).await.status, 200, "{path} needs no token");
    }
    world.tokens.replace(tokens()).unwrap();
    world.get(PROVIDER, "/api/v1/tenants").await.ok(200);
}

#[tokio::test]
async fn every_token_may_what_is_said_of_it() {
    let world = World::new().await.settled().await;
    for (token, reads, writes) in [
        (PROVIDER, 200, 200),
        (READER, 200, 403),
        (ACME, 200, 200),
        (ACME_READER, 200, 403),
    ] {
        let path = "/api/v1/accounts/ann@acme.example";
        assert_eq!(world.get(token, path).await.status, reads, "{token}");
        let answer = world
            .ask(token, "PATCH", path, json!({"quota_messages": 3}))
            .await;
        assert_eq!(answer.status, writes, "{token}");
        if writes == 403 {
            answer.problem(403, "read-only");
        }
    }
    let change = async |token, path: &str| {
        world
            .ask(token, "PATCH", path, json!({"quota_messages": 4}))
            .await
    };
    change(ACME, "/api/v1/accounts/gus@globex.example")
        .await
        .problem(404, "not-found");
    change(PROVIDER, "/api/v1/accounts/gus@globex.example")
        .await
        .ok(200);
    assert_eq!(
        world.get(ACME_READER, "/api/v1/accounts").await.names("name"),
        ["ann@acme.example"]
    );
    assert_eq!(world.get(READER, "/api/v1/accounts").await.names("name").len(), 2);
}

#[tokio::test]
async fn a_token_for_reading_changes_nothing_by_any_address() {
    let world = World::new().await.settled().await;
    let document: Value = world.get(READER, "/openapi.json").await.json();
    let mut n_tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|method| *method != "get") {
            let path = path
                .replace("{account}", "ann@acme.example")
                .replace(['{', '}'], "");
            let answer = world.ask(READER, &method.to_uppercase(), &path, json!({})).await;
            answer.problem(403, "read-only");
            n_tried += 1;
        }
    }
    assert!(n_tried > 20, "{n_tried}");
}

#[tokio::test]
async fn the_audit_names_who_did_it() {
    let world = World::new().await.settled().await;
    world
        .ask(
            ACME,
            "PATCH",
            "/api/v1/accounts/ann@acme.example",
            json!({"state": "closed"}),
        )
        .await
        .ok(200);
    let line = &world
        .get(PROVIDER, "/api/v1/audit?action=account-changed")
        .await
        .json()["items"][0];
    assert_eq!(line["actor"], "api:acme");
}

#[tokio::test]
async fn wrong_tokens_wait_and_right_ones_do_not() {
    let world = World::with(|_, limits| {
        limits.refusal_delay = Duration::from_millis(300);
        limits.refusals_at_once = 4;
    })
    .await;
    let begun = Instant::now();
    let wrong = (0..8).map(|_| world.get("guessed-0123456789", "/api/v1/tenants"));
    let mut running: Vec<_> = wrong.map(Box::pin).collect();
    // All of them wait while the right one is answered.
    for one in &mut running {
        assert!(tokio::time::timeout(Duration::ZERO, one.as_mut()).await.is_err());
    }
    world.get(PROVIDER, "/api/v1/tenants").await.ok(200);
    for one in running {
        one.await.problem(401, "unauthorized");
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(600),
        "eight at four at once: two rounds of the delay"
    );
}

/// Row X08: a token is compared by digests of both under a key that only this process has, and with every token that
/// there is. So the work does not depend on how much of a guess is right: `src/token.rs` proves it of the parts. Here
/// the time of guesses is looked at, as far as a shared machine permits to say something: no claim about amounts, only
/// that guesses which are right up to the last octet do not stand out from the spread of those that are all wrong.
#[tokio::test]
async fn how_much_of_a_guess_is_right_does_not_show() {
    let world = World::with(|_, limits| limits.refusal_delay = Duration::ZERO).await;
    let wrong_at = |place: usize| {
        let mut guess = PROVIDER.as_bytes().to_vec();
        guess[place] ^= 1;
        String::from_utf8(guess).unwrap()
    };
    let guesses = [
        wrong_at(0),
        wrong_at(PROVIDER.len() / 2),
        wrong_at(PROVIDER.len() - 1),
    ];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..600 {
        // In turns, each time beginning with another, so that what slows the machine slows all of them.
        for nth in 0..3 {
            let nth = (nth + round) % 3;
            let begun = Instant::now();
            world
                .get(&guesses[nth], "/api/v1/tenants")
                .await
                .problem(401, "unauthorized");
            times[nth].push(begun.elapsed());
        }
    }
    let quartiles = times.map(|mut times| {
        times.sort_unstable();
        [
            times[times.len() / 4],
            times[times.len() / 2],
            times[times.len() * 3 / 4],
        ]
    });
    for [_, median, _] in quartiles {
        for [low, _, high] in quartiles {
            let spread = high.saturating_sub(low);
            assert!(
                median >= low.saturating_sub(spread) && median <= high + spread,
                "{quartiles:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_token_appears_nowhere() {
    let world = World::new().await.settled().await;
    let shown = format!(
        "{:?} {:?}",
        world.service(restante_admin::AdminLimits::default()),
        world.ports
    );
    for token in [PROVIDER, READER, ACME] {
        assert!(!shown.contains(token));
        for path in [
            "/",
            "/metrics",
            "/openapi.json",
            "/api/v1/audit",
            "/api/v1/nowhere",
        ] {
            let answer = world.get(token, path).await;
            assert!(
                !answer.text.contains(token) && !format!("{:?}", answer.headers).contains(token),
                "{path}"
            );
        }
    }
    let fault = Tokens::new(vec![tokens().remove(0), tokens().remove(0)]).unwrap_err();
    assert!(!format!("{fault} {fault:?}").contains(PROVIDER));
}
