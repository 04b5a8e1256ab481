//! Changes of the directory. Each is one transaction that looks first, so that the error can say what is wrong in
//! words, and that leaves its line in the audit; the constraints of the schema stand behind it. On behalf of a
//! tenant's own administrator the transaction is confined to that tenant, so that others do not exist in it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{
    Account, AccountPatch, Actor, Alias, AppPasswordId, AppPasswordInfo, AppScope, AuditAction, AuditEntry,
    AuditFilter, AuditRecord, CertificateId, DirectoryAdmin, DirectoryError, DirectoryErrorKind, Domain,
    LoginName, NewAccount, NewAppPassword, NewCertificate, NewPassword, Page, StoredCertificate, Tenant,
    TenantPatch,
};
use restante_types::{AccountId, DomainId, Octets, Secret, SessionId, TenantId};

use crate::PgDirectory;
use crate::certificates::{CertificateRow, certificate_from_row};
use crate::database::{Tx, storage_row};
use crate::directory::{
    AccountRow, TenantRow, account_from_row, decoded, login_name, networks_from_row, tenant_from_row_whole,
};
use crate::error::{directory_failed, is_unique_violation};
use crate::sql::directory as sql;
use crate::values::{
    Undecodable, duration_to_row, limit_to_row, tenant_from_row, time_from_row, time_to_row,
};

/// How long deleted messages of a new tenant can be brought back.
const RETENTION: Duration = Duration::from_hours(24);
/// What comes before all names.
const START: &str = "";
/// Application passwords of one account.
const MAX_APP_PASSWORDS: i64 = 100;
/// Octets of the label of one.
const MAX_LABEL_OCTETS: usize = 100;

type Result<T> = std::result::Result<T, DirectoryError>;
type DomainRow = (i64, i64, String, String);
type AliasRow = (String, String, bool, i64, i64);
type AppPasswordRow = (i64, String, String, Vec<String>, i64, Option<i64>, Option<i64>);
type AuditRow = (
    i64,
    i64,
    String,
    String,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<String>,
    String,
);

#[async_trait]
impl DirectoryAdmin for PgDirectory {
    fn acting(&self, actor: Actor) -> Arc<dyn DirectoryAdmin> {
        let mut acting = self.clone();
        acting.actor = actor;
        Arc::new(acting)
    }

