//! Verdicts: who is let in, who is not, and when nothing can be said.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use restante_auth::password::{self, AppPassword, HashParams, Password, Rule, ScramKeys};
use restante_auth::{
    AccountPatch, AccountState, Admission, AppScope, Attempt, AttemptLimiter, AuditAction, AuditFilter,
    AuditLog, AuthLimits, AuthPorts, Authenticated, Authenticator, DirectoryAdmin, GateLimits, LimiterLost,
    LoginContext, LoginName, MemoryDirectory, NewAccount, NewAppPassword, NewPassword, OauthProvider, Policy,
    Scope, TenantPatch, TlsRequirement, TokenCheck, TokenError, TokenVerifier, Transport, Verdict,
};
use restante_sasl::{Claim, LoginMechanism};
use restante_session::Access;
use restante_testkit::{DirectorySwitch, SwitchedDirectory, eventually, quick_rule};
use restante_types::{AccountId, ClientAddr, Secret, SessionId, SystemClock};
use sha2::{Digest, Sha256};

const ALICE: &str = "alice@one.example";
const PASSWORD: &[u8] = b"correct horse";

/// Counts what it is told; limits nothing, but says `guarded` if it is to.
#[derive(Debug, Default)]
struct Counting {
    guarded: bool,
    n_failed: AtomicUsize,
    n_succeeded: AtomicUsize,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counting")
    }
}

#[async_trait]
impl AttemptLimiter for Counting {
    async fn admit(&self, _attempt: &Attempt) -> Result<Admission, LimiterLost> {
        Ok(Admission::After {
            wait: Duration::ZERO,
            guarded: self.guarded,
        })
    }

    async fn failed(&self, _attempt: &Attempt) -> Result<(), LimiterLost> {
        self.n_failed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn succeeded(&self, _attempt: &Attempt) -> Result<(), LimiterLost> {
        self.n_succeeded.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Knows tokens that are the name they were issued for.
#[derive(Debug)]
struct NamesAsTokens;

impl fmt::Display for NamesAsTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names as tokens")
    }
}

#[async_trait]
impl TokenVerifier for NamesAsTokens {
    async fn verify(
        &self,
        providers: &[OauthProvider],
        token: &Secret<String>,
    ) -> Result<LoginName, TokenError> {
        if token.expose() == "later" {
            return Err(TokenError::Unavailable);
        }
        if providers.is_empty() {
            return Err(TokenError::Refused);
        }
        LoginName::parse(token.expose()).map_err(|_| TokenError::Refused)
    }
}

struct Scene {
    directory: Arc<MemoryDirectory>,
    switch: DirectorySwitch,
    limiter: Arc<Counting>,
    authenticator: Arc<Authenticator>,
}

/// Tenants `one` with Alice and Bob, and `two` with Carl.
async fn scene() -> Scene {
    scene_with(Counting::default(), quick_rule()).await
}

async fn scene_with(limiter: Counting, rule: Rule) -> Scene {
    let directory = Arc::new(MemoryDirectory::new());
    for (tenant, domain) in [("one", "one.example"), ("two", "two.example")] {
        directory.add_tenant(tenant, "memory").await.unwrap();
        directory.add_domain(tenant, domain).await.unwrap();
        set_policy(&directory, tenant, |_| {}).await;
    }
    for name in [ALICE, "bob@one.example", "carl@two.example"] {
        let password = Password::prepare(PASSWORD).unwrap();
        let account = NewAccount {
            name: LoginName::parse(name).unwrap(),
            password: Some(NewPassword::make(&password, &quick_rule(), true).unwrap()),
            quota_octets: None,
            quota_messages: None,
        };
        directory.add_account(account).await.unwrap();
    }
    let (switch, limiter) = (DirectorySwitch::default(), Arc::new(limiter));
    let switched = Arc::new(SwitchedDirectory::new(directory.clone(), switch.clone()));
    let ports = AuthPorts {
        directory: switched.clone(),
        limiter: limiter.clone(),
        tokens: Some(Arc::new(NamesAsTokens)),
        audit: AuditLog::start(switched),
        rule,
        clock: Arc::new(SystemClock),
    };
    let limits = AuthLimits {
        gate: GateLimits {
            queue: 1000,
            ..GateLimits::default()
        },
        deadline: Duration::from_secs(20),
        floor: Duration::from_millis(5),
    };
    Scene {
        directory,
        switch,
        limiter,
        authenticator: Arc::new(Authenticator::open(ports, limits).await.unwrap()),
    }
}

async fn set_policy(directory: &MemoryDirectory, tenant: &str, change: impl FnOnce(&mut Policy)) {
    let mut policy = Policy {
        mechanisms: LoginMechanism::ALL.to_vec(),
        oauth: vec![OauthProvider {
            issuer: "https://id.example".to_owned(),
            audiences: vec!["mail".to_owned()],
            name_claim: "email".to_owned(),
            scope: None,
            check: TokenCheck::Keys {
                jwks_url: "https://id.example/keys".to_owned(),
            },
        }],
        ..Policy::default()
    };
    change(&mut policy);
    let patch = TenantPatch {
        policy: Some(policy),
        ..TenantPatch::default()
    };
    directory.set_tenant(tenant, patch).await.unwrap();
}

fn context() -> LoginContext {
    LoginContext {
        scope: Scope::default(),
        client: ClientAddr::new("192.0.2.7:4711".parse().unwrap()),
        transport: Transport::Tls13,
        session: SessionId::from_octets([7; 16]),
        certificate_names: Vec::new(),
    }
}

fn claim(name: &str, password: &[u8]) -> Claim {
    Claim::Password {
        name: name.as_bytes().to_vec(),
        password: Secret::new(password.to_vec()),
        mechanism: LoginMechanism::Plain,
    }
}

/// Whose account was granted, or which other verdict it was.
fn told(verdict: &Verdict) -> Result<AccountId, &'static str> {
    match verdict {
        Verdict::Granted(authenticated) => Ok(Authenticated::account(authenticated).id),
        Verdict::Refused => Err("refused"),
        Verdict::Busy => Err("busy"),
        Verdict::Unavailable => Err("unavailable"),
    }
}

