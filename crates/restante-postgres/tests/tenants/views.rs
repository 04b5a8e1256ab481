//! What a provider's own views may do wrong, and what then must not happen. The contract is `deploy/VIEWS.md`.

use std::time::Duration;

use restante_auth::{
    AccountPatch, AccountState, Actor, AppPasswordId, AuditAction, AuditFilter, AuditRecord, Directory,
    DirectoryAdmin, DirectoryErrorKind, LiveLogin, LoginName, NewPassword, Page, Standing,
};
use restante_postgres::{Pg, PgMailIndex, PgViewDirectory};
use restante_store::StoreErrorKind;
use restante_testkit::PgDatabase;
use restante_types::{AccountId, Octets, Secret, TenantId};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::scene::{clock, deliver, empty, options};

/// The provider's tables, which the server's role may not touch, and a place of the server's own beside them.
const TABLES: &str = "
    CREATE SCHEMA mail;
    CREATE TABLE mail.customers (id serial PRIMARY KEY, name varchar(50) NOT NULL, frozen boolean NOT NULL,
        keep_days int, domains_limit int);
    CREATE TABLE mail.virtual_domains (id serial PRIMARY KEY, customer_id int NOT NULL REFERENCES mail.customers,
        name varchar(50) NOT NULL UNIQUE);
    CREATE TABLE mail.virtual_users (id serial PRIMARY KEY,
        domain_id int NOT NULL REFERENCES mail.virtual_domains, email varchar(100) NOT NULL,
        password varchar(106) NOT NULL, active boolean NOT NULL DEFAULT true, quota_mb int);
    CREATE TABLE mail.virtual_aliases (id serial PRIMARY KEY,
        domain_id int NOT NULL REFERENCES mail.virtual_domains, source varchar(100) NOT NULL,
        destination varchar(100) NOT NULL, logs_in boolean NOT NULL DEFAULT false);
    CREATE TABLE mail.tokens (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES mail.virtual_users,
        secret text NOT NULL, valid_until timestamptz);
    INSERT INTO mail.customers (name, frozen, keep_days) VALUES ('one', false, 3), ('two', false, 0);
    INSERT INTO mail.virtual_domains (customer_id, name) VALUES (1, 'one.example'), (2, 'two.example');
    INSERT INTO mail.virtual_users (domain_id, email, password, quota_mb) VALUES
        (1, 'ann@one.example', '{PLAIN}of ann', 1), (1, 'carl@one.example', '{PLAIN}of carl', NULL),
        (2, 'ann@two.example', '{PLAIN}of the other ann', NULL);
    INSERT INTO mail.virtual_aliases (domain_id, source, destination, logs_in) VALUES
        (1, 'post@one.example', 'ann@one.example', false), (1, 'a@one.example', 'ann@one.example', true);
    CREATE SCHEMA restante AUTHORIZATION app;";

const USERS: &str = "
    CREATE VIEW mail.users AS SELECT u.id::bigint AS account_id, c.id::bigint AS tenant_id,
        u.email AS account_name, CASE WHEN u.active THEN 'active' ELSE 'closed' END AS state,
        CASE WHEN c.frozen THEN 'login-suspended' ELSE 'active' END AS tenant_state,
        u.quota_mb * 1048576::bigint AS quota_octets, NULL::bigint AS quota_messages, 'store' AS storage, u.password
    FROM mail.virtual_users u JOIN mail.virtual_domains d ON d.id = u.domain_id
        JOIN mail.customers c ON c.id = d.customer_id";

const LOGIN: &str = "
    CREATE VIEW restante.restante_login AS SELECT n.login_name, u.*, NULL::text AS scram,
        ('x' || substr(md5(u.password), 1, 15))::bit(60)::bigint AS credential_version,
        '{\"login_delay_secs\": 60}'::jsonb AS policy,
        (SELECT jsonb_agg(jsonb_build_object('id', t.id, 'verifier', t.secret, 'scope', 'full', 'networks',
                '[]'::jsonb, 'expires_at', (extract(epoch FROM t.valid_until) * 1000000)::bigint))
            FROM mail.tokens t WHERE t.user_id = u.account_id) AS app_passwords
    FROM mail.users u JOIN (
        SELECT email AS login_name, email FROM mail.virtual_users
        UNION ALL SELECT source, destination FROM mail.virtual_aliases WHERE logs_in) n ON n.email = u.account_name";

