//! What the schema itself refuses, and along which indices names are looked up.

use restante_auth::{AccountState, Actor, Alias, AuditAction, AuditFilter, AuditRecord, TenantPatch};

use super::*;

async fn refusal(db: &Sqlite, statement: &'static str) -> String {
    let mut tx = db.begin().await.unwrap();
    tx.execute(statement).await.unwrap_err().to_string()
}

async fn alias(scene: &Scene) -> SqliteDirectory {
    scene.maildrop().await;
    let directory = SqliteDirectory::new(&scene.db, clock());
    let alias = Alias {
        address: LoginName::parse("post@example.org").unwrap(),
        account: LoginName::parse("user@example.org").unwrap(),
        may_log_in: true,
    };
    directory.add_alias(alias).await.unwrap();
    directory
}

#[tokio::test]
async fn a_name_is_looked_up_along_indices() {
    let scene = scene().await;
    for statement in [
        sql::CREDENTIALS,
        sql::RECIPIENT,
        sql::ACCOUNT,
        sql::DOMAIN,
        sql::TENANT,
    ] {
        let plan = scene.plan(statement).await;
        assert!(plan.contains("SEARCH"), "{statement}\n{plan}");
        for table in [
            "account",
            "alias",
            "app_password",
            "server_name",
            "tenant",
            "domain",
        ] {
            let scan = format!("SCAN {table}");
            assert!(!plan.contains(&scan), "{statement}\n{plan}");
        }
        // The aliases of the tables in the statements.
        let scanned = ["a", "t", "s", "w", "v", "d"].map(|name| format!("SCAN {name}\n"));
        assert!(
            !scanned.iter().any(|scan| plan.contains(scan)),
            "{statement}\n{plan}"
        );
    }
}

#[tokio::test]
async fn the_schema_refuses_an_address_that_is_an_account_and_an_alias() {
    let scene = scene().await;
    alias(&scene).await;
    let both = [
        "INSERT INTO alias SELECT name, tenant_id, account_id, domain_id, domain_name, local_part, 0 FROM account",
        "UPDATE account SET local_part = 'post'",
        "UPDATE alias SET local_part = 'user', address = 'user@example.org'",
        "INSERT INTO maildrop (tenant_id) SELECT tenant_id FROM account;
         INSERT INTO account (account_id, tenant_id, domain_id, domain_name, local_part)
         SELECT last_insert_rowid(), tenant_id, domain_id, domain_name, 'post' FROM account",
    ];
    for statement in both {
        let refused = refusal(&scene.db, statement).await;
        assert!(
            refused.contains("the address is an account's") || refused.contains("the name is an alias"),
            "{statement}: {refused}"
        );
    }
}

#[tokio::test]
async fn the_schema_refuses_an_alias_of_another_tenants_account() {
    let scene = scene().await;
    let directory = alias(&scene).await;
    let other = directory.add_tenant("other", "store").await.unwrap();
    directory.add_domain("other", "other.example").await.unwrap();
    assert_eq!(other.id.get(), 2);
    for crossing in [
        "UPDATE alias SET tenant_id = 2",
        "INSERT INTO app_password (tenant_id, account_id, label, verifier, scope, networks, created_at)
         SELECT 2, account_id, 'x', 'x', 'full', '[]', 0 FROM account",
    ] {
        let refused = refusal(&scene.db, crossing).await;
        assert!(refused.contains("FOREIGN KEY"), "{crossing}: {refused}");
    }
}

#[tokio::test]
async fn the_audit_can_only_grow() {
    let scene = scene().await;
    alias(&scene).await;
    for statement in ["UPDATE audit SET detail = ''", "DELETE FROM audit"] {
        let refused = refusal(&scene.db, statement).await;
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn a_refused_act_leaves_no_line_in_the_audit() {
    let scene = scene().await;
    let directory = alias(&scene).await;
    let filter = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let before = directory.audit(filter.clone()).await.unwrap();
    let patch = TenantPatch {
        state: Some(AccountState::Closed),
        default_domain: Some(Some("elsewhere.example".to_owned())),
        ..TenantPatch::default()
    };
    directory.set_tenant("tenant", patch).await.unwrap_err();
    directory.remove_domain("example.org").await.unwrap_err();
    assert_eq!(directory.audit(filter).await.unwrap(), before);
    let tenant = directory.tenant("tenant").await.unwrap().unwrap();
    assert_eq!(tenant.state, AccountState::Active);
}

#[tokio::test]
async fn what_is_too_long_for_the_audit_is_cut_between_characters() {
    let scene = scene().await;
    let long = Actor {
        name: "é".repeat(150),
        tenant: None,
    };
    let directory = SqliteDirectory::new(&scene.db, clock()).acting(long);
    directory.add_tenant("tenant", "store").await.unwrap();
    let record = AuditRecord {
        at: clock().wall(),
        actor: "client".to_owned(),
        action: AuditAction::Login,
        tenant: None,
        account: None,
        session: None,
        client: None,
        detail: format!("a{}", "é".repeat(600)),
    };
    directory.record(&[record]).await.unwrap();
    let filter = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let lines = directory.audit(filter).await.unwrap();
    assert_eq!(lines[0].record.detail, format!("a{}", "é".repeat(499)));
    assert_eq!(lines[1].record.actor, "é".repeat(100));
}

#[tokio::test]
async fn a_delivery_changes_neither_counter_that_a_server_looks_at() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, _locks) = scene.serve().await;
    let directory = SqliteDirectory::new(&scene.db, clock());
    let revisions = || {
        scene
            .db
            .readers()
            .one::<(i64, i64)>(sqlx::query_as(sql::REVISIONS))
    };
    let before = revisions().await.unwrap();
    scene.deliver(&index, maildrop).await.unwrap();
    assert_eq!(revisions().await.unwrap(), before);
    let name = LoginName::parse("user@example.org").unwrap();
    directory.remove_account(&name).await.unwrap();
    let after = revisions().await.unwrap();
    assert_eq!((after.0, after.1), (before.0, before.1 + 1));
}
