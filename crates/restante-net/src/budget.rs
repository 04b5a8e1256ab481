//! How many connections there may be: in all, from one client, and before authentication.
//!
//! Counts, and never waits: a connection beyond a limit is refused at once. Knows no rates; those belong to
//! authentication. Start at [`ConnectionBudget::admit`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use restante_types::ClientAddr;

/// The limits of a [`ConnectionBudget`], in connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Connections in all.
    pub total: u32,
    /// Connections from one client: an IPv4 address, or the /64 network of an IPv6 address.
    pub per_client: u32,
    /// Connections that have not authenticated. Less than `total`, so that a flood of strangers cannot keep known
    /// users out.
    pub unauthenticated: u32,
}

/// Why a connection is not admitted. Closed: metrics label by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The server holds as many connections as it may.
    #[error("too many connections")]
    Total,
    /// This client holds as many connections as it may.
    #[error("too many connections from this client")]
    PerClient,
    /// Too many connections have not authenticated yet.
    #[error("too many connections that have not authenticated")]
    Unauthenticated,
}

/// What a budget holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetUsage {
    /// Connections that hold a permit.
    pub open: u32,
    /// Those of them that have not authenticated.
    pub unauthenticated: u32,
    /// Different clients among them.
    pub clients: usize,
}

/// The connections that all listeners together may hold. Clones share one budget.
///
/// Memory follows the connections that are open, never the addresses that were ever seen.
#[derive(Clone, Debug)]
pub struct ConnectionBudget(Arc<Mutex<Ledger>>);

#[derive(Debug)]
struct Ledger {
    limits: BudgetLimits,
    open: u32,
    unauthenticated: u32,
    clients: HashMap<IpAddr, u32>,
}

impl ConnectionBudget {
    /// An empty budget.
    pub fn new(limits: BudgetLimits) -> Self {
        Self(Arc::new(Mutex::new(Ledger {
            limits,
            open: 0,
            unauthenticated: 0,
            clients: HashMap::new(),
        })))
    }

    /// Takes a place for a connection whose client is not yet known (a PROXY header may still name it).
    ///
    /// # Errors
    /// [`Refusal::Total`] and [`Refusal::Unauthenticated`].
    pub fn admit(&self) -> Result<Permit, Refusal> {
        let mut ledger = self.ledger();
        if ledger.open >= ledger.limits.total {
            return Err(Refusal::Total);
        }
        if ledger.unauthenticated >= ledger.limits.unauthenticated {
            return Err(Refusal::Unauthenticated);
        }
        ledger.open += 1;
        ledger.unauthenticated += 1;
        Ok(Permit {
            budget: self.clone(),
            client: None,
            authenticated: false,
        })
    }

    /// Puts new limits in force. Permits already given stay valid, also beyond a lowered limit.
    pub fn set_limits(&self, limits: BudgetLimits) {
        self.ledger().limits = limits;
    }

    /// The limits in force.
    pub fn limits(&self) -> BudgetLimits {
        self.ledger().limits
    }

    /// What is held now.
    pub fn usage(&self) -> BudgetUsage {
        let ledger = self.ledger();
        BudgetUsage {
            open: ledger.open,
            unauthenticated: ledger.unauthenticated,
            clients: ledger.clients.len(),
        }
    }

    /// Every change to the ledger is complete before its guard goes, so one that a panic poisoned is still true.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right of one connection to exist. Its drop frees every place it held.
#[derive(Debug)]
#[must_use = "dropping a permit gives the place back"]
pub struct Permit {
    budget: ConnectionBudget,
    client: Option<IpAddr>,
    authenticated: bool,
}

impl Permit {
    /// Counts the connection for its client. Further calls change nothing: a connection has one client.
    ///
    /// # Errors
    /// [`Refusal::PerClient`]; the permit keeps its other places until it is dropped.
    pub fn count_for(&mut self, client: ClientAddr) -> Result<(), Refusal> {
        if self.client.is_some() {
            return Ok(());
        }
        let key = client_key(client.ip());
        let mut ledger = self.budget.ledger();
        let limit = ledger.limits.per_client;
        let held = ledger.clients.get(&key).copied().unwrap_or(0);
        if held >= limit {
            return Err(Refusal::PerClient);
        }
        ledger.clients.insert(key, held + 1);
        drop(ledger);
        self.client = Some(key);
        Ok(())
    }

