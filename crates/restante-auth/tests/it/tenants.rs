//! The table of tenants: whose a connection is, and what to announce before anybody has logged in.

use std::time::Duration;

use restante_auth::{Directory, DirectoryAdmin, Extremes, MemoryDirectory, Policy, TenantPatch, TenantTable};
use restante_types::TenantId;

async fn add(directory: &MemoryDirectory, name: &str, policy: Policy) -> TenantId {
    directory.add_tenant(name, "memory").await.unwrap();
    directory
        .add_domain(name, &format!("{name}.example"))
        .await
        .unwrap();
    let patch = TenantPatch {
        default_domain: Some(Some(format!("{name}.example"))),
        policy: Some(policy),
        ..TenantPatch::default()
    };
    directory.set_tenant(name, patch).await.unwrap();
    let added = directory
        .add_server_name(name, &format!("pop.{name}.example"))
        .await;
    added.unwrap().id
}

fn policy(login_delay_secs: u32, expire_days: Option<u32>) -> Policy {
    Policy {
        login_delay_secs,
        expire_days,
        ..Policy::default()
    }
}

async fn refresh(table: &TenantTable, directory: &MemoryDirectory) {
    let roster = directory.roster(table.revision()).await.unwrap();
    table.replace(&roster.unwrap());
}

#[tokio::test]
async fn u07_the_listener_says_whose_a_connection_is_and_after_it_the_server_name() {
    let (directory, table) = (MemoryDirectory::new(), TenantTable::new());
    let one = add(&directory, "one", policy(60, None)).await;
    let two = add(&directory, "two", policy(0, None)).await;
    assert_eq!(
        table.scope(None, Some("pop.one.example")).tenant,
        None,
        "nothing is known yet"
    );
    refresh(&table, &directory).await;
    for (listener, server_name, expected) in [
        (None, None, None),
        (None, Some("pop.one.example"), Some(one)),
        (None, Some("pop.two.example"), Some(two)),
        (None, Some("pop.none.example"), None),
        (Some(two), None, Some(two)),
        (Some(two), Some("pop.one.example"), Some(two)),
        (Some(two), Some("pop.none.example"), Some(two)),
    ] {
        let scope = table.scope(listener, server_name);
        assert_eq!(scope.tenant, expected, "{listener:?} {server_name:?}");
        assert_eq!(scope.default_domain.is_some(), expected.is_some());
        assert_eq!(scope.policy.is_some(), expected.is_some());
    }
    let scope = table.scope(Some(one), None);
    assert_eq!(scope.default_domain.as_deref(), Some("one.example"));
    assert_eq!(scope.policy.unwrap().login_delay_secs, 60);
}

#[tokio::test]
async fn a_removed_tenant_knows_nobody_and_its_server_names_are_nobodys() {
    let (directory, table) = (MemoryDirectory::new(), TenantTable::new());
    let one = add(&directory, "one", Policy::default()).await;
    refresh(&table, &directory).await;
    let nothing = directory.roster(table.revision()).await.unwrap();
    assert!(nothing.is_none(), "nothing changed since");
    let no_default = TenantPatch {
        default_domain: Some(None),
        ..TenantPatch::default()
    };
    directory.set_tenant("one", no_default).await.unwrap();
    directory.remove_domain("one.example").await.unwrap();
    directory.remove_tenant("one").await.unwrap();
    refresh(&table, &directory).await;
    let scope = table.scope(Some(one), None);
    assert_eq!(scope.tenant, Some(one), "never everybody's");
    assert!(scope.default_domain.is_none() && scope.policy.is_none());
    assert_eq!(table.scope(None, Some("pop.one.example")).tenant, None);
}

#[tokio::test]
async fn the_extremes_are_those_of_all_tenants() {
    let (directory, table) = (MemoryDirectory::new(), TenantTable::new());
    assert_eq!(table.extremes(), Extremes::default());
    let one = add(&directory, "one", policy(60, Some(30))).await;
    refresh(&table, &directory).await;
    let alone = Extremes {
        login_delay: Duration::from_mins(1),
        login_delay_differs: false,
        expire_days: Some(30),
        expire_differs: false,
    };
    assert_eq!(table.extremes(), alone);
    let two = add(&directory, "two", policy(300, Some(7))).await;
    add(&directory, "three", policy(0, None)).await;
    refresh(&table, &directory).await;
    let together = Extremes {
        login_delay: Duration::from_mins(5),
        login_delay_differs: true,
        expire_days: Some(7),
        expire_differs: true,
    };
    assert_eq!(table.extremes(), together);
    let mut expiring = table.expiring();
    expiring.sort_unstable();
    assert_eq!(expiring, [(one, 30), (two, 7)]);
}
