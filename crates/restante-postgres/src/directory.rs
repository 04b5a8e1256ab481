//! Who a name is, and what all frontends know of tenants. Changes are in `admin`. Start at [`PgDirectory`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{
    Account, AccountState, Actor, AppCredential, AppPasswordId, AppScope, AuditRecord, Credentials,
    Directory, DirectoryError, LiveLogin, LoginName, LoginNote, NewPassword, Policy, Recipient, Roster,
    Standing, Tenant,
};
use restante_types::{AccountId, Octets, Secret, TenantId};
use serde::Deserialize;
use sqlx::postgres::{PgArguments, PgListener, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Postgres};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::Pg;
use crate::certificates::{CertificateRow, certificate_from_row};
use crate::database::Tx;
use crate::error::{STORE, directory_failed};
use crate::sql::directory as sql;
use crate::values::{
    Undecodable, duration_from_row, duration_to_row, limit_from_row, tenant_from_row, time_from_row,
    time_to_row,
};

/// The channel of NOTIFY that the triggers of the schema use.
const CHANNEL: &str = "restante";
/// How long after a lost connection the next one is tried.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

pub(crate) type AccountRow = (i64, i64, String, String, String, Option<i64>, Option<i64>, String);
pub(crate) type TenantRow = (
    i64,
    String,
    String,
    String,
    Option<String>,
    Vec<String>,
    i64,
    Option<i64>,
    Option<i64>,
    String,
);
/// The asked address, and the columns of an account.
type RecipientRow = (
    String,
    i64,
    i64,
    String,
    String,
    String,
    Option<i64>,
    Option<i64>,
    String,
);
/// The asked address and the columns of an account, then the credentials.
type CredentialsRow = (
    String,
    i64,
    i64,
    String,
    String,
    String,
    Option<i64>,
    Option<i64>,
    String,
    Option<String>,
    Option<String>,
    i64,
    String,
    Option<String>,
);

/// An application password as the look-up of credentials brings it.
#[derive(Deserialize)]
struct AppPasswordDocument {
    id: i64,
    verifier: String,
    scope: String,
    networks: Vec<String>,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

/// Tenants, domains, accounts and all that belongs to them, in Postgres. Clones share the connections.
#[derive(Clone)]
pub struct PgDirectory {
    pub(crate) db: Pg,
    pub(crate) actor: Actor,
    changes: Arc<Changes>,
}

/// Tells of NOTIFY. Ends its task when the last directory that shares it is gone.
struct Changes {
    told: watch::Sender<u64>,
    listening: Option<AbortHandle>,
}

impl Drop for Changes {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

impl PgDirectory {
    /// The directory in `db`, changed on behalf of the server itself until [`acting`] says otherwise. For a tool that
    /// watches nothing.
    ///
    /// [`acting`]: restante_auth::DirectoryAdmin::acting
    pub fn new(db: &Pg) -> Self {
        Self::with(db, watch::Sender::new(0), None)
    }

    /// The same, told of changes by Postgres where there is a way past the pooler. Must be called within a tokio
    /// runtime.
    pub fn watching(db: &Pg) -> Self {
        let told = watch::Sender::new(0);
        let listening = db.direct().map(|_| {
            let task = tokio::spawn(listen(db.clone(), told.clone()));
            task.abort_handle()
        });
        Self::with(db, told, listening)
    }

    fn with(db: &Pg, told: watch::Sender<u64>, listening: Option<AbortHandle>) -> Self {
        Self {
            db: db.clone(),
            actor: Actor::system(),
            changes: Arc::new(Changes { told, listening }),
        }
    }
}

impl fmt::Display for PgDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for PgDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgDirectory({:?})", self.db)
    }
}

