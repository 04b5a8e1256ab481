//! Cases of the directory: one name, one account; tenants apart; keys that never come back.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

mod edges;
mod logins;
mod tenancy;

pub use edges::*;
pub use logins::*;
pub use tenancy::*;

use std::time::Duration;

use restante_auth::{
    AccountPatch, AccountState, DirectoryAdmin, DirectoryError, DirectoryErrorKind, LoginName, NewAccount,
    NewPassword, Page, TenantPatch,
};
use restante_types::{Octets, Secret};

use crate::DirectoryFixture;

/// The only list of these cases.
#[doc(hidden)]
#[macro_export]
macro_rules! directory_cases {
    ($then:ident { $($arg:tt)* }) => { $crate::$then! { { $($arg)* } directory:
        a_fresh_directory_is_empty,
        an_account_comes_back_with_its_credentials,
        an_unknown_name_has_no_account,
        names_that_differ_in_case_are_one,
        domains_that_differ_in_form_are_one,
        the_answer_names_the_account_asked_for,
        an_account_without_a_password_has_none,
        recipients_are_the_accounts,
        a_second_account_of_a_name_is_refused,
        an_account_without_its_domain_is_refused,
        the_same_local_part_in_two_domains_is_two_accounts,
        a_domain_belongs_to_one_tenant,
        accounts_carry_the_tenant_of_their_domain,
        a_domain_without_a_tenant_is_refused,
        a_domain_with_accounts_does_not_move,
        an_empty_domain_moves,
        a_domain_with_accounts_stays,
        a_tenant_with_domains_stays,
        a_second_tenant_of_a_name_is_refused,
        a_tenants_name_is_checked,
        a_tenants_policy_changes_by_parts,
        accounts_take_the_storage_of_their_tenant,
        an_account_changes_by_parts,
        a_changed_password_counts_the_version_up,
        what_is_not_there_is_not_found,
        a_removed_account_is_gone,
        keys_of_removed_accounts_never_come_back,
        keys_never_come_back_over_a_restart,
        lists_come_in_pages_in_order,
        lists_of_one_owner_leave_the_others_out,
        racing_additions_of_a_name_give_one_account,
        a_restart_keeps_the_directory,
        credentials_bring_the_policy_and_echo_the_name,
        scram_keys_are_kept_beside_the_hash,
        an_alias_receives_and_logs_in_only_if_it_may,
        an_alias_and_an_account_never_share_an_address,
        an_alias_stays_within_its_tenant,
        aliases_are_listed_in_order_and_go_with_their_account,
        a_renamed_account_keeps_its_key_and_frees_its_name,
        the_stricter_of_tenant_and_account_state_holds,
        a_login_delay_admits_its_burst_and_no_more,
        racing_logins_are_admitted_no_more_than_the_burst,
        an_application_password_comes_with_the_credentials,
        application_passwords_are_bounded_and_revoked,
        the_last_use_of_an_application_password_is_noted,
        an_upgrade_needs_the_version_it_was_made_for,
        standing_follows_states_and_credentials,
        server_names_belong_to_one_tenant,
        certificates_serve_names_of_their_tenant,
        the_roster_grows_with_what_stands_in_it,
        changes_wake_whoever_watches,
        the_installation_secret_is_one_and_stays,
        the_default_domain_is_one_of_the_tenants,
        every_act_leaves_one_line_in_the_audit_without_a_secret,
        the_audit_is_filtered_and_paged_newest_first,
        a_tenants_administrator_sees_nobody_elses_things,
        a_tenants_administrator_changes_no_rules,
        a_removed_tenant_leaves_nothing_behind,
        names_are_listed_by_their_octets,
        an_account_and_an_alias_that_race_for_an_address_are_one,
        racing_upgrades_of_a_version_are_done_once,
        aliases_follow_a_renamed_account,
        a_new_account_of_an_old_name_inherits_nothing,
        keys_of_certificates_never_come_back,
        an_act_with_much_to_tell_is_done_and_told_shortly,
        moves_and_changes_leave_one_line_and_refusals_none,
        a_tenants_administrator_moves_nothing_across,
        a_tenants_administrator_looks_up_nobody_elses_logins,
        a_restart_keeps_what_logins_need,
    } };
}

