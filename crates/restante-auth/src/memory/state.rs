//! What the directory in memory keeps, and how it is looked up.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use restante_types::{AccountId, DomainId, Octets, Secret, TenantId};

use crate::{
    Account, AccountState, Alias, AppCredential, AppPasswordId, AppPasswordInfo, AuditEntry, AuditRecord,
    Credentials, DirectoryError, DirectoryErrorKind, Domain, LiveLogin, LoginName, LoginNote, NewPassword,
    Page, Roster, Standing, StoredCertificate, Tenant,
};

/// Octets of an actor's name in the audit.
const MAX_ACTOR_OCTETS: usize = 200;
/// Octets of what an audit line was about.
const MAX_DETAIL_OCTETS: usize = 1_000;

#[derive(Default)]
pub(super) struct State {
    pub(super) last_key: i64,
    pub(super) tenants: BTreeMap<String, Tenant>,
    pub(super) domains: BTreeMap<String, DomainRow>,
    /// By `local-part@domain`, so that lists come in the order of names.
    pub(super) accounts: BTreeMap<String, AccountRow>,
    /// By address.
    pub(super) aliases: BTreeMap<String, AliasRow>,
    pub(super) certificates: Vec<StoredCertificate>,
    /// When the account may log in again, by the arithmetic of [`State::note_login`].
    pub(super) paces: HashMap<AccountId, SystemTime>,
    pub(super) audit: Vec<AuditEntry>,
    pub(super) revision: i64,
    pub(super) installation: Option<Secret<[u8; 32]>>,
}

pub(super) struct DomainRow {
    pub(super) id: DomainId,
    pub(super) tenant: String,
}

pub(super) struct AccountRow {
    pub(super) id: AccountId,
    pub(super) name: LoginName,
    pub(super) state: AccountState,
    pub(super) quota_octets: Option<Octets>,
    pub(super) quota_messages: Option<u64>,
    pub(super) password: Option<Secret<String>>,
    pub(super) scram: Option<Secret<String>>,
    pub(super) version: i64,
    pub(super) app_passwords: Vec<AppPasswordRow>,
}

pub(super) struct AppPasswordRow {
    pub(super) info: AppPasswordInfo,
    pub(super) verifier: Secret<String>,
}

pub(super) struct AliasRow {
    pub(super) address: LoginName,
    pub(super) account: AccountId,
    pub(super) may_log_in: bool,
}

/// The entries of a page, in order, of those that `show` shows.
pub(super) fn page<T, R>(
    all: &BTreeMap<String, T>,
    page: &Page,
    show: impl Fn(&str, &T) -> Option<R>,
) -> Vec<R> {
    let start = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    all.range::<str, _>((start, Bound::Unbounded))
        .filter_map(|(name, value)| show(name, value))
        .take(usize::try_from(page.limit).unwrap_or(usize::MAX))
        .collect()
}

impl AccountRow {
    pub(super) fn set_password(&mut self, password: NewPassword) {
        self.password = Some(password.hash);
        self.scram = password.scram;
        self.version += 1;
    }
}

impl State {
    /// Keys only grow: one that was removed never comes back.
    pub(super) fn next_key(&mut self) -> i64 {
        self.last_key += 1;
        self.last_key
    }

    /// What is too long for the audit is cut off: a line that says less is better than none.
    pub(super) fn append(&mut self, mut record: AuditRecord) {
        record
            .actor
            .truncate(record.actor.floor_char_boundary(MAX_ACTOR_OCTETS));
        record
            .detail
            .truncate(record.detail.floor_char_boundary(MAX_DETAIL_OCTETS));
        let id = self.audit.last().map_or(1, |last| last.id + 1);
        self.audit.push(AuditEntry { id, record });
    }

    pub(super) fn domain(&self, name: &str) -> Option<Domain> {
        let row = self.domains.get(name)?;
        let tenant = self.tenants.get(&row.tenant)?;
        Some(Domain {
            id: row.id,
            tenant: tenant.id,
            tenant_name: tenant.name.clone(),
            name: name.to_owned(),
        })
    }

    pub(super) fn tenant_of(&self, row: &AccountRow) -> Option<&Tenant> {
        let domain = self.domains.get(row.name.domain())?;
        self.tenants.get(&domain.tenant)
    }

    pub(super) fn account(&self, row: &AccountRow) -> Option<Account> {
        let tenant = self.tenant_of(row)?;
        Some(Account {
            id: row.id,
            name: row.name.clone(),
            state: row.state,
            tenant_state: tenant.state,
            quota_octets: row.quota_octets,
            quota_messages: row.quota_messages,
            storage: tenant.storage.clone(),
        })
    }

