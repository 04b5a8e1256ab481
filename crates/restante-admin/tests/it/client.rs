//! The client by itself: locks and plugins, what it leaves to the server, what it cannot do, and what it says.

use std::sync::Arc;
use std::time::SystemTime;

use restante_admin::{AdminClient, AdminClientOptions, AdminLimits, ClientFault, seal};
use restante_auth::password::{AppPassword, Password, Verified, verify};
use restante_auth::{
    AccountPatch, AppScope, AuditAction, AuditRecord, Directory, DirectoryAdmin, DirectoryErrorKind,
    TokenCheck,
};
use restante_lock::LockDesk;
use restante_net::{CertificateStore, TlsSettings, TlsStack};
use restante_store::{PluginRegistry, Quota, StoreErrorKind, Usage};
use restante_testkit::{TestCertificate, free_port, quick_rule};
use restante_types::Secret;

use crate::certificates::pair;
use crate::serving::Served;
use crate::twins::{client, page, rich_policy};
use crate::world::{ACME, PROVIDER, READER, SystemClockNow, World, keyring, name, new_account};

#[tokio::test]
async fn locks_and_plugins_are_the_same_near_and_far() {
    let world = World::new().await.settled().await;
    let served = Served::start(&world.service(AdminLimits::default()));
    let far = client(&served, PROVIDER);
    let (ann, gus) = (
        world.account("ann@acme.example").await.id,
        world.account("gus@globex.example").await.id,
    );
    let held = world.desk.hold(ann, "ann@acme.example", true);
    world.desk.hold(gus, "gus@globex.example", false);
    for (maildrop, after, limit) in [
        (None, None, 1000),
        (None, None, 1),
        (None, Some(ann.maildrop()), 10),
        (None, Some(gus.maildrop()), 10),
        (Some(gus.maildrop()), None, 1),
    ] {
        let near = world.desk.held(maildrop, after, limit).await.unwrap();
        assert_eq!(far.held(maildrop, after, limit).await.unwrap(), near);
    }
    assert!(far.free(&held).await.unwrap());
    assert!(!far.free(&held).await.unwrap());
    assert_eq!(world.desk.all().len(), 1);
    let of_tenant = client(&served, ACME);
    assert!(
        of_tenant
            .held(Some(gus.maildrop()), None, 1)
            .await
            .unwrap()
            .is_empty()
    );

    world.install("archive", b"one").await;
    world.install("archive", b"second").await;
    world.install("seal", b"two").await;
    assert_eq!(
        far.plugins().await.unwrap(),
        world.registry.plugins().await.unwrap()
    );
    assert!(far.set_enabled("archive", false).await.unwrap());
    assert!(!far.set_enabled("none", false).await.unwrap());
    assert!(far.roll_back("archive", SystemTime::UNIX_EPOCH).await.unwrap());
    assert!(!far.roll_back("seal", SystemTime::UNIX_EPOCH).await.unwrap());
    assert!(!far.roll_back("none", SystemTime::UNIX_EPOCH).await.unwrap());
    assert_eq!(
        far.plugins().await.unwrap(),
        world.registry.plugins().await.unwrap()
    );
    assert!(far.remove("seal").await.unwrap() && !far.remove("seal").await.unwrap());
    let used = far.remove("archive").await.unwrap_err();
    assert!(used.to_string().contains("[storage.archive]"), "{used}");
}

