//! What a client without the server's keys leaves to the server: hashing, sealing, making of application passwords; and
//! what stands in no contract.

use http::Method;
use ipnet::IpNet;
use restante_auth::{
    Account, AccountPatch, AppPasswordInfo, AppScope, DirectoryError, LoginName, NewAccount, Policy,
    StoredCertificate, TenantPatch,
};
use restante_store::{Quota, Usage};
use restante_types::{Octets, Secret};
use std::time::SystemTime;

use super::AdminClient;
use super::call::{CallError, Place};
use crate::StorageFacts;
use crate::wire::account::{AccountChange, AccountView, NewUser, UsageView};
use crate::wire::app_password::{AppPasswordView, NewAppPasswordRequest};
use crate::wire::certificate::NewCertificateRequest;
use crate::wire::policy::PolicyView;
use crate::wire::storage::StorageView;
use crate::wire::tenant::TenantChange;
use crate::wire::{Hidden, Network, Opens, Time, Unfit};

type Result<T> = std::result::Result<T, DirectoryError>;

impl AdminClient {
    /// Adds an account whose password the server hashes, with its pepper; `account.password` is passed over.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::add_account`](restante_auth::DirectoryAdmin::add_account).
    pub async fn add_account_with_password(
        &self,
        account: NewAccount,
        password: &Secret<String>,
    ) -> Result<Account> {
        let new = NewUser {
            password: Some(Hidden::copy_of(password)),
            password_hash: None,
            scram_keys: None,
            ..account.into()
        };
        let added: AccountView = self.tell(Method::POST, Place::at(&["accounts"]), &new).await?;
        added.try_into().map_err(lost)
    }

    /// Changes an account and its password, which the server hashes with its pepper; `patch.password` is passed over.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::set_account`](restante_auth::DirectoryAdmin::set_account).
    pub async fn set_account_with_password(
        &self,
        name: &LoginName,
        patch: AccountPatch,
        password: &Secret<String>,
    ) -> Result<Account> {
        let change = AccountChange {
            password: Some(Hidden::copy_of(password)),
            password_hash: None,
            scram_keys: None,
            ..patch.into()
        };
        let name = name.to_string();
        let place = Place::at(&["accounts", &name]);
        let changed: AccountView = self.tell(Method::PATCH, place, &change).await?;
        changed.try_into().map_err(lost)
    }

    /// Has the server make an application password; the secret is answered this once.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::add_app_password`](restante_auth::DirectoryAdmin::add_app_password).
    pub async fn make_app_password(
        &self,
        account: &LoginName,
        label: &str,
        scope: AppScope,
        networks: &[IpNet],
        expires_at: Option<SystemTime>,
    ) -> Result<(AppPasswordInfo, Secret<String>)> {
        let new = NewAppPasswordRequest {
            label: label.to_owned(),
            scope: Some(Opens(scope)),
            networks: networks.iter().copied().map(Network).collect(),
            expires_at: expires_at.map(Time),
            verifier: None,
        };
        let account = account.to_string();
        let place = Place::at(&["accounts", &account, "app-passwords"]);
        let mut made: AppPasswordView = self.tell(Method::POST, place, &new).await?;
        let password = made.password.take().ok_or_else(|| lost(Unfit("password")))?;
        Ok((made.into(), password.0))
    }

    /// Adds a certificate whose private key, in PEM, the server seals. Without names: those of the certificate that are
    /// server names of the tenant.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::add_certificate`](restante_auth::DirectoryAdmin::add_certificate); `Invalid` too if the two
    /// do not belong together.
    pub async fn add_certificate_pem(
        &self,
        tenant: &str,
        chain: String,
        key: &Secret<String>,
        names: Vec<String>,
    ) -> Result<StoredCertificate> {
        let new = NewCertificateRequest {
            chain,
            private_key: Some(Hidden::copy_of(key)),
            sealed_key: None,
            names,
        };
        self.send_certificate(tenant, &new).await
    }

    /// Replaces a policy in which one issuer's client secret is new: the server seals it.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::set_tenant`](restante_auth::DirectoryAdmin::set_tenant).
    pub async fn set_policy_with_secret(
        &self,
        tenant: &str,
        policy: Policy,
        issuer: &str,
        secret: &Secret<String>,
    ) -> Result<Policy> {
        let mut change = TenantChange::from(TenantPatch {
            policy: Some(policy),
            ..TenantPatch::default()
        });
        let issuers = change.policy.iter_mut().flat_map(|policy| &mut policy.oauth);
        for one in issuers.filter(|one| one.issuer == issuer) {
            one.sealed_client_secret = None;
            one.client_secret = Some(Hidden::copy_of(secret));
        }
        let place = Place::at(&["tenants", tenant, "policy"]);
        let changed: PolicyView = self.tell(Method::PUT, place, &change.policy).await?;
        changed.into_policy().ok_or_else(|| lost(Unfit("policy")))
    }

    /// How full the maildrop of an account is, and how full it may be.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn usage(&self, account: &LoginName) -> Result<(Usage, Quota)> {
        let account = account.to_string();
        let place = Place::at(&["accounts", &account, "usage"]);
        let view: UsageView = self.ask(Method::GET, place).await?;
        let usage = Usage {
            messages: view.messages,
            octets: Octets(view.octets),
        };
        let quota = Quota {
            messages: view.limit_messages,
            octets: view.limit_octets.map(Octets),
        };
        Ok((usage, quota))
    }

    /// The storages of the server's configuration, as far as they exist for the token, and how each does there.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn storages(&self) -> Result<Vec<StorageFacts>> {
        let place = Place::at(&["storages"]);
        Ok(self.list::<StorageView, _>(place, None, usize::MAX).await?)
    }
}

fn lost(unfit: Unfit) -> DirectoryError {
    CallError::from(unfit).into()
}
