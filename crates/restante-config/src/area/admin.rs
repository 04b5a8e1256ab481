//! `[admin]`: the port for operators, and who may use it. It binds nothing.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ListenAddress;

/// The port for operators: metrics, health, a status page and the admin API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port, or `unix:` and an absolute path. Left out: no such port. Beyond loopback it needs
    /// `certificate_file`.
    #[schemars(with = "Option<String>", extend("format" = crate::address::FORMAT), example = &"127.0.0.1:8180")]
    pub address: Option<ListenAddress>,
    /// A second address with `/metrics`, `/livez` and `/readyz` alone, without TLS and without tokens: for Prometheus
    /// and for the probes of balancers. Keep strangers from it with a firewall or a network policy.
    #[schemars(with = "Option<String>", extend("format" = crate::address::FORMAT), example = &"0.0.0.0:9180")]
    pub metrics_address: Option<ListenAddress>,
    /// PEM file with the certificate of `address`, followed by its chain.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
    /// Who may use the admin API. Nobody may without a token.
    pub token: Vec<AdminToken>,
}

/// Somebody who may use the admin API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct AdminToken {
    /// Who it is, for the audit: `api:NAME`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// File with the token on its first line: 16 to 1024 printable octets; `openssl rand -hex 32` makes a good one.
    pub token_file: PathBuf,
    /// The one tenant that exists for it. Left out: all do.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Whether it may only look.
    #[serde(default)]
    pub read_only: bool,
}
