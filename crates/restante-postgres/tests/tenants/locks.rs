//! The two locks between tenants: keys that carry the tenant, and row-level security. As the role that owns the
//! tables, which is no superuser.

use restante_auth::{
    Alias, AuditAction, AuditRecord, Directory, DirectoryAdmin, DirectoryErrorKind, LiveLogin, LoginNote,
    NewCertificate, Standing,
};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Postgres, Row, Transaction};

use crate::world::{World, hashed, name, user};

/// Every table that has rows of tenants.
const OWNED: [&str; 12] = [
    "tenant",
    "policy",
    "server_name",
    "domain",
    "maildrop",
    "account",
    "address",
    "app_password",
    "login_pace",
    "certificate",
    "certificate_name",
    "audit",
];

/// A world in which both tenants have rows in every table.
async fn full_world() -> World {
    let world = World::new().await;
    let directory = &world.directory;
    for (tenant, account) in [("one", &world.one), ("two", &world.two)] {
        let pop = format!("pop.{tenant}.example");
        directory.add_server_name(tenant, &pop).await.unwrap();
        let certificate = NewCertificate {
            server_names: vec![pop],
            chain: String::new(),
            sealed_key: Vec::new(),
            not_after: std::time::SystemTime::UNIX_EPOCH,
        };
        directory.add_certificate(tenant, certificate).await.unwrap();
        let patch = restante_auth::TenantPatch {
            policy: Some(restante_auth::Policy::default()),
            ..Default::default()
        };
        directory.set_tenant(tenant, patch).await.unwrap();
        world.app_password(account).await;
        let note = LoginNote {
            account: account.id,
            delay: std::time::Duration::from_secs(1),
            burst: 1,
            app_password: None,
        };
        assert!(directory.note_login(&note).await.unwrap());
    }
    world
}

async fn confined<'c>(world: &World, conn: &'c mut PgConnection) -> Transaction<'c, Postgres> {
    let mut tx = conn.begin().await.unwrap();
    sqlx::query("SELECT set_config('restante.tenant', $1, true)")
        .bind(world.tenant().get().to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx
}

fn code(error: &sqlx::Error) -> String {
    let answered = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    answered.unwrap_or_default().into_owned()
}

