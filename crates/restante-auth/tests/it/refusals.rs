//! Refusals: all alike, each with its look-up, its hash and its shortest time; and attempts that are not admitted.

use std::time::Duration;

use restante_auth::{
    AccountPatch, AccountState, Admission, DirectoryAdmin, LoginContext, TenantPatch, TlsRequirement,
    Transport,
};
use restante_sasl::{Claim, LoginMechanism};
use restante_types::Secret;

use crate::world::{
    ALICE, BOB, CARL, CLOSED, PASSWORD, Setup, World, add_account, add_tenant, after, bearer, claim, context,
    external,
};

struct Refused {
    why: &'static str,
    claim: Claim,
    context: LoginContext,
}

/// Every reason to refuse a name with a password. No name is tried twice with the same one.
async fn every_reason(world: &World) -> Vec<Refused> {
    for (tenant, user) in [
        ("closed", "dora@closed.example"),
        ("only-apps", "erin@only-apps.example"),
        ("plain-only", "fred@plain-only.example"),
        ("tls13-only", "gina@tls13-only.example"),
    ] {
        add_tenant(&world.directory, tenant, &format!("{tenant}.example")).await;
        add_account(&world.directory, user).await;
    }
    let closed = TenantPatch {
        state: Some(AccountState::Closed),
        ..TenantPatch::default()
    };
    world.directory.set_tenant("closed", closed).await.unwrap();
    world
        .set_policy("only-apps", |policy| policy.app_passwords_only = true)
        .await;
    world
        .set_policy("plain-only", |policy| {
            policy.mechanisms = vec![LoginMechanism::Plain];
        })
        .await;
    world
        .set_policy("tls13-only", |policy| policy.tls = TlsRequirement::Tls13)
        .await;
    let suspended = AccountPatch {
        state: Some(AccountState::LoginSuspended),
        ..AccountPatch::default()
    };
    world.set(BOB, suspended).await;
    let tls12 = LoginContext {
        transport: Transport::Tls12,
        ..context()
    };
    let by_user = Claim::Password {
        name: b"fred@plain-only.example".to_vec(),
        password: Secret::new(PASSWORD.to_vec()),
        mechanism: LoginMechanism::User,
    };
    let too_long = [b'a'; 256];
    let mut cases = vec![
        ("wrong password", claim(ALICE, b"wrong"), context()),
        ("no password", claim(ALICE, b""), context()),
        ("NUL", claim(ALICE, b"correct\0horse"), context()),
        ("not UTF-8", claim(ALICE, b"\xff\xfe"), context()),
        ("too long", claim(ALICE, &too_long), context()),
        (
            "what unknown names are compared with",
            claim(ALICE, b"nobody has this password"),
            context(),
        ),
        ("unknown name", claim("nobody@one.example", PASSWORD), context()),
        (
            "the same for an unknown name",
            claim("noone@one.example", b"nobody has this password"),
            context(),
        ),
        ("unknown domain", claim("alice@none.example", PASSWORD), context()),
        ("suspended", claim(BOB, PASSWORD), context()),
        ("suspended and wrong", claim(BOB, b"wrong"), context()),
        ("tenant closed", claim("dora@closed.example", PASSWORD), context()),
        (
            "application passwords only",
            claim("erin@only-apps.example", PASSWORD),
            context(),
        ),
        ("mechanism not permitted", by_user, context()),
        ("TLS too old", claim("gina@tls13-only.example", PASSWORD), tls12),
    ];
    let bound = world.on_the_connection_of("one").await;
    cases.push(("another tenant's", claim(CARL, PASSWORD), bound));
    let refused = |(why, claim, context)| Refused { why, claim, context };
    cases.into_iter().map(refused).collect()
}

#[tokio::test]
async fn a02_every_refusal_takes_one_look_up_and_the_floor_and_counts_once() {
    let floor = Duration::from_millis(20);
    let world = World::open(Setup {
        floor,
        ..Setup::default()
    })
    .await;
    let cases = every_reason(&world).await;
    let n_cases = cases.len();
    for case in cases {
        let (look_ups, failed) = (world.switch.n_look_ups(), world.limiter.n_failed());
        let begun = tokio::time::Instant::now();
        let verdict = world.verify_on(case.claim, &case.context).await;
        assert_eq!(verdict, Err("refused"), "{}", case.why);
        assert!(begun.elapsed() >= floor, "{}", case.why);
        assert_eq!(world.switch.n_look_ups() - look_ups, 1, "{}", case.why);
        assert_eq!(world.limiter.n_failed() - failed, 1, "{}", case.why);
    }
    assert_eq!(world.limiter.n_succeeded(), 0);
    assert_eq!(world.logins().await.len(), n_cases);
}