fn name(text: &str) -> LoginName {
    LoginName::parse(text).unwrap()
}

fn kind<T>(answer: Result<T, DirectoryError>) -> Result<T, DirectoryErrorKind> {
    answer.map_err(|error| error.kind)
}

fn all() -> Page {
    Page {
        after: None,
        limit: 1_000,
    }
}

fn hashed(hash: &str) -> NewPassword {
    NewPassword {
        hash: Secret::new(hash.to_owned()),
        scram: None,
    }
}

fn user(text: &str) -> NewAccount {
    NewAccount {
        name: name(text),
        password: Some(hashed(&format!("$phc$of {text}"))),
        quota_octets: None,
        quota_messages: None,
    }
}

async fn add(directory: &dyn DirectoryAdmin, text: &str) -> restante_auth::Account {
    directory.add_account(user(text)).await.unwrap()
}

/// Two tenants with a domain each.
async fn two_tenants(directory: &dyn DirectoryAdmin) {
    for (tenant, domain) in [("one", "one.example"), ("two", "two.example")] {
        directory.add_tenant(tenant, "embedded").await.unwrap();
        directory.add_domain(tenant, domain).await.unwrap();
    }
}

/// The account that receives mail for an address.
async fn receiver(directory: &dyn DirectoryAdmin, address: &LoginName) -> Option<restante_auth::Account> {
    let found = directory.recipient(address).await.unwrap()?;
    assert_eq!(found.asked, *address);
    Some(found.account)
}

async fn password_of(directory: &dyn DirectoryAdmin, text: &str) -> Option<String> {
    let credentials = directory.credentials(&name(text)).await.unwrap()?;
    credentials.password.map(|phc| phc.expose().clone())
}

pub async fn a_fresh_directory_is_empty(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    assert!(directory.tenants(all()).await.unwrap().is_empty());
    assert!(directory.domains(None, all()).await.unwrap().is_empty());
    assert!(directory.accounts(None, all()).await.unwrap().is_empty());
}

