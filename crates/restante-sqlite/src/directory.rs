//! Who a name is, and what a server knows of tenants. Changes are in `admin`. Start at [`SqliteDirectory`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use restante_auth::{
    Actor, AuditAction, AuditRecord, Credentials, Directory, DirectoryError, LiveLogin, LoginName, LoginNote,
    NewPassword, Recipient, Roster, Standing,
};
use restante_types::{AccountId, Clock, Secret, TenantId};
use serde::Serialize;
use sqlx::Connection;
use tokio::sync::watch;

use crate::changes::Changes;
use crate::database::Tx;
use crate::error::{STORE, directory_failed};
use crate::rows::{
    CertificateRow, CredentialsRow, RecipientRow, StandingRow, TenantRow, certificate_from_row,
    credentials_from_row, decoded, decoded_row, recipient_from_row, standing_from_row, tenant_from_columns,
};
use crate::values::{Undecodable, duration_to_row, time_to_row};
use crate::{Sqlite, sql};

/// Tenants, domains, accounts and all that belongs to them, in one file. Clones share the connections.
#[derive(Clone)]
pub struct SqliteDirectory {
    db: Sqlite,
    clock: Arc<dyn Clock>,
    actor: Actor,
    changes: Arc<Changes>,
}

impl SqliteDirectory {
    /// The directory in `db`, changed on behalf of the server itself until [`acting`] says otherwise. It tells of its
    /// own changes only: for a tool. The clock dates logins, tombstones and the audit.
    ///
    /// [`acting`]: restante_auth::DirectoryAdmin::acting
    pub fn new(db: &Sqlite, clock: Arc<dyn Clock>) -> Self {
        Self::with(db, clock, Changes::own())
    }

    /// The same, which also looks every two seconds whether another process changed something: for a server. Must be
    /// called within a tokio runtime.
    pub fn watching(db: &Sqlite, clock: Arc<dyn Clock>) -> Self {
        Self::with(db, clock, Changes::of_all(db))
    }

    fn with(db: &Sqlite, clock: Arc<dyn Clock>, changes: Changes) -> Self {
        Self {
            db: db.clone(),
            clock,
            actor: Actor::system(),
            changes: Arc::new(changes),
        }
    }

    /// The same directory, changed on behalf of somebody.
    pub(crate) fn on_behalf_of(&self, actor: Actor) -> Self {
        Self {
            actor,
            ..self.clone()
        }
    }

    pub(crate) const fn db(&self) -> &Sqlite {
        &self.db
    }

    /// Whether the actor may see what belongs to a tenant.
    fn sees(&self, tenant: TenantId) -> bool {
        self.actor.tenant.is_none_or(|own| own == tenant)
    }

    pub(crate) const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The present time, in microseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        time_to_row(self.clock.wall())
    }

    pub(crate) fn changed(&self) {
        self.changes.tell();
    }
}

impl fmt::Display for SqliteDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for SqliteDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteDirectory({})", self.db.path().display())
    }
}

