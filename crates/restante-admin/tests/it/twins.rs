//! The client answers as what is behind the server does: every call is made twice, to a directory and through client,
//! HTTP and service to another one, and the answers are compared.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_admin::{AdminClient, AdminClientOptions, AdminLimits, seal};
use restante_auth::password::{AppPassword, ScramKeys};
use restante_auth::{
    AccountPatch, AccountState, Actor, Alias, AppPasswordId, AppPasswordInfo, AppScope, AuditAction,
    AuditEntry, AuditFilter, CertificateId, DirectoryAdmin, DirectoryError, NewAccount, NewAppPassword,
    NewCertificate, NewPassword, OauthProvider, Page, Policy, StoredCertificate, TenantPatch, TokenCheck,
};
use restante_sasl::LoginMechanism;
use restante_types::{Octets, Secret, TenantId};

use crate::certificates::pair;
use crate::serving::Served;
use crate::world::{ACME, PROVIDER, World, keyring, name, new_account};

pub(crate) fn client(served: &Served, token: &str) -> AdminClient {
    let options = AdminClientOptions {
        url: served.url(),
        token: Secret::new(token.to_owned()),
        extra_roots: Vec::new(),
    };
    AdminClient::new(&options).unwrap()
}

/// An answer as text, so that answers of all kinds can be compared.
fn told<T: Debug>(answer: Result<T, DirectoryError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}: {error}", error.kind),
    }
}

pub(crate) fn page(after: Option<&str>, limit: u32) -> Page {
    Page {
        after: after.map(str::to_owned),
        limit,
    }
}

/// Without the times at which the two were asked.
fn timeless(info: AppPasswordInfo) -> AppPasswordInfo {
    AppPasswordInfo {
        created_at: SystemTime::UNIX_EPOCH,
        ..info
    }
}

fn line(mut entry: AuditEntry) -> AuditEntry {
    entry.record.at = SystemTime::UNIX_EPOCH;
    entry
}

/// Without the sealed key, which no server gives away.
fn keyless(certificate: StoredCertificate) -> StoredCertificate {
    StoredCertificate {
        sealed_key: Vec::new(),
        ..certificate
    }
}

/// Two worlds of one history, and the two ways to them.
struct Twins {
    near: World,
    far: World,
    served: Served,
}

impl Twins {
    async fn new() -> Self {
        let (near, far) = (World::new().await, World::new().await);
        let served = Served::start(&far.service(AdminLimits::default()));
        Self { near, far, served }
    }

    fn ways(&self, token: &str, tenant: Option<TenantId>) -> [Arc<dyn DirectoryAdmin>; 2] {
        let who = if tenant.is_some() {
            "api:acme"
        } else {
            "api:provider"
        };
        let actor = Actor {
            name: who.to_owned(),
            tenant,
        };
        [
            self.near.directory.acting(actor),
            Arc::new(client(&self.served, token)),
        ]
    }
}

macro_rules! same {
    ($ways:expr, $way:ident => $call:expr) => {{
        let [near, far] = &$ways;
        let $way = near;
        let said = told($call);
        let $way = far;
        assert_eq!(told($call), said, "{}", stringify!($call));
        said
    }};
}

pub(crate) fn rich_policy() -> Policy {
    Policy {
        mechanisms: vec![
            LoginMechanism::User,
            LoginMechanism::Plain,
            LoginMechanism::ScramSha256,
        ],
        app_passwords_only: true,
        login_delay_secs: 90,
        login_burst: 3,
        expire_days: Some(30),
        max_sessions: Some(9),
        max_octets_per_day: Some(1 << 40),
        listing_messages: Some(1000),
        listing_days: Some(365),
        oauth: vec![OauthProvider {
            issuer: "https://id.example".to_owned(),
            audiences: vec!["mail".to_owned(), "pop3".to_owned()],
            name_claim: "sub".to_owned(),
            scope: Some("mail".to_owned()),
            check: TokenCheck::Keys {
                jwks_url: "https://id.example/keys".to_owned(),
            },
        }],
        ..Policy::default()
    }
}

