//! What tenants have and what keeps them apart: server names, certificates, the roster, the audit, administrators.

use std::time::{Duration, SystemTime};

use restante_auth::AuditAction as A;
use restante_auth::{
    AccountPatch, AccountState, Actor, Alias, AppScope, AuditAction, AuditFilter, AuditRecord,
    DirectoryAdmin, DirectoryErrorKind, NewAppPassword, NewCertificate, Policy, Roster, TenantPatch,
};
use restante_types::{AccountId, Secret, SessionId, TenantId};

use super::{add, all, hashed, kind, name, two_tenants, user};
use crate::DirectoryFixture;

/// Stands for every secret that is handed to the directory.
const CANARY: &str = "canary-4711";
/// How long whoever watches may take to be woken.
const PATIENCE: Duration = Duration::from_secs(20);

fn certificate(names: &[&str]) -> NewCertificate {
    NewCertificate {
        server_names: names.iter().map(ToString::to_string).collect(),
        chain: format!("chain {CANARY}"),
        sealed_key: CANARY.as_bytes().to_vec(),
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
    }
}

fn of(actor: &str, tenant: Option<TenantId>) -> Actor {
    Actor {
        name: actor.to_owned(),
        tenant,
    }
}

fn policy(days: u32) -> TenantPatch {
    TenantPatch {
        policy: Some(Policy {
            expire_days: Some(days),
            ..Policy::default()
        }),
        ..TenantPatch::default()
    }
}

async fn roster(directory: &dyn DirectoryAdmin) -> Roster {
    directory.roster(None).await.unwrap().unwrap()
}

async fn lines(directory: &dyn DirectoryAdmin, filter: AuditFilter) -> Vec<AuditRecord> {
    let filter = AuditFilter {
        limit: 1000,
        ..filter
    };
    let entries = directory.audit(filter).await.unwrap();
    entries.into_iter().map(|entry| entry.record).collect()
}

pub async fn server_names_belong_to_one_tenant(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    directory
        .add_server_name("one", "POP.One.Example.")
        .await
        .unwrap();
    let tenant = directory
        .add_server_name("one", "mail.one.example")
        .await
        .unwrap();
    assert_eq!(tenant.server_names, ["mail.one.example", "pop.one.example"]);
    for taker in ["one", "two"] {
        let taken = directory.add_server_name(taker, "pop.one.example").await;
        assert_eq!(
            kind(taken.map(|_| ())),
            Err(DirectoryErrorKind::Exists),
            "{taker}"
        );
    }
    let others = directory.remove_server_name("two", "pop.one.example").await;
    assert_eq!(kind(others.map(|_| ())), Err(DirectoryErrorKind::NotFound));
    let wrong = directory.add_server_name("one", "not a name").await;
    assert_eq!(kind(wrong.map(|_| ())), Err(DirectoryErrorKind::Invalid));
    let tenant = directory
        .remove_server_name("one", "pop.one.example")
        .await
        .unwrap();
    assert_eq!(tenant.server_names, ["mail.one.example"]);
    directory.add_server_name("two", "pop.one.example").await.unwrap();
}

pub async fn certificates_serve_names_of_their_tenant(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    directory.add_server_name("one", "pop.one.example").await.unwrap();
    for names in [
        &[][..],
        &["pop.two.example"],
        &["pop.one.example", "other.example"],
    ] {
        let refused = directory.add_certificate("one", certificate(names)).await;
        assert_eq!(
            kind(refused.map(|_| ())),
            Err(DirectoryErrorKind::Invalid),
            "{names:?}"
        );
    }
    let others = directory
        .add_certificate("two", certificate(&["pop.one.example"]))
        .await;
    assert_eq!(kind(others.map(|_| ())), Err(DirectoryErrorKind::Invalid));
    let first = directory
        .add_certificate("one", certificate(&["pop.one.example"]))
        .await
        .unwrap();
    let second = directory
        .add_certificate("one", certificate(&["POP.one.example"]))
        .await
        .unwrap();
    assert!(second.id > first.id);
    let listed = directory.certificates(Some("one")).await.unwrap();
    assert_eq!(listed, [first.clone(), second.clone()]);
    assert!(directory.certificates(Some("two")).await.unwrap().is_empty());
    assert_eq!(roster(&*directory).await.certificates, listed);
    let used = directory.remove_server_name("one", "pop.one.example").await;
    assert_eq!(kind(used.map(|_| ())), Err(DirectoryErrorKind::InUse));
    let others = directory.remove_certificate("two", first.id).await;
    assert_eq!(kind(others), Err(DirectoryErrorKind::NotFound));
    directory.remove_certificate("one", second.id).await.unwrap();
    directory.remove_certificate("one", first.id).await.unwrap();
    directory
        .remove_server_name("one", "pop.one.example")
        .await
        .unwrap();
}

