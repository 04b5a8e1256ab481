//! Accounts in JSON.

#![expect(
    clippy::option_option,
    reason = "left out, taken away and given are three things"
)]

use restante_auth::{Account, AccountPatch, LoginName, NewAccount};
use restante_types::{AccountId, Octets, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Hidden, State, Unfit, given};

/// A user, without credentials.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AccountView {
    /// Its key within its tenant.
    pub(crate) id: i64,
    /// Its tenant's key.
    pub(crate) tenant_id: i64,
    /// The name it logs in with and receives under.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) state: State,
    /// What all accounts of its tenant may do at most; of both the stricter holds.
    pub(crate) tenant_state: State,
    /// Which configured storage takes its new mail: its tenant's choice.
    pub(crate) storage: String,
    /// Octets that it may hold; null takes its tenant's quota.
    pub(crate) quota_octets: Option<u64>,
    /// The same in messages.
    pub(crate) quota_messages: Option<u64>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.number(),
            tenant_id: account.id.tenant().get(),
            name: account.name.to_string(),
            state: State(account.state),
            tenant_state: State(account.tenant_state),
            storage: account.storage,
            quota_octets: account.quota_octets.map(Octets::get),
            quota_messages: account.quota_messages,
        }
    }
}

impl TryFrom<AccountView> for Account {
    type Error = Unfit;

    fn try_from(view: AccountView) -> Result<Self, Unfit> {
        let tenant = TenantId::new(view.tenant_id).ok_or(Unfit("tenant_id"))?;
        Ok(Self {
            id: AccountId::new(tenant, view.id).ok_or(Unfit("id"))?,
            name: LoginName::parse(&view.name).map_err(|_| Unfit("name"))?,
            state: view.state.0,
            tenant_state: view.tenant_state.0,
            quota_octets: view.quota_octets.map(Octets),
            quota_messages: view.quota_messages,
            storage: view.storage,
        })
    }
}

/// A user to be. Without `password` and `password_hash` it cannot log in yet.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The name to log in with and receive under; its domain must exist.
    pub(crate) name: String,
    /// The password; the server hashes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) password: Option<Hidden>,
    /// Instead of the password its hash, from another server: {SCHEME}... or a bare $argon2id$, $6$, $5$ or $2y$ string.
    /// It is hashed anew at the first login.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) password_hash: Option<Hidden>,
    /// SCRAM-SHA-256 keys of the same password, beside its hash: {SCRAM-SHA-256}...
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) scram_keys: Option<Hidden>,
    /// Octets that it may hold; its tenant's quota if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota_octets: Option<u64>,
    /// The same in messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota_messages: Option<u64>,
}

impl From<NewAccount> for NewUser {
    fn from(account: NewAccount) -> Self {
        Self {
            name: account.name.to_string(),
            password: None,
            password_hash: account
                .password
                .as_ref()
                .map(|password| Hidden::copy_of(&password.hash)),
            scram_keys: account
                .password
                .as_ref()
                .and_then(|password| password.scram.as_ref().map(Hidden::copy_of)),
            quota_octets: account.quota_octets.map(Octets::get),
            quota_messages: account.quota_messages,
        }
    }
}

/// What to change in an account; what is left out stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountChange {
    /// What it may do. Live sessions follow within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<State>,
    /// Its new name, in a domain of the same tenant. Its mail and its unique-ids stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The new password; the server hashes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) password: Option<Hidden>,
    /// Instead of the password its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) password_hash: Option<Hidden>,
    /// SCRAM-SHA-256 keys of the same password, beside its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) scram_keys: Option<Hidden>,
    /// Octets that it may hold; null takes its tenant's quota.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub(crate) quota_octets: Option<Option<u64>>,
    /// The same in messages.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub(crate) quota_messages: Option<Option<u64>>,
}

impl From<AccountPatch> for AccountChange {
    fn from(patch: AccountPatch) -> Self {
        let password = patch.password.as_ref();
        Self {
            state: patch.state.map(State),
            name: patch.name.as_ref().map(ToString::to_string),
            password: None,
            password_hash: password.map(|password| Hidden::copy_of(&password.hash)),
            scram_keys: password.and_then(|password| password.scram.as_ref().map(Hidden::copy_of)),
            quota_octets: patch.quota_octets.map(|quota| quota.map(Octets::get)),
            quota_messages: patch.quota_messages,
        }
    }
}

/// How full a maildrop is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UsageView {
    /// Messages that it holds.
    pub(crate) messages: u64,
    /// Their octets.
    pub(crate) octets: u64,
    /// Messages that it may hold, by its own or its tenant's quota; null is no limit.
    pub(crate) limit_messages: Option<u64>,
    /// The same in octets.
    pub(crate) limit_octets: Option<u64>,
}
