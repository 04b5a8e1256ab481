//! Settings as plain data: what a person may write in `restante.toml` or in the environment, and what is wrong with it.
//!
//! It opens nothing but the file itself, binds nothing and knows no other crate: the binary turns these structs into
//! listeners, stores and limits. Start at [`Config::load`]; every area has a file of its own under `area`.

mod address;
mod area;
mod check;
mod document;
mod error;
mod reference;
mod schema;
mod service_url;

pub use address::ListenAddress;
pub use area::{
    Admin, AdminToken, Auth, Certificate, Collector, Database, DatabaseUrl, DirectoryKind, Drain, Grant,
    Level, Limits, Listener, Lmtp, Lock, Log, LogFormat, Mechanism, OldestVersion, Plugin, PluginHost,
    PluginStorage, Pooler, Protocol, Redis, S3, Storage, Telemetry, Tls, UnknownName, World,
};
pub use error::{ConfigError, ConfigErrors};
pub use ipnet::IpNet;
pub use reference::{example_toml, reference_markdown};
pub use service_url::ServiceUrl;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Document;

/// Everything `restante.toml` can say.
///
/// A key that is left out has the default its field documents; a key that does not exist is an error. Relative paths
/// are relative to the working directory of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The `[storage.NAME]` that a tenant uses when its policy names none.
    pub default_storage: String,
    /// Where clients and the mail system connect. At least one.
    pub listener: Vec<Listener>,
    /// Certificates, and the behaviour of the TLS handshake.
    pub tls: Tls,
    /// Where tenants, accounts, locks and the index of messages live.
    pub database: Database,
    /// Where the octets of messages live, by name: a tenant picks one.
    pub storage: BTreeMap<String, Storage>,
    /// What an installed plugin is granted beside log, clock and random, and its limits. It is used by storages of kind
    /// `plugin`, and installed with `restante plugin install NAME FILE`.
    pub plugin: BTreeMap<String, Plugin>,
    /// Where plugins are made ready to run.
    pub plugin_host: PluginHost,
    /// How this frontend is known to the others that share its Postgres.
    pub lock: Lock,
    /// What one client, and all clients together, may use.
    pub limits: Limits,
    /// Delivery in, by LMTP (RFC 2033).
    pub lmtp: Lmtp,
    /// How passwords are hashed, and how many at a time.
    pub auth: Auth,
    /// Limits that all frontends share.
    pub redis: Redis,
    /// How the server leaves after SIGTERM.
    pub drain: Drain,
    /// Removal of octets that no message refers to any more.
    pub collector: Collector,
    /// What is written to standard error, and how.
    pub log: Log,
    /// The port for operators: metrics, health, a status page and the admin API.
    pub admin: Admin,
    /// Traces, and series of tenants.
    pub telemetry: Telemetry,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_storage: "main".to_owned(),
            listener: Vec::new(),
            tls: Tls::default(),
            database: Database::default(),
            storage: BTreeMap::from([(
                "main".to_owned(),
                Storage::File {
                    path: PathBuf::from("/var/lib/restante/blobs"),
                },
            )]),
            plugin: BTreeMap::new(),
            plugin_host: PluginHost::default(),
            limits: Limits::default(),
            lmtp: Lmtp::default(),
            auth: Auth::default(),
            redis: Redis::default(),
            drain: Drain::default(),
            lock: Lock::default(),
            collector: Collector::default(),
            log: Log::default(),
            admin: Admin::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Config {
    /// Reads `path` and lays the variables `RESTANTE__AREA__KEY` of `environment` over it.
    ///
    /// Pass `std::env::vars()`. Variables without the prefix `RESTANTE__` are not looked at.
    ///
    /// # Errors
    /// Everything that is wrong, at once: a file that cannot be read, broken TOML, unknown keys, wrong types, values
    /// outside their range, and settings that contradict each other ([`Config::check`]).
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|fault| ConfigErrors::unreadable(&name, &fault))?;
        Self::parse(&text, &name, environment)
    }

    /// The same for a text already in memory; `name` stands in front of every error.
    ///
    /// # Errors
    /// As [`Config::load`], without the reading.
    pub fn parse(
        text: &str,
        name: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let schema = schema::Schema::of_config();
        let (mut document, syntax) = Document::parse(text);
        if !syntax.is_empty() {
            return Err(ConfigErrors::new(name, syntax));
        }
        let mut faults = document.overlay(&schema, environment);
        faults.extend(schema.validate(document.value()));
        if faults.is_empty() {
            match serde_json::from_value::<Self>(document.value().clone()) {
                Ok(config) => {
                    faults = config.contradictions();
                    if faults.is_empty() {
                        return Ok(config);
                    }
                }
                Err(fault) => faults.push(ConfigError::new("", fault.to_string())),
            }
        }
        document.locate(&mut faults);
        Err(ConfigErrors::new(name, faults))
    }

    /// Checks settings that were built in code as [`Config::parse`] checks a file: ranges, and areas against each other.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let mut faults = match serde_json::to_value(self) {
            Ok(value) => schema::Schema::of_config().validate(&value),
            Err(fault) => vec![ConfigError::new("", fault.to_string())],
        };
        if faults.is_empty() {
            faults = self.contradictions();
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors::new("configuration", faults))
        }
    }

    /// Says which files named by the settings cannot be opened for reading.
    ///
    /// # Errors
    /// One [`ConfigError`] per file.
    pub fn check_files(&self) -> Result<(), ConfigErrors> {
        let faults = self.unreadable_files();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors::new("configuration", faults))
        }
    }
}

#[cfg(test)]
mod tests;
