//! The certificates in force: loaded together, exchanged together, and found by name at every handshake.
//!
//! Does not watch files; the caller says when to reload. Start at [`CertificateStore`].

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::files::{CertificateError, CertificateFiles, HeldPair, Loaded, load, load_held};
use super::names::NameTable;
use super::{TlsSetupError, UnknownName};

/// One certificate in force, for metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// The names it serves.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: SystemTime,
    /// The file it came from.
    pub source: PathBuf,
    /// Whether it is held elsewhere than in a file: a tenant's.
    pub is_held: bool,
}

/// Something an operator should see to; the certificate serves all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateNotice {
    /// The certificate has ended.
    Expired {
        /// Its file.
        certificate: PathBuf,
    },
    /// The certificate has not begun.
    NotYetValid {
        /// Its file.
        certificate: PathBuf,
    },
    /// Every user of this host may read the private key.
    KeyReadableByOthers {
        /// Its file.
        key: PathBuf,
    },
    /// A certificate earlier in the list serves this name.
    NameTaken {
        /// The name.
        name: String,
        /// The file of the certificate that does not get it.
        certificate: PathBuf,
    },
}

impl fmt::Display for CertificateNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { certificate } => {
                write!(
                    f,
                    "{} has expired and is served all the same; renew it and reload",
                    certificate.display()
                )
            }
            Self::NotYetValid { certificate } => {
                write!(
                    f,
                    "{} is not valid yet; check the clock of this host",
                    certificate.display()
                )
            }
            Self::KeyReadableByOthers { key } => {
                write!(
                    f,
                    "private key {} can be read by every user; `chmod 0600` it",
                    key.display()
                )
            }
            Self::NameTaken { name, certificate } => {
                write!(
                    f,
                    "{name} in {} is served by an earlier certificate",
                    certificate.display()
                )
            }
        }
    }
}

/// What a load or a reload led to.
#[derive(Debug, Default)]
pub struct CertificateReport {
    /// What is in force now.
    pub certificates: Vec<CertificateStatus>,
    /// Pairs that could not be used. Where an older version of the pair was in force, it still is.
    pub errors: Vec<CertificateError>,
    /// What else to see to.
    pub notices: Vec<CertificateNotice>,
}

/// What is in force: first the pairs from files, then those held elsewhere, later ones before earlier ones.
#[derive(Debug, Default)]
struct Pairs {
    files: Vec<Loaded>,
    held: Vec<Loaded>,
}

impl Pairs {
    fn iter(&self) -> impl Iterator<Item = &Loaded> {
        self.files.iter().chain(&self.held)
    }
}

/// The certificates that one or more [`crate::TlsStack`]s serve.
///
/// A handshake sees all of the old or all of the new ones, and never waits.
#[derive(Debug)]
pub struct CertificateStore {
    table: ArcSwap<NameTable>,
    /// What the table was made from. Held during a reload, so that two never mix.
    loaded: Mutex<Pairs>,
    provider: CryptoProvider,
}