#[async_trait]
impl Directory for PgDirectory {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        let query = sqlx::query_as(sql::CREDENTIALS).bind(name.to_string());
        let row: Option<CredentialsRow> = self.look(query).await?;
        decoded(row, credentials_from_row)
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        let query = sqlx::query_as(sql::RECIPIENT).bind(address.to_string());
        let row: Option<RecipientRow> = self.look(query).await?;
        decoded(row, recipient_from_row)
    }

    async fn note_login(&self, note: &LoginNote) -> Result<bool, DirectoryError> {
        let query = sqlx::query_as(sql::NOTE_LOGIN)
            .bind(note.account.tenant().get())
            .bind(note.account.number())
            .bind(duration_to_row(note.delay))
            .bind(i64::from(note.burst.max(1)))
            .bind(note.app_password.map(|id| id.0));
        self.answer(query).await
    }

    async fn upgrade(
        &self,
        account: AccountId,
        version: i64,
        password: NewPassword,
    ) -> Result<bool, DirectoryError> {
        let query = sqlx::query_as(sql::UPGRADE)
            .bind(account.tenant().get())
            .bind(account.number())
            .bind(version)
            .bind(password.hash.expose())
            .bind(password.scram.as_ref().map(Secret::expose))
            .bind(&self.actor.name);
        self.answer(query).await
    }

    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>, DirectoryError> {
        let column = |of: fn(&LiveLogin) -> i64| logins.iter().map(of).collect::<Vec<_>>();
        let app_passwords: Vec<Option<i64>> = logins
            .iter()
            .map(|login| login.app_password.map(|id| id.0))
            .collect();
        let query = sqlx::query_as(sql::STANDING)
            .bind(column(|login| login.account.tenant().get()))
            .bind(column(|login| login.account.number()))
            .bind(app_passwords);
        let mut tx = self.alone().await?;
        let rows: Vec<(Option<String>, Option<String>, bool)> =
            tx.all(query).await.map_err(directory_failed)?;
        tx.commit().await.map_err(directory_failed)?;
        rows.into_iter().map(standing_from_row).collect()
    }

    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>, DirectoryError> {
        let (revision,): (i64,) = self
            .db
            .one(sqlx::query_as(sql::REVISION))
            .await
            .map_err(directory_failed)?;
        if known == Some(revision) {
            return Ok(None);
        }
        let mut tx = self.db.begin().await.map_err(directory_failed)?;
        tx.execute(sqlx::query(sql::ONE_SNAPSHOT))
            .await
            .map_err(directory_failed)?;
        self.confine(&mut tx).await?;
        let (revision,): (i64,) = tx
            .one(sqlx::query_as(sql::REVISION))
            .await
            .map_err(directory_failed)?;
        let tenants: Vec<TenantRow> = tx
            .all(sqlx::query_as(sql::ALL_TENANTS))
            .await
            .map_err(directory_failed)?;
        let certificates: Vec<CertificateRow> = tx
            .all(sqlx::query_as(sql::CERTIFICATES).bind(None::<i64>))
            .await
            .map_err(directory_failed)?;
        tx.commit().await.map_err(directory_failed)?;
        Ok(Some(Roster {
            revision,
            tenants: decoded(tenants, tenant_from_row_whole)?,
            certificates: decoded(certificates, certificate_from_row)?,
        }))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.told.subscribe()
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>, DirectoryError> {
        let (octets,): (Vec<u8>,) = self
            .db
            .one(sqlx::query_as(sql::INSTALLATION_SECRET))
            .await
            .map_err(directory_failed)?;
        let octets: [u8; 32] = octets
            .try_into()
            .map_err(|_| directory_failed(Undecodable("installation secret").into()))?;
        Ok(Secret::new(octets))
    }

    async fn record(&self, records: &[AuditRecord]) -> Result<(), DirectoryError> {
        let all = records.iter();
        let query = sqlx::query(sql::RECORD)
            .bind(all.clone().map(|r| time_to_row(r.at)).collect::<Vec<_>>())
            .bind(all.clone().map(|r| r.actor.clone()).collect::<Vec<_>>())
            .bind(all.clone().map(|r| r.action.as_str()).collect::<Vec<_>>())
            .bind(
                all.clone()
                    .map(|r| r.tenant.map(TenantId::get))
                    .collect::<Vec<_>>(),
            )
            .bind(
                all.clone()
                    .map(|r| r.account.map(AccountId::number))
                    .collect::<Vec<_>>(),
            )
            .bind(
                all.clone()
                    .map(|r| r.session.map(|s| s.octets().to_vec()))
                    .collect::<Vec<_>>(),
            )
            .bind(
                all.clone()
                    .map(|r| r.client.as_ref().map(IpAddr::to_string))
                    .collect::<Vec<_>>(),
            )
            .bind(all.map(|r| r.detail.clone()).collect::<Vec<_>>());
        let mut tx = self.alone().await?;
        tx.execute(query).await.map_err(directory_failed)?;
        tx.commit().await.map_err(directory_failed)
    }
}

