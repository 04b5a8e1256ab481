//! Certificates of POP3: from the files that the configuration names, and from tenants.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_config::{Config, OldestVersion, UnknownName};
use restante_net::{
    CertificateFiles, CertificateReport, CertificateStore, ClientAuthority, TlsFloor, TlsSettings, TlsStack,
    pairs_in,
};
use restante_telemetry::{CertificatesLoaded, Telemetry};
use restante_types::{Clock as _, SystemClock};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::admin::{self, AdminCredentials};
use crate::output::Failure;

/// How often certificate files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(20);

/// The TLS side of all POP3 listeners.
pub(super) struct Tls {
    pub(super) stack: Arc<TlsStack>,
    pub(super) certificates: Arc<CertificateStore>,
}

impl Tls {
    pub(super) fn open(config: &Config, telemetry: &Telemetry) -> Result<Option<Self>, Failure> {
        if config.tls.certificate.is_empty() {
            return Ok(None);
        }
        let (certificates, report) = open_certificates(config)?;
        note(&report, Source::Files, telemetry);
        let settings = TlsSettings {
            alpn: Some("pop3"),
            unknown_name: match config.tls.unknown_name {
                UnknownName::Default => restante_net::UnknownName::Default,
                UnknownName::Refuse => restante_net::UnknownName::Refuse,
            },
            floor: match config.tls.oldest_version {
                OldestVersion::Tls12 => TlsFloor::Tls12,
                OldestVersion::Tls13 => TlsFloor::Tls13,
            },
            handshake_timeout: Duration::from_secs(config.tls.handshake_timeout_secs),
            client_authority: config
                .tls
                .client_authority_file
                .clone()
                .map(|file| ClientAuthority {
                    file,
                    required: false,
                }),
            ..TlsSettings::default()
        };
        let stack = TlsStack::new(&settings, Arc::clone(&certificates)).map_err(Failure::setup)?;
        Ok(Some(Self {
            stack: Arc::new(stack),
            certificates,
        }))
    }
}

/// Loads the certificates that the configuration names.
pub(crate) fn open_certificates(
    config: &Config,
) -> Result<(Arc<CertificateStore>, CertificateReport), Failure> {
    CertificateStore::open(&certificate_files(config), SystemClock.wall()).map_err(Failure::setup)
}

/// The pairs that the configuration names, then those of its folder.
pub(super) fn certificate_files(config: &Config) -> Vec<CertificateFiles> {
    let named = config.tls.certificate.iter().map(|pair| CertificateFiles {
        names: pair.names.clone(),
        certificate: pair.certificate_file.clone(),
        key: pair.key_file.clone(),
    });
    let mut files: Vec<CertificateFiles> = named.collect();
    if let Some(folder) = &config.tls.certificate_directory {
        match pairs_in(folder) {
            Ok(found) => files.extend(found),
            Err(error) => error!(%error, "certificates of the folder not loaded"),
        }
    }
    files
}

/// Looks for changed certificate files. Clones look at the same.
#[derive(Clone)]
pub(super) struct FileWatch {
    certificates: Option<Arc<CertificateStore>>,
    admin: AdminCredentials,
    /// What is in force.
    config: watch::Receiver<Config>,
    telemetry: Telemetry,
    known: Vec<WatchedFile>,
    known_of_admin: Vec<WatchedFile>,
}

/// A certificate or key file, and when it was last changed.
type WatchedFile = (PathBuf, Option<SystemTime>);

impl FileWatch {
    /// Begins with the files as they are now.
    pub(super) fn new(
        certificates: Option<Arc<CertificateStore>>,
        admin: AdminCredentials,
        config: watch::Receiver<Config>,
        telemetry: Telemetry,
    ) -> Self {
        let (known, known_of_admin) = {
            let config = config.borrow();
            (
                watched(certificate_files(&config)),
                watched(admin::files(&config)),
            )
        };
        Self {
            certificates,
            admin,
            config,
            telemetry,
            known,
            known_of_admin,
        }
    }

    /// Reloads certificates whose files change, for ever.
    pub(super) async fn run(mut self) {
        loop {
            tokio::time::sleep(LOOK_AT_FILES).await;
            let mut looking = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                looking.look();
                looking
            });
            match looked.await {
                Ok(looked) => self = looked,
                Err(error) => error!(%error, "certificate files not looked at"),
            }
        }
    }

    fn look(&mut self) {
        let config = self.config.borrow().clone();
        let now = watched(certificate_files(&config));
        if let Some(store) = self.certificates.as_ref().filter(|_| now != self.known) {
            info!("certificate files changed");
            let report = store.reload(&certificate_files(&config), SystemClock.wall());
            note(&report, Source::Files, &self.telemetry);
        }
        self.known = now;
        let now = watched(admin::files(&config));
        if now != self.known_of_admin {
            info!("certificate files of the admin port changed");
            self.admin.reload_certificate(&config);
        }
        self.known_of_admin = now;
    }
}

fn watched(pairs: impl IntoIterator<Item = CertificateFiles>) -> Vec<WatchedFile> {
    let files = pairs.into_iter().flat_map(|pair| [pair.certificate, pair.key]);
    files
        .map(|file| {
            let changed = std::fs::metadata(&file).and_then(|about| about.modified());
            (file, changed.ok())
        })
        .collect()
}

/// Where certificates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Files,
    Tenants,
}

/// Says what loading certificates led to.
pub(super) fn note(report: &CertificateReport, source: Source, telemetry: &Telemetry) {
    for error in &report.errors {
        error!(%error, "certificate not loaded; the pair in force stays");
    }
    for notice in &report.notices {
        warn!(%notice, "certificate");
    }
    let is_held = source == Source::Tenants;
    let ends = || {
        let ours = report
            .certificates
            .iter()
            .filter(move |one| one.is_held == is_held);
        ours.map(|one| one.not_after)
    };
    telemetry.emit(CertificatesLoaded {
        source: if is_held { "tenants" } else { "files" },
        n_certificates: ends().count(),
        n_errors: report.errors.len(),
        first_end: ends().min(),
    });
}
