//! `[limits]`: what one client, and all clients together, may use. Limits of a tenant are in its policy, not here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one client, and all clients together, may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections open at the same time, over all POP3 listeners; one more is greeted with `-ERR [SYS/TEMP]`. Deliveries
    /// have as many places of their own.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// Connections open at the same time from one client address (one /64 network for IPv6).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_address: u32,
    /// Share of `connections` that may be without a login, in percent: a flood of strangers leaves room for users.
    #[schemars(range(min = 1, max = 100))]
    pub unauthenticated_share_percent: u8,
    /// Time from the greeting to a successful login, in seconds.
    #[schemars(range(min = 5, max = 600))]
    pub login_timeout_secs: u64,
    /// Time without a command after login, in seconds. At least 600: RFC 1939 section 3 promises ten minutes.
    #[schemars(range(min = 600, max = 86_400))]
    pub idle_timeout_secs: u64,
    /// Time for the PROXY header, in seconds, on listeners with `trusted_proxies`.
    #[schemars(range(min = 1, max = 60))]
    pub proxy_header_timeout_secs: u64,
    /// Slowest reader that is served, in octets per second: less holds a connection and a maildrop for nothing.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub minimum_read_octets_per_sec: u64,
    /// Time over which that speed is averaged, in seconds.
    #[schemars(range(min = 5, max = 600))]
    pub minimum_read_window_secs: u64,
    /// Longest session, in seconds. It ends between two commands, without deleting anything.
    #[schemars(range(min = 600, max = 86_400))]
    pub session_max_secs: u64,
    /// Commands that are no commands, before the connection is closed.
    #[schemars(range(min = 1, max = 1000))]
    pub bad_commands: u32,
    /// Failed logins, before the connection is closed.
    #[schemars(range(min = 1, max = 100))]
    pub failed_logins: u32,
    /// Longest command line, in octets with its CRLF. RFC 2449 section 4 asks for at least 255.
    #[schemars(range(min = 255, max = 65_536))]
    pub command_line_octets: u32,
    /// Longest line inside a SASL exchange, and longest AUTH command, in octets with its CRLF. OAuth tokens reach 5000
    /// octets.
    #[schemars(range(min = 1024, max = 65_536))]
    pub sasl_line_octets: u32,
    /// Memory for listings of maildrops that were opened lately, in MiB: of a maildrop that is opened again only what
    /// came since is read. A message takes about 125 octets. A listing larger than all of it is not kept: give
    /// it 256 where maildrops have a million messages. 0 keeps none.
    #[schemars(range(min = 0, max = 65_536))]
    pub listing_cache_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 20,
            unauthenticated_share_percent: 20,
            login_timeout_secs: 60,
            idle_timeout_secs: 600,
            proxy_header_timeout_secs: 5,
            minimum_read_octets_per_sec: 1024,
            minimum_read_window_secs: 60,
            session_max_secs: 7200,
            bad_commands: 10,
            failed_logins: 3,
            command_line_octets: 512,
            sasl_line_octets: 16_384,
            listing_cache_mib: 64,
        }
    }
}