#[async_trait]
impl Directory for SqliteDirectory {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        let query = sqlx::query_as(sql::CREDENTIALS).bind(name.to_string());
        let row: Option<CredentialsRow> = self
            .db
            .readers()
            .optional(query)
            .await
            .map_err(directory_failed)?;
        let found = decoded_row(row, credentials_from_row)?;
        Ok(found.filter(|found| self.sees(found.account.id.tenant())))
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        let query = sqlx::query_as(sql::RECIPIENT).bind(address.to_string());
        let row: Option<RecipientRow> = self
            .db
            .readers()
            .optional(query)
            .await
            .map_err(directory_failed)?;
        let found = decoded_row(row, recipient_from_row)?;
        Ok(found.filter(|found| self.sees(found.account.id.tenant())))
    }

    async fn note_login(&self, note: &LoginNote) -> Result<bool, DirectoryError> {
        // Most logins have nothing to write down, and need not wait for a writer.
        if note.delay.is_zero() && note.app_password.is_none() {
            return Ok(true);
        }
        let now = self.now();
        let mut tx = self.db.begin().await.map_err(directory_failed)?;
        if !keep_pace(&mut tx, note, now).await.map_err(directory_failed)? {
            return Ok(false);
        }
        note_last_use(&mut tx, note, now)
            .await
            .map_err(directory_failed)?;
        tx.commit().await.map_err(directory_failed)?;
        Ok(true)
    }

    async fn upgrade(
        &self,
        account: AccountId,
        version: i64,
        password: NewPassword,
    ) -> Result<bool, DirectoryError> {
        let mut tx = self.db.begin().await.map_err(directory_failed)?;
        let changed: Option<String> = sqlx::query_scalar(sql::UPGRADE)
            .bind(account.number())
            .bind(account.tenant().get())
            .bind(version)
            .bind(password.hash.expose())
            .bind(password.scram.as_ref().map(Secret::expose))
            .fetch_optional(&mut *tx)
            .await
            .map_err(directory_failed)?;
        let Some(name) = changed else {
            return Ok(false);
        };
        let line = AuditRecord {
            at: self.clock.wall(),
            actor: self.actor.name.clone(),
            action: AuditAction::PasswordRehashed,
            tenant: Some(account.tenant()),
            account: Some(account),
            session: None,
            client: None,
            detail: name,
        };
        append(&mut tx, &[line]).await?;
        tx.commit().await.map_err(directory_failed)?;
        Ok(true)
    }

    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>, DirectoryError> {
        let asked: Vec<_> = logins
            .iter()
            .map(|login| {
                let app_password = login.app_password.map(|id| id.0);
                (login.account.tenant().get(), login.account.number(), app_password)
            })
            .collect();
        let asked = serde_json::to_string(&asked)
            .map_err(|error| DirectoryError::unavailable("the sessions cannot be written").because(error))?;
        let query = sqlx::query_as(sql::STANDING).bind(asked).bind(self.now());
        let rows: Vec<StandingRow> = self.db.readers().all(query).await.map_err(directory_failed)?;
        decoded(rows, standing_from_row)
    }

    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>, DirectoryError> {
        // One transaction, so that the revision is that of what is read after it.
        let mut reader = self.db.readers().acquire().await.map_err(directory_failed)?;
        let mut tx = reader.begin().await.map_err(directory_failed)?;
        let (revision, _): (i64, i64) = sqlx::query_as(sql::REVISIONS)
            .fetch_one(&mut *tx)
            .await
            .map_err(directory_failed)?;
        if known == Some(revision) {
            return Ok(None);
        }
        let tenants: Vec<TenantRow> = sqlx::query_as(sql::TENANTS)
            .bind("")
            .bind(i64::MAX)
            .bind(None::<i64>)
            .fetch_all(&mut *tx)
            .await
            .map_err(directory_failed)?;
        let certificates: Vec<CertificateRow> = sqlx::query_as(sql::CERTIFICATES)
            .bind(None::<i64>)
            .fetch_all(&mut *tx)
            .await
            .map_err(directory_failed)?;
        tx.commit().await.map_err(directory_failed)?;
        Ok(Some(Roster {
            revision,
            tenants: decoded(tenants, tenant_from_columns)?,
            certificates: decoded(certificates, certificate_from_row)?,
        }))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.watch()
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>, DirectoryError> {
        let secret = self.db.readers().one(sqlx::query_as(sql::INSTALLATION_SECRET));
        let (octets,): (Vec<u8>,) = secret.await.map_err(directory_failed)?;
        let octets = Secret::new(octets);
        let secret = octets.expose().as_slice().try_into().map(Secret::new);
        secret.map_err(|_| directory_failed(Undecodable("installation secret").into()))
    }

    async fn record(&self, records: &[AuditRecord]) -> Result<(), DirectoryError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await.map_err(directory_failed)?;
        append(&mut tx, records).await?;
        tx.commit().await.map_err(directory_failed)
    }
}

/// Whether the account may log in now; if so, the next login is expected a delay later. `now` is in microseconds.
async fn keep_pace(tx: &mut Tx, note: &LoginNote, now: i64) -> Result<bool, sqlx::Error> {
    // Whatever the delay, all sums of it stay below 2^63.
    let delay = duration_to_row(note.delay).min(i64::MAX / 4);
    if delay == 0 {
        return Ok(true);
    }
    let ahead = delay.saturating_mul(i64::from(note.burst.max(1) - 1));
    let latest = now.saturating_add(ahead).min(i64::MAX / 2);
    let changed = sqlx::query(sql::KEEP_PACE)
        .bind(note.account.number())
        .bind(note.account.tenant().get())
        .bind(now)
        .bind(delay)
        .bind(latest)
        .execute(&mut **tx)
        .await?;
    Ok(changed.rows_affected() == 1)
}

async fn note_last_use(tx: &mut Tx, note: &LoginNote, now: i64) -> Result<(), sqlx::Error> {
    if let Some(id) = note.app_password {
        sqlx::query(sql::NOTE_LAST_USE)
            .bind(id.0)
            .bind(note.account.number())
            .bind(note.account.tenant().get())
            .bind(now)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Appends a line to the audit. What is too long for it is cut off: a line that says less is better than none.
pub(crate) async fn append(tx: &mut Tx, records: &[AuditRecord]) -> Result<(), DirectoryError> {
    // One statement for all: each is a change of threads.
    let rows: Vec<_> = records.iter().map(row).collect();
    let rows = serde_json::to_string(&rows)
        .map_err(|error| DirectoryError::unavailable("the records cannot be written").because(error))?;
    sqlx::query(sql::RECORD)
        .bind(rows)
        .execute(&mut **tx)
        .await
        .map_err(directory_failed)?;
    Ok(())
}

fn row(record: &AuditRecord) -> impl Serialize {
    (
        time_to_row(record.at),
        shortened(&record.actor, 200),
        record.action.as_str(),
        record.tenant.map(TenantId::get),
        record.account.map(AccountId::number),
        record.session.map(|session| session.to_string()),
        record.client.map(|client| client.to_string()),
        shortened(&record.detail, 1000),
    )
}

/// At most so many octets of a text.
fn shortened(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}
