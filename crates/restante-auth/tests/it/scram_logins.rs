//! SCRAM: salts that tell nothing, proofs that fit or do not, and the server's own proof.

use hmac::{Hmac, KeyInit, Mac};
use restante_auth::{AccountPatch, AccountState, ScramTicket};
use restante_sasl::{Claim, LoginMechanism, Salting};
use restante_session::Access;
use restante_types::AccountId;
use sha2::{Digest, Sha256};

use crate::world::{ALICE, BOB, PASSWORD, Setup, World, after, context, told};

const MESSAGE: &[u8] = b"n=alice,r=abc,r=abcdef,s=c2FsdA==,i=15000,c=biws,r=abcdef";

fn hmac(key: &[u8], of: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(of);
    mac.finalize().into_bytes().into()
}

/// The client's side (RFC 5802 section 3): ClientProof and the ServerSignature that it awaits.
fn client(password: &[u8], salting: &Salting) -> ([u8; 32], [u8; 32]) {
    let salted: [u8; 32] =
        pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, &salting.salt, salting.iterations);
    let client_key = hmac(&salted, b"Client Key");
    let signature = hmac(&Sha256::digest(client_key), MESSAGE);
    let proof = std::array::from_fn(|n| client_key[n] ^ signature[n]);
    (proof, hmac(&hmac(&salted, b"Server Key"), MESSAGE))
}

fn scram(name: &str, proof: [u8; 32]) -> Claim {
    Claim::Scram {
        name: name.as_bytes().to_vec(),
        auth_message: MESSAGE.to_vec(),
        proof,
        mechanism: LoginMechanism::ScramSha256,
    }
}

async fn salt(world: &World, name: &str) -> (Salting, ScramTicket) {
    world
        .authenticator
        .salt(name.as_bytes(), &context())
        .await
        .unwrap()
}

/// What is seen of an account's salt from outside.
async fn seen(world: &World, name: &str) -> (Vec<u8>, u32) {
    let (salting, _) = salt(world, name).await;
    (salting.salt, salting.iterations)
}

async fn log_in(world: &World, name: &str, password: &[u8]) -> Result<AccountId, &'static str> {
    let (salting, ticket) = salt(world, name).await;
    let (proof, _) = client(password, &salting);
    let verdict = world
        .authenticator
        .verify(scram(name, proof), Some(ticket), &context())
        .await;
    told(&verdict)
}

#[tokio::test]
async fn the_right_proof_opens_and_the_server_proves_itself() {
    let world = World::new().await;
    let (salting, ticket) = salt(&world, ALICE).await;
    let (proof, awaited) = client(PASSWORD, &salting);
    let verdict = world
        .authenticator
        .verify(scram(ALICE, proof), Some(ticket), &context())
        .await;
    let restante_auth::Verdict::Granted(authenticated) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(Access::account(&*authenticated), world.id(ALICE).await);
    assert_eq!(authenticated.server_signature(), Some(&awaited[..]));
    assert_eq!(authenticated.mechanism(), LoginMechanism::ScramSha256);
    assert_eq!(world.switch.n_look_ups(), 1, "one for the whole exchange");
    let by_password = world.granted(ALICE, PASSWORD).await;
    assert_eq!(by_password.server_signature(), None);
}

#[tokio::test]
async fn a_wrong_proof_is_refused_and_counts() {
    let world = World::new().await;
    assert_eq!(log_in(&world, ALICE, b"wrong").await, Err("refused"));
    assert_eq!(
        log_in(&world, "nobody@one.example", PASSWORD).await,
        Err("refused")
    );
    assert_eq!(world.limiter.n_failed(), 2);
    assert_eq!(world.limiter.names().len(), 2, "one turn for the whole exchange");
    assert_eq!(log_in(&world, ALICE, PASSWORD).await, Ok(world.id(ALICE).await));
}

#[tokio::test]
async fn a07_a_proof_is_good_with_the_ticket_of_its_own_name_alone() {
    let world = World::new().await;
    let (salting, ticket) = salt(&world, ALICE).await;
    let (proof, _) = client(PASSWORD, &salting);
    for name in [BOB, "ALICE@one.example"] {
        let (_, ticket) = salt(&world, ALICE).await;
        let verdict = world
            .authenticator
            .verify(scram(name, proof), Some(ticket), &context())
            .await;
        assert_eq!(told(&verdict), Err("refused"), "{name}");
    }
    assert_eq!(
        world.verify(scram(ALICE, proof)).await,
        Err("refused"),
        "without a ticket"
    );
    let (_, of_bob) = salt(&world, BOB).await;
    let verdict = world
        .authenticator
        .verify(scram(ALICE, proof), Some(of_bob), &context())
        .await;
    assert_eq!(told(&verdict), Err("refused"), "with Bob's ticket");
    let verdict = world
        .authenticator
        .verify(scram(ALICE, proof), Some(ticket), &context())
        .await;
    assert!(told(&verdict).is_ok());
}

