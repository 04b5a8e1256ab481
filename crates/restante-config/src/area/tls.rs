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
    /// The oldest version of TLS that is spoken.
    pub oldest_version: OldestVersion,
    /// What a client gets that asks for a name (SNI) without a certificate.
    pub unknown_name: UnknownName,
    /// PEM file with the authorities that sign clients' certificates. Clients are then asked for one, and with EXTERNAL
    /// its mail address is their login name. Read once, at the start.
    pub client_authority_file: Option<PathBuf>,
    /// Folder with more certificates: pairs NAME.crt and NAME.key, or folders NAME with fullchain.pem and privkey.pem
    /// as certbot keeps them. Changes are seen within half a minute; a broken new pair leaves the old one in force.
    pub certificate_directory: Option<PathBuf>,
    /// Certificates. The first is the default: for clients that ask for no name. Those of tenants are in the database
    /// (`restante certificate`).
    pub certificate: Vec<Certificate>,
}

/// The oldest version of TLS that is spoken. A tenant's policy may ask for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum OldestVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// One certificate with its private key. Changed files are read again within half a minute, and on SIGHUP.
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
            oldest_version: OldestVersion::default(),
            unknown_name: UnknownName::Default,
            client_authority_file: None,
            certificate_directory: None,
            certificate: Vec::new(),
        }
    }
}
