//! Half a million accounts: every look-up and every page reads what it answers, by an index, and little else.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::{empty, options};
use crate::sql::directory as sql;
use crate::{Pg, Pooler};

/// Blocks of 8 KiB that one statement may touch: a page of a hundred rows with all that belongs to them, by indexes,
/// touches some 1,500; the tables together have tens of thousands.
const MOST_BLOCKS: u64 = 3_000;

/// 2,000 tenants with a domain each and 250 accounts in it, every fifth with an alias; tenant 7 has 1,000 more aliases
/// and, among 200,000 lines of others' in the audit, ten of its own.
const FILL: &[&str] = &[
    // Faster than half a million checks of keys that are right.
    "SET session_replication_role = replica",
    "INSERT INTO storage (name) VALUES ('store')",
    "INSERT INTO tenant (name, storage_id, retention_us) SELECT 't' || n, 1, 0 FROM generate_series(1, 2000) n",
    "INSERT INTO domain (tenant_id, name) SELECT n, 't' || n || '.example' FROM generate_series(1, 2000) n",
    "INSERT INTO maildrop (tenant_id) SELECT 1 + n % 2000 FROM generate_series(1, 500000) n",
    "INSERT INTO account (account_id, tenant_id) SELECT maildrop_id, tenant_id FROM maildrop",
    "INSERT INTO address SELECT 'u' || m.maildrop_id || '@' || d.name, m.tenant_id, m.maildrop_id, d.domain_id, d.name,
         'u' || m.maildrop_id, false, true
     FROM maildrop m JOIN domain d USING (tenant_id)",
    "INSERT INTO address SELECT 'a' || n || '@' || d.name, d.tenant_id, a.account_id, d.domain_id, d.name, 'a' || n,
         true, true
     FROM generate_series(1, 1000) n,
         (SELECT * FROM domain WHERE tenant_id = 7) d,
         (SELECT min(account_id) AS account_id FROM account WHERE tenant_id = 7) a",
    // Everybody else's, in the order before those.
    "INSERT INTO address SELECT 'a0' || a.local_part || '@' || a.domain_name, a.tenant_id, a.account_id, a.domain_id,
         a.domain_name, 'a0' || a.local_part, true, true
     FROM address a WHERE NOT a.is_alias AND a.account_id % 5 = 0",
    "INSERT INTO audit (at, actor, action, tenant_id, account_id, detail)
     SELECT now(), 'client', 'login', CASE WHEN n <= 10 THEN 7 ELSE 8 + n % 1900 END,
         CASE WHEN n <= 10 THEN 6 ELSE 10000 + n END, '' FROM generate_series(1, 200000) n",
    "INSERT INTO app_password (tenant_id, account_id, label, verifier, scope, networks)
     SELECT tenant_id, maildrop_id, 'phone', 'v', 'full', '{}' FROM maildrop WHERE maildrop_id % 10 = 6",
    "ANALYZE",
];

