//! A file of an earlier release, with mail in it.

use std::path::Path;

use restante_auth::{AccountState, Alias, Directory, DirectoryAdmin, LiveLogin, LoginName, Policy, Standing};
use restante_sqlite::{Sqlite, SqliteDirectory, SqliteError, SqliteMailIndex};
use restante_store::MailIndex;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;

use crate::scene::{clock, deliver, options};

/// What the release before had: file names and texts.
const BEFORE: [(&str, &str); 2] = [
    (
        "0001_directory.sql",
        include_str!("../../../../migrations/sqlite/0001_directory.sql"),
    ),
    (
        "0002_mail.sql",
        include_str!("../../../../migrations/sqlite/0002_mail.sql"),
    ),
];

const DATA: &str = "
    INSERT INTO storage (name) VALUES ('store');
    INSERT INTO tenant (name, storage_id, retention_us, removed_at) VALUES ('gone', 1, 0, 1);
    INSERT INTO tenant (name, storage_id, retention_us, quota_messages) VALUES ('tenant', 1, 3600000000, 9);
    INSERT INTO domain (tenant_id, name) VALUES (2, 'example.org');
    INSERT INTO maildrop (tenant_id, messages, octets) VALUES (2, 1, 1000);
    INSERT INTO account (account_id, tenant_id, domain_id, domain_name, local_part, state, password,
        credential_version) VALUES (1, 2, 1, 'example.org', 'user', 'read-only', '$phc$', 7);
    INSERT INTO unique_id VALUES (1, 'kept');
    INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8,
        crc64, header_crc64, sha256, storage_id, blob, received_at)
    VALUES (2, 1, 'kept', 1000, 300, 0, 0, 0, 0, zeroblob(32), 1, zeroblob(16), 0);";

async fn make_earlier_file(folder: &Path, path: &Path) {
    let migrations = folder.join("migrations");
    std::fs::create_dir(&migrations).unwrap();
    for (name, text) in BEFORE {
        std::fs::write(migrations.join(name), text).unwrap();
    }
    let file = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut conn = file.connect().await.unwrap();
    let migrator = Migrator::new(migrations).await.unwrap();
    migrator.run_direct(None, &mut conn, false).await.unwrap();
    conn.execute(DATA).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_release_before_keeps_its_accounts_and_mail() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("restante.db");
    make_earlier_file(folder.path(), &path).await;
    let lacking = Sqlite::open(&path, &options()).await.unwrap_err();
    assert!(matches!(lacking, SqliteError::NotMigrated { .. }), "{lacking}");
    let applied = Sqlite::migrate(&path, &options()).await.unwrap();
    assert_eq!(applied[..1], ["0003 tenants"]);

    let db = Sqlite::open(&path, &options()).await.unwrap();
    let directory = SqliteDirectory::new(&db, clock());
    let roster = directory.roster(None).await.unwrap().unwrap();
    let [tenant] = &roster.tenants[..] else {
        panic!("one tenant, not {}", roster.tenants.len());
    };
    assert_eq!((tenant.name.as_str(), tenant.quota_messages), ("tenant", Some(9)));
    assert_eq!(
        (tenant.state, &tenant.policy),
        (AccountState::Active, &Policy::default())
    );
    let name = LoginName::parse("user@example.org").unwrap();
    let found = directory.credentials(&name).await.unwrap().unwrap();
    assert_eq!(found.account.state, AccountState::ReadOnly);
    assert_eq!(
        (found.version, found.password.unwrap().expose().as_str()),
        (7, "$phc$")
    );
    assert!(found.scram.is_none() && found.app_passwords.is_empty());
    let live = LiveLogin {
        account: found.account.id,
        app_password: None,
    };
    assert_eq!(directory.standing(&[live]).await.unwrap(), [Standing::ReadOnly]);

    let maildrop = found.account.id.maildrop();
    let index = SqliteMailIndex::for_delivery(&db, clock());
    deliver(&db, &index, maildrop).await.unwrap();
    assert_eq!(index.usage(maildrop).await.unwrap().0.messages, 2);
    let alias = Alias {
        address: LoginName::parse("post@example.org").unwrap(),
        account: name,
        may_log_in: true,
    };
    directory.add_alias(alias.clone()).await.unwrap();
    assert!(directory.credentials(&alias.address).await.unwrap().is_some());
}

#[tokio::test]
async fn two_files_have_two_installation_secrets() {
    let folder = TempDir::new().unwrap();
    let mut secrets = Vec::new();
    for name in ["one.db", "two.db"] {
        let path = folder.path().join(name);
        Sqlite::migrate(&path, &options()).await.unwrap();
        let db = Sqlite::open(&path, &options()).await.unwrap();
        let secret = SqliteDirectory::new(&db, clock()).installation_secret().await;
        secrets.push(*secret.unwrap().expose());
        db.close().await;
    }
    assert_ne!(secrets[0], secrets[1]);
}