    async fn add_tenant(&self, name: &str, storage: &str) -> Result<Tenant> {
        self.provider_only()?;
        check_tenant_name(name)?;
        check_storage_name(storage)?;
        let mut tx = self.work().await?;
        if tenant(&mut tx, name).await?.is_some() {
            return Err(exists(format!(
                "there is a tenant `{name}` already: choose another name"
            )));
        }
        let storage = storage_row(&mut tx, storage).await.map_err(directory_failed)?;
        let query = sqlx::query(sql::ADD_TENANT)
            .bind(name)
            .bind(storage.0)
            .bind(duration_to_row(RETENTION));
        run(&mut tx, query, || {
            format!("there is a tenant `{name}` already: choose another name")
        })
        .await?;
        let tenant = known_tenant(&mut tx, name).await?;
        self.audit(&mut tx, AuditAction::TenantAdded, tenant.id, None, name)
            .await?;
        commit(tx).await?;
        Ok(tenant)
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>> {
        let mut tx = self.work().await?;
        let found = tenant(&mut tx, name).await?;
        commit(tx).await?;
        Ok(found)
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>> {
        let query = sqlx::query_as(sql::TENANTS)
            .bind(page.after.as_deref().unwrap_or(START))
            .bind(i64::from(page.limit));
        let mut tx = self.work().await?;
        let rows: Vec<TenantRow> = tx.all(query).await.map_err(directory_failed)?;
        commit(tx).await?;
        decoded(rows, tenant_from_row_whole)
    }

    async fn set_tenant(&self, name: &str, patch: TenantPatch) -> Result<Tenant> {
        self.provider_only()?;
        let mut tx = self.work().await?;
        let before = known_tenant(&mut tx, name).await?;
        let changed = changed_of_tenant(&patch);
        let default_domain = match patch.default_domain {
            Some(Some(domain)) => Some(own_domain(&mut tx, before.id, &domain).await?),
            Some(None) => None,
            None => before.default_domain,
        };
        let storage = patch.storage.unwrap_or(before.storage);
        check_storage_name(&storage)?;
        let storage = storage_row(&mut tx, &storage).await.map_err(directory_failed)?;
        let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
        let query = sqlx::query(sql::SET_TENANT)
            .bind(before.id.get())
            .bind(storage.0)
            .bind(patch.state.unwrap_or(before.state).as_str())
            .bind(default_domain)
            .bind(duration_to_row(patch.retention.unwrap_or(before.retention)))
            .bind(limit_to_row(quota_octets.map(Octets::get)))
            .bind(limit_to_row(
                patch.quota_messages.unwrap_or(before.quota_messages),
            ));
        tx.execute(query).await.map_err(directory_failed)?;
        let action = match &patch.policy {
            Some(policy) => {
                let document = serde_json::to_string(policy)
                    .map_err(|error| invalid("the policy cannot be written").because(error))?;
                let query = sqlx::query(sql::SET_POLICY).bind(before.id.get()).bind(document);
                tx.execute(query).await.map_err(directory_failed)?;
                AuditAction::PolicyChanged
            }
            None => AuditAction::TenantChanged,
        };
        let after = known_tenant(&mut tx, name).await?;
        let detail = format!("{name}: {}", changed.join(", "));
        self.audit(&mut tx, action, after.id, None, &detail).await?;
        commit(tx).await?;
        Ok(after)
    }

    async fn remove_tenant(&self, name: &str) -> Result<()> {
        self.provider_only()?;
        let mut tx = self.work().await?;
        let id = known_tenant(&mut tx, name).await?.id;
        if holds(&mut tx, sqlx::query_as(sql::TENANT_HAS_DOMAINS).bind(id.get())).await? {
            return Err(in_use(format!(
                "tenant `{name}` has domains: remove them or move them to another tenant first"
            )));
        }
        for statement in [
            sql::REMOVE_CERTIFICATES,
            sql::REMOVE_SERVER_NAMES,
            sql::REMOVE_POLICY,
            sql::REMOVE_TENANT,
        ] {
            tx.execute(sqlx::query(statement).bind(id.get()))
                .await
                .map_err(directory_failed)?;
        }
        self.audit(&mut tx, AuditAction::TenantRemoved, id, None, name)
            .await?;
        commit(tx).await
    }

    async fn add_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        self.provider_only()?;
        let name = domain_form(name)?;
        let mut tx = self.work().await?;
        let owner = known_tenant(&mut tx, tenant).await?;
        let query = sqlx::query(sql::ADD_SERVER_NAME).bind(owner.id.get()).bind(&name);
        run(&mut tx, query, || {
            format!("the server name `{name}` is bound to a tenant already: take it from there first")
        })
        .await?;
        self.audit(&mut tx, AuditAction::ServerNameAdded, owner.id, None, &name)
            .await?;
        let tenant = known_tenant(&mut tx, tenant).await?;
        commit(tx).await?;
        Ok(tenant)
    }

    async fn remove_server_name(&self, tenant: &str, name: &str) -> Result<Tenant> {
        self.provider_only()?;
        let name = domain_form(name)?;
        let mut tx = self.work().await?;
        let owner = known_tenant(&mut tx, tenant).await?;
        let used = sqlx::query_as(sql::SERVER_NAME_IS_USED)
            .bind(owner.id.get())
            .bind(&name);
        if holds(&mut tx, used).await? {
            return Err(in_use(format!(
                "a certificate of `{tenant}` serves `{name}`: remove it first"
            )));
        }
        let query = sqlx::query(sql::REMOVE_SERVER_NAME)
            .bind(owner.id.get())
            .bind(&name);
        if tx.execute(query).await.map_err(directory_failed)? == 0 {
            return Err(not_found(format!(
                "`{name}` is no server name of tenant `{tenant}`"
            )));
        }
        self.audit(&mut tx, AuditAction::ServerNameRemoved, owner.id, None, &name)
            .await?;
        let tenant = known_tenant(&mut tx, tenant).await?;
        commit(tx).await?;
        Ok(tenant)
    }

    async fn add_domain(&self, tenant: &str, name: &str) -> Result<Domain> {
        let name = domain_form(name)?;
        let mut tx = self.work().await?;
        let owner = known_tenant(&mut tx, tenant).await?;
        let taken = || format!("domain `{name}` belongs to a tenant already: a domain has one tenant");
        let query = sqlx::query(sql::ADD_DOMAIN).bind(owner.id.get()).bind(&name);
        run(&mut tx, query, taken).await?;
        let domain = known_domain(&mut tx, &name).await?;
        self.audit(&mut tx, AuditAction::DomainAdded, owner.id, None, &name)
            .await?;
        commit(tx).await?;
        Ok(domain)
    }

    async fn domain(&self, name: &str) -> Result<Option<Domain>> {
        let name = domain_form(name)?;
        let mut tx = self.work().await?;
        let found = domain(&mut tx, &name).await?;
        commit(tx).await?;
        Ok(found)
    }

    async fn domains(&self, tenant: Option<&str>, page: Page) -> Result<Vec<Domain>> {
        let after = page.after.as_deref().unwrap_or(START);
        let mut tx = self.work().await?;
        let owner = match tenant {
            Some(name) => match self::tenant(&mut tx, name).await? {
                Some(tenant) => Some(tenant.id),
                None => return Ok(Vec::new()),
            },
            // By the index, where row-level security alone would read over all others'.
            None => self.actor.tenant,
        };
        let rows: Vec<DomainRow> = match owner {
            None => {
                let query = sqlx::query_as(sql::DOMAINS)
                    .bind(after)
                    .bind(i64::from(page.limit));
                tx.all(query).await
            }
            Some(owner) => {
                let query = sqlx::query_as(sql::DOMAINS_OF_TENANT)
                    .bind(after)
                    .bind(i64::from(page.limit))
                    .bind(owner.get());
                tx.all(query).await
            }
        }
        .map_err(directory_failed)?;
        commit(tx).await?;
        decoded(rows, domain_from_row)
    }

    async fn set_domain(&self, name: &str, tenant: &str) -> Result<Domain> {
        self.provider_only()?;
        let name = domain_form(name)?;
        let mut tx = self.work().await?;
        let before = known_domain(&mut tx, &name).await?;
        let owner = known_tenant(&mut tx, tenant).await?;
        refuse_used_domain(&mut tx, &before, before.tenant != owner.id).await?;
        let query = sqlx::query(sql::MOVE_DOMAIN)
            .bind(before.id.get())
            .bind(owner.id.get());
        tx.execute(query).await.map_err(directory_failed)?;
        let domain = known_domain(&mut tx, &name).await?;
        let detail = format!("{name}: from {} to {tenant}", before.tenant_name);
        self.audit(&mut tx, AuditAction::DomainChanged, owner.id, None, &detail)
            .await?;
        commit(tx).await?;
        Ok(domain)
    }

    async fn remove_domain(&self, name: &str) -> Result<()> {
        let name = domain_form(name)?;
        let mut tx = self.work().await?;
        let domain = known_domain(&mut tx, &name).await?;
        refuse_used_domain(&mut tx, &domain, true).await?;
        tx.execute(sqlx::query(sql::REMOVE_DOMAIN).bind(domain.id.get()))
            .await
            .map_err(directory_failed)?;
        self.audit(&mut tx, AuditAction::DomainRemoved, domain.tenant, None, &name)
            .await?;
        commit(tx).await
    }

    async fn add_account(&self, account: NewAccount) -> Result<Account> {
        let name = account.name;
        let mut tx = self.work().await?;
        let domain = known_domain(&mut tx, name.domain()).await?;
        refuse_taken(&mut tx, &name).await?;
        let query = sqlx::query_as(sql::ADD_MAILDROP).bind(domain.tenant.get());
        let (number,): (i64,) = tx.one(query).await.map_err(directory_failed)?;
        let (hash, scram) = parts(account.password.as_ref());
        let query = sqlx::query(sql::ADD_ACCOUNT)
            .bind(number)
            .bind(domain.tenant.get())
            .bind(hash)
            .bind(scram)
            .bind(limit_to_row(account.quota_octets.map(Octets::get)))
            .bind(limit_to_row(account.quota_messages));
        tx.execute(query).await.map_err(directory_failed)?;
        add_address(&mut tx, &domain, number, &name, false, true).await?;
        let added = known_account(&mut tx, &name).await?;
        self.audit(
            &mut tx,
            AuditAction::AccountAdded,
            domain.tenant,
            Some(added.id),
            &name.to_string(),
        )
        .await?;
        commit(tx).await?;
        Ok(added)
    }

    async fn account(&self, name: &LoginName) -> Result<Option<Account>> {
        let mut tx = self.work().await?;
        let found = account(&mut tx, name).await?;
        commit(tx).await?;
        Ok(found)
    }

    async fn accounts(&self, domain: Option<&str>, page: Page) -> Result<Vec<Account>> {
        let after = page.after.as_deref().unwrap_or(START);
        let mut tx = self.work().await?;
        let rows: Vec<AccountRow> = match (domain, self.actor.tenant) {
            (None, None) => {
                let query = sqlx::query_as(sql::ACCOUNTS)
                    .bind(after)
                    .bind(i64::from(page.limit));
                tx.all(query).await
            }
            (None, Some(tenant)) => {
                let query = sqlx::query_as(sql::ACCOUNTS_OF_TENANT)
                    .bind(after)
                    .bind(i64::from(page.limit))
                    .bind(tenant.get());
                tx.all(query).await
            }
            (Some(name), _) => {
                let Some(domain) = self::domain(&mut tx, &domain_form(name)?).await? else {
                    return Ok(Vec::new());
                };
                let query = sqlx::query_as(sql::ACCOUNTS_OF_DOMAIN)
                    .bind(after)
                    .bind(i64::from(page.limit))
                    .bind(domain.id.get());
                tx.all(query).await
            }
        }
        .map_err(directory_failed)?;
        commit(tx).await?;
        decoded(rows, account_from_row)
    }

    async fn set_account(&self, name: &LoginName, patch: AccountPatch) -> Result<Account> {
        let mut tx = self.work().await?;
        let before = known_account(&mut tx, name).await?;
        let changed = changed_of_account(&patch);
        let name = match patch.name {
            Some(new) if new != before.name => rename(&mut tx, &before, new).await?,
            _ => before.name,
        };
        let quota_octets = patch.quota_octets.unwrap_or(before.quota_octets);
        let query = sqlx::query(sql::SET_ACCOUNT)
            .bind(before.id.number())
            .bind(patch.state.unwrap_or(before.state).as_str())
            .bind(limit_to_row(quota_octets.map(Octets::get)))
            .bind(limit_to_row(
                patch.quota_messages.unwrap_or(before.quota_messages),
            ));
        tx.execute(query).await.map_err(directory_failed)?;
        if let Some(password) = &patch.password {
            let query = sqlx::query(sql::SET_PASSWORD)
                .bind(before.id.number())
                .bind(password.hash.expose())
                .bind(password.scram.as_ref().map(Secret::expose));
            tx.execute(query).await.map_err(directory_failed)?;
        }
        let after = known_account(&mut tx, &name).await?;
        let detail = format!("{name}: {}", changed.join(", "));
        self.audit(
            &mut tx,
            AuditAction::AccountChanged,
            after.id.tenant(),
            Some(after.id),
            &detail,
        )
        .await?;
        commit(tx).await?;
        Ok(after)
    }

    async fn remove_account(&self, name: &LoginName) -> Result<()> {
        let mut tx = self.work().await?;
        let id = known_account(&mut tx, name).await?.id;
        for statement in [
            sql::REMOVE_ACCOUNT,
            sql::FORGET_PACE,
            sql::BURY_MESSAGES,
            sql::EMPTY_MAILDROP,
            sql::FORGET_UNIQUE_IDS,
        ] {
            tx.execute(sqlx::query(statement).bind(id.number()))
                .await
                .map_err(directory_failed)?;
        }
        self.audit(
            &mut tx,
            AuditAction::AccountRemoved,
            id.tenant(),
            Some(id),
            &name.to_string(),
        )
        .await?;
        commit(tx).await
    }

    async fn add_alias(&self, alias: Alias) -> Result<Alias> {
        let mut tx = self.work().await?;
        let id = known_account(&mut tx, &alias.account).await?.id;
        let domain = known_domain(&mut tx, alias.address.domain()).await?;
        if domain.tenant != id.tenant() {
            return Err(invalid(
                "the alias is in a domain of another tenant than the account: choose one of the same tenant",
            ));
        }
        refuse_taken(&mut tx, &alias.address).await?;
        add_address(
            &mut tx,
            &domain,
            id.number(),
            &alias.address,
            true,
            alias.may_log_in,
        )
        .await?;
        let detail = alias.address.to_string();
        self.audit(&mut tx, AuditAction::AliasAdded, id.tenant(), Some(id), &detail)
            .await?;
        commit(tx).await?;
        Ok(alias)
    }

    async fn aliases(
        &self,
        account: Option<&LoginName>,
        domain: Option<&str>,
        page: Page,
    ) -> Result<Vec<Alias>> {
        let mut tx = self.work().await?;
        let account = match account {
            Some(name) => match self::account(&mut tx, name).await? {
                Some(account) => Some(account.id.number()),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        let domain = match domain {
            Some(name) => match self::domain(&mut tx, &domain_form(name)?).await? {
                Some(domain) => Some(domain.id.get()),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        // A statement each: one for all cases would be planned for none of them.
        let (statement, of) = match (account, domain) {
            (Some(account), _) => (sql::ALIASES_OF_ACCOUNT, Some(account)),
            (None, Some(domain)) => (sql::ALIASES_OF_DOMAIN, Some(domain)),
            (None, None) => (sql::ALIASES, None),
        };
        let mut query = sqlx::query_as(statement)
            .bind(page.after.as_deref().unwrap_or(START))
            .bind(i64::from(page.limit));
        if let Some(of) = of {
            query = query.bind(of);
        }
        if account.is_some() {
            query = query.bind(domain);
        }
        let rows: Vec<AliasRow> = tx.all(query).await.map_err(directory_failed)?;
        commit(tx).await?;
        decoded(rows, alias_from_row)
    }

    async fn remove_alias(&self, address: &LoginName) -> Result<()> {
        let mut tx = self.work().await?;
        let query = sqlx::query_as(sql::ALIAS).bind(address.to_string());
        let row: Option<AliasRow> = tx.optional(query).await.map_err(directory_failed)?;
        let Some((_, _, _, tenant, account)) = row else {
            return Err(not_found(format!(
                "there is no alias `{address}`: `restante alias list` shows all"
            )));
        };
        tx.execute(sqlx::query(sql::REMOVE_ALIAS).bind(address.to_string()))
            .await
            .map_err(directory_failed)?;
        let tenant = tenant_id(tenant)?;
        let detail = address.to_string();
        self.audit(
            &mut tx,
            AuditAction::AliasRemoved,
            tenant,
            AccountId::new(tenant, account),
            &detail,
        )
        .await?;
        commit(tx).await
    }

    async fn add_app_password(
        &self,
        account: &LoginName,
        password: NewAppPassword,
    ) -> Result<AppPasswordInfo> {
        if !(1..=MAX_LABEL_OCTETS).contains(&password.label.len()) {
            return Err(invalid(
                "the label of an application password has 1 to 100 octets",
            ));
        }
        let mut tx = self.work().await?;
        let id = known_account(&mut tx, account).await?.id;
        // One at a time, so that two do not both become the hundredth.
        let query = sqlx::query_as(sql::LOCK_ACCOUNT).bind(id.number());
        let held: Option<(i64,)> = tx.optional(query).await.map_err(directory_failed)?;
        if held.is_none() {
            return Err(not_found(format!("account `{account}` has just been removed")));
        }
        let query = sqlx::query_as(sql::COUNT_APP_PASSWORDS).bind(id.number());
        let (count,): (i64,) = tx.one(query).await.map_err(directory_failed)?;
        if count >= MAX_APP_PASSWORDS {
            return Err(in_use(format!(
                "`{account}` has {count} application passwords: revoke some first"
            )));
        }
        let networks: Vec<String> = password.networks.iter().map(ToString::to_string).collect();
        let query = sqlx::query_as(sql::ADD_APP_PASSWORD)
            .bind(id.tenant().get())
            .bind(id.number())
            .bind(&password.label)
            .bind(password.verifier.expose())
            .bind(password.scope.as_str())
            .bind(networks)
            .bind(password.expires_at.map(time_to_row));
        let row: AppPasswordRow = tx.one(query).await.map_err(directory_failed)?;
        let detail = format!("{}: {}", row.0, password.label);
        self.audit(
            &mut tx,
            AuditAction::AppPasswordAdded,
            id.tenant(),
            Some(id),
            &detail,
        )
        .await?;
        commit(tx).await?;
        app_password_from_row(row).map_err(|error| directory_failed(error.into()))
    }

    async fn app_passwords(&self, account: &LoginName) -> Result<Vec<AppPasswordInfo>> {
        let mut tx = self.work().await?;
        let id = known_account(&mut tx, account).await?.id;
        let query = sqlx::query_as(sql::APP_PASSWORDS).bind(id.number());
        let rows: Vec<AppPasswordRow> = tx.all(query).await.map_err(directory_failed)?;
        commit(tx).await?;
        decoded(rows, app_password_from_row)
    }

    async fn remove_app_password(&self, account: &LoginName, id: AppPasswordId) -> Result<()> {
        let mut tx = self.work().await?;
        let owner = known_account(&mut tx, account).await?.id;
        let query = sqlx::query(sql::REMOVE_APP_PASSWORD)
            .bind(id.0)
            .bind(owner.number());
        if tx.execute(query).await.map_err(directory_failed)? == 0 {
            return Err(not_found(format!(
                "`{account}` has no application password {}: `restante app-password list` shows all",
                id.0
            )));
        }
        let detail = id.0.to_string();
        self.audit(
            &mut tx,
            AuditAction::AppPasswordRevoked,
            owner.tenant(),
            Some(owner),
            &detail,
        )
        .await?;
        commit(tx).await
    }

    async fn add_certificate(&self, tenant: &str, certificate: NewCertificate) -> Result<StoredCertificate> {
        self.provider_only()?;
        let names: Vec<String> = certificate
            .server_names
            .iter()
            .map(|name| domain_form(name))
            .collect::<Result<_>>()?;
        let mut tx = self.work().await?;
        let owner = known_tenant(&mut tx, tenant).await?;
        if names.is_empty() || !names.iter().all(|name| owner.server_names.contains(name)) {
            return Err(invalid(
                "a certificate serves server names that are bound to its tenant: bind them with `restante tenant set --add-server-name`",
            ));
        }
        let query = sqlx::query_as(sql::ADD_CERTIFICATE)
            .bind(owner.id.get())
            .bind(&certificate.chain)
            .bind(&certificate.sealed_key)
            .bind(time_to_row(certificate.not_after));
        let (id,): (i64,) = tx.one(query).await.map_err(directory_failed)?;
        let query = sqlx::query(sql::ADD_CERTIFICATE_NAMES)
            .bind(id)
            .bind(owner.id.get())
            .bind(&names);
        tx.execute(query).await.map_err(directory_failed)?;
        let detail = format!("{id}: {}", names.join(", "));
        let detail = shortened(&detail);
        self.audit(&mut tx, AuditAction::CertificateAdded, owner.id, None, detail)
            .await?;
        commit(tx).await?;
        Ok(StoredCertificate {
            id: CertificateId(id),
            tenant: owner.id,
            server_names: names,
            chain: certificate.chain,
            sealed_key: certificate.sealed_key,
            not_after: certificate.not_after,
        })
    }

    async fn certificates(&self, tenant: Option<&str>) -> Result<Vec<StoredCertificate>> {
        let mut tx = self.work().await?;
        let owner = match tenant {
            Some(name) => match self::tenant(&mut tx, name).await? {
                Some(tenant) => Some(tenant.id.get()),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        let query = sqlx::query_as(sql::CERTIFICATES).bind(owner);
        let rows: Vec<CertificateRow> = tx.all(query).await.map_err(directory_failed)?;
        commit(tx).await?;
        decoded(rows, certificate_from_row)
    }

    async fn remove_certificate(&self, tenant: &str, id: CertificateId) -> Result<()> {
        self.provider_only()?;
        let mut tx = self.work().await?;
        let owner = known_tenant(&mut tx, tenant).await?.id;
        let query = sqlx::query(sql::REMOVE_CERTIFICATE).bind(id.0).bind(owner.get());
        if tx.execute(query).await.map_err(directory_failed)? == 0 {
            return Err(not_found(format!(
                "tenant `{tenant}` has no certificate {}: `restante certificate list` shows all",
                id.0
            )));
        }
        self.audit(
            &mut tx,
            AuditAction::CertificateRemoved,
            owner,
            None,
            &id.0.to_string(),
        )
        .await?;
        commit(tx).await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
        // Of a tenant's administrator too: by the index, where row-level security alone would read over all others'.
        let tenant = filter.tenant.or(self.actor.tenant);
        let statement = match (filter.account, tenant) {
            (Some(_), _) => sql::AUDIT_OF_ACCOUNT,
            (None, Some(_)) => sql::AUDIT_OF_TENANT,
            (None, None) => sql::AUDIT,
        };
        let query = sqlx::query_as(statement)
            .bind(tenant.map(TenantId::get))
            .bind(filter.account.map(AccountId::number))
            .bind(filter.action.map(AuditAction::as_str))
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(i64::from(filter.limit));
        let mut tx = self.work().await?;
        let rows: Vec<AuditRow> = tx.all(query).await.map_err(directory_failed)?;
        commit(tx).await?;
        decoded(rows, audit_from_row)
    }
}

impl PgDirectory {
    /// A transaction that sees what the actor may see.
    pub(crate) async fn work(&self) -> Result<Tx> {
        let mut tx = self.db.begin().await.map_err(directory_failed)?;
        self.confine(&mut tx).await?;
        Ok(tx)
    }

    fn provider_only(&self) -> Result<()> {
        if self.actor.tenant.is_none() {
            return Ok(());
        }
        Err(DirectoryError::new(
            DirectoryErrorKind::NotPermitted,
            "tenants, their policies, server names and certificates are the provider's to change",
        ))
    }

    async fn audit(
        &self,
        tx: &mut Tx,
        action: AuditAction,
        tenant: TenantId,
        account: Option<AccountId>,
        detail: &str,
    ) -> Result<()> {
        let query = sqlx::query(sql::AUDIT_ACT)
            .bind(&self.actor.name)
            .bind(action.as_str())
            .bind(tenant.get())
            .bind(account.map(AccountId::number))
            .bind(detail);
        tx.execute(query).await.map_err(directory_failed)?;
        Ok(())
    }
}

fn exists(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Exists, message)
}

fn not_found(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::NotFound, message)
}

fn in_use(message: String) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::InUse, message)
}

fn invalid(message: &str) -> DirectoryError {
    DirectoryError::new(DirectoryErrorKind::Invalid, message)
}

fn tenant_id(key: i64) -> Result<TenantId> {
    tenant_from_row(key).map_err(|error| directory_failed(error.into()))
}

/// At most what a line of the audit holds.
fn shortened(detail: &str) -> &str {
    const MOST: usize = 1000;
    let mut end = detail.len().min(MOST);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.get(..end).unwrap_or_default()
}

fn check_tenant_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(invalid("a tenant's name is 1 to 63 of a-z, 0-9 and -"))
}

fn check_storage_name(name: &str) -> Result<()> {
    if (1..=255).contains(&name.len()) {
        return Ok(());
    }
    Err(invalid("a storage's name has 1 to 255 octets"))
}

fn domain_form(name: &str) -> Result<String> {
    LoginName::domain_form(name).map_err(|error| invalid("this is no domain name").because(error))
}

fn parts(password: Option<&NewPassword>) -> (Option<&String>, Option<&String>) {
    let hash = password.map(|password| password.hash.expose());
    let scram = password.and_then(|password| password.scram.as_ref());
    (hash, scram.map(Secret::expose))
}

fn changed_of_tenant(patch: &TenantPatch) -> Vec<&'static str> {
    named([
        ("state", patch.state.is_some()),
        ("default-domain", patch.default_domain.is_some()),
        ("storage", patch.storage.is_some()),
        ("retention", patch.retention.is_some()),
        ("quota", patch.quota_octets.is_some()),
        ("quota-messages", patch.quota_messages.is_some()),
        ("policy", patch.policy.is_some()),
    ])
}

fn changed_of_account(patch: &AccountPatch) -> Vec<&'static str> {
    named([
        ("name", patch.name.is_some()),
        ("state", patch.state.is_some()),
        ("password", patch.password.is_some()),
        ("quota", patch.quota_octets.is_some()),
        ("quota-messages", patch.quota_messages.is_some()),
    ])
}

