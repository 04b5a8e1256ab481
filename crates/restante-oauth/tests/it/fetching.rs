//! How keys are fetched, kept and renewed.

use std::sync::Arc;
use std::time::Duration;

use restante_auth::OauthProvider;
use restante_oauth::OauthLimits;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bench::{Bench, NOW, Outcome, REFUSED, UNAVAILABLE, ann, by_keys, claims_with, patient};
use crate::provider::{Provider, Reply};
use crate::signer::{Signer, key_set};

const MINUTE: Duration = Duration::from_mins(1);

/// Runs them all at once, in one task each.
async fn at_once(
    logins: impl Iterator<Item = impl Future<Output = Outcome> + Send + 'static>,
) -> Vec<Outcome> {
    logins.collect::<JoinSet<_>>().join_all().await
}

/// The same document, longer.
fn padded(json: &[u8], octets: usize) -> Vec<u8> {
    let mut body = json.to_vec();
    body.resize(octets, b' ');
    body
}

#[tokio::test]
async fn a_hundred_logins_at_once_make_one_request() {
    let bench = Arc::new(Bench::new().await);
    let (open, gate) = watch::channel(false);
    let keys = key_set(&[bench.signer.jwk("k1")]).to_string();
    bench.issuer.answer(Reply::Gated(gate, keys.into_bytes()));
    let logins = at_once((0..100).map(|_| {
        let bench = Arc::clone(&bench);
        async move { bench.verify(&bench.token()).await }
    }));
    let release = async {
        bench.issuer.asked(1).await;
        open.send_replace(true);
    };
    let (outcomes, ()) = tokio::join!(logins, release);
    assert!(outcomes.iter().all(|outcome| *outcome == ann()));
    assert_eq!(bench.issuer.count(), 1);
}

#[tokio::test]
async fn a_fetch_goes_on_when_the_login_that_began_it_is_gone() {
    let bench = Bench::new().await;
    let (open, gate) = watch::channel(false);
    let keys = key_set(&[bench.signer.jwk("k1")]).to_string();
    bench.issuer.answer(Reply::Gated(gate, keys.into_bytes()));
    let token = bench.token();
    tokio::select! {
        outcome = bench.verify(&token) => panic!("decided without keys: {outcome:?}"),
        () = bench.issuer.asked(1) => {}
    }
    open.send_replace(true);
    assert_eq!(bench.verify(&token).await, ann());
    assert_eq!(bench.issuer.count(), 1);
}

#[tokio::test]
async fn a09_keys_go_on_working_for_a_day_while_the_issuer_is_down() {
    let mut bench = Bench::new().await;
    let long = bench.token_with(&json!({"exp": NOW + 1_000_000}));
    assert_eq!(bench.verify(&long).await, ann());
    bench.issuer.stop().await;
    for _ in 0..24 {
        bench.clock.advance(60 * MINUTE);
        assert_eq!(bench.verify(&long).await, ann());
    }
    bench.clock.advance(MINUTE);
    assert_eq!(bench.verify(&long).await, UNAVAILABLE);
}

#[tokio::test]
async fn a09_an_unknown_key_cannot_be_decided_while_the_issuer_is_down() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.verify(&bench.token()).await, ann());
    bench.issuer.stop().await;
    bench.clock.advance(MINUTE);
    let unknown = bench.signer.token("k2", &claims_with(&json!({})));
    assert_eq!(bench.verify(&unknown).await, UNAVAILABLE);
    assert_eq!(bench.verify(&unknown).await, UNAVAILABLE);
    assert_eq!(bench.verify(&bench.token()).await, ann());
}

#[tokio::test]
async fn a09_answers_that_cannot_be_used_decide_nothing_and_take_no_keys_away() {
    let many: Vec<_> = (0..65).map(|n| Signer::ed_dsa().jwk(&format!("k{n}"))).collect();
    let good = key_set(&[Signer::es256().jwk("k1")]).to_string().into_bytes();
    for reply in [
        Reply::Body(500, good.clone()),
        Reply::Body(503, good.clone()),
        Reply::Body(404, good.clone()),
        Reply::Body(204, Vec::new()),
        Reply::Body(201, good.clone()),
        Reply::Body(200, padded(&good, 10_000_000)),
        Reply::Body(200, padded(&good, 64 * 1024 + 1)),
        Reply::Body(200, b"<html>".to_vec()),
        Reply::Body(200, b"{}".to_vec()),
        Reply::Body(200, "[".repeat(60_000).into_bytes()),
        Reply::Body(200, Vec::new()),
        Reply::json(&key_set(&many)),
        Reply::Redirect("/other"),
    ] {
        let bench = Bench::new().await;
        bench.issuer.answer(reply.clone());
        assert_eq!(bench.verify(&bench.token()).await, UNAVAILABLE);
        // Once keys are there, the same answers do no harm.
        bench
            .issuer
            .answer(Reply::json(&key_set(&[bench.signer.jwk("k1")])));
        bench.clock.advance(MINUTE);
        assert_eq!(bench.verify(&bench.token()).await, ann());
        bench.issuer.answer(reply);
        bench.clock.advance(45 * MINUTE);
        assert_eq!(bench.verify(&bench.token()).await, ann());
        bench.issuer.asked(3).await;
        assert_eq!(bench.verify(&bench.token()).await, ann());
    }
}

