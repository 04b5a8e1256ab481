//! Logins without a password: access tokens and client certificates.

use restante_auth::LoginContext;

use crate::world::{ALICE, BOB, CARL, Setup, World, bearer, context, external};

#[tokio::test]
async fn a_token_opens_the_account_it_names_by_its_name_or_an_alias() {
    let world = World::new().await;
    world.add_alias("sales@one.example", ALICE, true).await;
    world.add_alias("info@one.example", ALICE, false).await;
    let alice = world.id(ALICE).await;
    for (named, subject, expected) in [
        (ALICE, ALICE, Ok(alice)),
        ("Alice@One.Example", ALICE, Ok(alice)),
        ("sales@one.example", ALICE, Ok(alice)),
        ("sales@one.example", "sales@one.example", Ok(alice)),
        ("info@one.example", ALICE, Err("refused")),
        (ALICE, BOB, Err("refused")),
        (ALICE, CARL, Err("refused")),
        ("nobody@one.example", ALICE, Err("refused")),
        ("nobody@one.example", "nobody@one.example", Err("refused")),
    ] {
        assert_eq!(
            world.verify(bearer(Some(named), subject)).await,
            expected,
            "{named} {subject}"
        );
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_checked_gives_no_verdict() {
    let world = World::new().await;
    assert_eq!(
        world.verify(bearer(Some(ALICE), "later")).await,
        Err("unavailable")
    );
    assert_eq!(world.limiter.n_failed(), 0);
    assert!(world.logins().await.is_empty());
    world.switch.set_wrong(true);
    assert_eq!(world.verify(bearer(Some(ALICE), ALICE)).await, Err("unavailable"));
}

#[tokio::test]
async fn a08_a_token_without_a_name_needs_a_tenant_and_opens_only_its_users() {
    let world = World::new().await;
    let bound = world.on_the_connection_of("one").await;
    let alice = world.id(ALICE).await;
    assert_eq!(world.verify_on(bearer(None, ALICE), &bound).await, Ok(alice));
    assert_eq!(world.verify_on(bearer(None, CARL), &bound).await, Err("refused"));
    assert_eq!(
        world.verify_on(bearer(Some(CARL), CARL), &bound).await,
        Err("refused")
    );
    assert_eq!(
        world.verify(bearer(None, ALICE)).await,
        Err("refused"),
        "whose issuer?"
    );
    assert!(world.verify(bearer(Some(CARL), CARL)).await.is_ok());
}

#[tokio::test]
async fn without_an_issuer_or_a_verifier_no_token_opens_anything() {
    let world = World::new().await;
    world.set_policy("one", |policy| policy.oauth.clear()).await;
    assert_eq!(world.verify(bearer(Some(ALICE), ALICE)).await, Err("refused"));
    let without = world
        .beside(Setup {
            takes_tokens: false,
            ..Setup::default()
        })
        .await;
    assert_eq!(without.verify(bearer(Some(CARL), CARL)).await, Err("refused"));
    assert!(world.verify(bearer(Some(CARL), CARL)).await.is_ok());
}

#[tokio::test]
async fn a_certificate_opens_the_one_account_that_it_names_and_the_client_asks_for() {
    let world = World::new().await;
    let (alice, bob) = (world.id(ALICE).await, world.id(BOB).await);
    let nobody = "nobody@one.example";
    for (names, asked, expected) in [
        (&[ALICE][..], None, Ok(alice)),
        (&["Alice@One.Example"], None, Ok(alice)),
        (&[ALICE, BOB], Some("Bob@one.example"), Ok(bob)),
        (&[ALICE, BOB], None, Err("refused")),
        (&[ALICE], Some(BOB), Err("refused")),
        (&[ALICE], Some("alice"), Err("refused")),
        (&[ALICE], Some(""), Err("refused")),
        (&[], Some(ALICE), Err("refused")),
        (&[], None, Err("refused")),
        (&["no name"], Some("no name"), Err("refused")),
        (&[nobody], None, Err("refused")),
    ] {
        let context = LoginContext {
            certificate_names: names.iter().map(ToString::to_string).collect(),
            ..context()
        };
        let verdict = world.verify_on(external(asked), &context).await;
        assert_eq!(verdict, expected, "{names:?} {asked:?}");
    }
}

#[tokio::test]
async fn u08_a_certificate_of_another_tenants_user_opens_nothing_on_a_tenants_connection() {
    let world = World::new().await;
    let with = |name: &str, context| LoginContext {
        certificate_names: vec![name.to_owned()],
        ..context
    };
    let bound = world.on_the_connection_of("one").await;
    let own = with(ALICE, bound.clone());
    assert_eq!(
        world.verify_on(external(Some("alice")), &own).await,
        Ok(world.id(ALICE).await),
        "u07"
    );
    assert_eq!(
        world.verify_on(external(None), &with(CARL, bound)).await,
        Err("refused")
    );
    assert!(
        world
            .verify_on(external(None), &with(CARL, context()))
            .await
            .is_ok()
    );
    world.switch.set_down(true);
    assert_eq!(world.verify_on(external(None), &own).await, Err("unavailable"));
}