fn named<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect()
}

/// Runs a statement that may meet a name that is taken, also by somebody who cannot be seen.
async fn run(
    tx: &mut Tx,
    query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    taken: impl FnOnce() -> String,
) -> Result<()> {
    match tx.execute(query).await {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(exists(taken())),
        Err(error) => Err(directory_failed(error)),
    }
}

pub(crate) async fn holds(
    tx: &mut Tx,
    question: sqlx::query::QueryAs<'_, sqlx::Postgres, (bool,), sqlx::postgres::PgArguments>,
) -> Result<bool> {
    let (answer,) = tx.one(question).await.map_err(directory_failed)?;
    Ok(answer)
}

async fn tenant(tx: &mut Tx, name: &str) -> Result<Option<Tenant>> {
    let row: Option<TenantRow> = tx
        .optional(sqlx::query_as(sql::TENANT).bind(name))
        .await
        .map_err(directory_failed)?;
    decoded(row, tenant_from_row_whole)
}

async fn known_tenant(tx: &mut Tx, name: &str) -> Result<Tenant> {
    tenant(tx, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no tenant `{name}`: `restante tenant list` shows all"
        ))
    })
}

async fn domain(tx: &mut Tx, name: &str) -> Result<Option<Domain>> {
    let row: Option<DomainRow> = tx
        .optional(sqlx::query_as(sql::DOMAIN).bind(name))
        .await
        .map_err(directory_failed)?;
    decoded(row, domain_from_row)
}

