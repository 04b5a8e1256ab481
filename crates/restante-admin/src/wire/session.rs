//! Sessions and locks in JSON. A session's address names its maildrop and itself, so that exactly this one is ended.

use std::fmt;
use std::str::FromStr;

use restante_lock::HeldMaildrop;
use restante_types::{MaildropId, SessionId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Time, Unfit};

/// A session that holds a maildrop.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SessionView {
    /// Its address: what DELETE takes.
    pub(crate) id: String,
    /// Whose maildrop; null where the server cannot tell the name.
    pub(crate) account: Option<String>,
    /// The account's key within its tenant.
    pub(crate) account_id: i64,
    /// The tenant's key.
    pub(crate) tenant_id: i64,
    /// The session, as logs and the audit name it.
    pub(crate) session: String,
    /// On which frontend.
    pub(crate) frontend: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Time,
    /// Whether that frontend gives signs of life. If not, whoever opens the maildrop next gets it.
    pub(crate) is_alive: bool,
}

impl From<HeldMaildrop> for SessionView {
    fn from(held: HeldMaildrop) -> Self {
        Self {
            id: SessionKey::of(&held).to_string(),
            account: held.name,
            account_id: held.maildrop.number(),
            tenant_id: held.maildrop.tenant().get(),
            session: held.session.to_string(),
            frontend: held.frontend,
            since: Time(held.opened),
            is_alive: held.is_alive,
        }
    }
}

impl TryFrom<SessionView> for HeldMaildrop {
    type Error = Unfit;

    fn try_from(view: SessionView) -> Result<Self, Unfit> {
        let key: SessionKey = view.id.parse().map_err(|NoSuchKey| Unfit("id"))?;
        Ok(Self {
            maildrop: key.maildrop,
            name: view.account,
            session: key.session,
            frontend: view.frontend,
            opened: view.since.0,
            is_alive: view.is_alive,
        })
    }
}

/// The address of a session: `TENANT-ACCOUNT-SESSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionKey {
    pub(crate) maildrop: MaildropId,
    pub(crate) session: SessionId,
}

/// A text that is no address of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoSuchKey;

impl SessionKey {
    pub(crate) fn of(held: &HeldMaildrop) -> Self {
        Self {
            maildrop: held.maildrop,
            session: held.session,
        }
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tenant, number) = (self.maildrop.tenant(), self.maildrop.number());
        write!(f, "{tenant}-{number}-{}", self.session)
    }
}

impl FromStr for SessionKey {
    type Err = NoSuchKey;

    fn from_str(text: &str) -> Result<Self, NoSuchKey> {
        let parse = || {
            let mut parts = text.splitn(3, '-');
            let tenant = TenantId::new(parts.next()?.parse().ok()?)?;
            let maildrop = MaildropId::new(tenant, parts.next()?.parse().ok()?)?;
            let hex = parts.next()?;
            let is_hex = hex.len() == 32
                && hex
                    .bytes()
                    .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            let session = u128::from_str_radix(hex, 16).ok().filter(|_| is_hex)?;
            Some(Self {
                maildrop,
                session: SessionId::from_octets(session.to_be_bytes()),
            })
        };
        parse().ok_or(NoSuchKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_and_nothing_else_is_one() {
        let text = "7-42-000102030405060708090a0b0c0d0e0f";
        let key: SessionKey = text.parse().unwrap();
        assert_eq!(key.maildrop.number(), 42);
        assert_eq!(key.maildrop.tenant().get(), 7);
        assert_eq!(key.to_string(), text);
        for wrong in [
            "",
            "7-42",
            "0-42-000102030405060708090a0b0c0d0e0f",
            "7-42-000102030405060708090A0B0C0D0E0F",
            "7-42-+00102030405060708090a0b0c0d0e0f",
            "7-42-000102030405060708090a0b0c0d0e0f0",
            "7--42-000102030405060708090a0b0c0d0e0f",
        ] {
            assert!(wrong.parse::<SessionKey>().is_err(), "{wrong}");
        }
    }
}
