//! A folder with a database, a tenant and an account.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use restante_auth::{Directory, DirectoryAdmin, LoginName, NewAccount};
use restante_message::Measured;
use restante_sqlite::{Sqlite, SqliteDirectory, SqliteMailIndex, SqliteOptions};
use restante_store::{MailIndex, NewMessage, StoreError};
use restante_types::{Clock, MaildropId, Octets, SystemClock, UniqueId};
use tempfile::TempDir;

pub(crate) struct Scene {
    _folder: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) maildrop: MaildropId,
}

pub(crate) fn options() -> SqliteOptions {
    SqliteOptions::default()
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn user(name: &str) -> NewAccount {
    NewAccount {
        name: LoginName::parse(name).unwrap(),
        password: None,
        quota_octets: None,
        quota_messages: None,
    }
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("restante.db");
        Sqlite::migrate(&path, &options()).await.unwrap();
        let db = Sqlite::open(&path, &options()).await.unwrap();
        let directory = SqliteDirectory::new(&db, clock());
        directory.add_tenant("tenant", "store").await.unwrap();
        directory.add_domain("tenant", "example.org").await.unwrap();
        let account = directory.add_account(user("user@example.org")).await.unwrap();
        db.close().await;
        Self {
            _folder: folder,
            path,
            maildrop: account.id.maildrop(),
        }
    }

    pub(crate) async fn open(&self) -> Sqlite {
        Sqlite::open(&self.path, &options()).await.unwrap()
    }
}

/// The maildrop of the account that every scene has.
pub(crate) async fn maildrop_in(path: &Path) -> (Sqlite, MaildropId) {
    let db = Sqlite::open(path, &options()).await.unwrap();
    let name = LoginName::parse("user@example.org").unwrap();
    let found = SqliteDirectory::new(&db, clock()).recipient(&name).await.unwrap();
    let account = found.map(|found| found.account);
    (db, account.unwrap().id.maildrop())
}

pub(crate) async fn deliver(
    db: &Sqlite,
    index: &SqliteMailIndex,
    maildrop: MaildropId,
) -> Result<UniqueId, StoreError> {
    let storage = db.storage_id("store").await?;
    let blob = index.reserve(maildrop, storage).await?;
    let message = NewMessage {
        storage,
        blob,
        measured: Measured {
            octets: Octets(1000),
            header_octets: Octets(300),
            has_dot_lines: false,
            header_is_8bit: false,
            crc64: u64::MAX,
            header_crc64: 1 << 63,
            sha256: [1; 32],
        },
        unique_id: None,
        received: clock().wall(),
        needs_utf8: false,
        deduplicate: false,
    };
    Ok(index.deliver(maildrop, message).await?.unique_id)
}