async fn tenants(ways: &[Arc<dyn DirectoryAdmin>; 2]) {
    same!(*ways, way => way.add_tenant("acme", "local").await);
    same!(*ways, way => way.add_tenant("globex", "archive").await);
    assert!(same!(*ways, way => way.add_tenant("acme", "local").await).starts_with("Exists"));
    assert!(same!(*ways, way => way.add_tenant("No Name", "local").await).starts_with("Invalid"));
    same!(*ways, way => way.tenant("acme").await);
    for none in ["none", "", ".", "..", "a/b", "a?b"] {
        assert_eq!(same!(*ways, way => way.tenant(none).await), "None", "{none:?}");
    }
    for (after, limit) in [(None, 0), (None, 1), (Some("acme"), 5), (None, 100_000)] {
        same!(*ways, way => way.tenants(page(after, limit)).await);
    }
    let patch = || TenantPatch {
        state: Some(AccountState::ReadOnly),
        default_domain: Some(None),
        policy: Some(rich_policy()),
        storage: Some("archive".to_owned()),
        retention: Some(Duration::from_hours(720)),
        quota_octets: Some(Some(Octets(1 << 33))),
        quota_messages: Some(Some(7)),
    };
    same!(*ways, way => way.set_tenant("acme", patch()).await);
    let lift = || TenantPatch {
        state: Some(AccountState::Active),
        quota_octets: Some(None),
        quota_messages: Some(None),
        ..TenantPatch::default()
    };
    same!(*ways, way => way.set_tenant("acme", lift()).await);
    same!(*ways, way => way.set_tenant("acme", TenantPatch::default()).await);
    assert!(same!(*ways, way => way.set_tenant("none", lift()).await).starts_with("NotFound"));
    same!(*ways, way => way.add_server_name("acme", "POP.acme.example").await);
    same!(*ways, way => way.add_server_name("acme", "mail.acme.example").await);
    assert!(
        same!(*ways, way => way.add_server_name("globex", "pop.acme.example").await).starts_with("Exists")
    );
    assert!(same!(*ways, way => way.add_server_name("none", "x.example").await).starts_with("NotFound"));
    same!(*ways, way => way.remove_server_name("acme", "mail.acme.example").await);
    assert!(same!(*ways, way => way.remove_server_name("acme", "x.example").await).starts_with("NotFound"));
}

async fn domains(ways: &[Arc<dyn DirectoryAdmin>; 2]) {
    for (tenant, domain) in [
        ("acme", "acme.example"),
        ("acme", "b\u{fc}ro.example"),
        ("globex", "globex.example"),
    ] {
        same!(*ways, way => way.add_domain(tenant, domain).await);
    }
    assert!(same!(*ways, way => way.add_domain("acme", "globex.example").await).starts_with("Exists"));
    assert!(same!(*ways, way => way.add_domain("none", "x.example").await).starts_with("NotFound"));
    assert!(same!(*ways, way => way.add_domain("acme", "no domain").await).starts_with("Invalid"));
    same!(*ways, way => way.domain("b\u{fc}ro.example").await);
    assert_eq!(same!(*ways, way => way.domain("none.example").await), "None");
    for tenant in [None, Some("acme"), Some("none")] {
        same!(*ways, way => way.domains(tenant, page(None, 10)).await);
        same!(*ways, way => way.domains(tenant, page(Some("acme.example"), 1)).await);
    }
    let patch = || TenantPatch {
        default_domain: Some(Some("acme.example".to_owned())),
        ..TenantPatch::default()
    };
    same!(*ways, way => way.set_tenant("acme", patch()).await);
    same!(*ways, way => way.set_domain("b\u{fc}ro.example", "globex").await);
    assert!(same!(*ways, way => way.set_domain("none.example", "globex").await).starts_with("NotFound"));
    same!(*ways, way => way.remove_domain("b\u{fc}ro.example").await);
    assert!(same!(*ways, way => way.remove_domain("none.example").await).starts_with("NotFound"));
}

