//! Signed tokens: what they must say, and how they must be signed.

use restante_auth::OauthProvider;
use serde_json::{Value, json};

use crate::bench::{Bench, NOW, REFUSED, ann, claims_with, patient};
use crate::provider::Reply;
use crate::signer::{Signer, hs256_with_rsa_key, key_set, unsigned};

#[tokio::test]
async fn a_token_of_each_permitted_algorithm_opens() {
    for signer in [Signer::Rs256, Signer::es256(), Signer::ed_dsa()] {
        let algorithm = signer.algorithm();
        let bench = Bench::with(signer, patient()).await;
        assert_eq!(bench.verify(&bench.token()).await, ann(), "{algorithm}");
    }
}

#[tokio::test]
async fn a08_a_token_without_a_signature_is_refused() {
    let bench = Bench::new().await;
    assert_eq!(bench.verify(&bench.token()).await, ann());
    for algorithm in ["none", "None", "NONE", "", "nOnE"] {
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": "k1"});
        let token = unsigned(&header, &claims_with(&json!({})));
        assert_eq!(bench.verify(&token).await, REFUSED, "{algorithm}");
    }
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "k1"});
    let token = unsigned(&header, &claims_with(&json!({})));
    assert_eq!(bench.verify(&token).await, REFUSED);
    assert_eq!(bench.issuer.count(), 1);
}

#[tokio::test]
async fn a08_the_public_key_is_no_secret_of_a_symmetric_signature() {
    let bench = Bench::with(Signer::Rs256, patient()).await;
    assert_eq!(bench.verify(&bench.token()).await, ann());
    for token in hs256_with_rsa_key("k1", &claims_with(&json!({}))) {
        assert_eq!(bench.verify(&token).await, REFUSED);
    }
}

#[tokio::test]
async fn a08_the_algorithm_is_the_keys_and_not_the_tokens() {
    let bench = Bench::new().await;
    let other = Signer::ed_dsa();
    let keys = [bench.signer.jwk("k1"), other.jwk("k2")];
    bench.issuer.answer(Reply::json(&key_set(&keys)));
    let claims = claims_with(&json!({}));
    assert_eq!(bench.verify(&other.token("k2", &claims)).await, ann());
    // Signed by one key, said to be by another, and the other way round.
    assert_eq!(bench.verify(&other.token("k1", &claims)).await, REFUSED);
    let header = json!({"alg": "ES256", "kid": "k2"});
    assert_eq!(bench.verify(&other.sign(&header, &claims)).await, REFUSED);
    // A key that is declared for another algorithm or purpose is none of ours.
    for (member, value) in [("alg", "RS384"), ("use", "enc")] {
        let bench = Bench::with(Signer::Rs256, patient()).await;
        let mut key = bench.signer.jwk("k1");
        key[member] = json!(value);
        bench.issuer.answer(Reply::json(&key_set(&[key])));
        assert_eq!(bench.verify(&bench.token()).await, REFUSED, "{member}");
    }
}

#[tokio::test]
async fn a08_a_key_id_opens_no_file_and_no_connection() {
    let bench = Bench::new().await;
    let url = bench.issuer.url("/evil");
    let long = "k".repeat(65);
    for id in [
        "../../x",
        "/etc/passwd",
        "k1\0",
        "",
        "k 1",
        "k1%00",
        "k1'--",
        url.as_str(),
        long.as_str(),
    ] {
        let token = bench.signer.token(id, &claims_with(&json!({})));
        assert_eq!(bench.verify(&token).await, REFUSED, "{id:?}");
    }
    for id in [json!(1), json!(null), json!(["k1"]), json!({"k1": 1})] {
        let header = json!({"alg": "ES256", "kid": id});
        let token = bench.signer.sign(&header, &claims_with(&json!({})));
        assert_eq!(bench.verify(&token).await, REFUSED, "{id}");
    }
    assert_eq!(bench.issuer.count(), 0);
}

#[tokio::test]
async fn a08_a_key_id_of_a_megabyte_is_refused() {
    let bench = Bench::new().await;
    let token = bench.signer.token(&"k".repeat(1 << 20), &claims_with(&json!({})));
    assert_eq!(bench.verify(&token).await, REFUSED);
    assert_eq!(bench.issuer.count(), 0);
}

#[tokio::test]
async fn a_token_past_8_kib_is_refused() {
    let bench = Bench::new().await;
    let filled = |octets: usize| bench.token_with(&json!({"more": "x".repeat(octets)}));
    let (shorter, longer) = (filled(5_500), filled(6_200));
    assert!(shorter.len() <= 8192 && longer.len() > 8192);
    assert_eq!(bench.verify(&shorter).await, ann());
    assert_eq!(bench.verify(&longer).await, REFUSED);
}

#[tokio::test]
async fn a08_keys_and_addresses_in_the_token_count_for_nothing() {
    let bench = Bench::new().await;
    let evil = Signer::es256();
    for id in [json!("k1"), json!("evil")] {
        let header = json!({
            "alg": "ES256", "kid": id, "jwk": evil.jwk("evil"),
            "jku": bench.issuer.url("/evil"), "x5u": bench.issuer.url("/evil"),
        });
        let token = evil.sign(&header, &claims_with(&json!({})));
        assert_eq!(bench.verify(&token).await, REFUSED);
    }
    assert!(
        bench
            .issuer
            .requests()
            .iter()
            .all(|request| request.path == "/keys")
    );
}

