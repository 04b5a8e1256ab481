//! The cases that every directory must pass, against a database each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use async_trait::async_trait;
use restante_auth::DirectoryAdmin;
use restante_conformance::{DirectoryFixture, directory_suite};
use restante_postgres::{Pg, PgDirectory, PgOptions};
use restante_testkit::{PgDatabase, Postgres};
use restante_types::Secret;

struct OneDatabase {
    database: PgDatabase,
    directory: Option<Arc<PgDirectory>>,
}

async fn open() -> OneDatabase {
    let cluster = Postgres::shared()
        .await
        .expect("PostgreSQL is needed: apt-get install postgresql");
    let database = cluster.database().await;
    Pg::migrate(&options(&database)).await.unwrap();
    let directory = Some(Arc::new(directory(&database).await));
    OneDatabase { database, directory }
}

fn options(database: &PgDatabase) -> PgOptions {
    let mut options = PgOptions::new(Secret::new(database.url()));
    options.max_connections = 4;
    options
}

async fn directory(database: &PgDatabase) -> PgDirectory {
    let db = Pg::open(&options(database)).await.unwrap();
    PgDirectory::watching(&db)
}

#[async_trait]
impl DirectoryFixture for OneDatabase {
    fn directory(&self) -> Arc<dyn DirectoryAdmin> {
        Arc::clone(self.directory.as_ref().unwrap()) as Arc<dyn DirectoryAdmin>
    }

    async fn restart(&mut self) {
        self.directory = None;
        self.directory = Some(Arc::new(directory(&self.database).await));
    }
}

directory_suite!(open);
