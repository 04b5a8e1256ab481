//! Lines of the audit in JSON.

use restante_auth::{AuditEntry, AuditRecord};
use restante_types::{AccountId, SessionId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Time, Unfit};

/// Who did what.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditView {
    /// Its number; later lines have larger ones.
    pub(crate) id: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Time,
    /// Who: `api:NAME` for a token, `operator:uid=N`, `system`, or `client` for logins.
    pub(crate) actor: String,
    /// What.
    pub(crate) action: Action,
    /// To which tenant.
    pub(crate) tenant_id: Option<i64>,
    /// To which account.
    pub(crate) account_id: Option<i64>,
    /// In which session.
    pub(crate) session: Option<String>,
    /// From where.
    pub(crate) client: Option<String>,
    /// More about it.
    pub(crate) detail: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let record = entry.record;
        Self {
            id: entry.id,
            at: Time(record.at),
            actor: record.actor,
            action: Action(record.action),
            tenant_id: record.tenant.map(TenantId::get),
            account_id: record.account.map(AccountId::number),
            session: record.session.map(|session| session.to_string()),
            client: record.client.map(|client| client.to_string()),
            detail: record.detail,
        }
    }
}

impl TryFrom<AuditView> for AuditEntry {
    type Error = Unfit;

    fn try_from(view: AuditView) -> Result<Self, Unfit> {
        let tenant = view
            .tenant_id
            .map(|id| TenantId::new(id).ok_or(Unfit("tenant_id")));
        let tenant = tenant.transpose()?;
        let account = match (tenant, view.account_id) {
            (Some(tenant), Some(number)) => Some(AccountId::new(tenant, number).ok_or(Unfit("account_id"))?),
            (_, None) => None,
            (None, Some(_)) => return Err(Unfit("account_id")),
        };
        let session = view.session.map(|text| session_of(&text).ok_or(Unfit("session")));
        let client = view.client.map(|text| text.parse().map_err(|_| Unfit("client")));
        Ok(Self {
            id: view.id,
            record: AuditRecord {
                at: view.at.0,
                actor: view.actor,
                action: view.action.0,
                tenant,
                account,
                session: session.transpose()?,
                client: client.transpose()?,
                detail: view.detail,
            },
        })
    }
}

fn session_of(text: &str) -> Option<SessionId> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(SessionId::from_octets(number.to_be_bytes()))
}
