//! Rows of the directory as its values. What cannot be read back is [`Undecodable`], never a guess.

use ipnet::IpNet;
use restante_auth::{
    Account, AccountState, AppCredential, AppPasswordId, AppScope, CertificateId, Credentials,
    DirectoryError, LoginName, Policy, Recipient, Standing, StoredCertificate, Tenant,
};
use restante_types::{AccountId, Octets, Secret};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::directory_failed;
use crate::values::{Undecodable, duration_from_row, limit_from_row, tenant_from_row, time_from_row};

pub(crate) type TenantRow = (
    i64,
    String,
    String,
    String,
    Option<String>,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    String,
);
pub(crate) type AccountRow = (i64, i64, String, String, String, Option<i64>, Option<i64>, String);
/// The asked address, and the columns of an account.
pub(crate) type RecipientRow = (
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
pub(crate) type CredentialsRow = (
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
    String,
);
/// The states of the account and its tenant, and whether the credential is still good.
pub(crate) type StandingRow = (Option<String>, Option<String>, bool);
pub(crate) type CertificateRow = (i64, i64, String, String, Vec<u8>, i64);

/// An application password as the look-up of credentials brings it.
#[derive(Deserialize)]
struct AppPasswordDocument {
    id: i64,
    verifier: String,
    scope: String,
    networks: Vec<IpNet>,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

/// Decodes all rows.
pub(crate) fn decoded<R, T>(
    rows: Vec<R>,
    decode: impl Fn(R) -> Result<T, Undecodable>,
) -> Result<Vec<T>, DirectoryError> {
    let decoded: Result<Vec<T>, Undecodable> = rows.into_iter().map(decode).collect();
    decoded.map_err(|error| directory_failed(error.into()))
}

/// Decodes a row that may not be there.
pub(crate) fn decoded_row<R, T>(
    row: Option<R>,
    decode: impl Fn(R) -> Result<T, Undecodable>,
) -> Result<Option<T>, DirectoryError> {
    row.map(decode)
        .transpose()
        .map_err(|error| directory_failed(error.into()))
}

pub(crate) fn tenant_from_columns(row: TenantRow) -> Result<Tenant, Undecodable> {
    let (id, name, storage, state, default_domain, server_names, retention, octets, messages, policy) = row;
    Ok(Tenant {
        id: tenant_from_row(id)?,
        name,
        storage,
        state: state_from_row(&state)?,
        default_domain,
        server_names: from_json(&server_names, "server names")?,
        retention: duration_from_row(retention)?,
        quota_octets: limit_from_row(octets)?.map(Octets),
        quota_messages: limit_from_row(messages)?,
        policy: policy_from_row(&policy)?,
    })
}

pub(crate) fn account_from_row(row: AccountRow) -> Result<Account, Undecodable> {
    let (tenant, number, name, state, tenant_state, octets, messages, storage) = row;
    Ok(Account {
        id: account_id(tenant, number)?,
        name: address_from_row(&name)?,
        state: state_from_row(&state)?,
        tenant_state: state_from_row(&tenant_state)?,
        quota_octets: limit_from_row(octets)?.map(Octets),
        quota_messages: limit_from_row(messages)?,
        storage,
    })
}

pub(crate) fn account_id(tenant: i64, number: i64) -> Result<AccountId, Undecodable> {
    AccountId::new(tenant_from_row(tenant)?, number).ok_or(Undecodable("account"))
}

pub(crate) fn recipient_from_row(row: RecipientRow) -> Result<Recipient, Undecodable> {
    let (asked, tenant, number, name, state, tenant_state, octets, messages, storage) = row;
    let account = (
        tenant,
        number,
        name,
        state,
        tenant_state,
        octets,
        messages,
        storage,
    );
    Ok(Recipient {
        asked: address_from_row(&asked)?,
        account: account_from_row(account)?,
    })
}

pub(crate) fn credentials_from_row(row: CredentialsRow) -> Result<Credentials, Undecodable> {
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
        app_passwords,
    ) = row;
    // First, so that secrets are cleared from memory whatever follows.
    let (password, scram) = (password.map(Secret::new), scram.map(Secret::new));
    let app_passwords = Secret::new(app_passwords);
    let account = (
        tenant,
        number,
        name,
        state,
        tenant_state,
        octets,
        messages,
        storage,
    );
    Ok(Credentials {
        asked: address_from_row(&asked)?,
        account: account_from_row(account)?,
        password,
        scram,
        version,
        app_passwords: from_json::<Vec<_>>(app_passwords.expose(), "application passwords")?
            .into_iter()
            .map(app_password)
            .collect::<Result<_, _>>()?,
        policy: policy_from_row(&policy)?,
    })
}

fn app_password(document: AppPasswordDocument) -> Result<AppCredential, Undecodable> {
    let verifier = Secret::new(document.verifier);
    Ok(AppCredential {
        id: AppPasswordId(document.id),
        verifier,
        scope: AppScope::from_name(&document.scope).ok_or(Undecodable("scope"))?,
        networks: document.networks,
        expires_at: document.expires_at.map(time_from_row).transpose()?,
        last_used_at: document.last_used_at.map(time_from_row).transpose()?,
    })
}

pub(crate) fn standing_from_row(
    (state, tenant_state, credential_stands): StandingRow,
) -> Result<Standing, Undecodable> {
    let (Some(state), Some(tenant_state)) = (state, tenant_state) else {
        return Ok(Standing::Ended);
    };
    let states = [state_from_row(&state)?, state_from_row(&tenant_state)?];
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

pub(crate) fn certificate_from_row(row: CertificateRow) -> Result<StoredCertificate, Undecodable> {
    let (id, tenant, server_names, chain, sealed_key, not_after) = row;
    Ok(StoredCertificate {
        id: CertificateId(id),
        tenant: tenant_from_row(tenant)?,
        server_names: from_json(&server_names, "server names")?,
        chain,
        sealed_key,
        not_after: time_from_row(not_after)?,
    })
}

/// Only an address that stands in the one form in which it is asked for.
pub(crate) fn address_from_row(address: &str) -> Result<LoginName, Undecodable> {
    LoginName::parse(address)
        .ok()
        .filter(|name| name.to_string() == address)
        .ok_or(Undecodable("address"))
}

pub(crate) fn networks_from_row(networks: &str) -> Result<Vec<IpNet>, Undecodable> {
    from_json(networks, "networks")
}

fn state_from_row(state: &str) -> Result<AccountState, Undecodable> {
    AccountState::from_name(state).ok_or(Undecodable("state"))
}

fn policy_from_row(document: &str) -> Result<Policy, Undecodable> {
    from_json(document, "policy")
}

fn from_json<T: DeserializeOwned>(document: &str, what: &'static str) -> Result<T, Undecodable> {
    serde_json::from_str(document).map_err(|_| Undecodable(what))
}