async fn known_domain(tx: &mut Tx, name: &str) -> Result<Domain> {
    domain(tx, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no domain `{name}`: add it with `restante domain add`"
        ))
    })
}

/// A domain of that tenant, in the form that is stored.
async fn own_domain(tx: &mut Tx, tenant: TenantId, name: &str) -> Result<String> {
    let domain = known_domain(tx, &domain_form(name)?).await?;
    if domain.tenant == tenant {
        return Ok(domain.name);
    }
    Err(invalid("the default domain is one of the tenant's own"))
}

/// `leaves` says whether the domain is about to leave its tenant.
async fn refuse_used_domain(tx: &mut Tx, domain: &Domain, leaves: bool) -> Result<()> {
    let name = &domain.name;
    if holds(
        tx,
        sqlx::query_as(sql::DOMAIN_HAS_ADDRESSES).bind(domain.id.get()),
    )
    .await?
    {
        return Err(in_use(format!(
            "domain `{name}` has accounts or aliases: remove them first"
        )));
    }
    let is_default = sqlx::query_as(sql::DOMAIN_IS_DEFAULT)
        .bind(domain.tenant.get())
        .bind(name);
    if leaves && holds(tx, is_default).await? {
        return Err(in_use(format!(
            "`{name}` is the default domain of tenant `{}`: set another one first",
            domain.tenant_name
        )));
    }
    Ok(())
}