/// Hash and keys that are the same for both.
fn password() -> NewPassword {
    let keys = "{SCRAM-SHA-256}4096,QSXCR+Q6sek8bf92,6rslqdbhMu4Q/4kkQyoZpVg+I0NrM1vaBLXlaV4SvaA=,\
                wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    NewPassword {
        hash: Secret::new("{SSHA256}dGVzdC10ZXN0LXRlc3QtdGVzdC10ZXN0LXRlc3QtdGVzdHNhbHQ=".to_owned()),
        scram: Some(ScramKeys::parse(keys).unwrap().to_text()),
    }
}

async fn accounts(ways: &[Arc<dyn DirectoryAdmin>; 2]) {
    let new = |text: &str| NewAccount {
        name: name(text),
        password: Some(password()),
        quota_octets: Some(Octets(5)),
        quota_messages: Some(6),
    };
    for one in [
        "ann@acme.example",
        "j\u{fc}rgen+list@acme.example",
        "gus@globex.example",
    ] {
        same!(*ways, way => way.add_account(new(one)).await);
    }
    same!(*ways, way => way.add_account(new_account("bob@acme.example")).await);
    assert!(same!(*ways, way => way.add_account(new("ann@acme.example")).await).starts_with("Exists"));
    assert!(same!(*ways, way => way.add_account(new("x@none.example")).await).starts_with("NotFound"));
    for one in [
        "ann@acme.example",
        "j\u{fc}rgen+list@acme.example",
        "nobody@acme.example",
    ] {
        same!(*ways, way => way.account(&name(one)).await);
    }
    for domain in [None, Some("acme.example"), Some("none.example")] {
        for (after, limit) in [(None, 1000), (None, 2), (Some("bob@acme.example"), 1)] {
            same!(*ways, way => way.accounts(domain, page(after, limit)).await);
        }
    }
    let patch = || AccountPatch {
        state: Some(AccountState::LoginSuspended),
        name: Some(name("rob@acme.example")),
        password: Some(password()),
        quota_octets: Some(None),
        quota_messages: Some(Some(9)),
    };
    same!(*ways, way => way.set_account(&name("bob@acme.example"), patch()).await);
    same!(*ways, way => way.set_account(&name("rob@acme.example"), AccountPatch::default()).await);
    assert!(
        same!(*ways, way => way.set_account(&name("bob@acme.example"), patch()).await)
            .starts_with("NotFound")
    );
    let fresh = || AccountPatch {
        password: Some(password()),
        ..AccountPatch::default()
    };
    same!(*ways, way => way.set_account(&name("ann@acme.example"), fresh()).await);
    let alias = |address: &str, account: &str| Alias {
        address: name(address),
        account: name(account),
        may_log_in: true,
    };
    same!(*ways, way => way.add_alias(alias("info@acme.example", "ann@acme.example")).await);
    same!(*ways, way => way.add_alias(alias("sales@acme.example", "rob@acme.example")).await);
    assert!(
        same!(*ways, way => way.add_alias(alias("ann@acme.example", "rob@acme.example")).await)
            .starts_with("Exists")
    );
    let strange = || alias("x@globex.example", "ann@acme.example");
    assert!(same!(*ways, way => way.add_alias(strange()).await).starts_with("Invalid"));
    let ann = name("ann@acme.example");
    for (account, domain) in [
        (None, None),
        (Some(&ann), None),
        (None, Some("acme.example")),
        (Some(&ann), Some("acme.example")),
    ] {
        same!(*ways, way => way.aliases(account, domain, page(None, 10)).await);
    }
    same!(*ways, way => way.remove_alias(&name("sales@acme.example")).await);
    assert!(same!(*ways, way => way.remove_alias(&name("sales@acme.example")).await).starts_with("NotFound"));
    same!(*ways, way => way.remove_account(&name("rob@acme.example")).await);
    assert!(same!(*ways, way => way.remove_account(&name("rob@acme.example")).await).starts_with("NotFound"));
}