#[tokio::test]
async fn a_set_of_64_kib_with_64_keys_is_read() {
    let bench = Bench::new().await;
    let mut keys: Vec<_> = (0..63).map(|n| Signer::ed_dsa().jwk(&format!("e{n}"))).collect();
    keys.push(bench.signer.jwk("k1"));
    let body = key_set(&keys).to_string().into_bytes();
    bench.issuer.answer(Reply::Body(200, padded(&body, 64 * 1024)));
    assert_eq!(bench.verify(&bench.token()).await, ann());
}

#[tokio::test]
async fn a09_an_issuer_that_does_not_answer_is_waited_for_once_in_a_while() {
    let bench = Bench::impatient().await;
    bench.issuer.answer(Reply::Silence);
    let logins = (0..5).map(|_| bench.token());
    for token in logins {
        assert_eq!(bench.verify(&token).await, UNAVAILABLE);
    }
    // The first one waited for it; what it learnt holds for the others.
    assert_eq!(bench.issuer.count(), 1);
    bench.clock.advance(MINUTE);
    assert_eq!(bench.verify(&bench.token()).await, UNAVAILABLE);
    assert_eq!(bench.issuer.count(), 2);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let bench = Bench::new().await;
    bench.issuer.answer(Reply::Redirect("/other"));
    assert_eq!(bench.verify(&bench.token()).await, UNAVAILABLE);
    let paths: Vec<_> = bench
        .issuer
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/keys"]);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let bench = Bench::new().await;
    let next = Signer::es256();
    assert_eq!(bench.verify(&bench.token()).await, ann());
    bench.issuer.answer(Reply::json(&key_set(&[next.jwk("k2")])));
    bench.clock.advance(MINUTE);
    let token = next.token("k2", &claims_with(&json!({})));
    assert_eq!(bench.verify(&token).await, ann());
    // The old one was taken back.
    assert_eq!(bench.verify(&bench.token()).await, REFUSED);
}

#[tokio::test]
async fn unknown_keys_make_one_request_in_30_seconds() {
    let bench = Bench::new().await;
    assert_eq!(bench.verify(&bench.token()).await, ann());
    for n in 0..50 {
        let unknown = bench.signer.token(&format!("x{n}"), &claims_with(&json!({})));
        assert_eq!(bench.verify(&unknown).await, REFUSED);
    }
    assert_eq!(bench.issuer.count(), 1);
    bench.clock.advance(Duration::from_secs(30));
    for n in 0..50 {
        let unknown = bench.signer.token(&format!("y{n}"), &claims_with(&json!({})));
        assert_eq!(bench.verify(&unknown).await, REFUSED);
    }
    assert_eq!(bench.issuer.count(), 2);
}

#[tokio::test]
async fn keys_older_than_ten_minutes_are_renewed_behind_the_login() {
    let bench = Bench::new().await;
    assert_eq!(bench.verify(&bench.token()).await, ann());
    bench.clock.advance(10 * MINUTE);
    assert_eq!(bench.verify(&bench.token()).await, ann());
    assert_eq!(bench.issuer.count(), 1);
    // The login does not wait for the answer, which does not come yet.
    let (open, gate) = watch::channel(false);
    let none = key_set(&[]).to_string().into_bytes();
    bench.issuer.answer(Reply::Gated(gate, none));
    bench.clock.advance(MINUTE);
    assert_eq!(bench.verify(&bench.token()).await, ann());
    bench.issuer.asked(2).await;
    open.send_replace(true);
    // One that needs the answer waits for it.
    let unknown = bench.signer.token("k2", &claims_with(&json!({})));
    assert_eq!(bench.verify(&unknown).await, REFUSED);
    assert_eq!(bench.verify(&bench.token()).await, REFUSED);
    assert_eq!(bench.issuer.count(), 2);
}