async fn account(tx: &mut Tx, name: &LoginName) -> Result<Option<Account>> {
    let row: Option<AccountRow> = tx
        .optional(sqlx::query_as(sql::ACCOUNT).bind(name.to_string()))
        .await
        .map_err(directory_failed)?;
    decoded(row, account_from_row)
}

async fn known_account(tx: &mut Tx, name: &LoginName) -> Result<Account> {
    account(tx, name).await?.ok_or_else(|| {
        not_found(format!(
            "there is no account `{name}`: `restante account list` shows all"
        ))
    })
}

async fn refuse_taken(tx: &mut Tx, address: &LoginName) -> Result<()> {
    if holds(
        tx,
        sqlx::query_as(sql::ADDRESS_IS_TAKEN).bind(address.to_string()),
    )
    .await?
    {
        return Err(exists(taken(address)));
    }
    Ok(())
}

fn taken(address: &LoginName) -> String {
    format!("there is an account or an alias `{address}` already: choose another name")
}

async fn add_address(
    tx: &mut Tx,
    domain: &Domain,
    account: i64,
    address: &LoginName,
    is_alias: bool,
    may_log_in: bool,
) -> Result<()> {
    let query = sqlx::query(sql::ADD_ADDRESS)
        .bind(domain.tenant.get())
        .bind(account)
        .bind(domain.id.get())
        .bind(&domain.name)
        .bind(address.local_part())
        .bind(is_alias)
        .bind(may_log_in);
    run(tx, query, || taken(address)).await
}