async fn app_passwords(ways: &[Arc<dyn DirectoryAdmin>; 2]) {
    let ann = name("ann@acme.example");
    let (_, secret) = AppPassword::generate().unwrap();
    let new = |label: &str| NewAppPassword {
        label: label.to_owned(),
        verifier: secret.verifier(Some(&keyring())),
        scope: AppScope::ReadOnly,
        networks: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        expires_at: Some(SystemTime::UNIX_EPOCH + Duration::from_micros(2_000_000_000_000_001)),
    };
    same!(*ways, way => way.add_app_password(&ann, new("phone")).await.map(timeless));
    same!(*ways, way => way.add_app_password(&ann, new("tablet")).await.map(timeless));
    assert!(
        same!(*ways, way => way.add_app_password(&ann, new("")).await.map(timeless)).starts_with("Invalid")
    );
    let nobody = name("nobody@acme.example");
    assert!(
        same!(*ways, way => way.add_app_password(&nobody, new("x")).await.map(timeless))
            .starts_with("NotFound")
    );
    let all = |infos: Vec<AppPasswordInfo>| infos.into_iter().map(timeless).collect::<Vec<_>>();
    let listed = same!(*ways, way => way.app_passwords(&ann).await.map(all));
    assert!(listed.contains("tablet"));
    assert!(same!(*ways, way => way.app_passwords(&nobody).await.map(all)).starts_with("NotFound"));
    same!(*ways, way => way.remove_app_password(&ann, AppPasswordId(1)).await);
    assert!(
        same!(*ways, way => way.remove_app_password(&ann, AppPasswordId(1)).await).starts_with("NotFound")
    );
    assert!(
        same!(*ways, way => way.remove_app_password(&ann, AppPasswordId(-1)).await).starts_with("NotFound")
    );
}

async fn certificates(ways: &[Arc<dyn DirectoryAdmin>; 2]) {
    let acme = ways[0].tenant("acme").await.unwrap().unwrap().id;
    let (chain, key) = pair(&["pop.acme.example"]);
    let facts = restante_net::HeldPair {
        label: String::new(),
        names: Vec::new(),
        chain: chain.clone().into_bytes(),
        key: Secret::new(key.clone().into_bytes()),
    };
    let not_after = facts.inspect().unwrap().not_after;
    let new = || NewCertificate {
        server_names: vec!["pop.acme.example".to_owned()],
        chain: chain.clone(),
        sealed_key: seal::seal_private_key(&keyring(), acme, key.as_bytes()).unwrap(),
        not_after,
    };
    same!(*ways, way => way.add_certificate("acme", new()).await.map(keyless));
    same!(*ways, way => way.add_certificate("acme", new()).await.map(keyless));
    for tenant in [None, Some("acme"), Some("globex"), Some("none")] {
        let all = |all: Vec<StoredCertificate>| all.into_iter().map(keyless).collect::<Vec<_>>();
        same!(*ways, way => way.certificates(tenant).await.map(all));
    }
    assert!(
        same!(*ways, way => way.remove_server_name("acme", "pop.acme.example").await).starts_with("InUse")
    );
    same!(*ways, way => way.remove_certificate("acme", CertificateId(1)).await);
    assert!(
        same!(*ways, way => way.remove_certificate("acme", CertificateId(1)).await).starts_with("NotFound")
    );
    assert!(
        same!(*ways, way => way.remove_certificate("globex", CertificateId(2)).await).starts_with("NotFound")
    );
}

async fn audit(ways: &[Arc<dyn DirectoryAdmin>; 2]) {
    let acme = ways[0].tenant("acme").await.unwrap().unwrap().id;
    let ann = ways[0]
        .account(&name("ann@acme.example"))
        .await
        .unwrap()
        .unwrap()
        .id;
    let all = |entries: Vec<AuditEntry>| entries.into_iter().map(line).collect::<Vec<_>>();
    for filter in [
        AuditFilter {
            limit: 10_000,
            ..AuditFilter::default()
        },
        AuditFilter {
            limit: 3,
            ..AuditFilter::default()
        },
        AuditFilter {
            limit: 5,
            before: Some(9),
            ..AuditFilter::default()
        },
        AuditFilter {
            limit: 100,
            tenant: Some(acme),
            ..AuditFilter::default()
        },
        AuditFilter {
            limit: 100,
            account: Some(ann),
            ..AuditFilter::default()
        },
        AuditFilter {
            limit: 100,
            action: Some(AuditAction::AliasAdded),
            ..AuditFilter::default()
        },
        AuditFilter {
            limit: 100,
            tenant: TenantId::new(4711),
            ..AuditFilter::default()
        },
        AuditFilter {
            limit: 0,
            ..AuditFilter::default()
        },
    ] {
        same!(*ways, way => way.audit(filter.clone()).await.map(all));
    }
}