impl CertificateStore {
    /// Loads every pair; the first is the default, for clients that ask for no name or an unknown one. Reads files:
    /// not for a thread of the runtime once it serves.
    ///
    /// `now` is civil time; an expired certificate is served and reported.
    ///
    /// # Errors
    /// A start is strict: one unusable pair is [`TlsSetupError::Certificates`].
    pub fn open(
        files: &[CertificateFiles],
        now: SystemTime,
    ) -> Result<(Arc<Self>, CertificateReport), TlsSetupError> {
        let provider = default_provider();
        let mut loaded = Vec::with_capacity(files.len());
        let mut errors = Vec::new();
        for pair in files {
            match load(pair, &provider) {
                Ok(pair) => loaded.push(pair),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(TlsSetupError::Certificates(errors));
        }
        let loaded = Pairs {
            files: loaded,
            held: Vec::new(),
        };
        let (table, notices) = tabulate(&loaded, now).ok_or(TlsSetupError::NoCertificate)?;
        let report = CertificateReport {
            certificates: statuses(&loaded),
            errors,
            notices,
        };
        let store = Self {
            table: ArcSwap::from_pointee(table),
            loaded: Mutex::new(loaded),
            provider,
        };
        Ok((Arc::new(store), report))
    }

    /// Loads `files` anew and puts them in force at once. A pair that cannot be used leaves its older version in
    /// force and is reported; if nothing at all can be used, everything stays. Reads files, as [`Self::open`] does.
    pub fn reload(&self, files: &[CertificateFiles], now: SystemTime) -> CertificateReport {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::with_capacity(files.len());
        let mut errors = Vec::new();
        for pair in files {
            match load(pair, &self.provider) {
                Ok(pair) => fresh.push(pair),
                Err(error) => {
                    errors.push(error);
                    fresh.extend(older_version(&loaded.files, pair));
                }
            }
        }
        if fresh.is_empty() {
            return CertificateReport {
                certificates: statuses(&loaded),
                errors,
                notices: Vec::new(),
            };
        }
        loaded.files = fresh;
        self.put_in_force(&loaded, errors, now)
    }

    /// Puts in force what is held elsewhere than in files, beside the pairs from files, which go first. Of two pairs
    /// for one name the later one is shown; one that cannot be used is reported and left out, so that an earlier one
    /// for its names stays in force.
    pub fn hold(&self, held: &[HeldPair], now: SystemTime) -> CertificateReport {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::with_capacity(held.len());
        let mut errors = Vec::new();
        for pair in held.iter().rev() {
            match load_held(pair, &self.provider) {
                Ok(pair) => fresh.push(pair),
                Err(error) => errors.push(error),
            }
        }
        loaded.held = fresh;
        self.put_in_force(&loaded, errors, now)
    }

    fn put_in_force(
        &self,
        loaded: &Pairs,
        errors: Vec<CertificateError>,
        now: SystemTime,
    ) -> CertificateReport {
        let mut notices = Vec::new();
        if let Some((table, found)) = tabulate(loaded, now) {
            self.table.store(Arc::new(table));
            notices = found;
        }
        CertificateReport {
            certificates: statuses(loaded),
            errors,
            notices,
        }
    }

    /// What is in force.
    pub fn status(&self) -> Vec<CertificateStatus> {
        statuses(&self.loaded.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn older_version(loaded: &[Loaded], wanted: &CertificateFiles) -> Option<Loaded> {
    loaded
        .iter()
        .find(|old| old.files.certificate == wanted.certificate && old.files.key == wanted.key)
        .cloned()
}

/// The table of names, or `None` without any certificate.
fn tabulate(loaded: &Pairs, now: SystemTime) -> Option<(NameTable, Vec<CertificateNotice>)> {
    let mut table = NameTable::new(Arc::clone(&loaded.iter().next()?.key));
    let mut notices = Vec::new();
    for (nth, pair) in loaded.iter().enumerate() {
        let is_held = nth >= loaded.files.len();
        let certificate = &pair.files.certificate;
        for name in &pair.names {
            // That a held pair gives way to a later one is how it is renewed.
            if !table.insert(name, &pair.key) && !is_held {
                notices.push(CertificateNotice::NameTaken {
                    name: name.clone(),
                    certificate: certificate.clone(),
                });
            }
        }
        if pair.not_after < now {
            notices.push(CertificateNotice::Expired {
                certificate: certificate.clone(),
            });
        }
        if pair.not_before > now {
            notices.push(CertificateNotice::NotYetValid {
                certificate: certificate.clone(),
            });
        }
        if pair.key_mode & 0o007 != 0 {
            notices.push(CertificateNotice::KeyReadableByOthers {
                key: pair.files.key.clone(),
            });
        }
    }
    Some((table, notices))
}

fn statuses(loaded: &Pairs) -> Vec<CertificateStatus> {
    let n_files = loaded.files.len();
    loaded
        .iter()
        .enumerate()
        .map(|(nth, pair)| CertificateStatus {
            names: pair.names.clone(),
            not_after: pair.not_after,
            source: pair.files.certificate.clone(),
            is_held: nth >= n_files,
        })
        .collect()
}

/// Finds the certificate for a ClientHello.
#[derive(Debug)]
pub(super) struct Resolver {
    store: Arc<CertificateStore>,
    unknown_name: UnknownName,
}

impl Resolver {
    pub(super) fn new(store: Arc<CertificateStore>, unknown_name: UnknownName) -> Self {
        Self { store, unknown_name }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.store.table.load();
        let Some(name) = hello.server_name() else {
            return Some(table.default_key());
        };
        match (table.find(name), self.unknown_name) {
            (Some(key), _) => Some(key),
            (None, UnknownName::Default) => Some(table.default_key()),
            (None, UnknownName::Refuse) => None,
        }
    }
}