impl Scene {
    async fn id(&self, name: &str) -> AccountId {
        let name = LoginName::parse(name).unwrap();
        self.directory.account(&name).await.unwrap().unwrap().id
    }

    async fn log_in(&self, name: &str, password: &[u8]) -> Result<AccountId, &'static str> {
        self.log_in_from(name, password, &context()).await
    }

    async fn log_in_from(
        &self,
        name: &str,
        password: &[u8],
        context: &LoginContext,
    ) -> Result<AccountId, &'static str> {
        told(
            &self
                .authenticator
                .verify(claim(name, password), None, context)
                .await,
        )
    }

    async fn set(&self, name: &str, patch: AccountPatch) {
        let name = LoginName::parse(name).unwrap();
        self.directory.set_account(&name, patch).await.unwrap();
    }

    async fn actions(&self) -> Vec<AuditAction> {
        self.authenticator.flush_audit(Duration::from_secs(20)).await;
        let filter = AuditFilter {
            limit: 1000,
            ..AuditFilter::default()
        };
        let entries = self.directory.audit(filter).await.unwrap();
        entries.iter().map(|entry| entry.record.action).collect()
    }
}

#[tokio::test]
async fn the_right_password_is_granted_under_every_form_of_the_name() {
    let scene = scene().await;
    let alice = scene.id(ALICE).await;
    for name in [ALICE, "ALICE@One.EXAMPLE.", "ａlice@one.example"] {
        assert_eq!(scene.log_in(name, PASSWORD).await, Ok(alice), "{name}");
    }
    assert_eq!(scene.limiter.n_succeeded.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a02_unknown_wrong_and_disabled_are_refused_alike_after_one_look_up() {
    let scene = scene().await;
    let suspended = AccountPatch {
        state: Some(AccountState::LoginSuspended),
        ..AccountPatch::default()
    };
    scene.set("bob@one.example", suspended).await;
    for (name, password) in [
        (ALICE, &b"wrong"[..]),
        (ALICE, b"correct horse "),
        ("nobody@one.example", PASSWORD),
        ("bob@one.example", PASSWORD),
        ("bob@one.example", b"wrong"),
    ] {
        let before = scene.switch.n_look_ups();
        assert_eq!(scene.log_in(name, password).await, Err("refused"), "{name}");
        assert_eq!(scene.switch.n_look_ups() - before, 1, "{name}");
    }
    assert_eq!(scene.limiter.n_failed.load(Ordering::SeqCst), 5);
    for name in [
        "' OR 1=1--",
        "../../etc/passwd",
        "a@b@c",
        "@one.example",
        "alice",
        "\u{212a}@one.example",
    ] {
        assert_eq!(scene.log_in(name, PASSWORD).await, Err("refused"), "{name}");
    }
}

#[tokio::test]
async fn u07_u08_a_scope_completes_bare_names_and_hides_other_tenants() {
    let scene = scene().await;
    let one = scene.directory.tenant("one").await.unwrap().unwrap();
    let bound = LoginContext {
        scope: Scope {
            tenant: Some(one.id),
            default_domain: Some("one.example".into()),
            policy: None,
        },
        ..context()
    };
    let alice = scene.id(ALICE).await;
    assert_eq!(scene.log_in_from("alice", PASSWORD, &bound).await, Ok(alice));
    assert_eq!(
        scene.log_in_from("alice", PASSWORD, &context()).await,
        Err("refused")
    );
    let carl = scene.log_in_from("carl@two.example", PASSWORD, &bound).await;
    assert_eq!(carl, Err("refused"));
    assert!(scene.log_in("carl@two.example", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn the_policy_of_the_tenant_decides_whatever_was_announced() {
    let scene = scene().await;
    set_policy(&scene.directory, "one", |policy| {
        policy.mechanisms = vec![LoginMechanism::User];
    })
    .await;
    assert_eq!(scene.log_in(ALICE, PASSWORD).await, Err("refused"));
    set_policy(&scene.directory, "one", |policy| {
        policy.tls = TlsRequirement::Tls13;
    })
    .await;
    let old = LoginContext {
        transport: Transport::Tls12,
        ..context()
    };
    assert_eq!(scene.log_in_from(ALICE, PASSWORD, &old).await, Err("refused"));
    assert!(scene.log_in(ALICE, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a14_a15_a_changed_password_and_a_state_act_at_once_though_the_login_was_cached() {
    let scene = scene().await;
    assert!(scene.log_in(ALICE, PASSWORD).await.is_ok());
    assert!(scene.log_in(ALICE, PASSWORD).await.is_ok(), "from the cache");
    assert_eq!(scene.log_in(ALICE, b"another").await, Err("refused"), "not yet");
    let new = NewPassword::make(&Password::prepare(b"another").unwrap(), &quick_rule(), false).unwrap();
    let patch = AccountPatch {
        password: Some(new),
        ..AccountPatch::default()
    };
    scene.set(ALICE, patch).await;
    assert_eq!(scene.log_in(ALICE, PASSWORD).await, Err("refused"));
    assert!(scene.log_in(ALICE, b"another").await.is_ok());
    let closed = TenantPatch {
        state: Some(AccountState::Closed),
        ..TenantPatch::default()
    };
    scene.directory.set_tenant("one", closed).await.unwrap();
    assert_eq!(scene.log_in(ALICE, b"another").await, Err("refused"));
}

#[tokio::test]
async fn without_a_directory_nothing_is_judged_and_nothing_counts() {
    let scene = scene().await;
    scene.switch.set_down(true);
    for password in [PASSWORD, b"wrong"] {
        assert_eq!(scene.log_in(ALICE, password).await, Err("unavailable"));
    }
    assert_eq!(scene.limiter.n_failed.load(Ordering::SeqCst), 0);
    scene.switch.set_down(false);
    assert!(scene.log_in(ALICE, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a18_an_answer_for_another_name_is_never_taken() {
    let scene = scene().await;
    scene.switch.set_wrong(true);
    assert_eq!(scene.log_in(ALICE, PASSWORD).await, Err("unavailable"));
    assert_eq!(scene.limiter.n_failed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a10_an_absurd_stored_hash_is_refused_not_computed() {
    let scene = scene().await;
    let absurd = "$argon2id$v=19$m=4194304,t=1000000,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let patch = AccountPatch {
        password: Some(NewPassword {
            hash: Secret::new(absurd.to_owned()),
            scram: None,
        }),
        ..AccountPatch::default()
    };
    scene.set(ALICE, patch).await;
    assert_eq!(scene.log_in(ALICE, PASSWORD).await, Err("unavailable"));
}

#[tokio::test]
async fn a13_the_same_wrong_password_again_and_again_counts_once() {
    let scene = scene().await;
    for _ in 0..50 {
        assert_eq!(scene.log_in(ALICE, b"mistyped").await, Err("refused"));
    }
    assert_eq!(scene.limiter.n_failed.load(Ordering::SeqCst), 1);
    let refusals = scene.actions().await;
    let refusals = refusals
        .iter()
        .filter(|action| **action == AuditAction::LoginRefused);
    assert_eq!(refusals.count(), 1);
    assert!(scene.log_in(ALICE, PASSWORD).await.is_ok());
}

async fn app_password(scene: &Scene, change: impl FnOnce(&mut NewAppPassword)) -> Vec<u8> {
    let (shown, secret) = AppPassword::generate().unwrap();
    let mut new = NewAppPassword {
        label: "phone".to_owned(),
        verifier: secret.verifier(None),
        scope: AppScope::Full,
        networks: Vec::new(),
        expires_at: None,
    };
    change(&mut new);
    let alice = LoginName::parse(ALICE).unwrap();
    scene.directory.add_app_password(&alice, new).await.unwrap();
    shown.expose().clone().into_bytes()
}

#[tokio::test]
async fn application_passwords_open_what_and_from_where_they_may() {
    let scene = scene().await;
    let full = app_password(&scene, |_| {}).await;
    let read_only = app_password(&scene, |new| {
        new.scope = AppScope::ReadOnly;
    })
    .await;
    let elsewhere = app_password(&scene, |new| {
        new.networks = vec!["198.51.100.0/24".parse().unwrap()];
    })
    .await;
    let here = app_password(&scene, |new| {
        new.networks = vec!["192.0.2.0/24".parse().unwrap()];
    })
    .await;
    let over = app_password(&scene, |new| {
        new.expires_at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    })
    .await;
    for (secret, may_delete) in [(&full, true), (&read_only, false), (&here, true)] {
        let verdict = scene
            .authenticator
            .verify(claim(ALICE, secret), None, &context())
            .await;
        let Verdict::Granted(authenticated) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(authenticated.may_delete(), may_delete);
        assert!(authenticated.app_password().is_some());
    }
    for secret in [&elsewhere, &over] {
        assert_eq!(scene.log_in(ALICE, secret).await, Err("refused"));
    }
    assert_eq!(
        scene.log_in("bob@one.example", &full).await,
        Err("refused"),
        "of another account"
    );
    set_policy(&scene.directory, "one", |policy| {
        policy.app_passwords_only = true;
    })
    .await;
    assert_eq!(scene.log_in(ALICE, PASSWORD).await, Err("refused"));
    assert!(scene.log_in(ALICE, &full).await.is_ok());
}

#[tokio::test]
async fn the_last_use_of_an_application_password_is_written_down_now_and_then() {
    let scene = scene().await;
    let secret = app_password(&scene, |_| {}).await;
    let alice = LoginName::parse(ALICE).unwrap();
    let mut last_uses = Vec::new();
    for _ in 0..2 {
        let verdict = scene
            .authenticator
            .verify(claim(ALICE, &secret), None, &context())
            .await;
        let Verdict::Granted(authenticated) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(scene.authenticator.logged_in(&authenticated).await.unwrap());
        last_uses.push(scene.directory.app_passwords(&alice).await.unwrap()[0].last_used_at);
    }
    assert!(last_uses[0].is_some());
    assert_eq!(last_uses[0], last_uses[1], "not at every login");
}

#[tokio::test]
async fn a12_a_guarded_account_opens_by_an_application_password_alone() {
    let guarded = Counting {
        guarded: true,
        ..Counting::default()
    };
    let scene = scene_with(guarded, quick_rule()).await;
    let secret = app_password(&scene, |_| {}).await;
    assert_eq!(scene.log_in(ALICE, PASSWORD).await, Err("busy"));
    assert_eq!(
        scene.log_in("nobody@one.example", PASSWORD).await,
        Err("busy"),
        "unknown ones alike"
    );
    assert!(scene.log_in(ALICE, &secret).await.is_ok());
}

#[tokio::test]
async fn a_weak_hash_is_replaced_after_a_login_and_scram_keys_are_made() {
    let stronger = Rule {
        params: HashParams {
            memory_kib: 16,
            iterations: 1,
            parallelism: 1,
        },
        keyring: None,
    };
    let scene = scene_with(Counting::default(), stronger).await;
    // {SSHA256}, salt `salt`.
    let digest = Sha256::new()
        .chain_update(PASSWORD)
        .chain_update(b"salt")
        .finalize();
    let mut octets = digest.to_vec();
    octets.extend_from_slice(b"salt");
    let stored = {
        use base64::Engine;
        format!(
            "{{SSHA256}}{}",
            base64::engine::general_purpose::STANDARD.encode(octets)
        )
    };
    let patch = AccountPatch {
        password: Some(NewPassword {
            hash: Secret::new(stored),
            scram: None,
        }),
        ..AccountPatch::default()
    };
    scene.set(ALICE, patch).await;
    assert_eq!(scene.log_in(ALICE, b"wrong").await, Err("refused"));
    assert!(scene.log_in(ALICE, PASSWORD).await.is_ok());
    let alice = LoginName::parse(ALICE).unwrap();
    let directory = scene.directory.clone();
    let deadline = tokio::time::Instant::now() + restante_testkit::PATIENCE;
    let upgraded = loop {
        use restante_auth::Directory;
        let found = directory.credentials(&alice).await.unwrap().unwrap();
        if found.scram.is_some() {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never upgraded");
        tokio::task::yield_now().await;
    };
    assert!(
        upgraded
            .password
            .unwrap()
            .expose()
            .starts_with("$argon2id$v=19$m=16,")
    );
    assert!(scene.log_in(ALICE, PASSWORD).await.is_ok());
    assert!(scene.actions().await.contains(&AuditAction::PasswordRehashed));
}

/// What a client computes from the password (RFC 5802 section 3).
fn proof(password: &[u8], salt: &[u8], iterations: u32, auth_message: &[u8]) -> [u8; 32] {
    let hmac = |key: &[u8], of: &[u8]| -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(of);
        mac.finalize().into_bytes().into()
    };
    let mut round = hmac(password, &[salt, &[0, 0, 0, 1]].concat());
    let mut salted = round;
    for _ in 1..iterations {
        round = hmac(password, &round);
        salted.iter_mut().zip(round).for_each(|(a, b)| *a ^= b);
    }
    let client_key = hmac(&salted, b"Client Key");
    let stored_key: [u8; 32] = Sha256::digest(client_key).into();
    let signature = hmac(&stored_key, auth_message);
    std::array::from_fn(|n| client_key[n] ^ signature[n])
}

fn scram(name: &str, auth_message: &[u8], proof: [u8; 32]) -> Claim {
    Claim::Scram {
        name: name.as_bytes().to_vec(),
        auth_message: auth_message.to_vec(),
        proof,
        mechanism: LoginMechanism::ScramSha256,
    }
}

#[tokio::test]
async fn scram_opens_by_its_proof_and_proves_the_server() {
    let scene = scene().await;
    let alice = scene.id(ALICE).await;
    let (message, context) = (b"the whole exchange", context());
    for (password, expected) in [(PASSWORD, Ok(alice)), (b"wrong", Err("refused"))] {
        let (salting, ticket) = scene
            .authenticator
            .salt(ALICE.as_bytes(), &context)
            .await
            .unwrap();
        let proof = proof(password, &salting.salt, salting.iterations, message);
        let verdict = scene
            .authenticator
            .verify(scram(ALICE, message, proof), Some(ticket), &context)
            .await;
        assert_eq!(told(&verdict), expected);
        if let Verdict::Granted(authenticated) = verdict {
            assert_eq!(authenticated.server_signature().unwrap().len(), 32);
        }
    }
    let (salting, ticket) = scene
        .authenticator
        .salt(ALICE.as_bytes(), &context)
        .await
        .unwrap();
    let right = proof(PASSWORD, &salting.salt, salting.iterations, message);
    let for_another = scram("bob@one.example", message, right);
    let verdict = scene
        .authenticator
        .verify(for_another, Some(ticket), &context)
        .await;
    assert_eq!(told(&verdict), Err("refused"), "the ticket is for one name");
    let verdict = scene
        .authenticator
        .verify(scram(ALICE, message, right), None, &context)
        .await;
    assert_eq!(told(&verdict), Err("refused"), "without a ticket");
}

#[tokio::test]
async fn unknown_names_have_salts_that_stay_and_differ() {
    let scene = scene().await;
    let context = context();
    let salt = async |name: &str| {
        let (salting, _) = scene.authenticator.salt(name.as_bytes(), &context).await.unwrap();
        (salting.salt, salting.iterations)
    };
    let nobody = salt("nobody@one.example").await;
    assert_eq!(nobody, salt("nobody@one.example").await);
    assert_ne!(nobody.0, salt("noone@one.example").await.0);
    let alice = salt(ALICE).await;
    assert_eq!(
        (nobody.0.len(), nobody.1),
        (alice.0.len(), alice.1),
        "nothing tells them apart"
    );
    let (salting, ticket) = scene
        .authenticator
        .salt(b"nobody@one.example", &context)
        .await
        .unwrap();
    let made_up = proof(b"x", &salting.salt, salting.iterations, b"m");
    let claim = scram("nobody@one.example", b"m", made_up);
    assert_eq!(
        told(&scene.authenticator.verify(claim, Some(ticket), &context).await),
        Err("refused")
    );
    assert!(ScramKeys::parse("SCRAM-SHA-256$1:c2FsdA==$a:b").is_err());
}

fn bearer(name: Option<&str>, token: &str) -> Claim {
    Claim::Bearer {
        name: name.map(|name| name.as_bytes().to_vec()),
        token: Secret::new(token.to_owned()),
        mechanism: LoginMechanism::OauthBearer,
    }
}

#[tokio::test]
async fn a_token_opens_the_account_it_was_issued_for_and_no_other() {
    let scene = scene().await;
    let (alice, context) = (scene.id(ALICE).await, context());
    let one = scene.directory.tenant("one").await.unwrap().unwrap();
    let bound = LoginContext {
        scope: Scope {
            tenant: Some(one.id),
            default_domain: None,
            policy: Some(Arc::new(one.policy)),
        },
        ..context.clone()
    };
    let verify = async |claim, context| told(&scene.authenticator.verify(claim, None, context).await);
    assert_eq!(verify(bearer(Some(ALICE), ALICE), &context).await, Ok(alice));
    assert_eq!(
        verify(bearer(Some(ALICE), "bob@one.example"), &context).await,
        Err("refused")
    );
    assert_eq!(
        verify(bearer(Some(ALICE), "later"), &context).await,
        Err("unavailable")
    );
    assert_eq!(
        verify(bearer(Some("nobody@one.example"), ALICE), &context).await,
        Err("refused")
    );
    assert_eq!(verify(bearer(None, ALICE), &bound).await, Ok(alice));
    assert_eq!(
        verify(bearer(None, ALICE), &context).await,
        Err("refused"),
        "whose issuer?"
    );
    assert_eq!(
        verify(bearer(None, "carl@two.example"), &bound).await,
        Err("refused")
    );
    set_policy(&scene.directory, "one", |policy| policy.oauth.clear()).await;
    assert_eq!(verify(bearer(Some(ALICE), ALICE), &context).await, Err("refused"));
}

#[tokio::test]
async fn a_certificate_opens_the_account_it_names() {
    let scene = scene().await;
    let alice = scene.id(ALICE).await;
    let with = |names: &[&str]| LoginContext {
        certificate_names: names.iter().map(ToString::to_string).collect(),
        ..context()
    };
    let verify = async |authzid: Option<&str>, context: LoginContext| {
        let authzid = authzid.map(|name| name.as_bytes().to_vec());
        told(
            &scene
                .authenticator
                .verify(Claim::External { authzid }, None, &context)
                .await,
        )
    };
    assert_eq!(verify(None, with(&[ALICE])).await, Ok(alice));
    assert_eq!(
        verify(Some("Alice@one.example"), with(&[ALICE, "bob@one.example"])).await,
        Ok(alice)
    );
    assert_eq!(
        verify(None, with(&[ALICE, "bob@one.example"])).await,
        Err("refused")
    );
    assert_eq!(
        verify(Some(ALICE), with(&["bob@one.example"])).await,
        Err("refused")
    );
    assert_eq!(
        verify(Some(ALICE), with(&[])).await,
        Err("refused"),
        "a certificate without a name"
    );
    assert_eq!(verify(None, with(&[])).await, Err("refused"));
}

#[tokio::test]
async fn a19_the_login_delay_runs_from_the_open_maildrop() {
    let scene = scene().await;
    set_policy(&scene.directory, "one", |policy| {
        policy.login_delay_secs = 3600;
        policy.login_burst = 2;
    })
    .await;
    let mut admitted = Vec::new();
    for _ in 0..3 {
        let verdict = scene
            .authenticator
            .verify(claim(ALICE, PASSWORD), None, &context())
            .await;
        let Verdict::Granted(authenticated) = verdict else {
            panic!("{verdict:?}");
        };
        admitted.push(scene.authenticator.logged_in(&authenticated).await.unwrap());
    }
    assert_eq!(admitted, [true, true, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a17_logins_that_are_given_up_at_any_moment_never_lend_an_identity() {
    let scene = Arc::new(scene().await);
    scene.switch.set_delay(Duration::from_millis(1));
    let names = [ALICE, "bob@one.example", "carl@two.example", "nobody@one.example"];
    let mut ids = Vec::new();
    for name in &names[..3] {
        ids.push(Ok(scene.id(name).await));
    }
    ids.push(Err("refused"));
    let logins = (0..200_u64).map(|n| {
        let (scene, which) = (Arc::clone(&scene), usize::try_from(n % 4).unwrap());
        let expected = ids[which];
        tokio::spawn(async move {
            let context = context();
            let login = scene
                .authenticator
                .verify(claim(names[which], PASSWORD), None, &context);
            // Half of them are dropped after a while that differs.
            let patience = if n % 2 == 0 {
                Duration::from_micros(n * 40)
            } else {
                Duration::from_mins(1)
            };
            if let Ok(verdict) = tokio::time::timeout(patience, login).await {
                assert_eq!(told(&verdict), expected);
            }
        })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap();
    }
    let authenticator = Arc::clone(&scene.authenticator);
    eventually("the gate is empty", move || {
        authenticator.load().running + authenticator.load().waiting == 0
    })
    .await;
}

#[tokio::test]
async fn the_audit_tells_of_every_verdict_and_of_no_secret() {
    let scene = scene().await;
    scene.log_in(ALICE, PASSWORD).await.unwrap();
    scene.log_in(ALICE, b"canary-password").await.unwrap_err();
    scene
        .log_in("canary-name@one.example", PASSWORD)
        .await
        .unwrap_err();
    scene.authenticator.flush_audit(Duration::from_secs(20)).await;
    let filter = AuditFilter {
        limit: 3,
        ..AuditFilter::default()
    };
    let entries = scene.directory.audit(filter).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.record.action).collect();
    assert_eq!(
        actions,
        [
            AuditAction::LoginRefused,
            AuditAction::LoginRefused,
            AuditAction::Login
        ]
    );
    assert_eq!(entries[2].record.account, Some(scene.id(ALICE).await));
    assert_eq!(entries[1].record.account, entries[2].record.account);
    assert_eq!(entries[0].record.account, None);
    for entry in entries {
        let line = format!("{entry:?}");
        assert!(!line.contains("canary") && !line.contains("horse"), "{line}");
        assert!(line.contains("mechanism=PLAIN"), "{line}");
    }
}

#[tokio::test]
async fn the_audit_waits_for_a_directory_that_is_down() {
    let scene = scene().await;
    scene.log_in(ALICE, PASSWORD).await.unwrap();
    scene.switch.set_down(true);
    scene.authenticator.flush_audit(Duration::from_millis(50)).await;
    scene.switch.set_down(false);
    assert_eq!(scene.actions().await.first(), Some(&AuditAction::Login));
}

#[test]
fn a_password_that_cannot_be_one_is_none() {
    assert!(Password::prepare(b"").is_err());
    assert!(password::inspect("{MD5}x").is_err());
}