#[tokio::test]
async fn a08_a_token_for_somebody_or_something_else_is_refused() {
    let bench = Bench::new().await;
    for changes in [
        json!({"aud": "calendar"}),
        json!({"aud": ["calendar", "Mail"]}),
        json!({"aud": null}),
        json!({"aud": {"mail": true}}),
        json!({"aud": []}),
        json!({"iss": "https://id.example.com"}),
        json!({"iss": "https://id.example.org/"}),
        json!({"iss": ["https://id.example.org"]}),
        json!({"iss": null}),
        json!({"email": null}),
        json!({"email": "ann"}),
        json!({"email": 7}),
        json!({"email": ["ann@example.org"]}),
        json!({"email": "ann@example.org@example.org"}),
        json!({"email_verified": false}),
        json!({"email_verified": "false"}),
    ] {
        assert_eq!(
            bench.verify(&bench.token_with(&changes)).await,
            REFUSED,
            "{changes}"
        );
    }
    assert_eq!(bench.verify(&bench.token()).await, ann());
}

#[tokio::test]
async fn the_audience_may_be_one_of_many() {
    let bench = Bench::new().await;
    let token = bench.token_with(&json!({"aud": ["calendar", "pop"], "email_verified": true}));
    assert_eq!(bench.verify(&token).await, ann());
}

#[tokio::test]
async fn a_provider_without_audiences_accepts_nothing() {
    let bench = Bench::new().await;
    let provider = OauthProvider {
        audiences: Vec::new(),
        ..bench.provider()
    };
    assert_eq!(bench.verify_with(&[provider], &bench.token()).await, REFUSED);
    assert_eq!(bench.issuer.count(), 0);
}

#[tokio::test]
async fn a08_another_name_stays_another_name() {
    let bench = Bench::new().await;
    let token = bench.token_with(&json!({"email": "eve@example.com", "sub": "ann@example.org"}));
    assert_eq!(bench.verify(&token).await, Ok("eve@example.com".to_owned()));
    let by_subject = OauthProvider {
        name_claim: "sub".to_owned(),
        ..bench.provider()
    };
    // Whether an address is verified says nothing about another claim.
    let token = bench.token_with(&json!({"sub": "ann@example.org", "email_verified": false}));
    assert_eq!(bench.verify_with(&[by_subject], &token).await, ann());
}

#[tokio::test]
async fn a08_a_token_for_another_purpose_or_with_unknown_extensions_is_refused() {
    let bench = Bench::new().await;
    let sign = |header: Value| bench.signer.sign(&header, &claims_with(&json!({})));
    for header in [
        json!({"alg": "ES256", "kid": "k1", "typ": "logout+jwt"}),
        json!({"alg": "ES256", "kid": "k1", "typ": 1}),
        json!({"alg": "ES256", "kid": "k1", "crit": ["b64"], "b64": false}),
        json!({"alg": "ES256", "kid": "k1", "crit": []}),
    ] {
        assert_eq!(bench.verify(&sign(header.clone())).await, REFUSED, "{header}");
    }
    for header in [
        json!({"alg": "ES256", "kid": "k1"}),
        json!({"alg": "ES256", "kid": "k1", "typ": "at+JWT"}),
        json!({"alg": "ES256"}),
    ] {
        assert_eq!(bench.verify(&sign(header.clone())).await, ann(), "{header}");
    }
}

#[tokio::test]
async fn a_demanded_scope_must_be_there() {
    let bench = Bench::new().await;
    let provider = OauthProvider {
        scope: Some("pop".to_owned()),
        ..bench.provider()
    };
    for (claims, is_right) in [
        (json!({"scope": "openid pop email"}), true),
        (json!({"scp": "pop"}), true),
        (json!({"scp": ["imap", "pop"]}), true),
        (json!({"scope": "popular"}), false),
        (json!({"scope": "openid"}), false),
        (json!({}), false),
    ] {
        let expected = if is_right { ann() } else { REFUSED };
        let token = bench.token_with(&claims);
        assert_eq!(
            bench.verify_with(std::slice::from_ref(&provider), &token).await,
            expected,
            "{claims}"
        );
    }
}

#[tokio::test]
async fn a08_a20_a_token_opens_between_its_start_and_its_end_with_a_minute_of_leeway() {
    let bench = Bench::new().await;
    for (changes, is_right) in [
        (json!({"exp": NOW - 59}), true),
        (json!({"exp": NOW - 60}), false),
        (json!({"exp": NOW - 600}), false),
        (json!({"exp": null}), false),
        (json!({"exp": "1900000000"}), false),
        (json!({"exp": -1}), false),
        (json!({"exp": 0}), false),
        (json!({"exp": 1e300}), true),
        (json!({"nbf": NOW + 60}), true),
        (json!({"nbf": NOW + 61}), false),
        (json!({"nbf": NOW + 600}), false),
        (json!({"nbf": "soon"}), false),
        (json!({"nbf": null}), true),
    ] {
        let expected = if is_right { ann() } else { REFUSED };
        assert_eq!(
            bench.verify(&bench.token_with(&changes)).await,
            expected,
            "{changes}"
        );
    }
}

#[tokio::test]
async fn a20_the_clock_decides_and_not_the_first_answer() {
    let bench = Bench::new().await;
    let token = bench.token_with(&json!({"exp": NOW + 60, "nbf": null}));
    assert_eq!(bench.verify(&token).await, ann());
    bench.clock.advance(std::time::Duration::from_secs(119));
    assert_eq!(bench.verify(&token).await, ann());
    bench.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(bench.verify(&token).await, REFUSED);
}
