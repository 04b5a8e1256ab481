//! What every frontend knows of tenants before anybody has logged in: whose a connection is, what to announce.
//!
//! Kept in memory and exchanged whole; a connection never asks the directory for it. Start at [`TenantTable`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use restante_types::TenantId;

use crate::{Policy, Roster, Tenant};

/// Whose users are known on a connection.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The one tenant whose users are known; `None`: all tenants' are, by the domain in their names.
    pub tenant: Option<TenantId>,
    /// What completes a login name without a domain.
    pub default_domain: Option<Arc<str>>,
    /// The tenant's rules.
    pub policy: Option<Arc<Policy>>,
}

/// What holds for users of which it is not known yet who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extremes {
    /// The longest login delay of any tenant.
    pub login_delay: Duration,
    /// Whether another tenant has a shorter one.
    pub login_delay_differs: bool,
    /// The fewest days after which a tenant's messages go; `None` if they never do.
    pub expire_days: Option<u32>,
    /// Whether another tenant keeps them longer.
    pub expire_differs: bool,
}

/// The tenants of a [`Roster`], by key and by server name.
#[derive(Debug, Default)]
pub struct TenantTable {
    table: ArcSwap<Table>,
}

#[derive(Debug, Default)]
struct Table {
    revision: Option<i64>,
    scopes: HashMap<TenantId, Scope>,
    by_server_name: HashMap<String, TenantId>,
    extremes: Extremes,
}

impl TenantTable {
    /// A table without tenants.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a roster in force at once. Connections that began before keep what they began with.
    pub fn replace(&self, roster: &Roster) {
        let scopes = roster
            .tenants
            .iter()
            .map(|tenant| (tenant.id, scope(tenant)))
            .collect();
        let names = roster.tenants.iter().flat_map(|tenant| {
            let names = tenant.server_names.iter();
            names.map(move |name| (name.clone(), tenant.id))
        });
        self.table.store(Arc::new(Table {
            revision: Some(roster.revision),
            scopes,
            by_server_name: names.collect(),
            extremes: extremes(&roster.tenants),
        }));
    }

    /// The revision of the roster in force, to ask the directory for a later one.
    pub fn revision(&self) -> Option<i64> {
        self.table.load().revision
    }

    /// Whose users are known on a connection: those of the tenant that its listener is bound to, else of the one that
    /// the server name belongs to which the client asked for, else everybody's.
    pub fn scope(&self, listener: Option<TenantId>, server_name: Option<&str>) -> Scope {
        let table = self.table.load();
        let named = || table.by_server_name.get(server_name?).copied();
        let Some(tenant) = listener.or_else(named) else {
            return Scope::default();
        };
        // A tenant that was removed since knows nobody.
        table.scopes.get(&tenant).cloned().unwrap_or(Scope {
            tenant: Some(tenant),
            ..Scope::default()
        })
    }

    /// What to announce where the tenant is not known (RFC 2449 sections 6.5 and 6.7).
    pub fn extremes(&self) -> Extremes {
        self.table.load().extremes
    }

    /// The tenants whose messages go after some days, and after how many.
    pub fn expiring(&self) -> Vec<(TenantId, u32)> {
        let table = self.table.load();
        let rules = table.scopes.iter().filter_map(|(tenant, scope)| {
            let days = scope.policy.as_ref()?.expire_days?;
            Some((*tenant, days))
        });
        rules.collect()
    }
}

fn scope(tenant: &Tenant) -> Scope {
    Scope {
        tenant: Some(tenant.id),
        default_domain: tenant.default_domain.as_deref().map(Arc::from),
        policy: Some(Arc::new(tenant.policy.clone())),
    }
}

fn extremes(tenants: &[Tenant]) -> Extremes {
    let delays = || tenants.iter().map(|tenant| tenant.policy.login_delay());
    let longest = delays().max().unwrap_or_default();
    let days = || tenants.iter().map(|tenant| tenant.policy.expire_days);
    let fewest = days().flatten().min();
    Extremes {
        login_delay: longest,
        login_delay_differs: delays().any(|delay| delay != longest),
        expire_days: fewest,
        expire_differs: days().any(|days| days != fewest),
    }
}
