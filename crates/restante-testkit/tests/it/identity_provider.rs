//! What the identity provider says, over HTTP and in its tokens.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use restante_testkit::{IdentityProvider, Manner, Signature, Socket};
use serde_json::{Value, json};

/// Status and body.
async fn request(provider: &IdentityProvider, head: &str, body: &str) -> (u16, Vec<u8>) {
    let address = provider
        .issuer()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let mut client = Socket::connect(address).await;
    let text = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    client.send(text.as_bytes()).await;
    let head = String::from_utf8(client.until(b"\r\n\r\n").await).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, client.rest().await)
}

async fn key_set(provider: &IdentityProvider) -> Value {
    let (status, body) = request(provider, "GET /jwks HTTP/1.1", "").await;
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

async fn introspect(provider: &IdentityProvider, secret: &str, token: &str) -> (u16, Value) {
    let credentials = STANDARD.encode(format!("{}:{secret}", IdentityProvider::CLIENT));
    let head = format!("POST /introspect HTTP/1.1\r\nauthorization: Basic {credentials}");
    let (status, body) = request(
        provider,
        &head,
        &format!("token_type_hint=access_token&token={token}"),
    )
    .await;
    (status, serde_json::from_slice(&body).unwrap())
}

fn decode(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

/// Whether the key that the token names verifies it.
fn verifies(keys: &Value, token: &str) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let header: Value = serde_json::from_slice(&decode(&json!(token.split('.').next().unwrap()))).unwrap();
    let keys = keys["keys"].as_array().unwrap();
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    let message = message.as_bytes();
    match key["kty"].as_str().unwrap() {
        "RSA" => {
            let key = RsaPublicKeyComponents {
                n: decode(&key["n"]),
                e: decode(&key["e"]),
            };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message, &signature)
                .is_ok()
        }
        "EC" => {
            let point = [vec![4], decode(&key["x"]), decode(&key["y"])].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, &signature)
                .is_ok()
        }
        _ => UnparsedPublicKey::new(&ED25519, decode(&key["x"]))
            .verify(message, &signature)
            .is_ok(),
    }
}

#[tokio::test]
async fn published_keys_verify_its_tokens_and_no_broken_ones() {
    let provider = IdentityProvider::start().await;
    let keys = key_set(&provider).await;
    let signer = provider.signer();
    let claims = json!({"iss": provider.issuer(), "sub": "alice"});
    for signature in [Signature::Rs256, Signature::Es256, Signature::EdDsa] {
        assert!(
            verifies(&keys, &signer.issue(signature, &claims)),
            "{signature:?}"
        );
        assert!(!verifies(
            &keys,
            &signer.issue_with_key_id(signature, "odd", &claims)
        ));
    }
    assert!(!verifies(&keys, &signer.unsigned(&claims)));
    assert!(!verifies(&keys, &signer.confused(&claims)));
    assert_eq!(provider.n_key_sets(), 1);
}

#[tokio::test]
async fn after_rotation_old_tokens_name_no_published_key() {
    let provider = IdentityProvider::start().await;
    let old = provider.signer().issue(Signature::Es256, &json!({}));
    provider.rotate();
    let keys = key_set(&provider).await;
    assert!(!verifies(&keys, &old));
    assert!(verifies(
        &keys,
        &provider.signer().issue(Signature::Es256, &json!({}))
    ));
}

#[tokio::test]
async fn introspection_knows_active_tokens_and_asks_who_asks() {
    let provider = IdentityProvider::start().await;
    let secret = IdentityProvider::CLIENT_SECRET;
    provider.activate("opaque-1", json!({"sub": "alice"}));
    let (status, answer) = introspect(&provider, secret, "opaque-1").await;
    assert_eq!((status, answer), (200, json!({"active": true, "sub": "alice"})));
    assert_eq!(
        introspect(&provider, secret, "opaque-2").await.1,
        json!({"active": false})
    );
    assert_eq!(introspect(&provider, "wrong", "opaque-1").await.0, 401);
    provider.revoke("opaque-1");
    assert_eq!(
        introspect(&provider, secret, "opaque-1").await.1,
        json!({"active": false})
    );
    assert_eq!(provider.n_introspections(), 4);
}

#[tokio::test]
async fn it_misbehaves_as_it_is_told() {
    let provider = IdentityProvider::start().await;
    let ask = || request(&provider, "GET /jwks HTTP/1.1", "");
    provider.behave(Manner::Status(500));
    assert_eq!(ask().await, (500, Vec::new()));
    provider.behave(Manner::Huge);
    assert!(ask().await.1.len() > 10_000_000);
    provider.behave(Manner::Garbage);
    assert!(serde_json::from_slice::<Value>(&ask().await.1).is_err());
    provider.behave(Manner::Silent);
    let wait = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(wait, ask()).await.is_err());
    provider.behave(Manner::Slow(wait));
    let start = tokio::time::Instant::now();
    assert_eq!(ask().await.0, 200);
    assert!(start.elapsed() >= wait);
    assert_eq!(provider.n_key_sets(), 5);
}