#[tokio::test]
async fn the_provider_is_answered_the_same_near_and_far() {
    let twins = Twins::new().await;
    let ways = twins.ways(PROVIDER, None);
    tenants(&ways).await;
    domains(&ways).await;
    accounts(&ways).await;
    app_passwords(&ways).await;
    certificates(&ways).await;
    audit(&ways).await;
    // What is not shown has come over just as well.
    for one in ["ann@acme.example", "j\u{fc}rgen+list@acme.example"] {
        let mut stored = Vec::new();
        for world in [&twins.near, &twins.far] {
            let found = world.directory.credentials(&name(one)).await.unwrap().unwrap();
            let verifiers: Vec<_> = found
                .app_passwords
                .iter()
                .map(|one| one.verifier.expose().clone())
                .collect();
            stored.push((
                found.password.map(|hash| hash.expose().clone()),
                found.scram.map(|keys| keys.expose().clone()),
                verifiers,
            ));
        }
        assert_eq!(stored[0], stored[1]);
    }
    let acme = twins.far.directory.tenant("acme").await.unwrap().unwrap().id;
    let certificate = &twins.far.directory.certificates(Some("acme")).await.unwrap()[0];
    assert!(seal::open_private_key(&keyring(), acme, &certificate.sealed_key).is_ok());
    // And all goes as it came.
    same!(ways, way => way.remove_certificate("acme", CertificateId(2)).await);
    for account in ["ann@acme.example", "j\u{fc}rgen+list@acme.example"] {
        same!(ways, way => way.remove_account(&name(account)).await);
    }
    assert!(same!(ways, way => way.remove_tenant("acme").await).starts_with("InUse"));
    let patch = || TenantPatch {
        default_domain: Some(None),
        ..TenantPatch::default()
    };
    same!(ways, way => way.set_tenant("acme", patch()).await);
    same!(ways, way => way.remove_domain("acme.example").await);
    same!(ways, way => way.remove_tenant("acme").await);
    assert!(same!(ways, way => way.remove_tenant("acme").await).starts_with("NotFound"));
}

#[tokio::test]
async fn a_tenants_own_administrator_is_answered_the_same_near_and_far() {
    let twins = Twins::new().await;
    let provider = twins.ways(PROVIDER, None);
    tenants(&provider).await;
    domains(&provider).await;
    accounts(&provider).await;
    let acme = twins.near.directory.tenant("acme").await.unwrap().unwrap().id;
    let ways = twins.ways(ACME, Some(acme));
    app_passwords(&ways).await;
    same!(ways, way => way.tenants(page(None, 10)).await);
    assert_eq!(same!(ways, way => way.tenant("globex").await), "None");
    same!(ways, way => way.domains(None, page(None, 10)).await);
    same!(ways, way => way.accounts(None, page(None, 10)).await);
    same!(ways, way => way.aliases(None, None, page(None, 10)).await);
    same!(ways, way => way.certificates(None).await);
    same!(ways, way => way.add_domain("acme", "new.example").await);
    assert!(same!(ways, way => way.add_domain("globex", "x.example").await).starts_with("NotFound"));
    assert!(
        same!(ways, way => way.remove_account(&name("gus@globex.example")).await).starts_with("NotFound")
    );
    for said in [
        same!(ways, way => way.add_tenant("new", "local").await),
        same!(ways, way => way.set_tenant("acme", TenantPatch::default()).await),
        same!(ways, way => way.remove_tenant("acme").await),
        same!(ways, way => way.add_server_name("acme", "x.example").await),
        same!(ways, way => way.set_domain("new.example", "acme").await),
        same!(ways, way => way.remove_certificate("acme", CertificateId(1)).await),
    ] {
        assert!(said.starts_with("NotPermitted"), "{said}");
    }
    let all = |entries: Vec<AuditEntry>| entries.into_iter().map(line).collect::<Vec<_>>();
    let filter = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    same!(ways, way => way.audit(filter.clone()).await.map(all));
}
