//! `[plugin.NAME]` and `[plugin_host]`: storage plugins, what they may and how much of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an installed plugin is granted beside log, clock and random, and its limits. A plugin is used by storages of
/// kind `plugin`; it is installed with `restante plugin install NAME FILE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plugin {
    /// Interfaces that it may import: `key-value` (small values of its own in the database), `inner` (the storage that
    /// its storage names as `inner`).
    #[schemars(example = Example::grants())]
    pub grants: Vec<Grant>,
    /// Where it may send HTTP requests: `https://host` or `https://host:port`; `http://` with a loopback address.
    #[schemars(example = Example::http())]
    pub http: Vec<String>,
    /// Whether names of `http` may lead to private addresses. Addresses that are named as such always may.
    pub http_private: bool,
    /// File with certificates (PEM) that sign those of the servers of `http`, besides those that the system trusts.
    #[schemars(example = &"/etc/restante/jmap-ca.pem")]
    pub http_ca_file: Option<PathBuf>,
    /// Files with the secrets that it may read, each by the name that it asks with.
    #[schemars(example = Example::secrets())]
    pub secrets: BTreeMap<String, PathBuf>,
    /// Memory of one instance, in MiB: 64 for Rust, C and QuickJS, 128 for Go, 256 for Python.
    #[schemars(range(min = 1, max = 4096))]
    pub memory_mib: u32,
    /// Instances for one tenant at the same time; calls above wait.
    #[schemars(range(min = 1, max = 1000))]
    pub instances: u32,
    /// Longest wait for a free instance, in seconds.
    #[schemars(range(min = 1, max = 60))]
    pub wait_secs: u64,
    /// Longest call, in seconds.
    #[schemars(range(min = 1, max = 300))]
    pub call_secs: u64,
    /// How long a call may compute, in milliseconds.
    #[schemars(range(min = 10, max = 60000))]
    pub computing_millis: u64,
    /// Calls after which an instance is replaced.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_uses: u64,
    /// Age at which an instance is replaced, in seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub max_age_secs: u64,
    /// Octets that an instance moves before it is replaced, in MiB: some languages' run-times leak what they return.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_moved_mib: u64,
}

impl Default for Plugin {
    fn default() -> Self {
        Self {
            grants: Vec::new(),
            http: Vec::new(),
            http_private: false,
            http_ca_file: None,
            secrets: BTreeMap::new(),
            memory_mib: 64,
            instances: 16,
            wait_secs: 5,
            call_secs: 10,
            computing_millis: 2_000,
            max_uses: 1_000,
            max_age_secs: 600,
            max_moved_mib: 256,
        }
    }
}

/// An interface that a plugin may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Grant {
    /// Small values of its own in the server's database.
    KeyValue,
    /// The storage beneath.
    Inner,
}

/// Where plugins are made ready to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginHost {
    /// Folder for compiled plugins, which only the server's user may write to. Left out: beside the folder of the
    /// default storage if that is of kind `file`, else one of the server's user under the system's temporary folder.
    #[schemars(example = &"/var/cache/restante/plugins")]
    pub cache_path: Option<PathBuf>,
}

/// A storage whose octets, or whole maildrops, a plugin keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct PluginStorage {
    /// The `[plugin.NAME]` that keeps it.
    #[schemars(example = &"seal")]
    pub plugin: String,
    /// What the plugin is.
    #[serde(default)]
    pub world: World,
    /// The `[storage.NAME]` beneath, for the plugin alone: no tenant can choose it.
    #[schemars(example = &"bucket")]
    pub inner: Option<String>,
    /// What the plugin is configured with: a table, handed to it as JSON.
    #[serde(default)]
    #[schemars(example = Example::config())]
    pub config: BTreeMap<String, serde_json::Value>,
}

/// What a plugin keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum World {
    /// The octets of messages; our index says which there are.
    #[default]
    BlobStore,
    /// Whole maildrops of another mail system.
    Maildrop,
}

/// Tables for the example page.
struct Example;

impl Example {
    const fn grants() -> [&'static str; 1] {
        ["key-value"]
    }

    const fn http() -> [&'static str; 1] {
        ["https://jmap.example.net"]
    }

    fn secrets() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([("key", "/etc/restante/seal.key")])
    }

    fn config() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([("key", "key")])
    }
}