pub async fn an_account_comes_back_with_its_credentials(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let new = NewAccount {
        quota_octets: Some(Octets(5 << 32)),
        quota_messages: Some(7),
        ..user("ann@one.example")
    };
    let added = directory.add_account(new).await.unwrap();
    assert_eq!(added.state, AccountState::Active);
    assert_eq!(
        (added.quota_octets, added.quota_messages),
        (Some(Octets(5 << 32)), Some(7))
    );
    let found = directory
        .credentials(&name("ann@one.example"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.account, added);
    assert_eq!(found.password.unwrap().expose(), "$phc$of ann@one.example");
}

pub async fn an_unknown_name_has_no_account(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    add(&*directory, "ann@one.example").await;
    for text in [
        "ann@two.example",
        "an@one.example",
        "anne@one.example",
        "ann@example",
        "_nn@one.example",
    ] {
        assert!(
            directory.credentials(&name(text)).await.unwrap().is_none(),
            "{text}"
        );
        assert!(
            directory.recipient(&name(text)).await.unwrap().is_none(),
            "{text}"
        );
    }
}

pub async fn names_that_differ_in_case_are_one(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let added = add(&*directory, "Ann.Élan@One.Example").await;
    let found = receiver(&*directory, &name("ann.éLAN@oNE.example")).await;
    assert_eq!(found, Some(added));
    let second = directory.add_account(user("ANN.ÉLAN@one.example")).await;
    assert_eq!(kind(second), Err(DirectoryErrorKind::Exists));
}

pub async fn domains_that_differ_in_form_are_one(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    directory.add_tenant("one", "embedded").await.unwrap();
    let added = directory.add_domain("one", "Bücher.Example.").await.unwrap();
    assert_eq!(added.name, "xn--bcher-kva.example");
    for form in [
        "bücher.example",
        "XN--bcher-KVA.example",
        "xn--bcher-kva.example.",
    ] {
        assert_eq!(
            directory.domain(form).await.unwrap().as_ref(),
            Some(&added),
            "{form}"
        );
        let second = directory.add_domain("one", form).await;
        assert_eq!(kind(second), Err(DirectoryErrorKind::Exists), "{form}");
    }
}

pub async fn the_answer_names_the_account_asked_for(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    for n in 0..50 {
        add(&*directory, &format!("user{n}@one.example")).await;
    }
    let askers: Vec<_> = (0..50)
        .map(|n| {
            let (directory, asked) = (fixture.directory(), name(&format!("user{n}@one.example")));
            tokio::spawn(async move {
                let found = directory.credentials(&asked).await.unwrap().unwrap();
                let recipient = directory.recipient(&asked).await.unwrap().unwrap();
                assert_eq!(found.password.unwrap().expose(), &format!("$phc$of {asked}"));
                assert_eq!((found.account.name, recipient.asked), (asked.clone(), asked));
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
}

pub async fn an_account_without_a_password_has_none(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let new = NewAccount {
        password: None,
        ..user("ann@one.example")
    };
    directory.add_account(new).await.unwrap();
    assert_eq!(password_of(&*directory, "ann@one.example").await, None);
}

pub async fn recipients_are_the_accounts(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let added = add(&*directory, "ann@one.example").await;
    assert_eq!(receiver(&*directory, &added.name).await.as_ref(), Some(&added));
    // Who may receive is decided by the caller from the state, so a closed account is found too.
    for state in AccountState::ALL {
        let patch = AccountPatch {
            state: Some(state),
            ..AccountPatch::default()
        };
        directory.set_account(&added.name, patch).await.unwrap();
        let found = receiver(&*directory, &added.name).await.unwrap();
        let login = directory.credentials(&added.name).await.unwrap().unwrap();
        assert_eq!((found.state, login.account.state), (state, state));
    }
}

pub async fn a_second_account_of_a_name_is_refused(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let first = add(&*directory, "ann@one.example").await;
    let other = NewAccount {
        password: Some(hashed("other")),
        ..user("ann@one.example")
    };
    let second = directory.add_account(other).await;
    assert_eq!(kind(second), Err(DirectoryErrorKind::Exists));
    assert_eq!(directory.accounts(None, all()).await.unwrap(), [first]);
    let kept = password_of(&*directory, "ann@one.example").await;
    assert_eq!(kept.as_deref(), Some("$phc$of ann@one.example"));
}

pub async fn an_account_without_its_domain_is_refused(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    for text in ["ann@three.example", "ann@sub.one.example"] {
        let answer = directory.add_account(user(text)).await;
        assert_eq!(kind(answer), Err(DirectoryErrorKind::NotFound), "{text}");
    }
}

pub async fn the_same_local_part_in_two_domains_is_two_accounts(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let one = add(&*directory, "ann@one.example").await;
    let two = add(&*directory, "ann@two.example").await;
    assert_ne!(one.id, two.id);
    assert_ne!(one.id.tenant(), two.id.tenant());
    let found = receiver(&*directory, &name("ann@two.example")).await;
    assert_eq!(found, Some(two));
    let kept = password_of(&*directory, "ann@one.example").await;
    assert_eq!(kept.as_deref(), Some("$phc$of ann@one.example"));
}

pub async fn a_domain_belongs_to_one_tenant(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    for (tenant, domain) in [
        ("two", "one.example"),
        ("two", "ONE.example"),
        ("one", "one.example"),
    ] {
        let answer = directory.add_domain(tenant, domain).await;
        assert_eq!(kind(answer), Err(DirectoryErrorKind::Exists), "{tenant} {domain}");
    }
    let domain = directory.domain("one.example").await.unwrap().unwrap();
    assert_eq!(domain.tenant_name, "one");
}

pub async fn accounts_carry_the_tenant_of_their_domain(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let two = directory.tenant("two").await.unwrap().unwrap();
    let domain = directory.domain("two.example").await.unwrap().unwrap();
    let account = add(&*directory, "ann@two.example").await;
    assert_eq!((domain.tenant, account.id.tenant()), (two.id, two.id));
}

pub async fn a_domain_without_a_tenant_is_refused(fixture: &mut impl DirectoryFixture) {
    let answer = fixture.directory().add_domain("none", "one.example").await;
    assert_eq!(kind(answer), Err(DirectoryErrorKind::NotFound));
}

pub async fn a_domain_with_accounts_does_not_move(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let account = add(&*directory, "ann@one.example").await;
    let answer = directory.set_domain("one.example", "two").await;
    assert_eq!(kind(answer), Err(DirectoryErrorKind::InUse));
    assert_eq!(receiver(&*directory, &account.name).await, Some(account));
}

pub async fn an_empty_domain_moves(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let two = directory.tenant("two").await.unwrap().unwrap();
    let moved = directory.set_domain("One.example", "two").await.unwrap();
    assert_eq!((moved.tenant, moved.tenant_name.as_str()), (two.id, "two"));
    assert_eq!(directory.domain("one.example").await.unwrap(), Some(moved));
    let to_nobody = directory.set_domain("one.example", "none").await;
    assert_eq!(kind(to_nobody), Err(DirectoryErrorKind::NotFound));
}

pub async fn a_domain_with_accounts_stays(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let account = add(&*directory, "ann@one.example").await;
    let answer = directory.remove_domain("one.example").await;
    assert_eq!(kind(answer), Err(DirectoryErrorKind::InUse));
    directory.remove_account(&account.name).await.unwrap();
    directory.remove_domain("one.example").await.unwrap();
    assert_eq!(directory.domain("one.example").await.unwrap(), None);
}

pub async fn a_tenant_with_domains_stays(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let answer = directory.remove_tenant("one").await;
    assert_eq!(kind(answer), Err(DirectoryErrorKind::InUse));
    directory.remove_domain("one.example").await.unwrap();
    directory.remove_tenant("one").await.unwrap();
    assert_eq!(directory.tenant("one").await.unwrap(), None);
}

pub async fn a_second_tenant_of_a_name_is_refused(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    let first = directory.add_tenant("one", "embedded").await.unwrap();
    let answer = directory.add_tenant("one", "other").await;
    assert_eq!(kind(answer), Err(DirectoryErrorKind::Exists));
    assert_eq!(directory.tenant("one").await.unwrap(), Some(first));
}

pub async fn a_tenants_name_is_checked(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    let long = "a".repeat(64);
    for bad in ["", "One", "o ne", "one.two", "../one", "ö", long.as_str()] {
        let answer = directory.add_tenant(bad, "embedded").await;
        assert_eq!(kind(answer), Err(DirectoryErrorKind::Invalid), "{bad}");
    }
    directory.add_tenant(&"a".repeat(63), "embedded").await.unwrap();
    directory.add_tenant("7-up", "embedded").await.unwrap();
}

pub async fn a_tenants_policy_changes_by_parts(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    let mut expected = directory.add_tenant("one", "embedded").await.unwrap();
    let patch = TenantPatch {
        retention: Some(Duration::from_hours(1)),
        quota_octets: Some(Some(Octets(5 << 32))),
        ..TenantPatch::default()
    };
    expected.retention = Duration::from_hours(1);
    expected.quota_octets = Some(Octets(5 << 32));
    assert_eq!(directory.set_tenant("one", patch).await.unwrap(), expected);
    let patch = TenantPatch {
        quota_octets: Some(None),
        quota_messages: Some(Some(9)),
        ..TenantPatch::default()
    };
    expected.quota_octets = None;
    expected.quota_messages = Some(9);
    assert_eq!(directory.set_tenant("one", patch).await.unwrap(), expected);
    let nothing = directory.set_tenant("one", TenantPatch::default()).await;
    assert_eq!(nothing.unwrap(), expected);
    assert_eq!(directory.tenant("one").await.unwrap(), Some(expected));
}

pub async fn accounts_take_the_storage_of_their_tenant(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let account = add(&*directory, "ann@one.example").await;
    let tenant = directory.tenant("one").await.unwrap().unwrap();
    assert_eq!(account.storage, tenant.storage);
}

pub async fn an_account_changes_by_parts(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let mut expected = add(&*directory, "ann@one.example").await;
    let bystander = add(&*directory, "bob@one.example").await;
    let patch = AccountPatch {
        state: Some(AccountState::ReadOnly),
        quota_messages: Some(Some(3)),
        ..AccountPatch::default()
    };
    expected.state = AccountState::ReadOnly;
    expected.quota_messages = Some(3);
    assert_eq!(
        directory.set_account(&expected.name, patch).await.unwrap(),
        expected
    );
    let patch = AccountPatch {
        quota_messages: Some(None),
        quota_octets: Some(Some(Octets(1))),
        ..AccountPatch::default()
    };
    expected.quota_messages = None;
    expected.quota_octets = Some(Octets(1));
    assert_eq!(
        directory.set_account(&expected.name, patch).await.unwrap(),
        expected
    );
    let kept = password_of(&*directory, "ann@one.example").await;
    assert_eq!(kept.as_deref(), Some("$phc$of ann@one.example"));
    let listed = directory.accounts(None, all()).await.unwrap();
    assert_eq!(listed, [expected, bystander]);
}

pub async fn a_changed_password_counts_the_version_up(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let account = add(&*directory, "ann@one.example").await;
    let before = directory.credentials(&account.name).await.unwrap().unwrap();
    let patch = AccountPatch {
        password: Some(hashed("$phc$new")),
        ..AccountPatch::default()
    };
    directory.set_account(&account.name, patch).await.unwrap();
    let after = directory.credentials(&account.name).await.unwrap().unwrap();
    assert!(after.version > before.version);
    assert_eq!(after.password.unwrap().expose(), "$phc$new");
}

pub async fn what_is_not_there_is_not_found(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let nobody = name("nobody@one.example");
    let not_found = DirectoryErrorKind::NotFound;
    let answer = directory.set_tenant("none", TenantPatch::default()).await;
    assert_eq!(kind(answer), Err(not_found));
    assert_eq!(kind(directory.remove_tenant("none").await), Err(not_found));
    assert_eq!(
        kind(directory.set_domain("none.example", "one").await),
        Err(not_found)
    );
    assert_eq!(
        kind(directory.remove_domain("none.example").await),
        Err(not_found)
    );
    let answer = directory.set_account(&nobody, AccountPatch::default()).await;
    assert_eq!(kind(answer), Err(not_found));
    assert_eq!(kind(directory.remove_account(&nobody).await), Err(not_found));
}

pub async fn a_removed_account_is_gone(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let account = add(&*directory, "ann@one.example").await;
    let bystander = add(&*directory, "bob@one.example").await;
    directory.remove_account(&account.name).await.unwrap();
    assert!(directory.credentials(&account.name).await.unwrap().is_none());
    assert!(directory.recipient(&account.name).await.unwrap().is_none());
    assert_eq!(directory.accounts(None, all()).await.unwrap(), [bystander]);
}

/// Removes the newest account and tenant and adds them again.
async fn add_again(fixture: &mut impl DirectoryFixture, restart: bool) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let mut last = add(&*directory, "ann@one.example").await;
    for _ in 0..3 {
        let directory = fixture.directory();
        directory.remove_account(&last.name).await.unwrap();
        if restart {
            fixture.restart().await;
        }
        let next = add(&*fixture.directory(), "ann@one.example").await;
        assert!(
            next.id.number() > last.id.number(),
            "{} after {}",
            next.id,
            last.id
        );
        last = next;
    }
    let first = fixture.directory().add_tenant("three", "embedded").await.unwrap();
    fixture.directory().remove_tenant("three").await.unwrap();
    if restart {
        fixture.restart().await;
    }
    let second = fixture.directory().add_tenant("three", "embedded").await.unwrap();
    assert!(second.id > first.id, "{} after {}", second.id, first.id);
}

pub async fn keys_of_removed_accounts_never_come_back(fixture: &mut impl DirectoryFixture) {
    add_again(fixture, false).await;
}

pub async fn keys_never_come_back_over_a_restart(fixture: &mut impl DirectoryFixture) {
    add_again(fixture, true).await;
}

pub async fn lists_come_in_pages_in_order(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    directory.add_tenant("one", "embedded").await.unwrap();
    directory.add_domain("one", "one.example").await.unwrap();
    let mut expected = Vec::new();
    for n in [3, 1, 4, 0, 2] {
        let text = format!("user{n}@one.example");
        add(&*directory, &text).await;
        expected.push(text);
    }
    expected.sort();
    let mut listed: Vec<String> = Vec::new();
    for _ in 0..3 {
        let page = Page {
            after: listed.last().cloned(),
            limit: 2,
        };
        let found = directory.accounts(None, page).await.unwrap();
        listed.extend(found.iter().map(|account| account.name.to_string()));
    }
    assert_eq!(listed, expected);
    for tenant in ["b", "a"] {
        directory.add_tenant(tenant, "embedded").await.unwrap();
        directory
            .add_domain(tenant, &format!("{tenant}.example"))
            .await
            .unwrap();
    }
    let page = |after: &str| Page {
        after: Some(after.to_owned()),
        limit: 2,
    };
    let tenants = directory.tenants(page("a")).await.unwrap();
    assert_eq!(
        tenants
            .iter()
            .map(|tenant| tenant.name.as_str())
            .collect::<Vec<_>>(),
        ["b", "one"]
    );
    let domains = directory.domains(None, page("a.example")).await.unwrap();
    assert_eq!(
        domains
            .iter()
            .map(|domain| domain.name.as_str())
            .collect::<Vec<_>>(),
        ["b.example", "one.example"]
    );
}

pub async fn lists_of_one_owner_leave_the_others_out(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    directory.add_domain("two", "zwei.example").await.unwrap();
    let ann = add(&*directory, "ann@two.example").await;
    add(&*directory, "ann@one.example").await;
    let domains = directory.domains(Some("two"), all()).await.unwrap();
    let names: Vec<&str> = domains.iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(names, ["two.example", "zwei.example"]);
    assert_eq!(
        directory.accounts(Some("two.example"), all()).await.unwrap(),
        [ann]
    );
}

pub async fn racing_additions_of_a_name_give_one_account(fixture: &mut impl DirectoryFixture) {
    two_tenants(&*fixture.directory()).await;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let directory = fixture.directory();
            tokio::spawn(async move { directory.add_account(user("ann@one.example")).await })
        })
        .collect();
    let mut n_added = 0;
    for racer in racers {
        match kind(racer.await.unwrap()) {
            Ok(_) => n_added += 1,
            Err(kind) => assert_eq!(kind, DirectoryErrorKind::Exists),
        }
    }
    assert_eq!(n_added, 1);
    assert_eq!(fixture.directory().accounts(None, all()).await.unwrap().len(), 1);
}

pub async fn a_restart_keeps_the_directory(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let account = add(&*directory, "ann@one.example").await;
    drop(directory);
    fixture.restart().await;
    let directory = fixture.directory();
    assert_eq!(receiver(&*directory, &account.name).await, Some(account));
    assert_eq!(directory.tenants(all()).await.unwrap().len(), 2);
    assert_eq!(directory.domains(None, all()).await.unwrap().len(), 2);
}