#[tokio::test]
async fn what_cannot_be_done_from_afar_says_what_to_do() {
    let world = World::new().await;
    let served = Served::start(&world.service(AdminLimits::default()));
    let far = client(&served, PROVIDER);
    let refused = far
        .install("x", [0; 32], Vec::new(), SystemTime::UNIX_EPOCH)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Unsupported);
    assert!(
        refused.to_string().contains("restante plugin install"),
        "{refused}"
    );
    assert!(far.component(&[0; 32]).await.is_err());
    let refused = far.credentials(&name("ann@acme.example")).await.unwrap_err();
    assert_eq!(refused.kind, DirectoryErrorKind::NotPermitted);
    assert!(refused.to_string().contains("--config"), "{refused}");
    assert!(far.roster(None).await.is_err() && far.installation_secret().await.is_err());
    assert!(far.standing(&[]).await.is_err());
    let record = |action| AuditRecord {
        at: SystemTime::UNIX_EPOCH,
        actor: "operator".to_owned(),
        action,
        tenant: None,
        account: None,
        session: None,
        client: None,
        detail: String::new(),
    };
    far.record(&[record(AuditAction::SessionKicked)]).await.unwrap();
    assert!(
        far.record(&[record(AuditAction::MessagesRestored)])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_server_hashes_seals_and_makes_what_the_client_cannot() {
    let world = World::new().await.settled().await;
    world
        .directory
        .add_server_name("acme", "pop.acme.example")
        .await
        .unwrap();
    let served = Served::start(&world.service(AdminLimits::default()));
    let far = client(&served, PROVIDER);
    let secret = |text: &str| Secret::new(text.to_owned());
    far.add_account_with_password(new_account("new@acme.example"), &secret("correct horse"))
        .await
        .unwrap();
    far.set_account_with_password(
        &name("ann@acme.example"),
        AccountPatch::default(),
        &secret("correct horse"),
    )
    .await
    .unwrap();
    for one in ["new@acme.example", "ann@acme.example"] {
        let stored = world
            .directory
            .credentials(&name(one))
            .await
            .unwrap()
            .unwrap()
            .password
            .unwrap();
        let prepared = Password::prepare(b"correct horse").unwrap();
        let raw = Secret::new(b"correct horse".to_vec());
        let verified = verify(&stored, &prepared, &raw, &world.ports.rule).unwrap();
        assert_eq!(
            verified,
            Verified::Matched { rehash: false },
            "peppered as it should be"
        );
        let bare = quick_rule();
        assert!(verify(&stored, &prepared, &raw, &bare).is_err());
    }
    let ann = name("ann@acme.example");
    let (info, shown) = far
        .make_app_password(&ann, "phone", AppScope::Full, &[], None)
        .await
        .unwrap();
    let stored = world
        .directory
        .credentials(&ann)
        .await
        .unwrap()
        .unwrap()
        .app_passwords;
    assert_eq!(stored[0].id, info.id);
    let parsed = AppPassword::parse(shown.expose().as_bytes()).unwrap();
    assert!(parsed.matches(stored[0].verifier.expose(), world.ports.rule.keyring()));
    let (chain, key) = pair(&["pop.acme.example"]);
    let added = far
        .add_certificate_pem("acme", chain, &secret(&key), Vec::new())
        .await
        .unwrap();
    assert_eq!(added.server_names, ["pop.acme.example"]);
    let mut policy = rich_policy();
    policy.oauth[0].check = TokenCheck::Introspection {
        introspection_url: "https://id.example/ask".to_owned(),
        client_id: "pop3".to_owned(),
        sealed_client_secret: String::new(),
    };
    let sealed = far
        .set_policy_with_secret("acme", policy, "https://id.example", &secret("s3cret"))
        .await
        .unwrap();
    assert_eq!(
        sealed,
        world.directory.tenant("acme").await.unwrap().unwrap().policy
    );
    let TokenCheck::Introspection {
        sealed_client_secret, ..
    } = &sealed.oauth[0].check
    else {
        panic!("{sealed:?}")
    };
    let opened = seal::open_client_secret(&keyring(), "https://id.example", sealed_client_secret).unwrap();
    assert_eq!(opened.expose(), b"s3cret");
    assert_eq!(
        far.usage(&ann).await.unwrap(),
        (Usage::default(), Quota::default())
    );
    let storages = far.storages().await.unwrap();
    let mut near = (world.ports.storages)();
    near.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(storages, near);
}

#[tokio::test]
async fn a_client_says_what_is_wrong_and_never_its_token() {
    let world = World::new().await.settled().await;
    let served = Served::start(&world.service(AdminLimits::default()));
    let wrong = client(&served, "wrong-0123456789abcdef")
        .tenants(page(None, 1))
        .await
        .unwrap_err();
    assert_eq!(wrong.kind, DirectoryErrorKind::NotPermitted);
    assert!(wrong.to_string().contains("[[admin.token]]"), "{wrong}");
    let reader = client(&served, READER);
    let refused = reader.remove_tenant("acme").await.unwrap_err();
    assert!(
        refused.kind == DirectoryErrorKind::NotPermitted && refused.to_string().contains("read_only"),
        "{refused}"
    );
    assert!(!format!("{reader:?} {reader}").contains(READER));
    let elsewhere = AdminClientOptions {
        url: format!("http://127.0.0.1:{}", free_port()),
        token: Secret::new(PROVIDER.to_owned()),
        extra_roots: Vec::new(),
    };
    assert!(!format!("{elsewhere:?}").contains(PROVIDER));
    let lost = AdminClient::new(&elsewhere)
        .unwrap()
        .tenants(page(None, 1))
        .await
        .unwrap_err();
    assert!(
        lost.kind == DirectoryErrorKind::Unavailable && lost.to_string().contains("refused"),
        "{lost}"
    );
    let fault = |url: &str, token: &str, root: &[u8]| {
        let options = AdminClientOptions {
            url: url.to_owned(),
            token: Secret::new(token.to_owned()),
            extra_roots: vec![root.to_vec()],
        };
        AdminClient::new(&options).unwrap_err()
    };
    assert!(matches!(
        fault("http://pop.example", PROVIDER, b""),
        ClientFault::Address(_)
    ));
    let token = fault("http://127.0.0.1", "bad\ntoken-0123456789", b"");
    assert!(matches!(token, ClientFault::Token) && !format!("{token} {token:?}").contains("bad"));
    assert!(matches!(
        fault("http://127.0.0.1", PROVIDER, b"no PEM"),
        ClientFault::Root
    ));
}

#[tokio::test]
async fn a_client_trusts_the_authority_that_it_is_given() {
    let world = World::new().await.settled().await;
    let certificate = TestCertificate::new();
    let (store, _) = CertificateStore::open(&[certificate.files()], SystemClockNow::now()).unwrap();
    let settings = TlsSettings {
        alpn: Some("http/1.1"),
        ..TlsSettings::default()
    };
    let stack = Arc::new(TlsStack::new(&settings, store).unwrap());
    let served = Served::inside_tls(&world.service(AdminLimits::default()), stack);
    let root = std::fs::read(certificate.files().certificate).unwrap();
    for (roots, is_trusted) in [(vec![root], true), (Vec::new(), false)] {
        let options = AdminClientOptions {
            url: format!("https://localhost:{}", served.address.port()),
            token: Secret::new(PROVIDER.to_owned()),
            extra_roots: roots,
        };
        let answer = AdminClient::new(&options).unwrap().tenants(page(None, 5)).await;
        assert_eq!(answer.is_ok(), is_trusted, "{answer:?}");
    }
}