impl PgDirectory {
    /// Confines the rest of a transaction to what the actor may see and change.
    pub(crate) async fn confine(&self, tx: &mut Tx) -> Result<(), DirectoryError> {
        if let Some(tenant) = self.actor.tenant {
            let query = sqlx::query(sql::CONFINE).bind(tenant.get().to_string());
            tx.execute(query).await.map_err(directory_failed)?;
        }
        Ok(())
    }

    /// For one statement: a round trip where the actor may see everything, [`Self::work`] where not.
    async fn alone(&self) -> Result<Tx, DirectoryError> {
        match self.actor.tenant {
            None => self.db.alone().await.map_err(directory_failed),
            Some(_) => self.work().await,
        }
    }

    async fn look<O>(&self, query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<Option<O>, DirectoryError>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut tx = self.alone().await?;
        let found = tx.optional(query).await.map_err(directory_failed)?;
        tx.commit().await.map_err(directory_failed)?;
        Ok(found)
    }

    /// A statement that always has one row.
    async fn answer(
        &self,
        query: QueryAs<'_, Postgres, (bool,), PgArguments>,
    ) -> Result<bool, DirectoryError> {
        let found = self.look(query).await?;
        let (answer,) = found.ok_or_else(|| directory_failed(sqlx::Error::RowNotFound))?;
        Ok(answer)
    }
}