#[tokio::test]
async fn keys_older_than_an_hour_are_renewed_before_the_login() {
    let bench = Bench::new().await;
    let token = bench.token_with(&json!({"exp": NOW + 1_000_000}));
    assert_eq!(bench.verify(&token).await, ann());
    bench.issuer.answer(Reply::json(&key_set(&[])));
    bench.clock.advance(61 * MINUTE);
    assert_eq!(bench.verify(&token).await, REFUSED);
}

#[tokio::test]
async fn only_so_many_addresses_are_remembered() {
    let limits = OauthLimits {
        endpoints: 2,
        ..patient()
    };
    let bench = Bench::with(Signer::es256(), limits).await;
    let provider = |path| by_keys(bench.issuer.url(path));
    let (a, b, c) = (provider("/a"), provider("/b"), provider("/c"));
    for provider in [&a, &b, &a, &c, &a, &b] {
        assert_eq!(
            bench
                .verify_with(std::slice::from_ref(provider), &bench.token())
                .await,
            ann()
        );
    }
    let paths: Vec<_> = bench
        .issuer
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    // The one that was used longest ago has to be fetched again.
    assert_eq!(paths, ["/a", "/b", "/c", "/b"]);
}

#[tokio::test]
async fn slow_issuers_hold_up_no_more_than_the_limit() {
    let limits = OauthLimits {
        fetches: 2,
        ..patient()
    };
    let bench = Arc::new(Bench::with(Signer::es256(), limits).await);
    let (open, gate) = watch::channel(false);
    let keys = key_set(&[bench.signer.jwk("k1")]).to_string();
    bench.issuer.answer(Reply::Gated(gate, keys.into_bytes()));
    let logins = at_once((0..6).map(|n| {
        let bench = Arc::clone(&bench);
        async move {
            let provider = by_keys(bench.issuer.url(&format!("/{n}")));
            bench.verify_with(&[provider], &bench.token()).await
        }
    }));
    let release = async {
        bench.issuer.asked(2).await;
        // Others would have come by now: each login has been polled many times over.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.issuer.count(), 2);
        open.send_replace(true);
    };
    let (outcomes, ()) = tokio::join!(logins, release);
    assert!(outcomes.iter().all(|outcome| *outcome == ann()));
    assert_eq!(bench.issuer.count(), 6);
}

#[tokio::test]
async fn http_goes_to_this_machine_only() {
    let bench = Bench::new().await;
    let port = bench.issuer.port();
    for url in [
        format!("http://localhost:{port}/keys"),
        format!("http://127.0.0.1:{port}/keys"),
    ] {
        assert_eq!(
            bench.verify_with(&[by_keys(url.clone())], &bench.token()).await,
            ann(),
            "{url}"
        );
    }
    for url in [
        format!("http://localhost.example.org:{port}/keys"),
        format!("http://127.0.0.1.example.org:{port}/keys"),
        format!("http://0.0.0.0:{port}/keys"),
        format!("http://192.0.2.1:{port}/keys"),
        format!("http://[::ffff:127.0.0.1]:{port}/keys"),
        format!("http://user:word@127.0.0.1:{port}/keys"),
        format!("http://user@127.0.0.1:{port}/keys"),
        format!("ftp://127.0.0.1:{port}/keys"),
        "file:///etc/passwd".to_owned(),
        "data:application/json,{}".to_owned(),
        "keys".to_owned(),
        String::new(),
    ] {
        let outcome = bench.verify_with(&[by_keys(url.clone())], &bench.token()).await;
        assert_eq!(outcome, UNAVAILABLE, "{url}");
    }
    assert_eq!(bench.issuer.count(), 2);
}

#[tokio::test]
async fn each_issuer_vouches_with_its_own_keys_only() {
    let bench = Bench::new().await;
    let evil = Signer::es256();
    let other = Provider::start(Reply::json(&key_set(&[evil.jwk("k1")]))).await;
    let provider_of_other = OauthProvider {
        issuer: "https://evil.example.com".to_owned(),
        ..by_keys(other.url("/keys"))
    };
    let providers = [provider_of_other, bench.provider()];
    let token = evil.token("k1", &claims_with(&json!({})));
    assert_eq!(bench.verify_with(&providers, &token).await, REFUSED);
    assert_eq!(bench.verify_with(&providers, &bench.token()).await, ann());
    assert_eq!(other.count(), 0);
}
