//! What is asked of Redis: one script, its keys and its arguments.
//!
//! Knows no connection. Start at [`Call`].

use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::{Cmd, Script};
use restante_auth::{Attempt, NameKey, PLACE_LEASE, pacing};
use restante_types::{AccountId, SessionId, TenantId};

/// The operations, below the constants that they share with the arithmetic in memory.
static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let delays = pacing::DELAYS.map(|delay| delay.to_string()).join(", ");
    let constants = [
        ("PATIENCE", pacing::PATIENCE),
        ("NETWORK_FREE", pacing::NETWORK_FREE.into()),
        ("GUARD_FROM", pacing::GUARD_FROM.into()),
        ("FORGET", pacing::FORGET),
        ("DAY", pacing::DAY),
        // How long keys live at most, in milliseconds.
        ("PACE_LIFE", (pacing::FORGET + 2 * pacing::PATIENCE) / 1_000),
        ("SPENT_LIFE", 2 * pacing::DAY / 1_000),
        ("KNOWN_LIFE", 1_000 * pacing::KNOWN_FOR.as_secs()),
        ("LEASE", 1_000 * PLACE_LEASE.as_secs()),
    ];
    let constants = constants.map(|(name, value)| format!("local {name} = {value}\n"));
    let delays = format!("local DELAYS = {{ {delays} }}\n");
    delays + &constants.concat() + include_str!("limits.lua")
});

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(&SOURCE));

/// Says which call an answer is for; no two calls of a process have the same.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// One operation.
#[derive(Debug)]
pub(crate) struct Call {
    nonce: String,
    keys: Vec<String>,
    arguments: Vec<String>,
}

impl Call {
    fn new(operation: &str, keys: Vec<String>) -> Self {
        let nonce = format!("{operation}-{}", CALLS.fetch_add(1, Ordering::Relaxed));
        Self {
            arguments: vec![nonce.clone(), operation.into()],
            nonce,
            keys,
        }
    }

    fn with(mut self, argument: String) -> Self {
        self.arguments.push(argument);
        self
    }

    /// The operation by the name of the script, which Redis forgets when it starts.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", SCRIPT.get_hash())
    }

    /// The operation with the text of the script, which Redis remembers from then on.
    pub(crate) fn by_text(&self) -> Cmd {
        self.command("EVAL", &SOURCE)
    }

    fn command(&self, command: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(command);
        command
            .arg(script)
            .arg(self.keys.len())
            .arg(&self.keys)
            .arg(&self.arguments);
        command
    }

    /// Whether an answer is for this call and its key.
    pub(crate) fn is_answered_by(&self, nonce: &str, key: &str) -> bool {
        self.nonce == nonce && self.keys.first().is_some_and(|first| first == key)
    }
}

/// Makes calls under a prefix of keys.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(crate) fn admit(&self, attempt: &Attempt) -> Call {
        Call::new("admit", self.of_attempt(attempt))
    }

    pub(crate) fn failed(&self, attempt: &Attempt) -> Call {
        Call::new("failed", self.of_attempt(attempt))
    }

    pub(crate) fn succeeded(&self, name: NameKey, client: IpAddr) -> Call {
        let (_, network) = pacing::networks(client);
        Call::new("succeeded", vec![self.known(name, network)])
    }

    pub(crate) fn spend(&self, account: AccountId, share: u64) -> Call {
        let tenant = account.tenant().get().to_be_bytes();
        let key = self.key("spent", &[&tenant, &account.number().to_be_bytes()]);
        Call::new("spend", vec![key]).with(share.to_string())
    }

    pub(crate) fn enter(&self, tenant: TenantId, session: SessionId, cap: u32) -> Call {
        let call = Call::new("enter", vec![self.places(tenant)]);
        call.with(session.to_string()).with(cap.to_string())
    }

    pub(crate) fn leave(&self, tenant: TenantId, session: SessionId) -> Call {
        Call::new("leave", vec![self.places(tenant)]).with(session.to_string())
    }

    pub(crate) fn renew(&self, sessions: &[(TenantId, SessionId)]) -> Call {
        let keys = sessions.iter().map(|(tenant, _)| self.places(*tenant));
        let mut call = Call::new("renew", keys.collect());
        call.arguments
            .extend(sessions.iter().map(|(_, session)| session.to_string()));
        call
    }

    fn of_attempt(&self, attempt: &Attempt) -> Vec<String> {
        let (address, network) = pacing::networks(attempt.client);
        let mut keys = vec![
            self.key("address", &[&octets(address)]),
            self.key("network", &[&octets(network)]),
        ];
        if let Some(name) = attempt.name {
            keys.push(self.key("name", &[&name.0]));
            keys.push(self.known(name, network));
        }
        keys
    }

    fn known(&self, name: NameKey, network: IpAddr) -> String {
        self.key("known", &[&name.0, &octets(network)])
    }

    fn places(&self, tenant: TenantId) -> String {
        self.key("places", &[&tenant.get().to_be_bytes()])
    }

    /// Every part of one kind of key has a fixed length, or is the last.
    fn key(&self, kind: &str, parts: &[&[u8]]) -> String {
        let mut key = format!("{}{kind}:", self.prefix);
        let digits = parts
            .iter()
            .copied()
            .flatten()
            .flat_map(|octet| [octet >> 4, octet & 0x0f]);
        key.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
        key
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

#[cfg(test)]
impl Call {
    /// The operation at a time of the test's choice, in microseconds.
    pub(crate) fn at(self, now: u64) -> Cmd {
        let at_time = format!("local clock = {{ {}, {} }}", now / 1_000_000, now % 1_000_000);
        let source = SOURCE.replace("local clock = redis.call('TIME')", &at_time);
        assert_ne!(source, *SOURCE, "the time is read in one place");
        self.command("EVAL", &source)
    }
}
