//! Certificates of tenants: checked whole, sealed here, never shown with their keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_admin::seal;
use serde_json::{Value, json};

use crate::world::{PROVIDER, World, keyring};

const PATH: &str = "/api/v1/tenants/acme/certificates";

/// A certificate for names, and its key, in PEM.
pub(crate) fn pair(names: &[&str]) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate.pem(), key.serialize_pem())
}

async fn world() -> World {
    let world = World::new().await.settled().await;
    for name in ["pop.acme.example", "mail.acme.example", "other.example"] {
        world.directory.add_server_name("acme", name).await.unwrap();
    }
    world
}

#[tokio::test]
async fn a_certificate_is_sealed_listed_without_its_key_and_removed() {
    let world = world().await;
    let (chain, key) = pair(&["*.acme.example", "elsewhere.example"]);
    let answer = world
        .ask(
            PROVIDER,
            "POST",
            PATH,
            json!({"chain": chain, "private_key": key}),
        )
        .await;
    assert!(!answer.text.contains("PRIVATE"));
    let added = answer.ok(201);
    assert_eq!(
        added["names"],
        json!(["mail.acme.example", "pop.acme.example"]),
        "those of the tenant that it is for"
    );
    assert_eq!(added["chain"], chain);
    let stored = world.directory.certificates(Some("acme")).await.unwrap();
    let opened = seal::open_private_key(&keyring(), stored[0].tenant, &stored[0].sealed_key).unwrap();
    assert_eq!(opened.expose(), key.as_bytes());
    let listed = world.get(PROVIDER, "/api/v1/certificates").await;
    assert!(!listed.text.contains("key"), "{listed:?}");
    assert_eq!(listed.ok(200)["items"], json!([added]));
    assert_eq!(
        world
            .get(PROVIDER, "/api/v1/certificates?tenant=globex")
            .await
            .ok(200)["items"],
        json!([])
    );
    let one = format!("{PATH}/{}", added["id"]);
    world.ask(PROVIDER, "DELETE", &one, Value::Null).await.ok(204);
    world
        .ask(PROVIDER, "DELETE", &one, Value::Null)
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn a_key_that_the_server_has_sealed_is_taken_for_its_tenant_alone() {
    let world = world().await;
    let (chain, key) = pair(&["pop.acme.example"]);
    let [acme, globex] = ["acme", "globex"].map(|name| world.directory.tenant(name));
    let (acme, globex) = (acme.await.unwrap().unwrap().id, globex.await.unwrap().unwrap().id);
    let body = |tenant| {
        let sealed = seal::seal_private_key(&keyring(), tenant, key.as_bytes()).unwrap();
        json!({"chain": chain, "sealed_key": STANDARD.encode(sealed)})
    };
    world
        .ask(PROVIDER, "POST", PATH, body(globex))
        .await
        .problem(422, "invalid");
    world.ask(PROVIDER, "POST", PATH, body(acme)).await.ok(201);
}

#[tokio::test]
async fn what_a_certificate_cannot_be_is_said() {
    let world = world().await;
    let (chain, key) = pair(&["pop.acme.example"]);
    let (_, strange) = pair(&["pop.acme.example"]);
    let add = async |body| world.ask(PROVIDER, "POST", PATH, body).await;
    let problem = add(json!({"chain": chain, "private_key": strange}))
        .await
        .problem(422, "invalid");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("not the private key"),
        "{problem}"
    );
    add(json!({"chain": "no PEM", "private_key": key}))
        .await
        .problem(422, "invalid");
    add(json!({"chain": chain, "private_key": "no PEM"}))
        .await
        .problem(422, "invalid");
    add(json!({"chain": chain})).await.problem(422, "invalid");
    add(json!({"chain": chain, "sealed_key": "!"}))
        .await
        .problem(422, "invalid");
    add(json!({"chain": chain, "private_key": key, "names": ["pop.globex.example"]}))
        .await
        .problem(422, "invalid");
    let (foreign, its_key) = pair(&["pop.elsewhere.example"]);
    add(json!({"chain": foreign, "private_key": its_key}))
        .await
        .problem(422, "invalid");
    let body = json!({"chain": chain, "private_key": key});
    world
        .ask(PROVIDER, "POST", "/api/v1/tenants/none/certificates", body)
        .await
        .problem(404, "not-found");
    world
        .ask(PROVIDER, "DELETE", &format!("{PATH}/4711"), Value::Null)
        .await
        .problem(404, "not-found");
    world
        .ask(PROVIDER, "DELETE", &format!("{PATH}/x"), Value::Null)
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn without_keys_nothing_is_sealed_and_that_is_said() {
    let world = World::with(|ports, _| ports.rule.keyring = None)
        .await
        .settled()
        .await;
    world
        .directory
        .add_server_name("acme", "pop.acme.example")
        .await
        .unwrap();
    let (chain, key) = pair(&["pop.acme.example"]);
    let problem = world
        .ask(
            PROVIDER,
            "POST",
            PATH,
            json!({"chain": chain, "private_key": key}),
        )
        .await;
    let problem = problem.problem(422, "invalid");
    assert!(
        problem["detail"].as_str().unwrap().contains("auth.keys_file"),
        "{problem}"
    );
}