const RECIPIENT: &str = "
    CREATE VIEW restante.restante_recipient AS SELECT n.address, u.account_id, u.tenant_id, u.account_name, u.state,
        u.tenant_state, u.quota_octets, u.quota_messages, u.storage
    FROM mail.users u JOIN (
        SELECT email AS address, email FROM mail.virtual_users
        UNION ALL SELECT source, destination FROM mail.virtual_aliases) n ON n.email = u.account_name";

const TENANT: &str = "
    CREATE VIEW restante.restante_tenant AS SELECT c.id::bigint AS tenant_id, c.name, 'store' AS storage,
        CASE WHEN c.frozen THEN 'login-suspended' ELSE 'active' END AS state,
        (SELECT min(d.name) FROM mail.virtual_domains d WHERE d.customer_id = c.id) AS default_domain,
        ARRAY['pop.' || c.name || '.example'] AS server_names, c.keep_days * 86400000000 AS retention_us,
        NULL::bigint AS quota_octets, c.domains_limit::bigint AS quota_messages,
        '{\"login_delay_secs\": 60}'::jsonb AS policy
    FROM mail.customers c";

const GRANT: &str =
    "GRANT SELECT ON restante.restante_login, restante.restante_recipient, restante.restante_tenant
    TO app";

struct Provider {
    database: PgDatabase,
    db: Pg,
}

