//! Settings that are right alone and wrong together, and the files they name.
//!
//! What one field may hold is in its schema; nothing here repeats it. Start at [`Config::contradictions`].

use std::collections::BTreeMap;
use std::path::Path;

use crate::{
    Config, ConfigError, DatabaseUrl, DirectoryKind, ListenAddress, Listener, Mechanism, PluginStorage,
    Pooler, Protocol, ServiceUrl, Storage, World,
};

impl Config {
    pub(crate) fn contradictions(&self) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        if self.listener.is_empty() {
            faults.push(ConfigError::new(
                "listener",
                "nothing listens; add a [[listener]] with address and protocol",
            ));
        }
        for (nth, listener) in self.listener.iter().enumerate() {
            let path = format!("listener[{nth}]");
            match listener.protocol {
                Protocol::Pop3 | Protocol::Pop3s => self.check_pop3(&path, listener, &mut faults),
                Protocol::Lmtp => check_lmtp(&path, listener, &mut faults),
            }
        }
        self.check_duplicate_addresses(&mut faults);
        self.check_storage(&mut faults);
        self.check_database(&mut faults);
        self.check_admin(&mut faults);
        if self.auth.mechanisms.contains(&Mechanism::External) && self.tls.client_authority_file.is_none() {
            let reason =
                "EXTERNAL needs to know who signs clients' certificates; set tls.client_authority_file";
            faults.push(ConfigError::new("auth.mechanisms", reason));
        }
        faults
    }

    fn check_database(&self, faults: &mut Vec<ConfigError>) {
        let database = &self.database;
        if !matches!(database.target(), Ok(DatabaseUrl::Sqlite(_))) {
            return;
        }
        let misplaced = [
            ("password_file", database.password_file.is_some()),
            ("pooler", database.pooler != Pooler::None),
            ("direct_url", database.direct_url.is_some()),
            ("directory", database.directory != DirectoryKind::Own),
            ("high_availability", database.high_availability),
        ];
        for (key, _) in misplaced.iter().filter(|(_, is_set)| *is_set) {
            let reason = "has a meaning for postgres:// only; remove it, or change database.url";
            faults.push(ConfigError::new(format!("database.{key}"), reason));
        }
    }

    fn check_pop3(&self, path: &str, listener: &Listener, faults: &mut Vec<ConfigError>) {
        let mut fault =
            |key: &str, reason: &str| faults.push(ConfigError::new(format!("{path}.{key}"), reason));
        if matches!(listener.address, ListenAddress::Unix(_)) {
            fault(
                "address",
                "a Unix socket serves lmtp only; give POP3 an address and a port",
            );
        }
        if listener.allow_remote {
            fault("allow_remote", "has a meaning for lmtp only; remove it");
        }
        let has_certificate = !self.tls.certificate.is_empty();
        match listener.protocol {
            Protocol::Pop3s => {
                if !has_certificate {
                    fault("protocol", "pop3s needs a certificate; add [[tls.certificate]]");
                }
                if listener.allow_plaintext_login {
                    fault(
                        "allow_plaintext_login",
                        "everything is inside TLS here; remove it",
                    );
                }
            }
            _ if !listener.stls && !listener.allow_plaintext_login => {
                fault(
                    "stls",
                    "nobody could log in without TLS; set stls = true or allow_plaintext_login = true",
                );
            }
            _ if listener.stls && !has_certificate => {
                fault(
                    "stls",
                    "STLS needs a certificate; add [[tls.certificate]] or set stls = false",
                );
            }
            _ => {}
        }
    }

    fn check_admin(&self, faults: &mut Vec<ConfigError>) {
        let admin = &self.admin;
        let mut fault =
            |key: &str, reason: &str| faults.push(ConfigError::new(format!("admin.{key}"), reason));
        if admin.certificate_file.is_some() != admin.key_file.is_some() {
            fault(
                "key_file",
                "certificate_file and key_file belong together; set both or none",
            );
        }
        let is_open = |address: &ListenAddress| matches!(address, ListenAddress::Tcp(address) if !address.ip().is_loopback());
        if admin.address.as_ref().is_some_and(is_open) && admin.certificate_file.is_none() {
            fault(
                "address",
                "tokens would cross the network in the clear; set certificate_file and key_file, or listen on 127.0.0.1",
            );
        }
        if admin.address.is_none() && !admin.token.is_empty() {
            fault("token", "tokens without a port; set admin.address");
        }
        for (nth, token) in admin.token.iter().enumerate() {
            if admin.token[..nth].iter().any(|other| other.name == token.name) {
                fault(
                    &format!("token[{nth}].name"),
                    "two tokens have this name; the audit could not tell them apart",
                );
            }
        }
        let endpoint = self.telemetry.otlp_endpoint.as_ref().map(ServiceUrl::expose);
        if endpoint.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            let reason = "not the URL of a collector; write \"http://127.0.0.1:4318\"";
            faults.push(ConfigError::new("telemetry.otlp_endpoint", reason));
        }
    }

    fn check_duplicate_addresses(&self, faults: &mut Vec<ConfigError>) {
        let mut seen = BTreeMap::new();
        for (nth, listener) in self.listener.iter().enumerate() {
            // Port 0 is a port of the kernel's choice: two of them do not collide.
            if matches!(listener.address, ListenAddress::Tcp(address) if address.port() == 0) {
                continue;
            }
            if let Some(first) = seen.insert(&listener.address, format!("listener[{nth}]")) {
                let reason = format!("{} is taken by {first}; choose another port", listener.address);
                faults.push(ConfigError::new(format!("listener[{nth}].address"), reason));
            }
        }
        for (key, address) in [
            ("address", &self.admin.address),
            ("metrics_address", &self.admin.metrics_address),
        ] {
            let Some(address) = address else { continue };
            if matches!(address, ListenAddress::Tcp(address) if address.port() == 0) {
                continue;
            }
            if let Some(first) = seen.insert(address, format!("admin.{key}")) {
                let reason = format!("{address} is taken by {first}; choose another port");
                faults.push(ConfigError::new(format!("admin.{key}"), reason));
            }
        }
    }

    fn check_storage(&self, faults: &mut Vec<ConfigError>) {
        for name in self.storage.keys() {
            if !is_plain(name) {
                let reason = "a storage is named with letters a-z, digits, - and _";
                faults.push(ConfigError::new(format!("storage.{name}"), reason));
            }
        }
        let in_database =
            |storage: &&String| matches!(self.storage.get(*storage), Some(Storage::Postgres {}));
        for (nth, name) in self.storage.keys().filter(in_database).enumerate() {
            let path = format!("storage.{name}.kind");
            if !matches!(self.database.target(), Ok(DatabaseUrl::Postgres(_))) {
                faults.push(ConfigError::new(path, "needs database.url = \"postgres://...\""));
            } else if nth > 0 {
                let reason = "one storage of this kind is all that the database can hold; remove one";
                faults.push(ConfigError::new(path, reason));
            }
        }
        self.check_plugins(faults);
        if !self.storage.contains_key(&self.default_storage) {
            let known = self
                .storage
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            let reason = format!("there is no [storage.{}]; known: {known}", self.default_storage);
            faults.push(ConfigError::new("default_storage", reason));
        }
    }

    fn check_plugins(&self, faults: &mut Vec<ConfigError>) {
        for name in self.plugin.keys().filter(|name| !is_plain(name)) {
            let reason = "a plugin is named with letters a-z, digits, - and _";
            faults.push(ConfigError::new(format!("plugin.{name}"), reason));
        }
        let mut taken = BTreeMap::new();
        for (name, storage) in &self.storage {
            let Storage::Plugin(storage) = storage else {
                continue;
            };
            let mut fault = |key: &str, reason: String| {
                faults.push(ConfigError::new(format!("storage.{name}.{key}"), reason));
            };
            if !self.plugin.contains_key(&storage.plugin) {
                let reason = format!(
                    "there is no [plugin.{0}]; add it, empty if the plugin needs no grant",
                    storage.plugin
                );
                fault("plugin", reason);
            }
            let Some(inner) = &storage.inner else {
                continue;
            };
            match self.storage.get(inner) {
                None => fault("inner", format!("there is no [storage.{inner}]")),
                Some(Storage::Plugin(beneath)) if beneath.world == World::Maildrop => {
                    fault("inner", format!("{inner} keeps whole maildrops, no octets"));
                }
                Some(_) if *inner == self.default_storage => {
                    let reason = format!(
                        "{inner} is the default storage; what is beneath a plugin is the plugin's alone"
                    );
                    fault("inner", reason);
                }
                Some(_) => {
                    if let Some(other) = taken.insert(inner, name) {
                        fault("inner", format!("{inner} is beneath storage.{other} already"));
                    }
                    if self.is_beneath_itself(name) {
                        fault("inner", "the storage would be beneath itself".to_owned());
                    }
                }
            }
        }
    }

    fn is_beneath_itself(&self, name: &str) -> bool {
        let mut at = name;
        for _ in 0..=self.storage.len() {
            match self.storage.get(at) {
                Some(Storage::Plugin(PluginStorage {
                    inner: Some(inner), ..
                })) => at = inner,
                _ => return false,
            }
        }
        true
    }

    pub(crate) fn unreadable_files(&self) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        for (nth, certificate) in self.tls.certificate.iter().enumerate() {
            let files = [
                ("certificate_file", &certificate.certificate_file),
                ("key_file", &certificate.key_file),
            ];
            for (key, file) in files {
                if let Some(reason) = unreadable(file) {
                    faults.push(ConfigError::new(format!("tls.certificate[{nth}].{key}"), reason));
                }
            }
        }
        let single = [
            ("database.password_file", &self.database.password_file),
            ("redis.password_file", &self.redis.password_file),
            ("admin.certificate_file", &self.admin.certificate_file),
            ("admin.key_file", &self.admin.key_file),
            ("telemetry.otlp_headers_file", &self.telemetry.otlp_headers_file),
            ("auth.keys_file", &self.auth.keys_file),
            ("auth.token_authority_file", &self.auth.token_authority_file),
            ("tls.client_authority_file", &self.tls.client_authority_file),
        ];
        for (key, file) in single {
            if let Some(reason) = file.as_deref().and_then(unreadable) {
                faults.push(ConfigError::new(key, reason));
            }
        }
        for (nth, token) in self.admin.token.iter().enumerate() {
            if let Some(reason) = unreadable(&token.token_file) {
                faults.push(ConfigError::new(format!("admin.token[{nth}].token_file"), reason));
            }
        }
        for (name, plugin) in &self.plugin {
            for (secret, file) in &plugin.secrets {
                if let Some(reason) = unreadable(file) {
                    faults.push(ConfigError::new(
                        format!("plugin.{name}.secrets.{secret}"),
                        reason,
                    ));
                }
            }
            if let Some(reason) = plugin.http_ca_file.as_deref().and_then(unreadable) {
                faults.push(ConfigError::new(format!("plugin.{name}.http_ca_file"), reason));
            }
        }
        for (name, storage) in &self.storage {
            let Storage::S3(s3) = storage else {
                continue;
            };
            for (key, file) in [
                ("ca_file", &s3.ca_file),
                ("credentials_file", &s3.credentials_file),
            ] {
                if let Some(reason) = file.as_deref().and_then(unreadable) {
                    faults.push(ConfigError::new(format!("storage.{name}.{key}"), reason));
                }
            }
        }
        faults
    }
}

/// Fit for a name that stands in tables and logs.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=63).contains(&name.len()) && name.chars().all(plain)
}

fn check_lmtp(path: &str, listener: &Listener, faults: &mut Vec<ConfigError>) {
    if let ListenAddress::Tcp(address) = &listener.address
        && !address.ip().is_loopback()
        && !listener.allow_remote
    {
        let reason = "whoever reaches it can deliver mail; use a loopback address or a Unix socket, or set allow_remote = true";
        faults.push(ConfigError::new(format!("{path}.address"), reason));
    }
    if listener.allow_plaintext_login {
        let reason = "lmtp has no login; remove it";
        faults.push(ConfigError::new(format!("{path}.allow_plaintext_login"), reason));
    }
}

fn unreadable(file: &Path) -> Option<String> {
    let fault = match std::fs::File::open(file).and_then(|open| open.metadata()) {
        Ok(metadata) if metadata.is_file() => return None,
        Ok(_) => return Some(format!("{} is not a file", file.display())),
        Err(fault) => fault,
    };
    Some(format!("{} cannot be read: {fault}", file.display()))
}