pub async fn the_roster_grows_with_what_stands_in_it(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let mut last = roster(&*directory).await;
    assert_eq!(last.tenants, directory.tenants(all()).await.unwrap());
    for act in 0..4 {
        assert!(
            directory.roster(Some(last.revision)).await.unwrap().is_none(),
            "nothing changed"
        );
        match act {
            0 => drop(directory.set_tenant("one", policy(14)).await.unwrap()),
            1 => drop(directory.add_server_name("one", "pop.one.example").await.unwrap()),
            2 => drop(
                directory
                    .add_certificate("one", certificate(&["pop.one.example"]))
                    .await
                    .unwrap(),
            ),
            _ => {
                let patch = TenantPatch {
                    state: Some(AccountState::ReadOnly),
                    ..TenantPatch::default()
                };
                directory.set_tenant("two", patch).await.unwrap();
            }
        }
        let next = directory.roster(Some(last.revision)).await.unwrap();
        let next = next.unwrap_or_else(|| panic!("act {act} changed the roster"));
        assert!(next.revision > last.revision);
        last = next;
    }
    let one = &last.tenants[0];
    assert_eq!(
        (one.policy.expire_days, &one.server_names[..]),
        (Some(14), &["pop.one.example".to_owned()][..])
    );
    assert_eq!(last.tenants[1].state, AccountState::ReadOnly);
}

pub async fn changes_wake_whoever_watches(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    add(&*directory, "ann@one.example").await;
    let mut changes = directory.changes();
    for suspend in [false, true] {
        changes.mark_unchanged();
        if suspend {
            let patch = AccountPatch {
                state: Some(AccountState::LoginSuspended),
                ..AccountPatch::default()
            };
            directory
                .set_account(&name("ann@one.example"), patch)
                .await
                .unwrap();
        } else {
            directory.set_tenant("one", policy(7)).await.unwrap();
        }
        let woken = tokio::time::timeout(PATIENCE, changes.changed()).await;
        assert!(matches!(woken, Ok(Ok(()))), "suspend: {suspend}");
    }
}

pub async fn the_installation_secret_is_one_and_stays(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    let first = directory.installation_secret().await.unwrap();
    let again = directory
        .acting(of("somebody", None))
        .installation_secret()
        .await
        .unwrap();
    assert_eq!(first.expose(), again.expose());
    assert_ne!(first.expose(), &[0; 32]);
}

pub async fn the_default_domain_is_one_of_the_tenants(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let set = |domain: Option<&str>| TenantPatch {
        default_domain: Some(domain.map(ToOwned::to_owned)),
        ..TenantPatch::default()
    };
    let others = directory.set_tenant("one", set(Some("two.example"))).await;
    assert!(matches!(
        kind(others.map(|_| ())),
        Err(DirectoryErrorKind::Invalid | DirectoryErrorKind::NotFound)
    ));
    let tenant = directory
        .set_tenant("one", set(Some("ONE.example")))
        .await
        .unwrap();
    assert_eq!(tenant.default_domain.as_deref(), Some("one.example"));
    let kept = directory.remove_domain("one.example").await;
    assert_eq!(kind(kept), Err(DirectoryErrorKind::InUse));
    let kept = directory.set_domain("one.example", "two").await;
    assert_eq!(kind(kept.map(|_| ())), Err(DirectoryErrorKind::InUse));
    let tenant = directory.set_tenant("one", set(None)).await.unwrap();
    assert_eq!(tenant.default_domain, None);
    directory.remove_domain("one.example").await.unwrap();
}