#[tokio::test]
async fn a07_no_two_exchanges_have_the_same_nonce() {
    let world = World::new().await;
    let mut nonces = std::collections::HashSet::new();
    for name in [ALICE, ALICE, "nobody@one.example", "nobody@one.example"] {
        nonces.insert(salt(&world, name).await.0.nonce);
    }
    assert_eq!(nonces.len(), 4);
}

#[tokio::test]
async fn a02_an_unknown_name_has_a_salt_of_its_own_that_stays_on_all_frontends() {
    let world = World::new().await;
    let other = world.beside(Setup::default()).await;
    let (alice, nobody) = (
        seen(&world, ALICE).await,
        seen(&world, "nobody@one.example").await,
    );
    assert_eq!(nobody, seen(&other, "nobody@one.example").await);
    assert_eq!(alice, seen(&other, ALICE).await);
    assert_ne!(nobody.0, seen(&world, "noone@one.example").await.0);
    assert_eq!(
        (nobody.0.len(), nobody.1),
        (alice.0.len(), alice.1),
        "nothing tells them apart"
    );
}

#[tokio::test]
async fn u03_the_salt_of_a_name_is_the_same_in_all_its_forms_whether_it_is_known_or_not() {
    let world = World::new().await;
    for forms in [
        [ALICE, "ALICE@One.Example."],
        ["nobody@one.example", "NOBODY@One.Example."],
    ] {
        assert_eq!(
            seen(&world, forms[0]).await,
            seen(&world, forms[1]).await,
            "{}",
            forms[0]
        );
    }
}

#[tokio::test]
async fn u08_another_tenants_user_has_no_salt_of_its_own() {
    let world = World::new().await;
    let bound = world.on_the_connection_of("two").await;
    let (salting, ticket) = world.authenticator.salt(ALICE.as_bytes(), &bound).await.unwrap();
    assert_ne!(salting.salt, seen(&world, ALICE).await.0);
    let (proof, _) = client(PASSWORD, &salting);
    let verdict = world
        .authenticator
        .verify(scram(ALICE, proof), Some(ticket), &bound)
        .await;
    assert_eq!(told(&verdict), Err("refused"));
}

#[tokio::test]
async fn the_rules_hold_for_proofs_too() {
    let world = World::new().await;
    let keys_of_alice = seen(&world, ALICE).await;
    world
        .set_policy("one", |policy| policy.app_passwords_only = true)
        .await;
    assert_ne!(
        seen(&world, ALICE).await.0,
        keys_of_alice.0,
        "her keys open nothing"
    );
    assert_eq!(log_in(&world, ALICE, PASSWORD).await, Err("refused"));
    world
        .set_policy("one", |policy| {
            policy.mechanisms = vec![LoginMechanism::ScramSha256Plus];
        })
        .await;
    assert_eq!(
        log_in(&world, ALICE, PASSWORD).await,
        Err("refused"),
        "not this mechanism"
    );
    world.set_policy("one", |_| {}).await;
    let suspended = AccountPatch {
        state: Some(AccountState::LoginSuspended),
        ..AccountPatch::default()
    };
    world.set(BOB, suspended).await;
    assert_eq!(log_in(&world, BOB, PASSWORD).await, Err("refused"));
    assert!(log_in(&world, ALICE, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn without_an_answer_there_is_no_salt() {
    let world = World::new().await;
    let verdict = async || {
        told(
            &world
                .authenticator
                .salt(ALICE.as_bytes(), &context())
                .await
                .unwrap_err(),
        )
    };
    world.limiter.set(Some(after(std::time::Duration::ZERO, true)));
    assert_eq!(verdict().await, Err("busy"), "a guarded account");
    world.limiter.set(Some(after(std::time::Duration::ZERO, false)));
    world.switch.set_wrong(true);
    assert_eq!(
        verdict().await,
        Err("unavailable"),
        "a18: an answer for another name"
    );
    world.switch.set_wrong(false);
    world.switch.set_down(true);
    assert_eq!(verdict().await, Err("unavailable"));
    assert_eq!(world.limiter.n_failed(), 0);
}