#[tokio::test]
async fn a02_no_refusal_comes_without_a_hash() {
    let world = World::open(Setup {
        gate: CLOSED,
        ..Setup::default()
    })
    .await;
    for case in every_reason(&world).await {
        let verdict = world.verify_on(case.claim, &case.context).await;
        assert_eq!(verdict, Err("busy"), "{}", case.why);
    }
    for no_name in [
        "alice",
        "",
        "' OR 1=1--",
        "../../etc/passwd",
        "a@b@c",
        "@one.example",
        "alice@",
    ] {
        assert_eq!(world.log_in(no_name, PASSWORD).await, Err("busy"), "{no_name}");
    }
    assert_eq!(
        world.limiter.n_failed(),
        0,
        "what was not evaluated is no failure"
    );
    assert!(world.logins().await.is_empty());
}

#[tokio::test]
async fn claims_without_a_password_are_refused_after_the_floor_too() {
    let floor = Duration::from_millis(20);
    let world = World::open(Setup {
        floor,
        ..Setup::default()
    })
    .await;
    let proof = Claim::Scram {
        name: ALICE.as_bytes().to_vec(),
        auth_message: b"message".to_vec(),
        proof: [1; 32],
        mechanism: LoginMechanism::ScramSha256,
    };
    for (n, claim) in [bearer(Some(ALICE), BOB), external(Some(ALICE)), proof]
        .into_iter()
        .enumerate()
    {
        let begun = tokio::time::Instant::now();
        assert_eq!(world.verify(claim).await, Err("refused"));
        assert!(begun.elapsed() >= floor);
        assert_eq!(world.limiter.n_failed(), n + 1);
    }
}

#[tokio::test]
async fn u01_u02_u05_u06_what_is_no_name_is_refused_without_a_look_up() {
    let world = World::new().await;
    let names: [&[u8]; 12] = [
        b"' OR 1=1--",
        b"\"; DROP TABLE account@one.example",
        b"*)(uid=*@one.example",
        b"%u@one.example",
        b"../../etc/passwd@one.example",
        b"a@b@c",
        b"@one.example",
        b"alice@",
        b"\"a b\"@one.example",
        b"\xc0\xafalice@one.example",
        b"\xed\xa0\x80@one.example",
        &[b'a'; 300],
    ];
    for name in names {
        let claim = Claim::Password {
            name: name.to_vec(),
            password: Secret::new(PASSWORD.to_vec()),
            mechanism: LoginMechanism::User,
        };
        assert_eq!(
            world.verify(claim).await,
            Err("refused"),
            "{}",
            name.escape_ascii()
        );
    }
    assert_eq!(world.switch.n_look_ups(), 0);
    assert!(world.limiter.names().iter().all(Option::is_none));
    assert_eq!(
        world.limiter.n_failed(),
        names.len(),
        "they count against the network"
    );
}

#[tokio::test]
async fn u07_a_bare_name_is_completed_where_there_is_a_default_domain() {
    let world = World::new().await;
    let alice = world.id(ALICE).await;
    let bound = world.on_the_connection_of("one").await;
    let without_domain = LoginContext {
        scope: restante_auth::Scope {
            default_domain: None,
            ..bound.scope.clone()
        },
        ..context()
    };
    assert_eq!(world.verify_on(claim("Alice", PASSWORD), &bound).await, Ok(alice));
    assert_eq!(
        world.verify_on(claim(ALICE, PASSWORD), &bound).await,
        Ok(alice),
        "a whole name stays as it is"
    );
    for context in [without_domain, context()] {
        assert_eq!(
            world.verify_on(claim("alice", PASSWORD), &context).await,
            Err("refused")
        );
    }
}

#[tokio::test]
async fn an_alias_logs_in_to_its_account_if_it_may() {
    let world = World::new().await;
    world.add_alias("sales@one.example", ALICE, true).await;
    world.add_alias("info@one.example", ALICE, false).await;
    let alice = world.id(ALICE).await;
    assert_eq!(world.log_in("sales@one.example", PASSWORD).await, Ok(alice));
    assert_eq!(world.log_in("info@one.example", PASSWORD).await, Err("refused"));
}

