//! Where directories differ when nobody looks: races for one address, the order of names, what a restart and a removal
//! leave, how far a tenant's administrator reaches.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_auth::{
    AccountPatch, AccountState, Actor, Alias, AppScope, AuditAction, AuditFilter, DirectoryAdmin,
    DirectoryErrorKind, LoginName, LoginNote, NewAppPassword, NewCertificate, Page, TenantPatch,
};
use restante_types::{AccountId, Secret};

use super::{add, all, hashed, kind, name, two_tenants, user};
use crate::DirectoryFixture;

const ANN: &str = "ann@one.example";

fn alias(address: &str) -> Alias {
    Alias {
        address: name(address),
        account: name(ANN),
        may_log_in: true,
    }
}

fn app_password(label: &str) -> NewAppPassword {
    NewAppPassword {
        label: label.to_owned(),
        verifier: Secret::new(format!("verifier of {label}")),
        scope: AppScope::Full,
        networks: Vec::new(),
        expires_at: None,
    }
}

fn certificate(names: Vec<String>) -> NewCertificate {
    NewCertificate {
        server_names: names,
        chain: "chain".to_owned(),
        sealed_key: vec![7],
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
    }
}

fn rename(to: &str) -> AccountPatch {
    AccountPatch {
        name: Some(name(to)),
        ..AccountPatch::default()
    }
}

fn hourly(account: AccountId) -> LoginNote {
    LoginNote {
        account,
        delay: Duration::from_hours(1),
        burst: 1,
        app_password: None,
    }
}

/// The administrator of tenant `one`.
async fn administrator(provider: &dyn DirectoryAdmin) -> Arc<dyn DirectoryAdmin> {
    let one = provider.tenant("one").await.unwrap().unwrap().id;
    provider.acting(Actor {
        name: "admin:one".to_owned(),
        tenant: Some(one),
    })
}

async fn actions(directory: &dyn DirectoryAdmin) -> Vec<AuditAction> {
    let filter = AuditFilter {
        limit: 1_000,
        ..AuditFilter::default()
    };
    let entries = directory.audit(filter).await.unwrap();
    entries
        .into_iter()
        .rev()
        .map(|entry| entry.record.action)
        .collect()
}

async fn reached(directory: &dyn DirectoryAdmin, address: &str) -> Option<AccountId> {
    let found = directory.recipient(&name(address)).await.unwrap();
    found.map(|found| found.account.id)
}

pub async fn names_are_listed_by_their_octets(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    // No language's order has all of these as their octets do: `-` < `.` < digits < `@` < letters.
    for tenant in ["ab", "a-c", "a1"] {
        directory.add_tenant(tenant, "embedded").await.unwrap();
    }
    for domain in ["ab.example", "a-c.example", "a1.example", "a.example"] {
        directory.add_domain("ab", domain).await.unwrap();
    }
    for account in [
        "ab@a.example",
        "a-c@a.example",
        "a@a.example",
        "a.c@a.example",
        "é@a.example",
    ] {
        add(&*directory, account).await;
    }
    let tenants = directory.tenants(all()).await.unwrap();
    let tenants: Vec<_> = tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!(tenants, ["a-c", "a1", "ab"]);
    let domains = directory.domains(None, all()).await.unwrap();
    let domains: Vec<_> = domains.iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(domains, ["a-c.example", "a.example", "a1.example", "ab.example"]);
    let mut accounts: Vec<String> = Vec::new();
    loop {
        let page = Page {
            after: accounts.last().cloned(),
            limit: 1,
        };
        let next = directory.accounts(None, page).await.unwrap();
        let Some(next) = next.first() else { break };
        accounts.push(next.name.to_string());
        assert!(accounts.len() <= 5, "a page begins after its name: {accounts:?}");
    }
    assert_eq!(
        accounts,
        [
            "a-c@a.example",
            "a.c@a.example",
            "a@a.example",
            "ab@a.example",
            "é@a.example"
        ]
    );
}

pub async fn an_account_and_an_alias_that_race_for_an_address_are_one(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    add(&*directory, ANN).await;
    for round in 0..8 {
        let address = format!("new{round}@one.example");
        let of_account = {
            let (directory, new) = (Arc::clone(&directory), user(&address));
            tokio::spawn(async move { kind(directory.add_account(new).await).map(drop) })
        };
        let of_alias = {
            let (directory, new) = (Arc::clone(&directory), alias(&address));
            tokio::spawn(async move { kind(directory.add_alias(new).await).map(drop) })
        };
        let answers = [of_account.await.unwrap(), of_alias.await.unwrap()];
        let taken = Err(DirectoryErrorKind::Exists);
        assert!(
            answers == [Ok(()), taken] || answers == [taken, Ok(())],
            "{answers:?}"
        );
    }
}