/// Statement, and what is asked: what lies in the middle, and little of much.
const ASKED: &[(&str, &str, &str)] = &[
    ("CREDENTIALS", sql::CREDENTIALS, "'u6@t7.example'"),
    ("CREDENTIALS", sql::CREDENTIALS, "'nobody@t7.example'"),
    ("RECIPIENT", sql::RECIPIENT, "'a500@t7.example'"),
    ("ACCOUNTS", sql::ACCOUNTS, "'u3', 100"),
    ("ACCOUNTS_OF_DOMAIN", sql::ACCOUNTS_OF_DOMAIN, "'u3', 100, 7"),
    ("ACCOUNTS_OF_TENANT", sql::ACCOUNTS_OF_TENANT, "'u3', 100, 7"),
    ("ALIASES", sql::ALIASES, "'a5', 100"),
    (
        "ALIASES_OF_ACCOUNT",
        sql::ALIASES_OF_ACCOUNT,
        "'a5', 100, 6, NULL",
    ),
    ("ALIASES_OF_ACCOUNT", sql::ALIASES_OF_ACCOUNT, "'', 100, 6, NULL"),
    ("ALIASES_OF_DOMAIN", sql::ALIASES_OF_DOMAIN, "'a5', 100, 7"),
    ("TENANTS", sql::TENANTS, "'t5', 100"),
    ("DOMAINS", sql::DOMAINS, "'t5', 100"),
    ("DOMAINS_OF_TENANT", sql::DOMAINS_OF_TENANT, "'', 100, 7"),
    ("AUDIT", sql::AUDIT, "NULL, NULL, NULL, 100000, 100"),
    (
        "AUDIT_OF_TENANT",
        sql::AUDIT_OF_TENANT,
        "7, NULL, NULL, 9223372036854775807, 100",
    ),
    (
        "AUDIT_OF_ACCOUNT",
        sql::AUDIT_OF_ACCOUNT,
        "NULL, 6, NULL, 9223372036854775807, 100",
    ),
    (
        "AUDIT_OF_ACCOUNT",
        sql::AUDIT_OF_ACCOUNT,
        "7, 6, 'login', 9223372036854775807, 100",
    ),
    ("ADDRESS_IS_TAKEN", sql::ADDRESS_IS_TAKEN, "'u6@t7.example'"),
    ("DOMAIN_HAS_ADDRESSES", sql::DOMAIN_HAS_ADDRESSES, "7"),
    ("TENANT_HAS_DOMAINS", sql::TENANT_HAS_DOMAINS, "7"),
    ("APP_PASSWORDS", sql::APP_PASSWORDS, "6"),
    (
        "STANDING",
        sql::STANDING,
        "array[7, 8], array[6, 7], array[1, NULL]",
    ),
];

/// Those that a tenant's own administrator comes to, of tenant 7.
const CONFINED: &[&str] = &[
    "CREDENTIALS",
    "RECIPIENT",
    "ACCOUNTS_OF_DOMAIN",
    "ACCOUNTS_OF_TENANT",
    "ALIASES_OF_ACCOUNT",
    "DOMAINS_OF_TENANT",
    "AUDIT_OF_TENANT",
    "AUDIT_OF_ACCOUNT",
];

#[tokio::test]
async fn half_a_million_accounts_are_looked_up_and_paged_by_indexes() {
    let database = empty().await;
    Pg::migrate(&options(&database, Pooler::None, 1)).await.unwrap();
    let mut superuser = PgConnection::connect(&database.superuser_url()).await.unwrap();
    for statement in FILL {
        superuser.execute(*statement).await.unwrap();
    }
    // Row-level security holds for the application's role, which its cost is measured with.
    let mut conn = database.connect().await;
    // A statement that a connection has run six times may be planned once for whatever is asked.
    for plan in ["force_custom_plan", "force_generic_plan"] {
        for (name, statement, asked) in ASKED {
            explained(&mut conn, plan, name, statement, asked).await;
        }
        conn.execute("SET restante.tenant = '7'").await.unwrap();
        for (name, statement, asked) in ASKED.iter().filter(|(name, ..)| CONFINED.contains(name)) {
            explained(&mut conn, plan, name, statement, asked).await;
        }
        conn.execute("RESET restante.tenant").await.unwrap();
    }
}

async fn explained(conn: &mut PgConnection, plan: &str, name: &str, statement: &str, asked: &str) {
    let mut tx = conn.begin().await.unwrap();
    for prepare in [
        format!("SET LOCAL plan_cache_mode = {plan}"),
        format!("PREPARE asked AS {statement}"),
    ] {
        tx.execute(AssertSqlSafe(prepare)).await.unwrap();
    }
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) EXECUTE asked ({asked})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    tx.execute("DEALLOCATE asked").await.unwrap();
    tx.rollback().await.unwrap();
    let shown = format!("{name} ({asked}), {plan}:\n{}", lines.join("\n"));
    for table in ["address", "account", "maildrop", "app_password", "audit"] {
        assert!(!shown.contains(&format!("Seq Scan on {table} ")), "{shown}");
    }
    assert!(blocks(&lines) < MOST_BLOCKS, "{} blocks: {shown}", blocks(&lines));
}

/// What the topmost node and all beneath it touched.
fn blocks(plan: &[String]) -> u64 {
    let top = plan.iter().find(|line| line.contains("Buffers: shared")).unwrap();
    let counted = top.split(['=', ' ']).filter_map(|word| word.parse::<u64>().ok());
    counted.sum()
}