pub async fn every_act_leaves_one_line_in_the_audit_without_a_secret(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory().acting(of("operator:root", None));
    let tenant = directory.add_tenant("one", "embedded").await.unwrap().id;
    directory.add_domain("one", "one.example").await.unwrap();
    let mut new = user("ann@one.example");
    new.password = Some(hashed(CANARY));
    let ann = directory.add_account(new).await.unwrap();
    let patch = AccountPatch {
        password: Some(hashed(CANARY)),
        ..AccountPatch::default()
    };
    directory.set_account(&ann.name, patch).await.unwrap();
    let phone = NewAppPassword {
        label: "phone".to_owned(),
        verifier: Secret::new(CANARY.to_owned()),
        scope: AppScope::Full,
        networks: Vec::new(),
        expires_at: None,
    };
    let phone = directory.add_app_password(&ann.name, phone).await.unwrap();
    directory.remove_app_password(&ann.name, phone.id).await.unwrap();
    let alias = Alias {
        address: name("post@one.example"),
        account: ann.name.clone(),
        may_log_in: false,
    };
    directory.add_alias(alias).await.unwrap();
    directory.remove_alias(&name("post@one.example")).await.unwrap();
    directory.set_tenant("one", policy(7)).await.unwrap();
    directory.add_server_name("one", "pop.one.example").await.unwrap();
    let kept = directory
        .add_certificate("one", certificate(&["pop.one.example"]))
        .await
        .unwrap();
    directory.remove_certificate("one", kept.id).await.unwrap();
    directory
        .remove_server_name("one", "pop.one.example")
        .await
        .unwrap();
    directory.remove_account(&ann.name).await.unwrap();
    directory.remove_domain("one.example").await.unwrap();
    directory.remove_tenant("one").await.unwrap();

    let mut audit = lines(&*directory, AuditFilter::default()).await;
    audit.reverse();
    let actions: Vec<_> = audit.iter().map(|line| line.action).collect();
    assert_eq!(
        actions,
        [
            A::TenantAdded,
            A::DomainAdded,
            A::AccountAdded,
            A::AccountChanged,
            A::AppPasswordAdded,
            A::AppPasswordRevoked,
            A::AliasAdded,
            A::AliasRemoved,
            A::PolicyChanged,
            A::ServerNameAdded,
            A::CertificateAdded,
            A::CertificateRemoved,
            A::ServerNameRemoved,
            A::AccountRemoved,
            A::DomainRemoved,
            A::TenantRemoved,
        ]
    );
    for line in &audit {
        assert_eq!(
            (line.actor.as_str(), line.tenant),
            ("operator:root", Some(tenant)),
            "{line:?}"
        );
        assert!(!format!("{line:?}").contains(CANARY), "{line:?}");
    }
    assert!(
        audit[3].detail.contains("password"),
        "it says what changed: {}",
        audit[3].detail
    );
    assert_eq!(audit[4].account, Some(ann.id));
}

pub async fn the_audit_is_filtered_and_paged_newest_first(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let ann = add(&*directory, "ann@one.example").await;
    let bob = add(&*directory, "bob@two.example").await;
    let login = |account: AccountId, action, at| AuditRecord {
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
        actor: "client".to_owned(),
        action,
        tenant: Some(account.tenant()),
        account: Some(account),
        session: Some(SessionId::from_octets([9; 16])),
        client: Some("192.0.2.7".parse().unwrap()),
        detail: "mechanism=PLAIN".to_owned(),
    };
    let records = [
        login(ann.id, AuditAction::Login, 1_000),
        login(bob.id, AuditAction::LoginRefused, 1_001),
        login(ann.id, AuditAction::LoginRefused, 1_002),
    ];
    directory.record(&records).await.unwrap();
    directory.record(&[]).await.unwrap();
    let of_ann = AuditFilter {
        account: Some(ann.id),
        action: Some(AuditAction::LoginRefused),
        ..AuditFilter::default()
    };
    assert_eq!(lines(&*directory, of_ann).await, [records[2].clone()]);
    let of_two = AuditFilter {
        tenant: Some(bob.id.tenant()),
        ..AuditFilter::default()
    };
    let of_two = lines(&*directory, of_two).await;
    assert_eq!(of_two[0], records[1]);
    assert!(of_two.iter().all(|line| line.tenant == Some(bob.id.tenant())));
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let filter = AuditFilter {
            before,
            limit: 2,
            ..AuditFilter::default()
        };
        let page = directory.audit(filter).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.into_iter().map(|entry| entry.record));
    }
    assert_eq!(seen, lines(&*directory, AuditFilter::default()).await);
    assert_eq!(
        seen[..3],
        [records[2].clone(), records[1].clone(), records[0].clone()]
    );
}