pub async fn racing_upgrades_of_a_version_are_done_once(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let ann = add(&*directory, ANN).await;
    let version = directory.credentials(&ann.name).await.unwrap().unwrap().version;
    let racers: Vec<_> = (0..8)
        .map(|nth| {
            let directory = Arc::clone(&directory);
            let new = hashed(&format!("$phc${nth}"));
            tokio::spawn(async move { directory.upgrade(ann.id, version, new).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for racer in racers {
        done += usize::from(racer.await.unwrap());
    }
    assert_eq!(done, 1);
    let rehashed = actions(&*directory).await;
    let rehashed = rehashed
        .iter()
        .filter(|action| **action == AuditAction::PasswordRehashed);
    assert_eq!(rehashed.count(), 1);
}

pub async fn aliases_follow_a_renamed_account(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let ann = add(&*directory, ANN).await;
    directory.add_alias(alias("post@one.example")).await.unwrap();
    let other = add(&*directory, "bob@one.example").await;
    let onto_an_alias = directory
        .set_account(&other.name, rename("post@one.example"))
        .await;
    assert_eq!(kind(onto_an_alias), Err(DirectoryErrorKind::Exists));
    directory
        .set_account(&ann.name, rename("anna@one.example"))
        .await
        .unwrap();
    assert_eq!(reached(&*directory, "post@one.example").await, Some(ann.id));
    let login = directory
        .credentials(&name("post@one.example"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(login.account.name, name("anna@one.example"));
    let anna = name("anna@one.example");
    let listed = directory.aliases(Some(&anna), None, all()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].account, anna);
    assert_eq!(reached(&*directory, ANN).await, None);
}

pub async fn a_new_account_of_an_old_name_inherits_nothing(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let old = add(&*directory, ANN).await;
    directory.add_alias(alias("post@one.example")).await.unwrap();
    let phone = directory
        .add_app_password(&old.name, app_password("phone"))
        .await
        .unwrap();
    assert!(directory.note_login(&hourly(old.id)).await.unwrap());
    directory.remove_account(&old.name).await.unwrap();
    let new = add(&*directory, ANN).await;
    assert_ne!(new.id, old.id);
    assert_eq!(reached(&*directory, "post@one.example").await, None);
    let found = directory.credentials(&new.name).await.unwrap().unwrap();
    assert!(found.app_passwords.is_empty());
    assert!(
        directory.note_login(&hourly(new.id)).await.unwrap(),
        "the old one's delay"
    );
    let next = directory
        .add_app_password(&new.name, app_password("phone"))
        .await
        .unwrap();
    assert!(next.id > phone.id, "a key is not used again");
}

pub async fn keys_of_certificates_never_come_back(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    directory.add_server_name("one", "pop.one.example").await.unwrap();
    let mut last = None;
    for _ in 0..3 {
        let new = certificate(vec!["pop.one.example".to_owned()]);
        let added = directory.add_certificate("one", new).await.unwrap();
        assert!(Some(added.id) > last, "{:?} after {last:?}", added.id);
        directory.remove_certificate("one", added.id).await.unwrap();
        last = Some(added.id);
    }
}

pub async fn an_act_with_much_to_tell_is_done_and_told_shortly(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let names: Vec<String> = (0..40)
        .map(|nth| format!("a-long-name-of-a-server-{nth:02}.one.example"))
        .collect();
    for name in &names {
        directory.add_server_name("one", name).await.unwrap();
    }
    let added = directory
        .add_certificate("one", certificate(names.clone()))
        .await
        .unwrap();
    assert_eq!(added.server_names.len(), names.len());
    let filter = AuditFilter {
        action: Some(AuditAction::CertificateAdded),
        limit: 9,
        ..AuditFilter::default()
    };
    let lines = directory.audit(filter).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].record.detail.len() <= 1_000,
        "{} octets",
        lines[0].record.detail.len()
    );
}

pub async fn moves_and_changes_leave_one_line_and_refusals_none(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let ann = add(&*directory, ANN).await;
    directory.add_domain("one", "empty.example").await.unwrap();
    let before = actions(&*directory).await.len();
    directory.set_domain("empty.example", "two").await.unwrap();
    let suspended = TenantPatch {
        state: Some(AccountState::ReadOnly),
        ..TenantPatch::default()
    };
    directory.set_tenant("one", suspended).await.unwrap();
    directory
        .set_account(&ann.name, rename("anna@one.example"))
        .await
        .unwrap();
    let expected = [
        AuditAction::DomainChanged,
        AuditAction::TenantChanged,
        AuditAction::AccountChanged,
    ];
    assert_eq!(actions(&*directory).await[before..], expected);

    directory.add_tenant("one", "embedded").await.unwrap_err();
    directory.add_domain("two", "one.example").await.unwrap_err();
    directory.remove_tenant("one").await.unwrap_err();
    directory.remove_account(&name(ANN)).await.unwrap_err();
    directory.add_account(user("anna@one.example")).await.unwrap_err();
    directory.add_alias(alias("post@one.example")).await.unwrap_err();
    let anna = name("anna@one.example");
    directory
        .set_account(&anna, rename("anna@two.example"))
        .await
        .unwrap_err();
    directory
        .add_app_password(&anna, app_password(""))
        .await
        .unwrap_err();
    assert_eq!(actions(&*directory).await.len(), before + expected.len());
}

pub async fn a_tenants_administrator_moves_nothing_across(fixture: &mut impl DirectoryFixture) {
    let provider = fixture.directory();
    two_tenants(&*provider).await;
    let ann = add(&*provider, ANN).await;
    let bob = add(&*provider, "bob@two.example").await;
    let phone = provider
        .add_app_password(&bob.name, app_password("phone"))
        .await
        .unwrap();
    let admin = administrator(&*provider).await;
    let missing = DirectoryErrorKind::NotFound;
    let out = admin.set_account(&ann.name, rename("ann@two.example")).await;
    assert_eq!(kind(out), Err(missing));
    let theirs = Alias {
        account: bob.name.clone(),
        ..alias("bob@one.example")
    };
    assert_eq!(kind(admin.add_alias(theirs).await), Err(missing));
    let added = admin.add_app_password(&bob.name, app_password("mine")).await;
    assert_eq!(kind(added), Err(missing));
    let revoked = admin.remove_app_password(&bob.name, phone.id).await;
    assert_eq!(kind(revoked), Err(missing));
    let set_in = admin.set_domain("two.example", "one").await;
    assert!(matches!(
        kind(set_in),
        Err(DirectoryErrorKind::NotPermitted | DirectoryErrorKind::NotFound)
    ));
    assert_eq!(provider.account(&ann.name).await.unwrap(), Some(ann));
    assert_eq!(provider.account(&bob.name).await.unwrap(), Some(bob.clone()));
    assert_eq!(provider.app_passwords(&bob.name).await.unwrap(), [phone]);
    let of_bob: Vec<LoginName> = Vec::new();
    let listed = provider.aliases(Some(&bob.name), None, all()).await.unwrap();
    assert_eq!(
        listed.into_iter().map(|alias| alias.address).collect::<Vec<_>>(),
        of_bob
    );
}

pub async fn a_tenants_administrator_looks_up_nobody_elses_logins(fixture: &mut impl DirectoryFixture) {
    let provider = fixture.directory();
    two_tenants(&*provider).await;
    add(&*provider, ANN).await;
    let bob = add(&*provider, "bob@two.example").await;
    let admin = administrator(&*provider).await;
    assert!(admin.credentials(&name(ANN)).await.unwrap().is_some(), "its own");
    assert!(
        admin.credentials(&bob.name).await.unwrap().is_none(),
        "another's hash"
    );
    assert!(admin.recipient(&bob.name).await.unwrap().is_none());
}

pub async fn a_restart_keeps_what_logins_need(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let ann = add(&*directory, ANN).await;
    directory.add_alias(alias("post@one.example")).await.unwrap();
    let phone = directory
        .add_app_password(&ann.name, app_password("phone"))
        .await
        .unwrap();
    directory.add_server_name("one", "pop.one.example").await.unwrap();
    let new = certificate(vec!["pop.one.example".to_owned()]);
    let kept = directory.add_certificate("one", new).await.unwrap();
    assert!(directory.note_login(&hourly(ann.id)).await.unwrap());
    let secret = directory.installation_secret().await.unwrap();
    let told = actions(&*directory).await;
    let revision = directory.roster(None).await.unwrap().unwrap().revision;
    drop(directory);
    fixture.restart().await;
    let directory = fixture.directory();
    assert_eq!(
        directory.installation_secret().await.unwrap().expose(),
        secret.expose()
    );
    assert_eq!(reached(&*directory, "post@one.example").await, Some(ann.id));
    assert_eq!(directory.app_passwords(&ann.name).await.unwrap(), [phone]);
    assert_eq!(directory.certificates(None).await.unwrap(), [kept]);
    assert!(
        !directory.note_login(&hourly(ann.id)).await.unwrap(),
        "the delay holds on"
    );
    assert_eq!(actions(&*directory).await, told);
    assert!(directory.roster(Some(revision)).await.unwrap().is_none());
}