async fn tenants_in(conn: &mut PgConnection, table: &str) -> Vec<i64> {
    let statement = format!("SELECT DISTINCT tenant_id FROM {table} ORDER BY 1");
    let rows = conn.fetch_all(sqlx::AssertSqlSafe(statement)).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_confined_transaction_sees_one_tenant_in_every_table_whatever_it_asks() {
    let world = full_world().await;
    let (one, two) = (world.one.id.tenant().get(), world.two.id.tenant().get());
    let mut conn = world.database.connect().await;
    for table in OWNED {
        assert_eq!(tenants_in(&mut conn, table).await, [one, two], "{table}");
    }
    let mut tx = confined(&world, &mut conn).await;
    for table in OWNED {
        assert_eq!(tenants_in(&mut tx, table).await, [one], "{table}");
    }
    tx.commit().await.unwrap();
    // The setting went with its transaction: the next user of a pooled connection is not confined by it.
    for table in OWNED {
        assert_eq!(tenants_in(&mut conn, table).await, [one, two], "{table}");
    }
}

#[tokio::test]
async fn no_table_of_tenants_was_forgotten() {
    let world = World::new().await;
    let rows = world
        .database
        .connect()
        .await
        .fetch_all(
            "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'tenant_id'",
        )
        .await
        .unwrap();
    // Messages are reached by sessions, which hold the key of one maildrop and its tenant in every statement.
    // Their octets have the tenant in every key.
    let of_sessions = [
        "blob",
        "blob_gc",
        "blob_left",
        "blob_part",
        "maildrop_lock",
        "message",
        "pending_blob",
        "plugin_value",
    ];
    for row in rows {
        let (table, is_secured): (String, bool) = (row.get(0), row.get(1));
        assert_eq!(OWNED.contains(&&*table), is_secured, "{table}");
        assert_ne!(of_sessions.contains(&&*table), is_secured, "{table}");
    }
}

/// A comparison with what is not there is neither true nor false: none of the two may open the door.
#[tokio::test]
async fn a_line_of_the_audit_that_is_of_no_tenant_is_the_providers_alone() {
    let world = World::new().await;
    let mut conn = world.database.connect().await;
    conn.execute(
        "INSERT INTO audit (at, actor, action, detail) VALUES (now(), 'client', 'login-refused', 'x')",
    )
    .await
    .unwrap();
    let lines = "SELECT count(*) FROM audit WHERE tenant_id IS NULL";
    let seen: i64 = conn.fetch_one(lines).await.unwrap().get(0);
    assert_eq!(seen, 1);
    let mut tx = confined(&world, &mut conn).await;
    let seen: i64 = tx.fetch_one(lines).await.unwrap().get(0);
    assert_eq!(seen, 0);
}

#[tokio::test]
async fn a_confined_update_without_a_condition_changes_one_tenants_rows() {
    let world = full_world().await;
    let mut conn = world.database.connect().await;
    let mut tx = confined(&world, &mut conn).await;
    let changed = tx.execute("UPDATE account SET password = 'taken'").await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let removed = tx.execute("DELETE FROM app_password").await.unwrap();
    assert_eq!(removed.rows_affected(), 1);
    tx.commit().await.unwrap();
    let bob = world
        .directory
        .credentials(&world.two.name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bob.password.unwrap().expose(), "$phc$of bob@two.example");
    assert_eq!(bob.app_passwords.len(), 1);
}

#[tokio::test]
async fn a_confined_insertion_or_move_to_another_tenant_fails() {
    let world = full_world().await;
    let two = world.two.id;
    let mut conn = world.database.connect().await;
    let statements = [
        format!(
            "INSERT INTO domain (tenant_id, name) VALUES ({}, 'x.example')",
            two.tenant()
        ),
        format!("INSERT INTO maildrop (tenant_id) VALUES ({})", two.tenant()),
        format!(
            "INSERT INTO audit (at, actor, action, tenant_id, detail) VALUES (now(), '', '', {}, '')",
            two.tenant()
        ),
        "INSERT INTO audit (at, actor, action, detail) VALUES (now(), '', '', '')".to_owned(),
        format!(
            "INSERT INTO app_password (tenant_id, account_id, label, verifier, scope, networks)
             VALUES ({}, {}, 'x', '', 'full', '{{}}')",
            two.tenant(),
            two.number()
        ),
        format!("UPDATE domain SET tenant_id = {}", two.tenant()),
    ];
    for statement in statements {
        let mut tx = confined(&world, &mut conn).await;
        let refused = tx
            .execute(sqlx::AssertSqlSafe(statement.as_str()))
            .await
            .unwrap_err();
        assert_eq!(code(&refused), "42501", "{statement}: {refused}");
        tx.rollback().await.unwrap();
    }
}

/// The first lock alone: nobody is confined here.
#[tokio::test]
async fn keys_that_carry_the_tenant_refuse_every_crossing() {
    let world = full_world().await;
    let (one, two) = (world.one.id, world.two.id);
    let (t1, t2, a1, a2) = (one.tenant(), two.tenant(), one.number(), two.number());
    let mut conn = world.database.connect().await;
    let statements = [
        // An account in a maildrop of another tenant.
        format!("UPDATE account SET tenant_id = {t2} WHERE account_id = {a1}"),
        // An alias of one's own domain to another's account, and of another's domain to one's own.
        format!(
            "INSERT INTO address SELECT 'x@one.example', {t1}, {a2}, domain_id, name, 'x', true, true
             FROM domain WHERE name = 'one.example'"
        ),
        format!(
            "INSERT INTO address SELECT 'x@two.example', {t1}, {a1}, domain_id, name, 'x', true, true
             FROM domain WHERE name = 'two.example'"
        ),
        // A domain that leaves its addresses behind.
        format!("UPDATE domain SET tenant_id = {t2} WHERE name = 'one.example'"),
        // An application password for another's account.
        format!(
            "INSERT INTO app_password (tenant_id, account_id, label, verifier, scope, networks)
             VALUES ({t1}, {a2}, 'x', '', 'full', '{{}}')"
        ),
        // A certificate that serves another's name.
        format!(
            "INSERT INTO certificate_name SELECT certificate_id, tenant_id, 'pop.two.example'
             FROM certificate WHERE tenant_id = {t1}"
        ),
        // Somebody else's domain as one's default.
        format!("UPDATE tenant SET default_domain = 'two.example' WHERE tenant_id = {t1}"),
    ];
    for statement in statements {
        let refused = conn
            .execute(sqlx::AssertSqlSafe(statement.as_str()))
            .await
            .unwrap_err();
        assert_eq!(code(&refused), "23503", "{statement}: {refused}");
    }
}

#[tokio::test]
async fn to_a_tenants_administrator_others_do_not_log_in_receive_or_live() {
    let world = full_world().await;
    let (admin, bob) = (world.admin(), &world.two);
    assert!(admin.credentials(&world.one.name).await.unwrap().is_some());
    assert!(admin.credentials(&bob.name).await.unwrap().is_none());
    assert!(admin.recipient(&bob.name).await.unwrap().is_none());
    let version = world
        .directory
        .credentials(&bob.name)
        .await
        .unwrap()
        .unwrap()
        .version;
    assert!(!admin.upgrade(bob.id, version, hashed("taken")).await.unwrap());
    let live = |account| LiveLogin {
        account,
        app_password: None,
    };
    assert_eq!(
        admin.standing(&[live(world.one.id), live(bob.id)]).await.unwrap(),
        [Standing::Good, Standing::Ended]
    );
    let roster = admin.roster(None).await.unwrap().unwrap();
    assert_eq!((roster.tenants.len(), roster.certificates.len()), (1, 1));
    let of_bob = AuditRecord {
        at: std::time::SystemTime::UNIX_EPOCH,
        actor: "admin:one".to_owned(),
        action: AuditAction::Login,
        tenant: Some(bob.id.tenant()),
        account: Some(bob.id),
        session: None,
        client: None,
        detail: String::new(),
    };
    assert!(admin.record(&[of_bob]).await.is_err());
}

#[tokio::test]
async fn an_address_that_another_tenant_holds_is_taken_though_it_cannot_be_seen() {
    let world = World::new().await;
    let mut tx = world.database.connect().await;
    // The domain passes from tenant to tenant while an administrator of the first is at work.
    world.directory.add_domain("one", "moving.example").await.unwrap();
    world.directory.set_domain("moving.example", "two").await.unwrap();
    world
        .directory
        .add_account(user("x@moving.example"))
        .await
        .unwrap();
    let alias = Alias {
        address: name("x@moving.example"),
        account: world.one.name.clone(),
        may_log_in: true,
    };
    let refused = world.admin().add_alias(alias).await.unwrap_err();
    assert_eq!(refused.kind, DirectoryErrorKind::NotFound);
    let refused = world
        .admin()
        .add_domain("one", "moving.example")
        .await
        .unwrap_err();
    assert_eq!(refused.kind, DirectoryErrorKind::Exists);
    assert_eq!(tenants_in(&mut tx, "address").await.len(), 2);
}
