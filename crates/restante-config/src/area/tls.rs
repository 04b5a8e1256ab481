//! `[tls]`: certificates, and the behaviour of the TLS handshake. Keys are files, never values.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Certificates, and the behaviour of the TLS handshake. TLS 1.2 and 1.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Time for the handshake, in seconds.
    #[schemars(range(min = 1, max = 60))]
    pub handshake_timeout_secs: u64,
    /// What a client gets that asks for a name (SNI) without a certificate.
    pub unknown_name: UnknownName,
    /// Certificates. The first is the default: for clients that ask for no name.
    pub certificate: Vec<Certificate>,
}

/// One certificate with its private key. SIGHUP reads both files again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Certificate {
    /// PEM file with the certificate, followed by its chain.
    pub certificate_file: PathBuf,
    /// PEM file with the private key.
    pub key_file: PathBuf,
    /// Host names it is shown for, `*.example.org` included. Left out: the names in the certificate.
    #[serde(default)]
    pub names: Vec<String>,
}

/// What a client gets that asks for a name without a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum UnknownName {
    /// The first certificate.
    #[default]
    Default,
    /// A TLS alert (`unrecognized_name`).
    Refuse,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            handshake_timeout_secs: 10,
            unknown_name: UnknownName::Default,
            certificate: Vec::new(),
        }
    }
}