impl Provider {
    /// A provider's database with the views that are given.
    async fn with(views: &[&'static str]) -> Self {
        let database = empty().await;
        let provider = superuser(&database).await;
        let mut conn = provider;
        conn.execute(TABLES).await.unwrap();
        let place = format!(
            "ALTER ROLE app IN DATABASE {} SET search_path = restante",
            database.name
        );
        conn.execute(AssertSqlSafe(place)).await.unwrap();
        for view in views {
            conn.execute(*view).await.unwrap();
        }
        conn.close().await.unwrap();
        let options = options(&database.url());
        Pg::migrate(&options).await.unwrap();
        let db = Pg::open(&options).await.unwrap();
        Self { database, db }
    }

    async fn new() -> Self {
        Self::with(&[USERS, LOGIN, RECIPIENT, TENANT, GRANT]).await
    }

    async fn directory(&self) -> PgViewDirectory {
        PgViewDirectory::open(&self.db).await.unwrap()
    }

    /// As the provider changes its tables.
    async fn write(&self, statement: &'static str) {
        let mut conn = superuser(&self.database).await;
        conn.execute(statement).await.unwrap();
        conn.close().await.unwrap();
    }

    async fn mail(&self) -> PgMailIndex {
        assert_eq!(self.db.storage_id("store").await.unwrap(), crate::scene::STORAGE);
        PgMailIndex::new(&self.db, clock())
    }
}

async fn superuser(database: &PgDatabase) -> PgConnection {
    PgConnection::connect(&database.superuser_url()).await.unwrap()
}

fn name(text: &str) -> LoginName {
    LoginName::parse(text).unwrap()
}

fn account(tenant: i64, number: i64) -> AccountId {
    AccountId::new(TenantId::new(tenant).unwrap(), number).unwrap()
}

fn of_tenant(tenant: i64) -> Actor {
    Actor {
        name: "admin".to_owned(),
        tenant: TenantId::new(tenant),
    }
}

fn all() -> Page {
    Page {
        after: None,
        limit: 1_000,
    }
}

async fn password_of(directory: &PgViewDirectory, text: &str) -> Option<String> {
    let found = directory.credentials(&name(text)).await.unwrap()?;
    found.password.map(|hash| hash.expose().clone())
}

#[tokio::test]
async fn aliases_of_the_provider_log_in_where_its_view_says_so() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    let ann = directory
        .credentials(&name("ANN@one.example"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ann.asked, name("ann@one.example"));
    assert_eq!(ann.account.id, account(1, 1));
    assert_eq!(ann.account.quota_octets, Some(Octets(1 << 20)));
    assert_eq!(ann.policy.login_delay_secs, 60);
    assert_eq!(
        password_of(&directory, "ann@one.example").await.as_deref(),
        Some("{PLAIN}of ann")
    );
    assert_eq!(
        password_of(&directory, "ann@two.example").await.as_deref(),
        Some("{PLAIN}of the other ann")
    );
    let alias = directory
        .credentials(&name("a@one.example"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (alias.asked, alias.account.name),
        (name("a@one.example"), name("ann@one.example"))
    );
    let receives_only = name("post@one.example");
    assert!(directory.credentials(&receives_only).await.unwrap().is_none());
    let recipient = directory.recipient(&receives_only).await.unwrap().unwrap();
    assert_eq!(
        (recipient.asked, recipient.account.id),
        (receives_only, account(1, 1))
    );
    assert!(
        directory
            .recipient(&name("eve@one.example"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn every_missing_column_is_named_at_the_opening() {
    let provider = Provider::with(&[
        USERS,
        "CREATE VIEW restante.restante_login AS SELECT account_name AS login_name, tenant_id::text, account_id,
            account_name, state, tenant_state, quota_octets, quota_messages, storage, password, NULL::text AS scram,
            1::bigint AS credential_version, NULL::jsonb AS policy FROM mail.users",
        RECIPIENT,
        TENANT,
        GRANT,
    ])
    .await;
    let refused = PgViewDirectory::open(&provider.db).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "database.directory = \"views\" needs restante_login.tenant_id of type bigint, \
         restante_login.app_passwords of type jsonb: see deploy/VIEWS.md"
    );
}

#[tokio::test]
async fn a_view_that_the_server_may_not_read_is_missing() {
    let provider = Provider::with(&[USERS, LOGIN, RECIPIENT, TENANT]).await;
    let refused = PgViewDirectory::open(&provider.db).await.unwrap_err().to_string();
    assert!(refused.contains("restante_tenant.name"), "{refused}");
}

#[tokio::test]
async fn mail_is_taken_for_an_account_that_was_never_seen_before() {
    let provider = Provider::new().await;
    let (directory, mail) = (provider.directory().await, provider.mail().await);
    let carl = directory
        .recipient(&name("carl@one.example"))
        .await
        .unwrap()
        .unwrap();
    deliver(&mail, carl.account.id.maildrop()).await.unwrap();
}

#[tokio::test]
async fn many_frontends_that_see_an_account_first_make_one_maildrop() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move { directory.credentials(&name("ann@one.example")).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().unwrap().account.id, account(1, 1));
    }
    let maildrops: i64 = sqlx::query_scalar("SELECT count(*) FROM maildrop")
        .fetch_one(&mut provider.database.connect().await)
        .await
        .unwrap();
    assert_eq!(maildrops, 1);
}

#[tokio::test]
async fn quotas_and_retention_follow_the_views() {
    let provider = Provider::new().await;
    let (directory, mail) = (provider.directory().await, provider.mail().await);
    let ann = name("ann@one.example");
    let maildrop = directory
        .recipient(&ann)
        .await
        .unwrap()
        .unwrap()
        .account
        .id
        .maildrop();
    deliver(&mail, maildrop).await.unwrap();
    // The account's own.
    provider.write("UPDATE mail.virtual_users SET quota_mb = 0").await;
    directory.recipient(&ann).await.unwrap();
    let full = deliver(&mail, maildrop).await.unwrap_err();
    assert_eq!(full.kind, StoreErrorKind::OverQuota);
    // The tenant's, for an account that has none.
    provider
        .write(
            "UPDATE mail.virtual_users SET quota_mb = NULL; \
             UPDATE mail.customers SET domains_limit = 1, keep_days = 7 WHERE name = 'one'",
        )
        .await;
    directory.recipient(&ann).await.unwrap();
    directory.roster(None).await.unwrap();
    let full = deliver(&mail, maildrop).await.unwrap_err();
    assert_eq!(full.kind, StoreErrorKind::OverQuota);
    let retention: i64 = sqlx::query_scalar("SELECT retention_us FROM tenant WHERE tenant_id = 1")
        .fetch_one(&mut provider.database.connect().await)
        .await
        .unwrap();
    assert_eq!(retention, 7 * 86_400_000_000);
}

#[tokio::test]
async fn a18_a_name_of_two_accounts_is_nobody() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    // An alias of an account for its own name, as many a table has them, is no second account.
    provider
        .write(
            "INSERT INTO mail.virtual_aliases (domain_id, source, destination, logs_in)
            VALUES (1, 'carl@one.example', 'carl@one.example', true)",
        )
        .await;
    assert!(password_of(&directory, "carl@one.example").await.is_some());
    assert!(
        directory
            .recipient(&name("carl@one.example"))
            .await
            .unwrap()
            .is_some()
    );
    provider
        .write(
            "INSERT INTO mail.virtual_aliases (domain_id, source, destination, logs_in)
            VALUES (1, 'carl@one.example', 'ann@one.example', true)",
        )
        .await;
    let carl = name("carl@one.example");
    let refused = directory.credentials(&carl).await.unwrap_err();
    assert_eq!(refused.kind, DirectoryErrorKind::Invalid);
    assert!(refused.to_string().contains("restante_login"), "{refused}");
    let refused = directory.recipient(&carl).await.unwrap_err();
    assert!(refused.to_string().contains("restante_recipient"), "{refused}");
    // Nobody else is kept out.
    assert!(password_of(&directory, "ann@one.example").await.is_some());
}

#[tokio::test]
async fn a_maildrop_never_goes_to_another_tenant() {
    let provider = Provider::new().await;
    let (directory, mail) = (provider.directory().await, provider.mail().await);
    let carl = name("carl@one.example");
    let maildrop = directory
        .recipient(&carl)
        .await
        .unwrap()
        .unwrap()
        .account
        .id
        .maildrop();
    deliver(&mail, maildrop).await.unwrap();
    provider
        .write("UPDATE mail.virtual_domains SET customer_id = 2 WHERE name = 'one.example'")
        .await;
    for refused in [
        directory.credentials(&carl).await.map(|_| ()).unwrap_err(),
        directory.recipient(&carl).await.map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(refused.kind, DirectoryErrorKind::Invalid);
        assert!(refused.to_string().contains("another tenant's"), "{refused}");
    }
}

#[tokio::test]
async fn an_account_of_a_tenant_that_is_in_no_view_is_refused_in_words() {
    let provider = Provider::with(&[
        USERS,
        LOGIN,
        RECIPIENT,
        "CREATE VIEW restante.restante_tenant AS SELECT 9::bigint AS tenant_id, 'nine' AS name, 'store' AS storage,
            'active' AS state, NULL::text AS default_domain, NULL::text[] AS server_names, 0::bigint AS retention_us,
            NULL::bigint AS quota_octets, NULL::bigint AS quota_messages, NULL::jsonb AS policy",
        GRANT,
    ])
    .await;
    let directory = provider.directory().await;
    let refused = directory.credentials(&name("ann@one.example")).await.unwrap_err();
    assert!(refused.to_string().contains("has no tenant 1"), "{refused}");
}

#[tokio::test]
async fn a14_a_changed_password_is_another_version() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    let ann = name("ann@one.example");
    let before = directory.credentials(&ann).await.unwrap().unwrap().version;
    provider
        .write("UPDATE mail.virtual_users SET password = '{PLAIN}new' WHERE email = 'ann@one.example'")
        .await;
    let after = directory.credentials(&ann).await.unwrap().unwrap();
    assert_ne!(after.version, before);
    // A hash that is the provider's stays as it is.
    let stronger = NewPassword {
        hash: Secret::new("$argon2id$".to_owned()),
        scram: None,
    };
    assert!(
        !directory
            .upgrade(after.account.id, after.version, stronger)
            .await
            .unwrap()
    );
    assert_eq!(
        password_of(&directory, "ann@one.example").await.as_deref(),
        Some("{PLAIN}new")
    );
}

#[tokio::test]
async fn a15_standing_follows_the_provider_in_the_order_of_the_questions() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    provider
        .write(
            "INSERT INTO mail.tokens (user_id, secret, valid_until) VALUES
                 (1, 's', NULL), (1, 's', now() + interval '1 hour'), (1, 's', now() - interval '1 second'), (2, 's', NULL);
             UPDATE mail.virtual_users SET active = false WHERE email = 'carl@one.example'",
        )
        .await;
    let login = |account, app_password: Option<i64>| LiveLogin {
        account,
        app_password: app_password.map(AppPasswordId),
    };
    // Ann has two names to log in with, which must not make two answers.
    let ann = account(1, 1);
    let asked = [
        login(ann, None),
        login(account(1, 2), None),
        login(account(2, 1), None),
        login(account(2, 3), None),
        login(ann, Some(1)),
        login(ann, Some(2)),
        login(ann, Some(3)),
        login(ann, Some(4)),
        login(ann, Some(99)),
    ];
    let (good, ended) = (Standing::Good, Standing::Ended);
    assert_eq!(
        directory.standing(&asked).await.unwrap(),
        [good, ended, ended, good, good, good, ended, ended, ended]
    );
    provider.write("UPDATE mail.customers SET frozen = true").await;
    assert_eq!(directory.standing(&asked[..1]).await.unwrap(), [ended]);
    let found = directory
        .recipient(&name("ann@one.example"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.account.tenant_state, AccountState::LoginSuspended);
}

#[tokio::test]
async fn the_roster_is_new_when_the_view_is_and_one_broken_tenant_does_not_hold_the_others_back() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    let first = directory.roster(None).await.unwrap().unwrap();
    assert_eq!(
        first.tenants.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(first.tenants[0].server_names, ["pop.one.example"]);
    assert_eq!(first.tenants[0].retention, Duration::from_hours(72));
    assert!(directory.roster(Some(first.revision)).await.unwrap().is_none());
    provider
        .write(
            "UPDATE mail.customers SET keep_days = -1 WHERE name = 'one'; \
                UPDATE mail.customers SET frozen = true WHERE name = 'two'",
        )
        .await;
    let second = directory.roster(Some(first.revision)).await.unwrap().unwrap();
    assert_ne!(second.revision, first.revision);
    let [two] = &second.tenants[..] else {
        panic!("{:?}", second.tenants)
    };
    assert_eq!(
        (two.name.as_str(), two.state),
        ("two", AccountState::LoginSuspended)
    );
}

#[tokio::test]
async fn nothing_of_the_providers_is_changed_or_within_reach() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    let patch = AccountPatch {
        state: Some(AccountState::Closed),
        ..AccountPatch::default()
    };
    let refused = directory
        .set_account(&name("ann@one.example"), patch)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, DirectoryErrorKind::NotPermitted);
    assert!(refused.to_string().contains("provider"), "{refused}");
    let refused = directory.add_tenant("three", "store").await.unwrap_err();
    assert_eq!(refused.kind, DirectoryErrorKind::NotPermitted);
    let mut conn = provider.database.connect().await;
    for statement in [
        "SELECT * FROM mail.virtual_users",
        "UPDATE restante_login SET password = ''",
    ] {
        assert!(conn.execute(statement).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_tenants_administrator_sees_nobody_elses_things() {
    let provider = Provider::new().await;
    let directory = provider.directory().await;
    let record = |tenant| AuditRecord {
        at: std::time::SystemTime::UNIX_EPOCH,
        actor: "client".to_owned(),
        action: AuditAction::Login,
        tenant: TenantId::new(tenant),
        account: None,
        session: None,
        client: None,
        detail: String::new(),
    };
    directory.record(&[record(1), record(2)]).await.unwrap();
    let admin = directory.acting(of_tenant(1));
    assert_eq!(admin.tenants(all()).await.unwrap().len(), 1);
    assert!(admin.tenant("two").await.unwrap().is_none());
    let (own, other) = (name("ann@one.example"), name("ann@two.example"));
    assert!(admin.account(&own).await.unwrap().is_some());
    assert!(admin.account(&other).await.unwrap().is_none());
    assert!(admin.credentials(&other).await.unwrap().is_none());
    let filter = AuditFilter {
        limit: 10,
        ..AuditFilter::default()
    };
    let seen = admin.audit(filter.clone()).await.unwrap();
    assert_eq!(
        seen.iter().map(|line| line.record.tenant).collect::<Vec<_>>(),
        [TenantId::new(1)]
    );
    assert_eq!(directory.audit(filter).await.unwrap().len(), 2);
}