/// Gives an account another name of the same tenant.
async fn rename(tx: &mut Tx, account: &Account, new: LoginName) -> Result<LoginName> {
    let domain = known_domain(tx, new.domain()).await?;
    if domain.tenant != account.id.tenant() {
        return Err(invalid(
            "the new name is in a domain of another tenant: choose one of the same tenant",
        ));
    }
    refuse_taken(tx, &new).await?;
    let query = sqlx::query(sql::RENAME_ACCOUNT)
        .bind(account.id.number())
        .bind(domain.id.get())
        .bind(&domain.name)
        .bind(new.local_part());
    run(tx, query, || taken(&new)).await?;
    Ok(new)
}

async fn commit(tx: Tx) -> Result<()> {
    tx.commit().await.map_err(directory_failed)
}

fn domain_from_row((id, tenant, tenant_name, name): DomainRow) -> std::result::Result<Domain, Undecodable> {
    Ok(Domain {
        id: DomainId::new(id).ok_or(Undecodable("domain"))?,
        tenant: tenant_from_row(tenant)?,
        tenant_name,
        name,
    })
}

fn alias_from_row((address, account, may_log_in, ..): AliasRow) -> std::result::Result<Alias, Undecodable> {
    Ok(Alias {
        address: login_name(&address)?,
        account: login_name(&account)?,
        may_log_in,
    })
}