#[tokio::test]
async fn an_attempt_that_is_not_admitted_is_neither_looked_up_nor_counted() {
    let world = World::new().await;
    world.limiter.set(Some(Admission::TooMany));
    for claim in [
        claim(ALICE, PASSWORD),
        bearer(Some(ALICE), ALICE),
        external(Some(ALICE)),
    ] {
        assert_eq!(world.verify(claim).await, Err("busy"));
    }
    let salt = world.authenticator.salt(ALICE.as_bytes(), &context()).await;
    assert_eq!(crate::world::told(&salt.unwrap_err()), Err("busy"));
    assert_eq!(world.switch.n_look_ups(), 0);
    assert_eq!(world.limiter.n_failed() + world.limiter.n_succeeded(), 0);
}

/// By a certificate, because hashing takes real time.
#[tokio::test(start_paused = true)]
async fn the_turn_of_an_attempt_is_waited_for_before_the_look_up_and_beside_the_deadline() {
    let deadline = Duration::from_secs(10);
    let world = World::open(Setup {
        deadline,
        ..Setup::default()
    })
    .await;
    let wait = Duration::from_secs(15);
    world.limiter.set(Some(after(wait, false)));
    let context = LoginContext {
        certificate_names: vec![ALICE.to_owned()],
        ..context()
    };
    let begun = tokio::time::Instant::now();
    let mut login = Box::pin(world.verify_on(external(None), &context));
    let early = tokio::time::timeout(Duration::from_millis(14_999), &mut login).await;
    assert!(early.is_err());
    assert_eq!(world.switch.n_look_ups(), 0, "nothing is asked before");
    assert!(login.await.is_ok());
    assert!(begun.elapsed() >= wait);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_never_answers_gives_no_verdict_at_the_deadline() {
    let deadline = Duration::from_secs(10);
    let world = World::open(Setup {
        deadline,
        ..Setup::default()
    })
    .await;
    world.switch.set_delay(Duration::from_hours(1));
    let begun = tokio::time::Instant::now();
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Err("unavailable"));
    let salt = world.authenticator.salt(ALICE.as_bytes(), &context()).await;
    assert_eq!(crate::world::told(&salt.unwrap_err()), Err("unavailable"));
    assert!(begun.elapsed() < 2 * deadline + Duration::from_secs(1));
    assert_eq!(world.limiter.n_failed(), 0);
}

#[tokio::test]
async fn without_a_limiter_logins_are_evaluated_all_the_same() {
    let world = World::new().await;
    world.limiter.set(None);
    assert_eq!(world.log_in(ALICE, PASSWORD).await, Ok(world.id(ALICE).await));
    assert_eq!(world.log_in(ALICE, b"wrong").await, Err("refused"));
}

#[tokio::test]
async fn u03_the_limiter_knows_a_name_by_one_key_in_all_its_forms_and_on_all_frontends() {
    let world = World::new().await;
    let other = world.beside(Setup::default()).await;
    let bound = world.on_the_connection_of("one").await;
    for name in ["nobody@one.example", "NOBODY@One.Example.", "nobody"] {
        assert_eq!(
            world.verify_on(claim(name, PASSWORD), &bound).await,
            Err("refused")
        );
    }
    assert_eq!(world.log_in("noone@one.example", PASSWORD).await, Err("refused"));
    assert_eq!(other.log_in("nobody@one.example", PASSWORD).await, Err("refused"));
    let names = world.limiter.names();
    assert!(names[0].is_some());
    assert!(names[..3].iter().all(|name| *name == names[0]));
    assert_ne!(names[3], names[0]);
    assert_eq!(other.limiter.names(), [names[0]]);
}

#[tokio::test]
async fn u04_u05_wide_forms_of_forbidden_characters_are_forbidden_too() {
    let world = World::new().await;
    for name in [
        "alice\u{ff20}two.example@one.example",
        "\u{ff0e}\u{ff0e}\u{ff0f}passwd@one.example",
        "\u{ff5b}name\u{ff5d}@one.example",
        "a\u{ff05}b@one.example",
    ] {
        assert!(restante_auth::LoginName::parse(name).is_err(), "{name}");
        assert_eq!(world.log_in(name, PASSWORD).await, Err("refused"), "{name}");
    }
    assert_eq!(world.switch.n_look_ups(), 0);
}
