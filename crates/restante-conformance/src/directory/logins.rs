//! What a login needs: addresses, credentials, the pace, and whether it still stands.

use std::time::{Duration, SystemTime};

use restante_auth::Standing::{Ended, Good, ReadOnly};
use restante_auth::{
    Account, AccountPatch, AccountState, Alias, AppPasswordId, AppScope, DirectoryAdmin, DirectoryErrorKind,
    LiveLogin, LoginNote, NewAccount, NewAppPassword, NewPassword, Page, Policy, TenantPatch, TlsRequirement,
};
use restante_types::{AccountId, Secret};

use super::{add, hashed, kind, name, two_tenants, user};
use crate::DirectoryFixture;

const ANN: &str = "ann@one.example";

async fn ann(fixture: &impl DirectoryFixture) -> (std::sync::Arc<dyn DirectoryAdmin>, Account) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let account = add(&*directory, ANN).await;
    (directory, account)
}

fn alias(address: &str, may_log_in: bool) -> Alias {
    Alias {
        address: name(address),
        account: name(ANN),
        may_log_in,
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

fn paced(account: AccountId, burst: u32) -> LoginNote {
    LoginNote {
        account,
        delay: Duration::from_hours(1),
        burst,
        app_password: None,
    }
}

async fn set_state(directory: &dyn DirectoryAdmin, state: AccountState) {
    let patch = AccountPatch {
        state: Some(state),
        ..AccountPatch::default()
    };
    directory.set_account(&name(ANN), patch).await.unwrap();
}

async fn set_tenant_state(directory: &dyn DirectoryAdmin, state: AccountState) {
    let patch = TenantPatch {
        state: Some(state),
        ..TenantPatch::default()
    };
    directory.set_tenant("one", patch).await.unwrap();
}

pub async fn credentials_bring_the_policy_and_echo_the_name(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    let found = directory.credentials(&name(ANN)).await.unwrap().unwrap();
    assert_eq!((&found.asked, &found.account), (&name(ANN), &account));
    assert_eq!(found.policy, Policy::default());
    let policy = Policy {
        tls: TlsRequirement::Tls13,
        login_delay_secs: 300,
        expire_days: Some(14),
        ..Policy::default()
    };
    let patch = TenantPatch {
        policy: Some(policy.clone()),
        ..TenantPatch::default()
    };
    let tenant = directory.set_tenant("one", patch).await.unwrap();
    assert_eq!(tenant.policy, policy);
    let found = directory.credentials(&name(ANN)).await.unwrap().unwrap();
    assert_eq!(found.policy, policy);
    add(&*directory, "bob@two.example").await;
    let other = directory.credentials(&name("bob@two.example")).await.unwrap();
    assert_eq!(other.unwrap().policy, Policy::default(), "of its own tenant");
}

pub async fn scram_keys_are_kept_beside_the_hash(fixture: &mut impl DirectoryFixture) {
    let directory = fixture.directory();
    two_tenants(&*directory).await;
    let new = NewAccount {
        password: Some(NewPassword {
            hash: Secret::new("$phc$".to_owned()),
            scram: Some(Secret::new("SCRAM-SHA-256$keys".to_owned())),
        }),
        ..user(ANN)
    };
    directory.add_account(new).await.unwrap();
    let found = directory.credentials(&name(ANN)).await.unwrap().unwrap();
    assert_eq!(found.scram.unwrap().expose(), "SCRAM-SHA-256$keys");
    let patch = AccountPatch {
        password: Some(hashed("$phc$2")),
        ..AccountPatch::default()
    };
    directory.set_account(&name(ANN), patch).await.unwrap();
    let found = directory.credentials(&name(ANN)).await.unwrap().unwrap();
    assert!(
        found.scram.is_none(),
        "keys of the old password do not outlive it"
    );
}

pub async fn an_alias_receives_and_logs_in_only_if_it_may(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    directory
        .add_alias(alias("post@one.example", false))
        .await
        .unwrap();
    directory
        .add_alias(alias("login@one.example", true))
        .await
        .unwrap();
    for address in ["post@one.example", "login@one.example", ANN] {
        let found = directory.recipient(&name(address)).await.unwrap().unwrap();
        assert_eq!(
            (found.asked, &found.account),
            (name(address), &account),
            "{address}"
        );
    }
    assert!(
        directory
            .credentials(&name("post@one.example"))
            .await
            .unwrap()
            .is_none()
    );
    let found = directory
        .credentials(&name("login@one.example"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.asked, found.account), (name("login@one.example"), account));
    assert!(
        directory
            .account(&name("login@one.example"))
            .await
            .unwrap()
            .is_none(),
        "an alias is not an account's name"
    );
}

pub async fn an_alias_and_an_account_never_share_an_address(fixture: &mut impl DirectoryFixture) {
    let (directory, _) = ann(fixture).await;
    directory
        .add_alias(alias("post@one.example", true))
        .await
        .unwrap();
    for taken in [alias("post@one.example", false), alias(ANN, false)] {
        assert_eq!(
            kind(directory.add_alias(taken).await),
            Err(DirectoryErrorKind::Exists)
        );
    }
    let account = directory.add_account(user("post@one.example")).await;
    assert_eq!(kind(account), Err(DirectoryErrorKind::Exists));
    directory.remove_alias(&name("post@one.example")).await.unwrap();
    directory.add_account(user("post@one.example")).await.unwrap();
    assert_eq!(
        kind(directory.remove_alias(&name(ANN)).await),
        Err(DirectoryErrorKind::NotFound),
        "an account is not removed as an alias"
    );
}

pub async fn an_alias_stays_within_its_tenant(fixture: &mut impl DirectoryFixture) {
    let (directory, _) = ann(fixture).await;
    let crossing = directory.add_alias(alias("ann@two.example", true)).await;
    assert_eq!(kind(crossing), Err(DirectoryErrorKind::Invalid));
    let nowhere = directory.add_alias(alias("ann@three.example", true)).await;
    assert_eq!(kind(nowhere), Err(DirectoryErrorKind::NotFound));
    assert!(
        directory
            .recipient(&name("ann@two.example"))
            .await
            .unwrap()
            .is_none()
    );
}

pub async fn aliases_are_listed_in_order_and_go_with_their_account(fixture: &mut impl DirectoryFixture) {
    let (directory, _) = ann(fixture).await;
    add(&*directory, "bob@two.example").await;
    for address in ["c@one.example", "a@one.example", "b@one.example"] {
        directory.add_alias(alias(address, false)).await.unwrap();
    }
    let of_bob = Alias {
        account: name("bob@two.example"),
        ..alias("d@two.example", true)
    };
    directory.add_alias(of_bob.clone()).await.unwrap();
    let page = |after: Option<&str>, limit| Page {
        after: after.map(ToOwned::to_owned),
        limit,
    };
    let addresses = |aliases: Vec<Alias>| -> Vec<String> {
        aliases.iter().map(|alias| alias.address.to_string()).collect()
    };
    let first = directory.aliases(None, None, page(None, 2)).await.unwrap();
    assert_eq!(addresses(first), ["a@one.example", "b@one.example"]);
    let next = directory
        .aliases(None, None, page(Some("b@one.example"), 9))
        .await
        .unwrap();
    assert_eq!(addresses(next), ["c@one.example", "d@two.example"]);
    let of_two = directory
        .aliases(None, Some("two.example"), page(None, 9))
        .await
        .unwrap();
    assert_eq!(of_two, [of_bob]);
    let of_ann = directory
        .aliases(Some(&name(ANN)), None, page(None, 9))
        .await
        .unwrap();
    assert_eq!(of_ann.len(), 3);
    directory.remove_account(&name(ANN)).await.unwrap();
    let left = directory.aliases(None, None, page(None, 9)).await.unwrap();
    assert_eq!(addresses(left), ["d@two.example"]);
    assert!(
        directory
            .recipient(&name("a@one.example"))
            .await
            .unwrap()
            .is_none()
    );
}

pub async fn a_renamed_account_keeps_its_key_and_frees_its_name(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    let rename = |to: &str| AccountPatch {
        name: Some(name(to)),
        ..AccountPatch::default()
    };
    let renamed = directory
        .set_account(&name(ANN), rename("anna@one.example"))
        .await
        .unwrap();
    assert_eq!(
        (renamed.id, &renamed.name),
        (account.id, &name("anna@one.example"))
    );
    assert!(directory.credentials(&name(ANN)).await.unwrap().is_none());
    let found = directory.credentials(&name("anna@one.example")).await.unwrap();
    assert_eq!(found.unwrap().account.id, account.id);
    let other = add(&*directory, ANN).await;
    assert_ne!(other.id, account.id, "the old name is another account");
    let taken = directory
        .set_account(&name("anna@one.example"), rename(ANN))
        .await;
    assert_eq!(kind(taken), Err(DirectoryErrorKind::Exists));
    let crossing = directory.set_account(&name(ANN), rename("ann@two.example")).await;
    assert_eq!(kind(crossing), Err(DirectoryErrorKind::Invalid));
}

pub async fn the_stricter_of_tenant_and_account_state_holds(fixture: &mut impl DirectoryFixture) {
    let (directory, _) = ann(fixture).await;
    for state in AccountState::ALL {
        for tenant_state in AccountState::ALL {
            set_state(&*directory, state).await;
            set_tenant_state(&*directory, tenant_state).await;
            let account = directory.credentials(&name(ANN)).await.unwrap().unwrap().account;
            assert_eq!(
                account.may_log_in(),
                state.may_log_in() && tenant_state.may_log_in()
            );
            assert_eq!(
                account.may_delete(),
                state.may_delete() && tenant_state.may_delete()
            );
            assert_eq!(
                account.may_receive(),
                state.may_receive() && tenant_state.may_receive()
            );
        }
    }
}

pub async fn a_login_delay_admits_its_burst_and_no_more(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    let bob = add(&*directory, "bob@one.example").await;
    for nth in 1..=3 {
        assert!(
            directory.note_login(&paced(account.id, 3)).await.unwrap(),
            "{nth}"
        );
    }
    assert!(!directory.note_login(&paced(account.id, 3)).await.unwrap());
    assert!(!directory.note_login(&paced(account.id, 3)).await.unwrap());
    assert!(
        directory.note_login(&paced(bob.id, 1)).await.unwrap(),
        "of each account"
    );
    assert!(!directory.note_login(&paced(bob.id, 1)).await.unwrap());
    let free = LoginNote {
        delay: Duration::ZERO,
        ..paced(bob.id, 1)
    };
    assert!(
        directory.note_login(&free).await.unwrap(),
        "without a delay none holds"
    );
}

pub async fn racing_logins_are_admitted_no_more_than_the_burst(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    let racing = (0..8).map(|_| {
        let directory = std::sync::Arc::clone(&directory);
        tokio::spawn(async move { directory.note_login(&paced(account.id, 2)).await.unwrap() })
    });
    let mut admitted = 0;
    for login in racing.collect::<Vec<_>>() {
        admitted += usize::from(login.await.unwrap());
    }
    assert_eq!(admitted, 2);
}

pub async fn an_application_password_comes_with_the_credentials(fixture: &mut impl DirectoryFixture) {
    let (directory, _) = ann(fixture).await;
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let new = NewAppPassword {
        scope: AppScope::ReadOnly,
        networks: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        expires_at: Some(expires),
        ..app_password("phone")
    };
    let info = directory.add_app_password(&name(ANN), new).await.unwrap();
    assert_eq!((info.label.as_str(), info.scope), ("phone", AppScope::ReadOnly));
    let found = directory.credentials(&name(ANN)).await.unwrap().unwrap();
    let [credential] = &found.app_passwords[..] else {
        panic!("one, not {}", found.app_passwords.len());
    };
    assert_eq!((credential.id, credential.scope), (info.id, AppScope::ReadOnly));
    assert_eq!(credential.verifier.expose(), "verifier of phone");
    assert_eq!(credential.networks, info.networks);
    assert_eq!(
        (credential.expires_at, credential.last_used_at),
        (Some(expires), None)
    );
    add(&*directory, "bob@one.example").await;
    let bob = directory
        .credentials(&name("bob@one.example"))
        .await
        .unwrap()
        .unwrap();
    assert!(bob.app_passwords.is_empty());
}

pub async fn application_passwords_are_bounded_and_revoked(fixture: &mut impl DirectoryFixture) {
    let (directory, _) = ann(fixture).await;
    add(&*directory, "bob@one.example").await;
    for label in [String::new(), "x".repeat(101)] {
        let refused = directory.add_app_password(&name(ANN), app_password(&label)).await;
        assert_eq!(kind(refused.map(|_| ())), Err(DirectoryErrorKind::Invalid));
    }
    let mut ids: Vec<AppPasswordId> = Vec::new();
    for nth in 0..100 {
        let info = directory
            .add_app_password(&name(ANN), app_password(&format!("n{nth}")))
            .await;
        ids.push(info.unwrap().id);
    }
    let one_more = directory.add_app_password(&name(ANN), app_password("more")).await;
    assert_eq!(kind(one_more.map(|_| ())), Err(DirectoryErrorKind::InUse));
    let others = directory
        .remove_app_password(&name("bob@one.example"), ids[0])
        .await;
    assert_eq!(
        kind(others),
        Err(DirectoryErrorKind::NotFound),
        "of another account"
    );
    directory.remove_app_password(&name(ANN), ids[99]).await.unwrap();
    let again = directory.remove_app_password(&name(ANN), ids[99]).await;
    assert_eq!(kind(again), Err(DirectoryErrorKind::NotFound));
    let listed = directory.app_passwords(&name(ANN)).await.unwrap();
    let listed: Vec<AppPasswordId> = listed.iter().map(|info| info.id).collect();
    assert_eq!(listed, ids[..99]);
    let newer = directory
        .add_app_password(&name(ANN), app_password("more"))
        .await
        .unwrap();
    assert!(newer.id > ids[99], "a key is not used again");
}

pub async fn the_last_use_of_an_application_password_is_noted(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    let info = directory
        .add_app_password(&name(ANN), app_password("phone"))
        .await
        .unwrap();
    let used = LoginNote {
        app_password: Some(info.id),
        ..paced(account.id, 1)
    };
    assert!(directory.note_login(&used).await.unwrap());
    let first = directory.app_passwords(&name(ANN)).await.unwrap()[0].last_used_at;
    assert!(first.is_some());
    assert!(!directory.note_login(&used).await.unwrap());
    let second = directory.app_passwords(&name(ANN)).await.unwrap()[0].last_used_at;
    assert_eq!(second, first, "a login that comes too soon is no use");
    let free = LoginNote {
        delay: Duration::ZERO,
        ..used
    };
    assert!(directory.note_login(&free).await.unwrap(), "without a delay too");
}

pub async fn an_upgrade_needs_the_version_it_was_made_for(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    let before = directory.credentials(&name(ANN)).await.unwrap().unwrap();
    let upgrade = |version, hash: &str| {
        let directory = std::sync::Arc::clone(&directory);
        let hash = hashed(hash);
        async move { directory.upgrade(account.id, version, hash).await.unwrap() }
    };
    assert!(!upgrade(before.version + 1, "$phc$wrong").await);
    assert!(upgrade(before.version, "$phc$stronger").await);
    assert!(
        !upgrade(before.version, "$phc$late").await,
        "it was replaced meanwhile"
    );
    let after = directory.credentials(&name(ANN)).await.unwrap().unwrap();
    assert_eq!(after.password.unwrap().expose(), "$phc$stronger");
    assert!(after.version > before.version);
    directory.remove_account(&name(ANN)).await.unwrap();
    assert!(!upgrade(after.version, "$phc$gone").await);
}

pub async fn standing_follows_states_and_credentials(fixture: &mut impl DirectoryFixture) {
    let (directory, account) = ann(fixture).await;
    let bob = add(&*directory, "bob@two.example").await;
    let phone = directory
        .add_app_password(&name(ANN), app_password("phone"))
        .await
        .unwrap();
    let over = NewAppPassword {
        expires_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)),
        ..app_password("over")
    };
    let over = directory.add_app_password(&name(ANN), over).await.unwrap();
    let live = |account: AccountId, app_password| LiveLogin {
        account,
        app_password,
    };
    let logins = [
        live(account.id, None),
        live(bob.id, None),
        live(account.id, Some(phone.id)),
        live(account.id, Some(over.id)),
        live(bob.id, Some(phone.id)),
    ];
    assert!(directory.standing(&[]).await.unwrap().is_empty());
    assert_eq!(
        directory.standing(&logins).await.unwrap(),
        [Good, Good, Good, Ended, Ended]
    );
    set_state(&*directory, AccountState::ReadOnly).await;
    assert_eq!(
        directory.standing(&logins[..3]).await.unwrap(),
        [ReadOnly, Good, ReadOnly]
    );
    set_state(&*directory, AccountState::LoginSuspended).await;
    assert_eq!(directory.standing(&logins[..2]).await.unwrap(), [Ended, Good]);
    set_state(&*directory, AccountState::Active).await;
    set_tenant_state(&*directory, AccountState::Closed).await;
    assert_eq!(directory.standing(&logins[..2]).await.unwrap(), [Ended, Good]);
    set_tenant_state(&*directory, AccountState::Active).await;
    directory.remove_app_password(&name(ANN), phone.id).await.unwrap();
    assert_eq!(
        directory.standing(&logins[..3]).await.unwrap(),
        [Good, Good, Ended]
    );
    directory.remove_account(&name("bob@two.example")).await.unwrap();
    assert_eq!(directory.standing(&logins[..2]).await.unwrap(), [Good, Ended]);
}
