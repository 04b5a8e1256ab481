//! What the operator lets a plugin have beside log, clock and random.

use std::collections::BTreeMap;

use restante_types::Secret;

use crate::http::HttpGate;

/// What a plugin may import and use. Nothing by default.
#[derive(Debug, Default)]
pub struct Grants {
    /// Small values of its own in the server's database.
    pub key_value: bool,
    /// The storage beneath.
    pub inner: bool,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret<Vec<u8>>>,
    /// Where it may send requests.
    pub http: Option<HttpGate>,
}

impl Grants {
    /// Whether an interface of the package may be imported.
    pub(crate) fn admit(&self, interface: &str) -> bool {
        match interface {
            "types" | "log" | "clock" | "random" => true,
            "key-value" => self.key_value,
            "inner" => self.inner,
            "secrets" => !self.secrets.is_empty(),
            "http" => self.http.is_some(),
            _ => false,
        }
    }
}
