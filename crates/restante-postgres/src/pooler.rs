//! What stands between this process and Postgres, and the probe that finds out whether the setting is right.

use futures_util::future::try_join_all;

use crate::database::Tx;
use crate::error::{Told, code};
use crate::sql::mail as sql;
use crate::{Pg, PgError};

/// Connections of the probe: enough for a pooler to hand them each other's server connections.
pub(crate) const CONNECTIONS: u32 = 4;
/// Statements on each of them.
const STATEMENTS: i64 = 50;

/// What stands between this process and Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing.
    #[default]
    None,
    /// A pooler in transaction mode that keeps prepared statements apart: PgBouncer 1.21 or later with
    /// `max_prepared_statements` above 0.
    Prepared,
    /// Any pooler in transaction mode. Every statement costs four round trips.
    Transaction,
}

impl Pooler {
    /// As the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Prepared => "prepared",
            Self::Transaction => "transaction",
        }
    }
}

const SET_TRANSACTION: &str = "set database.pooler = \"transaction\" and database.direct_url, or let database.url go \
    directly to Postgres, or use PgBouncer 1.21 or later with max_prepared_statements and set \"prepared\"";
const SET_A_POOLER: &str = "set database.pooler = \"transaction\", or \"prepared\" for PgBouncer 1.21 or later with \
    max_prepared_statements, and database.direct_url";
const REPORT: &str = "the pooler must be in transaction or session mode, not in statement mode";

/// Sends mixed statements over several connections at once; each answer must be the one to its own question.
pub(crate) async fn probe(db: &Pg, set: Pooler) -> Result<(), PgError> {
    let callers = (0..i64::from(CONNECTIONS)).map(|caller| probe_connection(db, set, caller));
    try_join_all(callers).await.map(|_| ())
}

/// What is wrong with the answers that one connection gets.
enum Finding {
    Wrong(&'static str),
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for Finding {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

async fn probe_connection(db: &Pg, set: Pooler, caller: i64) -> Result<(), PgError> {
    let mut conn = match set {
        Pooler::None | Pooler::Prepared => Some(db.checkout().await.map_err(PgError::opening)?),
        Pooler::Transaction => None,
    };
    let mut backend = None;
    for n in 0..STATEMENTS {
        let key = caller * STATEMENTS + n;
        let answered = match &mut conn {
            Some(conn) => ask(conn, key).await,
            None => ask_in_transaction(db, key).await,
        };
        let served_by = answered.map_err(|finding| explain(set, finding))?;
        if set == Pooler::None && backend.is_some_and(|backend| backend != served_by) {
            let seen = "a connection changed its server process: there is a pooler in transaction mode";
            return Err(wrong(set, seen.to_owned()));
        }
        backend = Some(served_by);
    }
    Ok(())
}

async fn ask_in_transaction(db: &Pg, key: i64) -> Result<i32, Finding> {
    let mut tx = db.begin().await?;
    let backend = ask(&mut tx, key).await?;
    tx.commit().await?;
    Ok(backend)
}

/// One of the mixed statements; answers which server process answered it.
async fn ask(conn: &mut Tx, key: i64) -> Result<i32, Finding> {
    let text = key.to_string();
    let (is_right, backend) = match key % 3 {
        0 => {
            let (echo, backend): (i64, i32) = conn.one(sqlx::query_as(sql::PROBE_KEY).bind(key)).await?;
            (echo == key, backend)
        }
        1 => {
            let (echo, backend): (String, i32) =
                conn.one(sqlx::query_as(sql::PROBE_TEXT).bind(&text)).await?;
            (echo == text, backend)
        }
        _ => {
            let query = sqlx::query_as(sql::PROBE_PAIR).bind(key).bind(&text);
            let (number, echo, backend): (i64, String, i32) = conn.one(query).await?;
            (number == key && echo == text, backend)
        }
    };
    if is_right {
        Ok(backend)
    } else {
        Err(Finding::Wrong("a statement got another statement's answer"))
    }
}

fn explain(set: Pooler, finding: Finding) -> PgError {
    let error = match finding {
        Finding::Wrong(seen) => return wrong(set, seen.to_owned()),
        Finding::Failed(error) => error,
    };
    // PgBouncer tells its trouble with the server by the same code as a mixed-up protocol.
    if is_outage(&error.to_string()) {
        return PgError::Unreachable(error.into());
    }
    // A prepared statement that is not there, or is there already; another one's has other parameters or columns.
    let mixed_up = match code(&error).as_deref() {
        Some(code) => matches!(code, "26000" | "42P05" | "08P01" | "34000"),
        None => matches!(
            error,
            sqlx::Error::Protocol(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::Decode(_)
        ),
    };
    if mixed_up {
        wrong(set, Told::from(error).to_string())
    } else {
        PgError::opening(error)
    }
}

/// Whether a pooler says that it does not get through to the server, which is no matter of its mode.
fn is_outage(said: &str) -> bool {
    const OUTAGES: [&str; 6] = [
        "server login has been failing",
        "server conn crashed",
        "cannot connect to server",
        "query_wait_timeout",
        "server_connect_timeout",
        "server closed the connection",
    ];
    OUTAGES.iter().any(|outage| said.contains(outage))
}

/// A pooler refuses settings at the start of a connection that Postgres takes.
pub(crate) fn refused_settings(set: Pooler, error: PgError) -> PgError {
    match error {
        PgError::Failed(told) if set == Pooler::None && told.to_string().contains("startup parameter") => {
            wrong(set, told.to_string())
        }
        other => other,
    }
}

fn wrong(set: Pooler, seen: String) -> PgError {
    let advice = match set {
        Pooler::None => SET_A_POOLER,
        Pooler::Prepared => SET_TRANSACTION,
        Pooler::Transaction => REPORT,
    };
    PgError::WrongPooler { set, seen, advice }
}
