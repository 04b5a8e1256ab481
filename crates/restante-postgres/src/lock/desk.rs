//! What an operator sees of the locks, from any host that reaches the database.

use async_trait::async_trait;
use restante_lock::{HeldMaildrop, LockDesk, LockError};
use restante_types::{MaildropId, SessionId};

use super::unavailable;
use crate::Pg;
use crate::sql::mail as sql;
use crate::values::{Undecodable, tenant_from_row, time_from_row};

/// Shows and frees the maildrops that the sessions of all frontends hold. It is no frontend and opens nothing.
#[derive(Clone, Debug)]
pub struct PgLockDesk {
    db: Pg,
}

impl PgLockDesk {
    /// The locks of this database.
    pub fn new(db: &Pg) -> Self {
        Self { db: db.clone() }
    }
}

type HeldRow = (i64, i64, Option<String>, Vec<u8>, String, i64, bool);

#[async_trait]
impl LockDesk for PgLockDesk {
    async fn held(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MaildropId>,
        limit: usize,
    ) -> Result<Vec<HeldMaildrop>, LockError> {
        let held = sqlx::query_as(sql::HELD)
            .bind(after.map_or(0, MaildropId::number))
            .bind(maildrop.map(MaildropId::number))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<HeldRow> = self.db.all(held).await.map_err(unavailable)?;
        let held = rows.into_iter().map(held_from_row).collect::<Result<_, _>>();
        held.map_err(|error| LockError::Unavailable(error.into()))
    }

    async fn free(&self, held: &HeldMaildrop) -> Result<bool, LockError> {
        let free = sqlx::query(sql::FREE)
            .bind(held.maildrop.number())
            .bind(held.maildrop.tenant().get())
            .bind(&held.session.octets()[..]);
        let rows = self.db.execute(free).await.map_err(unavailable)?;
        Ok(rows > 0)
    }
}

fn held_from_row(
    (tenant, maildrop, name, session, frontend, opened, is_alive): HeldRow,
) -> Result<HeldMaildrop, Undecodable> {
    let session = session.try_into().map_err(|_| Undecodable("session"))?;
    Ok(HeldMaildrop {
        maildrop: MaildropId::new(tenant_from_row(tenant)?, maildrop).ok_or(Undecodable("maildrop"))?,
        name,
        session: SessionId::from_octets(session),
        frontend,
        opened: time_from_row(opened)?,
        is_alive,
    })
}
