//! The rows of an index, for what would take long over the front door: copies of accounts and of messages. Start at
//! [`Rows`].

use std::path::PathBuf;

use restante_testkit::PgDatabase;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::corpus::{Kind, Plan};

/// Where the rows are.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    Sqlite(PathBuf),
    Postgres(PgDatabase),
}

impl Rows {
    /// Makes `n` messages out of the one that was delivered: rows alone, to be listed and deleted and not read.
    pub(super) async fn clone_message(&self, kind: Kind, n: usize) -> anyhow::Result<()> {
        let (account, last) = (format!("{}-0", kind.prefix()), i64::try_from(n)? - 1);
        match self {
            Self::Sqlite(file) => {
                change(file, &[CLONE_UNIQUE_ID, CLONE_MESSAGE, COUNT], last, &account).await
            }
            Self::Postgres(database) => {
                let mut db = database.connect().await;
                let mut tx = db.begin().await?;
                for sql in [PG_CLONE_UNIQUE_ID, PG_CLONE_MESSAGE, PG_COUNT] {
                    let query = sqlx::query(sql).bind(last).bind(&account);
                    query.execute(&mut *tx).await?;
                }
                tx.commit().await?;
                Ok(db.close().await?)
            }
        }
    }

    /// Makes `n` accounts of a kind out of its first.
    ///
    /// # Errors
    /// Postgres has a row for every address too: there, accounts are added one by one.
    pub(super) async fn clone_account(&self, kind: Kind, n: usize) -> anyhow::Result<()> {
        let file = self.sqlite()?;
        let (first, last) = (format!("{}-0", kind.prefix()), i64::try_from(n)? - 1);
        change(file, &[CLONE_MAILDROP, CLONE_ACCOUNT], last, &first).await
    }

    /// Puts deleted messages back.
    pub(super) async fn refill(&self, plan: &Plan) -> anyhow::Result<()> {
        let file = self.sqlite()?;
        let (account, n) = (format!("{}-0", Kind::Wipe.prefix()), i64::try_from(plan.wipe)?);
        change(file, &[RESTORE, COUNT], n, &account).await
    }

    fn sqlite(&self) -> anyhow::Result<&PathBuf> {
        match self {
            Self::Sqlite(file) => Ok(file),
            Self::Postgres(_) => anyhow::bail!("this is done in SQLite only"),
        }
    }
}

/// Runs statements over a number and the name of an account.
async fn change(file: &PathBuf, statements: &[&'static str], n: i64, account: &str) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(file);
    let mut db = SqliteConnection::connect_with(&options).await?;
    let mut tx = db.begin().await?;
    for sql in statements {
        let query = sqlx::query(*sql).bind(n).bind(account);
        query.execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(db.close().await?)
}

const CLONE_MAILDROP: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO maildrop (maildrop_id, tenant_id)
    SELECT account_id + i, tenant_id FROM account, n WHERE local_part = ?2";

const CLONE_ACCOUNT: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO account (account_id, tenant_id, domain_id, domain_name, local_part, password)
    SELECT account_id + i, tenant_id, domain_id, domain_name,
        substr(local_part, 1, length(local_part) - 1) || i, password
    FROM account, n WHERE local_part = ?2";

const CLONE_UNIQUE_ID: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO unique_id (maildrop_id, unique_id)
    SELECT account_id, printf('00000000000000000%09d', i) FROM account, n WHERE local_part = ?2";

const CLONE_MESSAGE: &str = "\
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8, crc64,
        header_crc64, sha256, storage_id, blob, received_at)
    SELECT m.tenant_id, m.maildrop_id, printf('00000000000000000%09d', i), m.octets, m.header_octets,
        m.has_dot_lines, m.needs_utf8, m.crc64, m.header_crc64, m.sha256, m.storage_id, randomblob(16), m.received_at
    FROM (SELECT message.* FROM message JOIN account ON maildrop_id = account_id WHERE local_part = ?2) m, n";

const RESTORE: &str = "\
    UPDATE message SET deleted_at = NULL
    WHERE ?1 > 0 AND maildrop_id = (SELECT account_id FROM account WHERE local_part = ?2)";

const COUNT: &str = "\
    UPDATE maildrop SET
        messages = (SELECT count(*) FROM message WHERE maildrop_id = maildrop.maildrop_id AND deleted_at IS NULL),
        octets = (SELECT coalesce(sum(octets), 0) FROM message
            WHERE maildrop_id = maildrop.maildrop_id AND deleted_at IS NULL),
        revision = revision + 1
    WHERE ?1 >= 0 AND maildrop_id = (SELECT account_id FROM account WHERE local_part = ?2)";

const PG_CLONE_UNIQUE_ID: &str = "\
    INSERT INTO unique_id (maildrop_id, unique_id)
    SELECT account_id, lpad(i::text, 26, '0') FROM address, generate_series(1, $1) i WHERE local_part = $2";

const PG_CLONE_MESSAGE: &str = "\
    INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8, crc64,
        header_crc64, sha256, storage_id, blob, received_at)
    SELECT m.tenant_id, m.maildrop_id, lpad(i::text, 26, '0'), m.octets, m.header_octets,
        m.has_dot_lines, m.needs_utf8, m.crc64, m.header_crc64, m.sha256, m.storage_id,
        uuid_send(gen_random_uuid()), m.received_at
    FROM message m JOIN address ON maildrop_id = account_id, generate_series(1, $1) i WHERE local_part = $2";

const PG_COUNT: &str = "\
    UPDATE maildrop d SET (messages, octets, revision) =
        (SELECT count(*), coalesce(sum(octets), 0), d.revision + 1 FROM message m
            WHERE m.maildrop_id = d.maildrop_id AND deleted_at IS NULL)
    WHERE $1 >= 0 AND maildrop_id = (SELECT account_id FROM address WHERE local_part = $2)";
