//! Tokens about which the issuer is asked.

use std::time::Duration;

use restante_auth::{OauthProvider, TokenCheck};
use restante_oauth::OauthLimits;
use serde_json::{Value, json};

use crate::bench::{Bench, NOW, Outcome, REFUSED, UNAVAILABLE, ann, by_question, claims_with, patient};
use crate::provider::{Provider, Reply};
use crate::signer::Signer;

fn yes_with(changes: &Value) -> Reply {
    let mut answer = claims_with(changes);
    if changes.get("active").is_none() {
        answer["active"] = json!(true);
    }
    Reply::json(&answer)
}

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.issuer.answer(yes_with(&json!({})));
    bench
}

async fn ask(bench: &Bench, token: &str) -> Outcome {
    bench
        .verify_with(&[by_question(bench.issuer.url("/ask"))], token)
        .await
}

#[tokio::test]
async fn the_issuer_is_asked_as_the_client_and_about_the_token() {
    let bench = bench().await;
    assert_eq!(ask(&bench, "opaque+/=").await, ann());
    let request = bench.issuer.requests().remove(0);
    assert_eq!(request.path, "/ask");
    assert_eq!(request.credentials.unwrap(), "mail+server:s%3Ae%2Bcret");
    assert_eq!(request.body, "token_type_hint=access_token&token=opaque%2B%2F%3D");
}

#[tokio::test]
async fn what_the_answer_says_must_be_right_and_may_be_missing() {
    let bench = bench().await;
    let nothing = json!({"iss": null, "aud": null, "exp": null, "nbf": null});
    let by_user_name = json!({"email": null, "username": "ann@example.org"});
    for (number, (changes, expected)) in [
        (nothing, ann()),
        (by_user_name, ann()),
        (json!({"aud": ["calendar", "pop"]}), ann()),
        (json!({"active": false}), REFUSED),
        (json!({"aud": "calendar"}), REFUSED),
        (json!({"iss": "https://id.example.com"}), REFUSED),
        (json!({"exp": NOW - 60}), REFUSED),
        (json!({"nbf": NOW + 61}), REFUSED),
        (json!({"email": null}), REFUSED),
        (json!({"email": "ann"}), REFUSED),
        (
            json!({"email_verified": false, "username": "ann@example.org"}),
            REFUSED,
        ),
        (json!({"active": "true"}), UNAVAILABLE),
        (json!({"active": 1}), UNAVAILABLE),
        (json!({"active": null}), UNAVAILABLE),
    ]
    .into_iter()
    .enumerate()
    {
        bench.issuer.answer(yes_with(&changes));
        assert_eq!(ask(&bench, &format!("t{number}")).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn a09_an_issuer_that_gives_no_answer_decides_nothing() {
    let mut bench = Bench::impatient().await;
    for reply in [
        Reply::Body(500, b"{\"active\":false}".to_vec()),
        Reply::Body(401, b"{\"active\":false}".to_vec()),
        Reply::Body(403, Vec::new()),
        Reply::Body(200, b"no".to_vec()),
        Reply::Body(200, b"[true]".to_vec()),
        Reply::Body(200, vec![b' '; 10_000_000]),
        Reply::Redirect("/other"),
        Reply::Silence,
    ] {
        bench.issuer.answer(reply);
        assert_eq!(ask(&bench, "opaque").await, UNAVAILABLE);
    }
    assert!(
        bench
            .issuer
            .requests()
            .iter()
            .all(|request| request.path == "/ask")
    );
    bench.issuer.stop().await;
    assert_eq!(ask(&bench, "opaque").await, UNAVAILABLE);
}

#[tokio::test]
async fn a_client_secret_that_cannot_be_opened_is_never_replaced_by_nothing() {
    let bench = bench().await;
    let mut provider = by_question(bench.issuer.url("/ask"));
    if let TokenCheck::Introspection {
        sealed_client_secret, ..
    } = &mut provider.check
    {
        "by another key".clone_into(sealed_client_secret);
    }
    assert_eq!(bench.verify_with(&[provider], "opaque").await, UNAVAILABLE);
    assert_eq!(bench.issuer.count(), 0);
}

#[tokio::test]
async fn a_yes_holds_for_a_minute_and_a_no_does_not() {
    let bench = bench().await;
    assert_eq!(ask(&bench, "opaque").await, ann());
    bench.issuer.answer(yes_with(&json!({"active": false})));
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(ask(&bench, "opaque").await, ann());
    assert_eq!(ask(&bench, "opaquE").await, REFUSED);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&bench, "opaque").await, REFUSED);
    bench.issuer.answer(yes_with(&json!({})));
    assert_eq!(ask(&bench, "opaque").await, ann());
    assert_eq!(bench.issuer.count(), 4);
}

#[tokio::test]
async fn a20_a_yes_does_not_outlive_the_token() {
    let bench = bench().await;
    bench.issuer.answer(yes_with(&json!({"exp": NOW + 5})));
    assert_eq!(ask(&bench, "opaque").await, ann());
    bench.issuer.answer(yes_with(&json!({"active": false})));
    bench.clock.advance(Duration::from_secs(4));
    assert_eq!(ask(&bench, "opaque").await, ann());
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&bench, "opaque").await, REFUSED);
}

