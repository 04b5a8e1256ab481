//! Stored passwords that are weaker than the present rule: replaced at a login, while the password is known.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_auth::password::{self, HashParams, Password, Rule, Scheme, ScramKeys};
use restante_auth::{AuditAction, AuditFilter, Credentials, DirectoryAdmin, Keyring};
use restante_testkit::{PATIENCE, quick_rule};
use sha2::{Digest, Sha256};

use crate::world::{ALICE, BOB, CARL, PASSWORD, Setup, World};

const KEYS: &str = "1:0101010101010101010101010101010101010101010101010101010101010101\n";

fn stronger() -> Rule {
    Rule {
        params: HashParams {
            memory_kib: 16,
            iterations: 1,
            parallelism: 1,
        },
        keyring: None,
    }
}

fn peppered() -> Rule {
    Rule {
        keyring: Some(Arc::new(Keyring::parse(KEYS).unwrap())),
        ..quick_rule()
    }
}

/// Waits until an account has another version than `version`.
async fn upgraded(world: &World, name: &str, version: i64) -> Credentials {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = world.credentials(name).await;
        if found.version != version {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never upgraded");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn rehashed(world: &World) -> usize {
    let filter = AuditFilter {
        action: Some(AuditAction::PasswordRehashed),
        limit: 100,
        ..AuditFilter::default()
    };
    world.directory.audit(filter).await.unwrap().len()
}

#[tokio::test]
async fn a_legacy_a_weaker_and_an_unpeppered_hash_are_replaced_after_a_login() {
    let digest = Sha256::digest([PASSWORD, b"salt"].concat());
    let legacy = format!("{{SSHA256}}{}", STANDARD.encode([&digest[..], b"salt"].concat()));
    let own = password::hash(&Password::prepare(PASSWORD).unwrap(), &quick_rule()).unwrap();
    for (why, stored, rule) in [
        ("legacy", legacy.as_str(), quick_rule()),
        ("weaker", own.expose().as_str(), stronger()),
        ("no pepper", own.expose().as_str(), peppered()),
    ] {
        let world = World::open(Setup {
            rule: rule.clone(),
            ..Setup::default()
        })
        .await;
        world.store(ALICE, stored).await;
        let before = world.credentials(ALICE).await.version;
        assert!(world.log_in(ALICE, PASSWORD).await.is_ok(), "{why}");
        let found = upgraded(&world, ALICE, before).await;
        let new = found.password.unwrap();
        assert_ne!(new.expose(), stored, "{why}");
        assert_eq!(password::inspect(new.expose()), Ok(Scheme::Own), "{why}");
        assert_eq!(rehashed(&world).await, 1, "{why}");
        let frontend = world
            .beside(Setup {
                rule,
                ..Setup::default()
            })
            .await;
        assert!(frontend.log_in(ALICE, PASSWORD).await.is_ok(), "{why}");
        assert_eq!(frontend.log_in(ALICE, b"wrong").await, Err("refused"), "{why}");
        assert_eq!(world.credentials(ALICE).await.version, before + 1, "{why}: once");
    }
}

#[tokio::test]
async fn a_wrong_password_replaces_nothing_and_a_good_hash_stays() {
    let world = World::open(Setup {
        rule: stronger(),
        ..Setup::default()
    })
    .await;
    let strong = password::hash(&Password::prepare(PASSWORD).unwrap(), &stronger()).unwrap();
    world
        .set_policy("two", |policy| {
            policy
                .mechanisms
                .retain(|mechanism| !mechanism.name().starts_with("SCRAM"));
        })
        .await;
    world.store(CARL, strong.expose()).await;
    let [alice, carl] = [world.credentials(ALICE).await, world.credentials(CARL).await];
    let bob = world.credentials(BOB).await.version;
    assert_eq!(world.log_in(ALICE, b"wrong").await, Err("refused"));
    assert!(world.log_in(CARL, PASSWORD).await.is_ok());
    // What would be replaced is replaced in order: once Bob's is, nothing of the others waits.
    assert!(world.log_in(BOB, PASSWORD).await.is_ok());
    upgraded(&world, BOB, bob).await;
    assert_eq!(world.credentials(ALICE).await.version, alice.version);
    let found = world.credentials(CARL).await;
    assert_eq!(found.version, carl.version);
    assert!(found.scram.is_none(), "nobody wants them");
    assert_eq!(rehashed(&world).await, 1);
}

#[tokio::test]
async fn scram_keys_are_made_at_a_login_where_the_policy_wants_them() {
    let world = World::new().await;
    let own = password::hash(&Password::prepare(PASSWORD).unwrap(), &quick_rule()).unwrap();
    world.store(ALICE, own.expose()).await;
    let before = world.credentials(ALICE).await;
    assert!(before.scram.is_none());
    assert!(world.log_in(ALICE, PASSWORD).await.is_ok());
    let after = upgraded(&world, ALICE, before.version).await;
    assert!(ScramKeys::parse(after.scram.unwrap().expose()).is_ok());
}
