//! Who asks: the holder of a token, the directory as it is for them, and what else exists for them.
//!
//! Start at [`Caller`].

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use restante_auth::{Account, Actor, AuditAction, AuditRecord, DirectoryAdmin, LoginName, Tenant};
use restante_types::{SessionId, TenantId};

use crate::problem::{Kind, Problem};
use crate::token::Holder;
use crate::{AdminPorts, StorageFacts};

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// As the audit names them.
    pub(crate) name: String,
    /// The one tenant that exists for them.
    pub(crate) tenant: Option<Tenant>,
    /// The directory, changed on their behalf.
    pub(crate) directory: Arc<dyn DirectoryAdmin>,
}

impl Caller {
    /// Looks the tenant of a holder up: it is known by its name, which another may have by now.
    ///
    /// # Errors
    /// There is no such tenant; the directory does not answer.
    pub(crate) async fn admit(ports: &AdminPorts, holder: Holder) -> Result<Self, Problem> {
        let name = format!("api:{}", holder.name);
        let acting = |tenant| {
            ports.directory.acting(Actor {
                name: name.clone(),
                tenant,
            })
        };
        let provider = acting(None);
        let Some(of) = holder.tenant else {
            return Ok(Self {
                name,
                tenant: None,
                directory: provider,
            });
        };
        let Some(tenant) = provider.tenant(&of).await? else {
            let detail = format!("the tenant {of} of this token does not exist");
            return Err(Problem::new(Kind::NotPermitted, detail));
        };
        Ok(Self {
            directory: acting(Some(tenant.id)),
            name,
            tenant: Some(tenant),
        })
    }

    /// Whether what belongs to a tenant exists for them.
    pub(crate) fn sees(&self, tenant: TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|own| own.id == tenant)
    }

    /// Whether a storage exists for them: a tenant sees the one that takes its new mail.
    pub(crate) fn sees_storage(&self, storage: &StorageFacts) -> bool {
        self.tenant.as_ref().is_none_or(|own| own.storage == storage.name)
    }

    /// Refuses what is the provider's to change.
    pub(crate) fn provider_only(&self, what: &str) -> Result<(), Problem> {
        match self.tenant {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                Kind::NotPermitted,
                format!("{what} are the provider's to change"),
            )),
        }
    }

    /// The tenant of that name.
    pub(crate) async fn known_tenant(&self, name: &str) -> Result<Tenant, Problem> {
        let found = self.directory.tenant(name).await?;
        found.ok_or_else(|| Problem::not_found(format!("there is no tenant {name}")))
    }

    /// The account of that name.
    pub(crate) async fn known_account(&self, name: &LoginName) -> Result<Account, Problem> {
        let found = self.directory.account(name).await?;
        found.ok_or_else(|| Problem::not_found(format!("there is no account {name}")))
    }

    /// Writes down what was done outside the directory.
    pub(crate) async fn note(&self, ports: &AdminPorts, note: Note) -> Result<(), Problem> {
        let record = AuditRecord {
            at: ports.clock.wall(),
            actor: self.name.clone(),
            action: note.action,
            tenant: note.tenant,
            account: note.account,
            session: note.session,
            client: None,
            detail: note.detail,
        };
        Ok(self.directory.record(&[record]).await?)
    }
}

/// What was done.
pub(crate) struct Note {
    pub(crate) action: AuditAction,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) account: Option<restante_types::AccountId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) detail: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The guard has put it there; without it nobody has asked for a token.
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Kind::Unauthorized, "the request has no token"))
    }
}