#[tokio::test]
async fn a_yes_to_one_provider_is_none_to_another_with_other_rules() {
    let bench = bench().await;
    bench.issuer.answer(yes_with(&json!({"aud": "mail"})));
    assert_eq!(ask(&bench, "opaque").await, ann());
    let stricter = OauthProvider {
        audiences: vec!["pop".to_owned()],
        ..by_question(bench.issuer.url("/ask"))
    };
    assert_eq!(bench.verify_with(&[stricter], "opaque").await, REFUSED);
}

#[tokio::test]
async fn only_so_many_answers_are_remembered() {
    let limits = OauthLimits {
        answers: 2,
        ..patient()
    };
    let bench = Bench::with(Signer::es256(), limits).await;
    bench.issuer.answer(yes_with(&json!({})));
    for token in ["a", "b", "a", "c", "a", "b"] {
        assert_eq!(ask(&bench, token).await, ann());
    }
    let asked: Vec<_> = bench
        .issuer
        .requests()
        .into_iter()
        .map(|request| request.body.chars().last().unwrap())
        .collect();
    assert_eq!(asked, ['a', 'b', 'c', 'b']);
}

#[tokio::test]
async fn an_opaque_token_is_shown_to_one_after_the_other_until_one_says_yes() {
    let bench = bench().await;
    let no = Provider::start(yes_with(&json!({"active": false}))).await;
    let broken = Provider::start(Reply::Body(500, Vec::new())).await;
    let (yes, no_too) = (by_question(bench.issuer.url("/ask")), by_question(no.url("/ask")));
    let unknown = by_question(broken.url("/ask"));
    let by_keys = bench.provider();
    for (token, providers, expected) in [
        ("t1", vec![by_keys.clone(), no_too.clone(), yes.clone()], ann()),
        ("t2", vec![unknown.clone(), yes.clone()], ann()),
        // One that might have said yes was not heard.
        ("t3", vec![unknown.clone(), no_too.clone()], UNAVAILABLE),
        ("t4", vec![no_too.clone(), unknown], UNAVAILABLE),
        ("t5", vec![no_too], REFUSED),
        ("t6", vec![by_keys], REFUSED),
        ("t7", vec![], REFUSED),
    ] {
        assert_eq!(bench.verify_with(&providers, token).await, expected, "{token}");
    }
    assert_eq!((bench.issuer.count(), no.count(), broken.count()), (2, 4, 3));
}

#[tokio::test]
async fn a_signed_token_is_shown_to_its_issuer_only() {
    let bench = bench().await;
    let other = Provider::start(yes_with(&json!({}))).await;
    let of_other = OauthProvider {
        issuer: "https://evil.example.com".to_owned(),
        ..by_question(other.url("/ask"))
    };
    let providers = [of_other, by_question(bench.issuer.url("/ask"))];
    assert_eq!(bench.verify_with(&providers, &bench.token()).await, ann());
    let of_nobody = bench.token_with(&json!({"iss": "https://id.example.net"}));
    assert_eq!(bench.verify_with(&providers, &of_nobody).await, REFUSED);
    assert_eq!((bench.issuer.count(), other.count()), (1, 0));
}