fn app_password_from_row(row: AppPasswordRow) -> std::result::Result<AppPasswordInfo, Undecodable> {
    let (id, label, scope, networks, created_at, expires_at, last_used_at) = row;
    Ok(AppPasswordInfo {
        id: AppPasswordId(id),
        label,
        scope: AppScope::from_name(&scope).ok_or(Undecodable("scope"))?,
        networks: networks_from_row(&networks)?,
        created_at: time_from_row(created_at)?,
        expires_at: expires_at.map(time_from_row).transpose()?,
        last_used_at: last_used_at.map(time_from_row).transpose()?,
    })
}

fn audit_from_row(row: AuditRow) -> std::result::Result<AuditEntry, Undecodable> {
    let (id, at, actor, action, tenant, account, session, client, detail) = row;
    let tenant = tenant.map(tenant_from_row).transpose()?;
    let session: Option<[u8; 16]> = session
        .map(|octets| octets.try_into().map_err(|_| Undecodable("session")))
        .transpose()?;
    Ok(AuditEntry {
        id,
        record: AuditRecord {
            at: time_from_row(at)?,
            actor,
            action: AuditAction::from_name(&action).ok_or(Undecodable("action"))?,
            tenant,
            account: tenant
                .zip(account)
                .and_then(|(tenant, account)| AccountId::new(tenant, account)),
            session: session.map(SessionId::from_octets),
            client: client
                .map(|client| client.parse().map_err(|_| Undecodable("client")))
                .transpose()?,
            detail,
        },
    })
}
