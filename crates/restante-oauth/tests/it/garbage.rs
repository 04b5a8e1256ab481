//! Whatever comes instead of a token is refused, and nobody is asked about what cannot be one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use restante_auth::{TokenError, TokenVerifier as _};
use restante_oauth::OauthLimits;
use restante_types::Secret;

use crate::bench::{TestClock, by_keys, verifier};

/// JSON that may be a header or a set of claims, with values of every kind.
fn json() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "alg", "kid", "typ", "crit", "iss", "aud", "exp", "nbf", "email", "scope",
    ]);
    let values = prop_oneof![
        prop::sample::select(vec![
            "\"ES256\"",
            "\"https://id.example.org\"",
            "\"mail\"",
            "null",
            "1e400",
            "-0",
            "18446744073709551616",
            "[]",
            "{}",
            "[\"mail\",1]",
            "\"\\ud800\"",
            "1900000000"
        ])
        .prop_map(str::to_owned),
        any::<f64>().prop_map(|number| number.to_string()),
        "\"[a-z@.é]{0,20}\"",
    ];
    prop::collection::vec((names, values), 0..8).prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

fn token() -> impl Strategy<Value = String> {
    let encoded = |text: String| URL_SAFE_NO_PAD.encode(text);
    prop_oneof![
        any::<String>(),
        "[-A-Za-z0-9._~+/=]{0,200}",
        "[A-Za-z0-9]{0,40}(\\.[A-Za-z0-9]{0,40}){0,6}",
        (json(), json(), "[A-Za-z0-9_-]{0,100}").prop_map(move |(header, claims, signature)| format!(
            "{}.{}.{signature}",
            encoded(header),
            encoded(claims)
        )),
    ]
}

proptest! {
    #[test]
    fn garbage_opens_nothing_and_breaks_nothing(token in token()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nobody listens there: what gets so far that keys are needed cannot be decided.
        let provider = by_keys("http://127.0.0.1:1/keys".to_owned());
        let verifier = verifier(&TestClock::new(), OauthLimits::default());
        let outcome = runtime.block_on(verifier.verify(&[provider], &Secret::new(token)));
        prop_assert!(matches!(outcome, Err(TokenError::Refused | TokenError::Unavailable)));
    }
}