    /// Moves the connection out of the share of those that have not authenticated. Further calls change nothing.
    pub fn authenticated(&mut self) {
        if !self.authenticated {
            self.authenticated = true;
            self.budget.ledger().unauthenticated -= 1;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut ledger = self.budget.ledger();
        ledger.open -= 1;
        if !self.authenticated {
            ledger.unauthenticated -= 1;
        }
        if let Some(key) = self.client
            && let Entry::Occupied(mut held) = ledger.clients.entry(key)
        {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or the /64 that one subscriber is given in IPv6.
fn client_key(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    const WIDE: BudgetLimits = BudgetLimits {
        total: 100,
        per_client: 100,
        unauthenticated: 100,
    };

    fn client(ip: &str) -> ClientAddr {
        ClientAddr::new(SocketAddr::new(ip.parse().unwrap(), 4711))
    }

    #[test]
    fn connection_beyond_the_total_is_refused_until_one_ends() {
        let budget = ConnectionBudget::new(BudgetLimits { total: 2, ..WIDE });
        let first = budget.admit().unwrap();
        let _second = budget.admit().unwrap();
        assert_eq!(budget.admit().unwrap_err(), Refusal::Total);
        drop(first);
        assert!(budget.admit().is_ok());
    }

    #[test]
    fn strangers_cannot_take_the_places_of_the_authenticated() {
        let budget = ConnectionBudget::new(BudgetLimits {
            unauthenticated: 1,
            ..WIDE
        });
        let mut known = budget.admit().unwrap();
        assert_eq!(budget.admit().unwrap_err(), Refusal::Unauthenticated);
        known.authenticated();
        known.authenticated();
        let _stranger = budget.admit().unwrap();
        assert_eq!(
            budget.usage(),
            BudgetUsage {
                open: 2,
                unauthenticated: 1,
                clients: 0
            }
        );
        drop(known);
        assert_eq!(
            budget.usage(),
            BudgetUsage {
                open: 1,
                unauthenticated: 1,
                clients: 0
            }
        );
    }

    #[test]
    fn one_client_is_an_ipv4_address_or_an_ipv6_64() {
        let budget = ConnectionBudget::new(BudgetLimits {
            per_client: 1,
            ..WIDE
        });
        let mut permits: Vec<Permit> = (0..5).map(|_| budget.admit().unwrap()).collect();
        assert_eq!(permits[0].count_for(client("192.0.2.1")), Ok(()));
        assert_eq!(permits[1].count_for(client("192.0.2.2")), Ok(()));
        assert_eq!(
            permits[2].count_for(client("::ffff:192.0.2.2")),
            Err(Refusal::PerClient)
        );
        assert_eq!(permits[3].count_for(client("2001:db8::1")), Ok(()));
        assert_eq!(
            permits[4].count_for(client("2001:db8::ffff:0:0:1")),
            Err(Refusal::PerClient)
        );
        drop(permits);
        assert_eq!(budget.usage(), BudgetUsage::default());
    }

    #[test]
    fn lowered_limits_keep_permits_and_refuse_new_ones() {
        let budget = ConnectionBudget::new(WIDE);
        let _kept: Vec<Permit> = (0..3).map(|_| budget.admit().unwrap()).collect();
        budget.set_limits(BudgetLimits { total: 2, ..WIDE });
        assert_eq!(budget.usage().open, 3);
        assert_eq!(budget.admit().unwrap_err(), Refusal::Total);
    }

    #[test]
    fn a_million_addresses_seen_leave_nothing_behind() {
        let budget = ConnectionBudget::new(WIDE);
        for n in 0..1_000_000_u32 {
            let mut permit = budget.admit().unwrap();
            let address = ClientAddr::new(SocketAddr::new(Ipv4Addr::from(n).into(), 1));
            permit.count_for(address).unwrap();
        }
        assert_eq!(budget.usage(), BudgetUsage::default());
        assert!(budget.ledger().clients.capacity() < 1000);
    }
}