/// Passes NOTIFY on, for ever. Whatever was missed while the connection was lost is asked about once it is back.
async fn listen(db: Pg, told: watch::Sender<u64>) {
    loop {
        if let Err(error) = listen_once(&db, &told).await {
            debug!(error = %crate::error::Told::from(error), "not told of changes; asking goes on");
        }
        sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(db: &Pg, told: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let Some(direct) = db.direct() else {
        return Ok(());
    };
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .connect_with(direct)
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    // Changed before anybody was listening.
    told.send_modify(|n| *n += 1);
    while listener.try_recv().await?.is_some() {
        told.send_modify(|n| *n += 1);
    }
    warn!("the connection that tells of changes was lost");
    Ok(())
}

/// Decodes what a statement brought: a row that may not be there, or all rows.
pub(crate) fn decoded<R, T, From, To>(
    rows: From,
    decode: impl Fn(R) -> Result<T, Undecodable>,
) -> Result<To, DirectoryError>
where
    From: IntoIterator<Item = R>,
    To: FromDecoded<T>,
{
    let decoded: Result<Vec<T>, Undecodable> = rows.into_iter().map(decode).collect();
    decoded
        .map(To::from_decoded)
        .map_err(|error| directory_failed(error.into()))
}

/// What [`decoded`] can answer.
pub(crate) trait FromDecoded<T> {
    fn from_decoded(all: Vec<T>) -> Self;
}

impl<T> FromDecoded<T> for Vec<T> {
    fn from_decoded(all: Self) -> Self {
        all
    }
}

impl<T> FromDecoded<T> for Option<T> {
    fn from_decoded(all: Vec<T>) -> Self {
        all.into_iter().next()
    }
}

fn recipient_from_row(row: RecipientRow) -> Result<Recipient, Undecodable> {
    let (asked, tenant, number, name, state, tenant_state, octets, messages, storage) = row;
    Ok(Recipient {
        asked: login_name(&asked)?,
        account: account_from_row((
            tenant,
            number,
            name,
            state,
            tenant_state,
            octets,
            messages,
            storage,
        ))?,
    })
}

fn credentials_from_row(row: CredentialsRow) -> Result<Credentials, Undecodable> {
    let (
        asked,
        tenant,
        number,
        name,
        state,
        tenant_state,
        octets,
        messages,
        storage,
        password,
        scram,
        version,
        policy,
        apps,
    ) = row;
    // First, so that secrets are cleared from memory whatever follows.
    let (password, scram) = (password.map(Secret::new), scram.map(Secret::new));
    Ok(Credentials {
        asked: login_name(&asked)?,
        account: account_from_row((
            tenant,
            number,
            name,
            state,
            tenant_state,
            octets,
            messages,
            storage,
        ))?,
        password,
        scram,
        version,
        app_passwords: app_passwords(apps)?,
        policy: policy_from_text(&policy)?,
    })
}

pub(crate) fn app_passwords(documents: Option<String>) -> Result<Vec<AppCredential>, Undecodable> {
    let Some(documents) = documents else {
        return Ok(Vec::new());
    };
    let documents: Vec<AppPasswordDocument> =
        serde_json::from_str(&documents).map_err(|_| Undecodable("application passwords"))?;
    documents.into_iter().map(app_password).collect()
}

fn app_password(document: AppPasswordDocument) -> Result<AppCredential, Undecodable> {
    Ok(AppCredential {
        id: AppPasswordId(document.id),
        verifier: Secret::new(document.verifier),
        scope: AppScope::from_name(&document.scope).ok_or(Undecodable("scope"))?,
        networks: networks_from_row(&document.networks)?,
        expires_at: document.expires_at.map(time_from_row).transpose()?,
        last_used_at: document.last_used_at.map(time_from_row).transpose()?,
    })
}

pub(crate) fn networks_from_row(networks: &[String]) -> Result<Vec<ipnet::IpNet>, Undecodable> {
    let parse = |network: &String| network.parse().map_err(|_| Undecodable("network"));
    networks.iter().map(parse).collect()
}

pub(crate) fn policy_from_text(document: &str) -> Result<Policy, Undecodable> {
    serde_json::from_str(document).map_err(|_| Undecodable("policy"))
}

pub(crate) fn login_name(name: &str) -> Result<LoginName, Undecodable> {
    let login = LoginName::parse(name).map_err(|_| Undecodable("address"))?;
    if login.to_string() == name {
        Ok(login)
    } else {
        Err(Undecodable("address"))
    }
}

pub(crate) fn state_from_row(state: &str) -> Result<AccountState, Undecodable> {
    AccountState::from_name(state).ok_or(Undecodable("state"))
}

pub(crate) fn account_from_row(row: AccountRow) -> Result<Account, Undecodable> {
    let (tenant, number, name, state, tenant_state, octets, messages, storage) = row;
    Ok(Account {
        id: AccountId::new(tenant_from_row(tenant)?, number).ok_or(Undecodable("account"))?,
        name: login_name(&name)?,
        state: state_from_row(&state)?,
        tenant_state: state_from_row(&tenant_state)?,
        quota_octets: limit_from_row(octets)?.map(Octets),
        quota_messages: limit_from_row(messages)?,
        storage,
    })
}

pub(crate) fn tenant_from_row_whole(row: TenantRow) -> Result<Tenant, Undecodable> {
    let (id, name, storage, state, default_domain, server_names, retention, octets, messages, policy) = row;
    Ok(Tenant {
        id: tenant_from_row(id)?,
        name,
        storage,
        state: state_from_row(&state)?,
        default_domain,
        server_names,
        retention: duration_from_row(retention)?,
        quota_octets: limit_from_row(octets)?.map(Octets),
        quota_messages: limit_from_row(messages)?,
        policy: policy_from_text(&policy)?,
    })
}

pub(crate) fn standing_from_row(
    (state, tenant_state, credential_stands): (Option<String>, Option<String>, bool),
) -> Result<Standing, DirectoryError> {
    let (Some(state), Some(tenant_state)) = (state, tenant_state) else {
        return Ok(Standing::Ended);
    };
    let states: Result<Vec<_>, _> = [state, tenant_state]
        .iter()
        .map(|state| state_from_row(state))
        .collect();
    let states = states.map_err(|error| directory_failed(error.into()))?;
    Ok(
        if !credential_stands || !states.iter().all(|state| state.may_log_in()) {
            Standing::Ended
        } else if states.iter().all(|state| state.may_delete()) {
            Standing::Good
        } else {
            Standing::ReadOnly
        },
    )
}
