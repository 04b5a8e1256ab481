//! SIGHUP: what of a changed configuration can be taken over by a server that runs. Start at [`Reloader::reload`].

use std::path::PathBuf;
use std::sync::Arc;

use restante_config::Config;
use restante_net::CertificateStore;
use restante_telemetry::{LogControl, ReloadDone, Telemetry};
use restante_types::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::admin::AdminCredentials;
use super::listeners::Budgets;
use super::notify;
use super::tls::{self, Source, certificate_files};
use crate::logging;

/// The settings that are taken over; every other one takes effect at the next start.
const TAKEN_OVER: [&str; 10] = [
    "admin.certificate_file",
    "admin.key_file",
    "admin.token",
    "limits.connections",
    "limits.connections_per_address",
    "limits.unauthenticated_share_percent",
    "log.audit",
    "log.level",
    "tls.certificate",
    "tls.certificate_directory",
];

/// Those among them that wait nevertheless where the admin port has begun without TLS, or is to go on without.
const PAIR_OF_ADMIN: [&str; 2] = ["admin.certificate_file", "admin.key_file"];

/// Puts a changed configuration file in force, as far as that can be done.
pub(super) struct Reloader {
    /// The file; none where the configuration was made in memory.
    pub(super) path: Option<PathBuf>,
    /// What was read last; others see it too.
    pub(super) config: watch::Sender<Config>,
    pub(super) certificates: Option<Arc<CertificateStore>>,
    pub(super) admin: AdminCredentials,
    pub(super) budgets: Budgets,
    pub(super) logs: LogControl,
    pub(super) telemetry: Telemetry,
}

impl Reloader {
    /// Reads the file again. What is broken leaves the old in force.
    pub(super) async fn reload(&mut self) {
        notify::reloading();
        let is_complete = self.take_over().await;
        self.telemetry.emit(ReloadDone {
            is_complete,
            at: SystemClock.wall(),
        });
        notify::ready();
    }

    async fn take_over(&mut self) -> bool {
        let Some(path) = &self.path else {
            info!("nothing to reload: there is no configuration file");
            return true;
        };
        let config = match Config::load(path, std::env::vars()) {
            Ok(config) => config,
            Err(error) => {
                error!(%error, "configuration not reloaded; the old one stays in force");
                return false;
            }
        };
        let follows_pair = self.admin.follows_pair(&config);
        let (taken_over, waits) = changes(&self.config.borrow(), &config, follows_pair);
        self.budgets.set(&config);
        self.logs.set(logging::settings(&config.log));
        let credentials = self.admin.reload(&config);
        let certificates = self.reload_certificates(&config).await;
        info!(taken_over = taken_over.join(", "), "configuration reloaded");
        if !waits.is_empty() {
            warn!(
                settings = waits.join(", "),
                "these settings changed and take effect at the next start"
            );
        }
        self.config.send_replace(config);
        certificates && credentials
    }

    async fn reload_certificates(&self, config: &Config) -> bool {
        let Some(store) = self.certificates.clone() else {
            return true;
        };
        let config = config.clone();
        let reading = tokio::task::spawn_blocking(move || {
            store.reload(&certificate_files(&config), SystemClock.wall())
        });
        match reading.await {
            Ok(report) => {
                info!(
                    certificates = report.certificates.len(),
                    errors = report.errors.len(),
                    "certificates reloaded"
                );
                tls::note(&report, Source::Files, &self.telemetry);
                report.errors.is_empty()
            }
            Err(error) => {
                error!(%error, "certificates not reloaded; the old ones stay in force");
                false
            }
        }
    }
}

/// The settings that differ: those that are taken over, and those that wait for the next start.
fn changes(before: &Config, after: &Config, follows_pair: bool) -> (Vec<String>, Vec<String>) {
    let (before, after) = (keys(before), keys(after));
    let names = before.iter().chain(&after).map(|(name, _)| name);
    let mut changed: Vec<String> = names
        .filter(|name| {
            let of = |keys: &[(String, Value)]| {
                keys.iter()
                    .find(|(key, _)| key == *name)
                    .map(|(_, value)| value.clone())
            };
            of(&before) != of(&after)
        })
        .cloned()
        .collect();
    changed.sort();
    changed.dedup();
    changed.into_iter().partition(|name| {
        let name = name.as_str();
        TAKEN_OVER.contains(&name) && (follows_pair || !PAIR_OF_ADMIN.contains(&name))
    })
}

/// Every setting by `area.key`.
fn keys(config: &Config) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    let Ok(Value::Object(areas)) = serde_json::to_value(config) else {
        return keys;
    };
    for (area, value) in areas {
        match value {
            Value::Object(settings) => {
                let settings = settings.into_iter();
                keys.extend(settings.map(|(key, value)| (format!("{area}.{key}"), value)));
            }
            value => keys.push((area, value)),
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_apart_by_whether_it_takes_effect() {
        let before = Config::default();
        let mut after = before.clone();
        after.limits.connections = 7;
        after.log.audit = false;
        after.database.connections = 3;
        after.storage.clear();
        let (taken_over, waits) = changes(&before, &after, true);
        assert_eq!(taken_over, ["limits.connections", "log.audit"]);
        assert_eq!(waits, ["database.connections", "storage.main"]);
        assert_eq!(changes(&after, &after, true), (Vec::new(), Vec::new()));
    }

    #[test]
    fn the_pair_of_the_admin_port_is_taken_over_only_where_the_port_follows_it() {
        let before = Config::default();
        let mut after = before.clone();
        after.admin.certificate_file = Some("new.pem".into());
        after.admin.key_file = Some("new-key.pem".into());
        let names = PAIR_OF_ADMIN.map(str::to_owned).to_vec();
        assert_eq!(changes(&before, &after, true), (names.clone(), Vec::new()));
        assert_eq!(changes(&before, &after, false), (Vec::new(), names));
    }

    #[test]
    fn every_setting_that_is_taken_over_exists() {
        let keys = keys(&Config::default());
        for name in TAKEN_OVER {
            assert!(keys.iter().any(|(key, _)| key == name), "{name}");
        }
    }
}