    pub(super) fn row(&self, name: &LoginName) -> Option<&AccountRow> {
        self.accounts.get(&name.to_string())
    }

    pub(super) fn row_of(&self, account: AccountId) -> Option<&AccountRow> {
        self.accounts.values().find(|row| row.id == account)
    }

    /// The account of an address: its own, or an alias's; `to_log_in` leaves out aliases that only receive.
    pub(super) fn by_address(&self, address: &LoginName, to_log_in: bool) -> Option<&AccountRow> {
        self.row(address).or_else(|| {
            let alias = self.aliases.get(&address.to_string())?;
            let reachable = alias.may_log_in || !to_log_in;
            reachable.then(|| self.row_of(alias.account)).flatten()
        })
    }

    pub(super) fn alias(&self, row: &AliasRow) -> Option<Alias> {
        Some(Alias {
            address: row.address.clone(),
            account: self.row_of(row.account)?.name.clone(),
            may_log_in: row.may_log_in,
        })
    }

    pub(super) fn is_taken(&self, address: &LoginName) -> bool {
        self.row(address).is_some() || self.aliases.contains_key(&address.to_string())
    }

    pub(super) fn credentials(&self, name: &LoginName) -> Option<Credentials> {
        let row = self.by_address(name, true)?;
        let copy = |secret: &Secret<String>| Secret::new(secret.expose().clone());
        Some(Credentials {
            asked: name.clone(),
            account: self.account(row)?,
            password: row.password.as_ref().map(copy),
            scram: row.scram.as_ref().map(copy),
            version: row.version,
            app_passwords: row
                .app_passwords
                .iter()
                .map(|kept| AppCredential {
                    id: kept.info.id,
                    verifier: copy(&kept.verifier),
                    scope: kept.info.scope,
                    networks: kept.info.networks.clone(),
                    expires_at: kept.info.expires_at,
                    last_used_at: kept.info.last_used_at,
                })
                .collect(),
            policy: self.tenant_of(row)?.policy.clone(),
        })
    }

    /// The generic cell rate algorithm: a login is admitted if the theoretical arrival time is at most
    /// `(burst - 1) * delay` ahead.
    pub(super) fn note_login(&mut self, note: &LoginNote, now: SystemTime) -> bool {
        if !note.delay.is_zero() {
            let expected = self.paces.get(&note.account).copied().unwrap_or(now).max(now);
            let ahead = expected.duration_since(now).unwrap_or(Duration::ZERO);
            if ahead > note.delay * (note.burst.max(1) - 1) {
                return false;
            }
            self.paces.insert(note.account, expected + note.delay);
        }
        if let Some(id) = note.app_password
            && let Some(row) = self.accounts.values_mut().find(|row| row.id == note.account)
            && let Some(used) = row.app_passwords.iter_mut().find(|kept| kept.info.id == id)
        {
            used.info.last_used_at = Some(now);
        }
        true
    }

    pub(super) fn standing(&self, login: &LiveLogin, now: SystemTime) -> Standing {
        let Some((row, account)) = self
            .row_of(login.account)
            .and_then(|row| Some((row, self.account(row)?)))
        else {
            return Standing::Ended;
        };
        let stands = |id: AppPasswordId| {
            row.app_passwords
                .iter()
                .any(|kept| kept.info.id == id && kept.info.expires_at.is_none_or(|end| now < end))
        };
        if !account.may_log_in() || !login.app_password.is_none_or(stands) {
            Standing::Ended
        } else if account.may_delete() {
            Standing::Good
        } else {
            Standing::ReadOnly
        }
    }

    pub(super) fn roster(&self) -> Roster {
        Roster {
            revision: self.revision,
            tenants: self.tenants.values().cloned().collect(),
            certificates: self.certificates.clone(),
        }
    }

    pub(super) fn refuse_accounts(&self, domain: &str) -> Result<(), DirectoryError> {
        let of_domain = |name: &LoginName| name.domain() == domain;
        let has_some = self.accounts.values().any(|row| of_domain(&row.name))
            || self.aliases.values().any(|row| of_domain(&row.address));
        if has_some {
            let message = format!("the domain {domain} still has accounts or aliases; remove them first");
            return Err(DirectoryError::new(DirectoryErrorKind::InUse, message));
        }
        Ok(())
    }

    pub(super) fn tenant_name(&self, id: TenantId) -> Option<&str> {
        self.tenants
            .values()
            .find(|tenant| tenant.id == id)
            .map(|tenant| tenant.name.as_str())
    }
}
