//! What an operator reads when the database is not what it should be.

use restante_postgres::{Pg, PgError, PgOptions};
use restante_types::Secret;
use sqlx::{AssertSqlSafe, Executor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::scene::{Scene, empty, options};

async fn refused(url: &str) -> PgError {
    Pg::open(&options(url)).await.unwrap_err()
}

#[tokio::test]
async fn migrate_makes_the_tables_once() {
    let database = empty().await;
    let options = options(&database.url());
    let applied = Pg::migrate(&options).await.unwrap();
    assert_eq!(applied[..3], ["0001 directory", "0002 mail", "0003 lock"]);
    assert!(Pg::migrate(&options).await.unwrap().is_empty());
    let schema = Pg::schema(&options).await.unwrap();
    let last = i64::try_from(applied.len()).unwrap();
    assert_eq!((schema.version, schema.pending.len()), (Some(last), 0));
}

#[tokio::test]
async fn two_frontends_may_migrate_at_once() {
    let database = empty().await;
    let options = options(&database.url());
    let (one, two) = tokio::join!(Pg::migrate(&options), Pg::migrate(&options));
    one.unwrap();
    two.unwrap();
    Pg::open(&options).await.unwrap();
}

#[tokio::test]
async fn an_empty_database_is_not_migrated_yet() {
    let database = empty().await;
    let error = refused(&database.url()).await;
    assert!(matches!(&error, PgError::NotMigrated { pending } if pending.len() >= 3));
    assert!(error.to_string().contains("restante migrate"), "{error}");
    assert_eq!(Pg::schema(&options(&database.url())).await.unwrap().version, None);
}

#[tokio::test]
async fn a_missing_database_is_named() {
    let database = empty().await;
    let error = refused(&format!("{}_missing", database.url())).await;
    assert!(matches!(error, PgError::NoDatabase(_)), "{error}");
    assert!(error.to_string().contains("_missing"), "{error}");
    assert!(error.to_string().contains("createdb"), "{error}");
}

#[tokio::test]
async fn an_unknown_user_is_refused() {
    let database = empty().await;
    let error = refused(&database.url().replacen("//app@", "//nosuchuser:hunter2@", 1)).await;
    assert!(matches!(error, PgError::Login(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

/// A server that refuses whoever comes with a code and a message; answers its port.
async fn refusing(code: &str, message: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    let answer = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut hello = [0; 1024];
        // First the question whether it speaks TLS, then the start of the session.
        assert!(client.read(&mut hello).await.unwrap() > 0);
        client.write_all(b"N").await.unwrap();
        assert!(client.read(&mut hello).await.unwrap() > 0);
        client.write_all(&answer).await.unwrap();
    });
    port
}

#[tokio::test]
async fn a_wrong_password_is_named_as_the_trouble_and_not_shown() {
    let port = refusing("28P01", "password authentication failed for user \"app\"").await;
    let error = refused(&format!("postgres://app:hunter2@127.0.0.1:{port}/mail")).await;
    assert!(matches!(error, PgError::Login(_)), "{error}");
    assert!(error.to_string().contains("check user and password"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn f31_a_pooler_that_refuses_settings_is_named() {
    let port = refusing("08P01", "unsupported startup parameter: options").await;
    let error = refused(&format!("postgres://app@127.0.0.1:{port}/mail")).await;
    assert!(matches!(error, PgError::WrongPooler { .. }), "{error}");
    assert!(
        error.to_string().contains("database.pooler = \"transaction\""),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = refused(&format!("postgres://app:hunter2@127.0.0.1:{port}/mail")).await;
    assert!(matches!(error, PgError::Unreachable(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_url_is_not_repeated() {
    for url in [
        "hunter2",
        "mysql://app:hunter2@host/mail",
        "postgres://app:hunter2@host:notaport/mail",
    ] {
        let error = Pg::open(&PgOptions::new(Secret::new(url.to_owned())))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                PgError::Url {
                    setting: "database.url"
                }
            ),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let database = empty().await;
    let mut conn = database.connect().await;
    conn.execute("CREATE TABLE message (theirs text)").await.unwrap();
    let migrated = Pg::migrate(&options(&database.url())).await;
    assert!(matches!(migrated, Err(PgError::Foreign)), "{migrated:?}");
}

#[tokio::test]
async fn a_migration_that_is_denied_or_kept_waiting_says_so() {
    let database = empty().await;
    let taken = format!("ALTER DATABASE \"{}\" OWNER TO keeper", database.name);
    database.try_execute(&taken).await.unwrap();
    let denied = Pg::migrate(&options(&database.url())).await.unwrap_err();
    assert!(matches!(denied, PgError::Denied(_)), "{denied}");

    let scene = Scene::new().await;
    scene
        .write("DROP TABLE plugin, plugin_component, plugin_value; DELETE FROM _sqlx_migrations WHERE version = 7")
        .await;
    let mut other = scene.database.connect().await;
    other
        .execute("BEGIN; CREATE TABLE plugin_value (somebodys text)")
        .await
        .unwrap();
    let kept = Pg::migrate(&options(&scene.database.url())).await.unwrap_err();
    assert!(matches!(kept, PgError::Locked(_)), "{kept}");
    other.execute("ROLLBACK").await.unwrap();
    let applied = Pg::migrate(&options(&scene.database.url())).await.unwrap();
    assert_eq!(applied.len(), 1, "{applied:?}");
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let scene = Scene::new().await;
    scene
        .write("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1")
        .await;
    assert!(matches!(
        refused(&scene.database.url()).await,
        PgError::Changed { version: 1 }
    ));
}

#[tokio::test]
async fn a_database_that_may_forget_what_it_acknowledged_is_refused() {
    for setting in ["off", "local"] {
        let scene = Scene::new().await;
        let name = &scene.database.name;
        let mut conn = scene.connect().await;
        let set = format!("ALTER DATABASE {name} SET synchronous_commit = {setting}");
        conn.execute(AssertSqlSafe(set)).await.unwrap();
        let error = refused(&scene.database.url()).await;
        assert!(
            matches!(&error, PgError::NotDurable(seen) if seen == setting),
            "{error}"
        );
    }
}

#[tokio::test]
async fn high_availability_without_a_synchronous_standby_is_refused() {
    let database = empty().await;
    let wanted = PgOptions {
        needs_standby: true,
        ..options(&database.url())
    };
    Pg::migrate(&wanted).await.unwrap();
    let error = Pg::open(&wanted).await.unwrap_err();
    assert!(matches!(error, PgError::NoStandby { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("synchronous_standby_names = 'ANY 1 (*)'"),
        "{error}"
    );
    Pg::open(&options(&database.url())).await.unwrap();
}
