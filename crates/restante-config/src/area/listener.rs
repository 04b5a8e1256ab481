//! `[[listener]]`: where clients and the mail system connect. Certificates are in `[tls]`, timeouts in `[limits]`.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ListenAddress;

/// Where clients and the mail system connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own that a person answers in the file"
)]
pub struct Listener {
    /// Address and port, `[::]:995`, or `unix:` and an absolute path (`lmtp` only).
    pub address: ListenAddress,
    /// What is spoken.
    pub protocol: Protocol,
    /// Networks of load balancers. Not empty: every connection must begin with a PROXY header and come from one of them.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("items" = { "type": "string", "format": NETWORK_FORMAT }))]
    pub trusted_proxies: Vec<IpNet>,
    /// Whether passwords may be sent without TLS: only for a network that is trusted. `pop3` only.
    #[serde(default)]
    pub allow_plaintext_login: bool,
    /// Whether STLS (RFC 2595) is offered. `pop3` only; needs a certificate in `[tls]`.
    #[serde(default = "yes")]
    pub stls: bool,
    /// Whether UTF8 and LANG (RFC 6856) are offered.
    #[serde(default)]
    pub utf8: bool,
    /// The tenant that a login name without a domain belongs to. Other tenants' users are unknown on this listener.
    #[serde(default)]
    #[schemars(example = "example.org")]
    pub tenant: Option<String>,
    /// Whether a line may end with LF alone, as some old clients send it. Answers always end with CRLF.
    #[serde(default = "yes")]
    pub accept_bare_lf: bool,
    /// Whether an `lmtp` listener may be reached from other hosts: whoever reaches it can deliver mail.
    #[serde(default)]
    pub allow_remote: bool,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Protocol {
    /// POP3, with STLS when it is offered. Port 110.
    Pop3,
    /// POP3 inside TLS. Port 995.
    Pop3s,
    /// Delivery in (RFC 2033).
    Lmtp,
}

impl Protocol {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Lmtp => "lmtp",
        }
    }
}

/// The `format` of a network in the schema.
pub(crate) const NETWORK_FORMAT: &str = "network";

impl Listener {
    /// A listener with the default of every key that has one.
    pub const fn new(address: ListenAddress, protocol: Protocol) -> Self {
        Self {
            address,
            protocol,
            trusted_proxies: Vec::new(),
            allow_plaintext_login: false,
            stls: true,
            utf8: false,
            tenant: None,
            accept_bare_lf: true,
            allow_remote: false,
        }
    }

    /// Whether a connection can come to use TLS here.
    pub const fn uses_tls(&self) -> bool {
        match self.protocol {
            Protocol::Pop3s => true,
            Protocol::Pop3 => self.stls,
            Protocol::Lmtp => false,
        }
    }
}

const fn yes() -> bool {
    true
}
