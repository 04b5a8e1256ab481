//! `[storage.NAME]`: where the octets of messages live. Which messages exist is told by `[database]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::area::plugin::PluginStorage;

/// Where the octets of messages live. The name is letters a-z, digits, `-` and `_`. A message stays where it was put
/// until `restante storage move`; a storage that still holds messages must stay in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(inline)]
pub enum Storage {
    /// Files in a local folder. For several frontends it must be one that all of them share and that syncs when asked.
    File {
        /// The folder. It is created when it does not exist.
        path: PathBuf,
    },
    /// Rows of the database, which is `postgres://`. One storage at most is of this kind.
    Postgres {},
    /// Objects of a bucket of S3, or of a service that speaks its protocol. The bucket must exist, and should have a
    /// lifecycle rule that removes incomplete uploads after a day.
    S3(S3),
    /// Kept by a plugin in WebAssembly, which must be installed.
    Plugin(PluginStorage),
}

impl Storage {
    /// The word for it in the configuration.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Postgres {} => "postgres",
            Self::S3(_) => "s3",
            Self::Plugin(_) => "plugin",
        }
    }
}

/// A bucket and the way there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct S3 {
    /// The bucket.
    #[schemars(example = &"acme-mail")]
    pub bucket: String,
    /// Where the bucket is. Left out: `AWS_REGION` of the environment, else `us-east-1`.
    #[schemars(example = &"eu-central-1")]
    pub region: Option<String>,
    /// The service, `https://host:port`. Left out: Amazon's.
    #[schemars(example = &"https://s3.example.net")]
    pub endpoint: Option<String>,
    /// What all keys begin with: several servers can share a bucket.
    #[serde(default)]
    pub prefix: String,
    /// Whether the bucket is the first part of the path and not of the host's name. Left out: only with `endpoint`.
    #[schemars(example = true)]
    pub path_style: Option<bool>,
    /// Whether `http://` is taken for a host other than this one: then mail and signatures can be read on the way.
    #[serde(default)]
    pub allow_http: bool,
    /// File with the certificates (PEM) that sign the service's own, besides those that the system trusts.
    #[schemars(example = &"/etc/restante/s3-ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// File with the keys, in the form of `~/.aws/credentials`; read again when it changes. Left out: the
    /// environment's (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), a web identity, the user's own file, the
    /// container's or the instance's role, in this order.
    #[schemars(example = &"/etc/restante/s3-credentials")]
    pub credentials_file: Option<PathBuf>,
    /// The section of `credentials_file`.
    #[serde(default = "default_profile")]
    pub profile: String,
    /// Memory for messages that wait to be sent to the bucket, over all deliveries, in MiB.
    #[serde(default = "default_put_memory")]
    #[schemars(range(min = 8, max = 65536))]
    pub put_memory_mib: u32,
}

fn default_profile() -> String {
    "default".to_owned()
}

const fn default_put_memory() -> u32 {
    256
}
