//! `[lmtp]`: delivery in (RFC 2033). Where it listens is a `[[listener]]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Delivery in, by LMTP (RFC 2033).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lmtp {
    /// Largest message accepted, in octets of its wire form. Announced as SIZE (RFC 1870).
    #[schemars(range(min = 65_536, max = 4_294_967_296_u64))]
    pub max_message_octets: u64,
    /// Recipients of one message.
    #[schemars(range(min = 100, max = 100_000))]
    pub max_recipients: u32,
    /// Time without a command, in seconds; a piece of a message has 600. RFC 5321 section 4.5.3.2 asks for 300.
    #[schemars(range(min = 30, max = 3600))]
    pub command_timeout_secs: u64,
    /// The name in the greeting. Left out: the name of the host.
    #[schemars(example = "mail.example.org")]
    pub hostname: Option<String>,
    /// Whether a Return-Path line is put before each message (RFC 5321 section 4.4), which changes what was sent.
    pub return_path: bool,
    /// Whether a message that the MTA sends again within 24 hours, because our reply was lost, is delivered once: same
    /// octets, with the id of the MTA's queue in its newest Received field. One for two addresses of an account too.
    pub deduplicate: bool,
    /// Folder where a message waits while it is received. Left out: beside the default storage, with the ending `.spool`.
    #[schemars(example = "/var/lib/restante/spool")]
    pub spool_path: Option<PathBuf>,
}

impl Default for Lmtp {
    fn default() -> Self {
        Self {
            max_message_octets: 150 * 1024 * 1024,
            max_recipients: 1000,
            command_timeout_secs: 300,
            hostname: None,
            return_path: false,
            deduplicate: false,
            spool_path: None,
        }
    }
}
