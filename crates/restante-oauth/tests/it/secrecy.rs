//! Nothing that is secret comes into a log, whatever goes wrong.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use crate::bench::{Bench, REFUSED, UNAVAILABLE, by_question, claims_with};
use crate::provider::Reply;

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// On one thread, so that the subscriber of the thread sees everything.
#[tokio::test(flavor = "current_thread")]
async fn tokens_and_client_secrets_are_never_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut bench = Bench::impatient().await;
    let by_question = by_question(bench.issuer.url("/ask"));
    let mut signed = vec![
        bench.token_with(&json!({"aud": "calendar"})),
        bench.signer.token("k9", &claims_with(&json!({}))),
        bench.signer.token("../../x", &claims_with(&json!({}))),
    ];
    for token in &signed {
        assert_eq!(bench.verify(token).await, REFUSED);
    }
    for reply in [
        Reply::Body(401, b"the secret is wrong".to_vec()),
        Reply::Body(500, Vec::new()),
        Reply::Silence,
    ] {
        bench.issuer.answer(reply);
        let asked = bench
            .verify_with(std::slice::from_ref(&by_question), "opaque-token")
            .await;
        assert_eq!(asked, UNAVAILABLE);
    }
    bench.issuer.stop().await;
    let asked = bench.verify_with(&[by_question], "opaque-token").await;
    assert_eq!(asked, UNAVAILABLE);

    let text = log.text();
    // It was written to, by every branch that has something to say.
    for said in [
        "for another audience",
        "no such key",
        "key's id is too long",
        "client secret for an OAuth provider is wrong",
        "status 500",
        "no answer in time",
        "Connection refused",
    ] {
        assert!(text.contains(said), "{said:?} is not in the log:\n{text}");
    }
    signed.extend(
        [
            "opaque-token",
            "e+cret",
            "e%2Bcret",
            "Basic ",
            "../../x",
            "Ann@",
            "ann@",
        ]
        .map(str::to_owned),
    );
    for secret in signed {
        assert!(!text.contains(&secret), "{secret:?} is in the log:\n{text}");
    }
}
