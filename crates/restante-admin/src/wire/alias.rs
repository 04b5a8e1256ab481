//! Aliases in JSON.

use restante_auth::{Alias, LoginName, NameError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A second address of an account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AliasView {
    /// The address; no account and no other alias has it.
    pub(crate) address: String,
    /// The account, of the same tenant as the address's domain.
    pub(crate) account: String,
    /// Whether it is also a login name; false if left out.
    #[serde(default)]
    pub(crate) login: bool,
}

impl From<Alias> for AliasView {
    fn from(alias: Alias) -> Self {
        Self {
            address: alias.address.to_string(),
            account: alias.account.to_string(),
            login: alias.may_log_in,
        }
    }
}

impl TryFrom<AliasView> for Alias {
    type Error = NameError;

    fn try_from(view: AliasView) -> Result<Self, NameError> {
        Ok(Self {
            address: LoginName::parse(&view.address)?,
            account: LoginName::parse(&view.account)?,
            may_log_in: view.login,
        })
    }
}