pub async fn a_tenants_administrator_sees_nobody_elses_things(fixture: &mut impl DirectoryFixture) {
    let provider = fixture.directory();
    two_tenants(&*provider).await;
    add(&*provider, "ann@one.example").await;
    add(&*provider, "bob@two.example").await;
    let alias = |address: &str, account: &str| Alias {
        address: name(address),
        account: name(account),
        may_log_in: true,
    };
    provider
        .add_alias(alias("post@two.example", "bob@two.example"))
        .await
        .unwrap();
    let one = provider.tenant("one").await.unwrap().unwrap().id;
    let admin = provider.acting(of("admin:one", Some(one)));

    assert!(admin.tenant("two").await.unwrap().is_none());
    assert_eq!(admin.tenants(all()).await.unwrap().len(), 1);
    assert!(admin.domain("two.example").await.unwrap().is_none());
    let domains = admin.domains(None, all()).await.unwrap();
    assert_eq!(
        domains.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(),
        ["one.example"]
    );
    assert!(admin.account(&name("bob@two.example")).await.unwrap().is_none());
    let accounts = admin.accounts(None, all()).await.unwrap();
    assert_eq!(
        accounts.iter().map(|a| a.name.to_string()).collect::<Vec<_>>(),
        ["ann@one.example"]
    );
    assert!(admin.aliases(None, None, all()).await.unwrap().is_empty());

    let missing = Err(DirectoryErrorKind::NotFound);
    let bob = name("bob@two.example");
    assert_eq!(
        kind(admin.set_account(&bob, AccountPatch::default()).await.map(|_| ())),
        missing
    );
    assert_eq!(kind(admin.remove_account(&bob).await), missing);
    assert_eq!(kind(admin.app_passwords(&bob).await.map(|_| ())), missing);
    assert_eq!(kind(admin.remove_alias(&name("post@two.example")).await), missing);
    assert_eq!(
        kind(admin.add_account(user("eve@two.example")).await.map(|_| ())),
        missing
    );
    assert_eq!(kind(admin.remove_domain("two.example").await), missing);
    assert_eq!(
        kind(admin.add_domain("two", "three.example").await.map(|_| ())),
        missing
    );
    let crossing = admin.add_alias(alias("ann@two.example", "ann@one.example")).await;
    assert_eq!(kind(crossing.map(|_| ())), missing);
    let taken = admin.add_domain("one", "two.example").await;
    assert_eq!(kind(taken.map(|_| ())), Err(DirectoryErrorKind::Exists));

    admin.add_account(user("carl@one.example")).await.unwrap();
    let audit = lines(&*admin, AuditFilter::default()).await;
    assert_eq!(
        (audit[0].actor.as_str(), audit[0].action),
        ("admin:one", AuditAction::AccountAdded)
    );
    assert!(audit.iter().all(|line| line.tenant == Some(one)));
    assert!(
        provider.account(&bob).await.unwrap().is_some(),
        "the provider sees all"
    );
}

pub async fn a_tenants_administrator_changes_no_rules(fixture: &mut impl DirectoryFixture) {
    let provider = fixture.directory();
    two_tenants(&*provider).await;
    provider.add_server_name("one", "pop.one.example").await.unwrap();
    let kept = provider
        .add_certificate("one", certificate(&["pop.one.example"]))
        .await
        .unwrap();
    let one = provider.tenant("one").await.unwrap().unwrap().id;
    let admin = provider.acting(of("admin:one", Some(one)));
    let refused = Err(DirectoryErrorKind::NotPermitted);
    assert_eq!(
        kind(admin.add_tenant("three", "embedded").await.map(|_| ())),
        refused
    );
    assert_eq!(
        kind(admin.set_tenant("one", policy(1)).await.map(|_| ())),
        refused
    );
    assert_eq!(kind(admin.remove_tenant("one").await), refused);
    assert_eq!(
        kind(admin.add_server_name("one", "x.one.example").await.map(|_| ())),
        refused
    );
    assert_eq!(
        kind(
            admin
                .remove_server_name("one", "pop.one.example")
                .await
                .map(|_| ())
        ),
        refused
    );
    assert_eq!(
        kind(admin.set_domain("one.example", "two").await.map(|_| ())),
        refused
    );
    let another = admin
        .add_certificate("one", certificate(&["pop.one.example"]))
        .await;
    assert_eq!(kind(another.map(|_| ())), refused);
    assert_eq!(kind(admin.remove_certificate("one", kept.id).await), refused);
    assert_eq!(
        provider.tenant("one").await.unwrap().unwrap().policy,
        Policy::default()
    );
}

pub async fn a_removed_tenant_leaves_nothing_behind(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    let first = directory.add_tenant("one", "embedded").await.unwrap();
    directory.add_server_name("one", "pop.one.example").await.unwrap();
    directory
        .add_certificate("one", certificate(&["pop.one.example"]))
        .await
        .unwrap();
    directory.set_tenant("one", policy(3)).await.unwrap();
    directory.remove_tenant("one").await.unwrap();
    assert!(directory.certificates(None).await.unwrap().is_empty());
    assert!(roster(&*directory).await.tenants.is_empty());
    let again = directory.add_tenant("one", "embedded").await.unwrap();
    assert_ne!(again.id, first.id);
    assert_eq!(
        (again.policy, again.server_names),
        (Policy::default(), Vec::new())
    );
    directory.add_server_name("one", "pop.one.example").await.unwrap();
}
