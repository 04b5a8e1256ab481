//! A real PgBouncer in transaction mode before a database.

use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use crate::service::{Folder, Service, free_port, hand_over, unprivileged};
use crate::{PATIENCE, PgDatabase, require};

/// A running PgBouncer.
#[derive(Debug)]
pub struct PgBouncer {
    _service: Service,
    port: u16,
    database: String,
    _folder: Folder,
}

impl PgBouncer {
    /// Starts one that leads to `database` over `connections` connections to the server; `None`, after a loud line,
    /// without it on this host.
    ///
    /// # Panics
    /// If it cannot be started, or is missing where everything is required.
    pub async fn start(database: &PgDatabase, connections: u32) -> Option<Self> {
        let program = require::program("pgbouncer", "pgbouncer")?;
        let folder = Folder::new();
        let port = free_port();
        let ini = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host=127.0.0.1 port={server} dbname={name} user=app\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 1000\n\
             ignore_startup_parameters = extra_float_digits,options\nlogfile = {log}\n",
            name = database.name,
            server = database.port,
            log = folder.path().join("pgbouncer.log").display(),
        );
        std::fs::write(&ini, text).expect("a file can be written");
        hand_over(&ini);
        let mut command = unprivileged(&program);
        command.arg(&ini);
        let service = Service::start(command, &folder.path().join("output"));
        let bouncer = Self {
            _service: service,
            port,
            database: database.name.clone(),
            _folder: folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while PgConnection::connect(&bouncer.url()).await.is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(bouncer)
    }

    /// How the application connects through it.
    pub fn url(&self) -> String {
        format!("postgres://app@127.0.0.1:{}/{}", self.port, self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Postgres;

    #[tokio::test]
    async fn statements_pass_through() {
        let Some(cluster) = Postgres::shared().await else {
            return;
        };
        let database = cluster.database().await;
        let Some(bouncer) = PgBouncer::start(&database, 2).await else {
            return;
        };
        let mut conn = PgConnection::connect(&bouncer.url()).await.unwrap();
        let mut tx = conn.begin().await.unwrap();
        let (name,): (String,) = sqlx::query_as("SELECT current_database()::text")
            .persistent(false)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(name, database.name);
    }
}
