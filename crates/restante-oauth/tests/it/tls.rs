//! Issuers behind TLS: only a certificate that is trusted counts.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use restante_oauth::{OauthOptions, OauthVerifier};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use crate::bench::{Bench, TestClock, UNAVAILABLE, ann, by_keys, by_question, claims_with, options, patient};
use crate::provider::{Provider, Reply};
use crate::signer::key_set;

/// An acceptor with a certificate for `name`, and the certificate in PEM.
fn acceptor(name: &str) -> (TlsAcceptor, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (
        TlsAcceptor::from(Arc::new(config)),
        certificate.pem().into_bytes(),
    )
}

#[tokio::test]
async fn an_extra_root_is_trusted_for_the_name_in_it_and_nothing_else_is() {
    let mut bench = Bench::new().await;
    let keys = Reply::json(&key_set(&[bench.signer.jwk("k1")]));
    let (tls, root) = acceptor("localhost");
    let (tls_of_other, root_of_other) = acceptor("id.example.org");
    let issuer = Provider::start_with(keys.clone(), Some(tls)).await;
    let other = Provider::start_with(keys, Some(tls_of_other)).await;
    let url = |provider: &Provider| format!("https://localhost:{}/keys", provider.port());

    let outcome = bench.verify_with(&[by_keys(url(&issuer))], &bench.token()).await;
    assert_eq!(outcome, UNAVAILABLE);
    assert_eq!(issuer.count(), 0);

    bench.verifier = OauthVerifier::new(OauthOptions {
        extra_roots: vec![root, root_of_other],
        ..options(&bench.clock, patient())
    })
    .unwrap();
    let outcome = bench.verify_with(&[by_keys(url(&issuer))], &bench.token()).await;
    assert_eq!(outcome, ann());
    let outcome = bench.verify_with(&[by_keys(url(&other))], &bench.token()).await;
    assert_eq!(outcome, UNAVAILABLE);
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn a_token_is_not_shown_to_an_endpoint_with_a_certificate_that_is_not_trusted() {
    let bench = Bench::new().await;
    let mut answer = claims_with(&json!({}));
    answer["active"] = json!(true);
    let issuer = Provider::start_with(Reply::json(&answer), Some(acceptor("localhost").0)).await;
    let provider = by_question(format!("https://localhost:{}/ask", issuer.port()));
    assert_eq!(bench.verify_with(&[provider], "opaque").await, UNAVAILABLE);
    assert_eq!(issuer.count(), 0);
}

#[test]
fn an_extra_root_that_is_no_certificate_is_an_error() {
    let broken = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    for root in [
        broken.to_vec(),
        b"-----BEGIN CERTIFICATE-----\n?".to_vec(),
        b"hello".to_vec(),
        Vec::new(),
    ] {
        let made = OauthVerifier::new(OauthOptions {
            extra_roots: vec![root],
            ..options(&TestClock::new(), patient())
        });
        let error = made.unwrap_err().to_string();
        assert_eq!(
            error,
            "an extra root for OAuth providers is not a certificate in PEM"
        );
    }
}
