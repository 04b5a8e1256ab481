//! A certificate and its key, from two PEM files to a pair that is known to fit.
//!
//! Reads and checks; keeps nothing. Start at [`load`].

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_types::Secret;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use super::names::normalise_name;

/// Where a certificate and its key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The names it serves, such as `pop.example.org` or `*.example.org`. Empty: the names in the certificate.
    pub names: Vec<String>,
    /// PEM file: the certificate, then its chain without the root.
    pub certificate: PathBuf,
    /// PEM file: the private key (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

/// A pair of files that cannot be used. The text names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}; check the path and that the server's user may read it", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not whole PEM of the expected kind.
    #[error("{} is not a complete PEM file: {reason}; write it anew and reload", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The key is of another certificate.
    #[error("{} is not the private key of {}; install the pair that was issued together and reload",
        .key.display(), .certificate.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The certificate names no server and the configuration does not either.
    #[error("{} names no server (no DNS name in its subjectAltName); list `names` in the configuration",
        .certificate.display())]
    Nameless {
        /// The certificate.
        certificate: PathBuf,
    },
}

/// A pair that fits, with what the certificate says about itself.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) files: CertificateFiles,
    pub(super) key: Arc<CertifiedKey>,
    /// Normalised.
    pub(super) names: Vec<String>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// Permission bits of the key file.
    pub(super) key_mode: u32,
}

/// A certificate and its key that lie elsewhere than in files, as in a database.
#[derive(Debug)]
pub struct HeldPair {
    /// What it is called in reports: never the name of a file.
    pub label: String,
    /// The names it serves, such as `pop.example.org`. Empty: the names in the certificate.
    pub names: Vec<String>,
    /// PEM: the certificate, then its chain without the root.
    pub chain: Vec<u8>,
    /// PEM: the private key.
    pub key: Secret<Vec<u8>>,
}

/// What a certificate says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFacts {
    /// Its DNS names, normalised.
    pub names: Vec<String>,
    /// When it begins.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
}

impl HeldPair {
    /// Whether certificate and key are whole and belong together, and what the certificate says.
    ///
    /// # Errors
    /// [`CertificateError`], with the label where the name of a file would stand.
    pub fn inspect(&self) -> Result<PairFacts, CertificateError> {
        let place = PathBuf::from(&self.label);
        let chain = parse_chain(&place, &self.chain)?;
        let facts = leaf_facts(&chain).map_err(|reason| damaged(&place, reason))?;
        load_held(self, &default_provider())?;
        Ok(facts)
    }
}

/// Reads, checks and pairs.
pub(super) fn load(files: &CertificateFiles, provider: &CryptoProvider) -> Result<Loaded, CertificateError> {
    let chain = read_chain(&files.certificate)?;
    let key = read(&files.key)?;
    assemble(files, chain, &key, key_mode(&files.key)?, provider)
}

/// Checks and pairs what is held.
pub(super) fn load_held(held: &HeldPair, provider: &CryptoProvider) -> Result<Loaded, CertificateError> {
    let place = PathBuf::from(&held.label);
    let chain = parse_chain(&place, &held.chain)?;
    let files = CertificateFiles {
        names: held.names.clone(),
        certificate: place.clone(),
        key: place,
    };
    assemble(&files, chain, held.key.expose(), 0o600, provider)
}

fn assemble(
    files: &CertificateFiles,
    chain: Vec<CertificateDer<'static>>,
    key: &[u8],
    key_mode: u32,
    provider: &CryptoProvider,
) -> Result<Loaded, CertificateError> {
    let facts = leaf_facts(&chain).map_err(|reason| damaged(&files.certificate, reason))?;
    let names = if files.names.is_empty() {
        facts.names
    } else {
        normalised(&files.names)
    };
    if names.is_empty() {
        return Err(CertificateError::Nameless {
            certificate: files.certificate.clone(),
        });
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| damaged(&files.key, pem_reason(&error)))?;
    Ok(Loaded {
        files: files.clone(),
        key: Arc::new(pair(files, chain, key, provider)?),
        names,
        not_before: facts.not_before,
        not_after: facts.not_after,
        key_mode,
    })
}

/// Every certificate of a PEM file, at least one.
pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    parse_chain(file, &read(file)?)
}

fn parse_chain(file: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(file, pem_reason(&error)))?;
    if chain.is_empty() {
        return Err(damaged(file, "it holds no certificate"));
    }
    for certificate in &chain {
        X509Certificate::from_der(certificate)
            .map_err(|_| damaged(file, "a certificate in it is cut or garbled"))?;
    }
    Ok(chain)
}

fn pair(
    files: &CertificateFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        },
        other => damaged(&files.key, other.to_string()),
    })
}

fn leaf_facts(chain: &[CertificateDer<'_>]) -> Result<PairFacts, &'static str> {
    let leaf = chain.first().ok_or("it holds no certificate")?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| "the certificate is garbled")?;
    let alternatives = leaf
        .subject_alternative_name()
        .map_err(|_| "its subjectAltName is garbled")?;
    let names = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    Ok(PairFacts {
        names: names
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(normalise_name(name)),
                _ => None,
            })
            .collect(),
        not_before: civil(leaf.validity().not_before),
        not_after: civil(leaf.validity().not_after),
    })
}

/// The mail addresses (rfc822Name) that a certificate bears.
pub(super) fn mail_addresses(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::RFC822Name(address) => Some((*address).to_owned()),
            _ => None,
        })
        .collect()
}

/// Times before 1970 count as 1970: nobody asks how long ago such a certificate ended.
fn civil(time: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

fn normalised(names: &[String]) -> Vec<String> {
    names.iter().map(|name| normalise_name(name)).collect()
}

/// The pairs in a folder, in the order of their names: `NAME.crt` with `NAME.key`, and folders `NAME` with
/// `fullchain.pem` and `privkey.pem`, as certbot keeps them. What is neither is passed over.
///
/// # Errors
/// [`CertificateError::Unreadable`]: the folder itself.
pub fn pairs_in(folder: &Path) -> Result<Vec<CertificateFiles>, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable {
        file: folder.to_owned(),
        source,
    };
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let (certificate, key) = if path.is_dir() {
            (path.join("fullchain.pem"), path.join("privkey.pem"))
        } else if path.extension().is_some_and(|extension| extension == "crt") {
            (path.clone(), path.with_extension("key"))
        } else {
            continue;
        };
        if certificate.is_file() {
            pairs.push(CertificateFiles {
                names: Vec::new(),
                certificate,
                key,
            });
        }
    }
    pairs.sort_by(|a, b| a.certificate.cmp(&b.certificate));
    Ok(pairs)
}

fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(file).map_err(|source| CertificateError::Unreadable {
        file: file.to_owned(),
        source,
    })
}

fn key_mode(file: &Path) -> Result<u32, CertificateError> {
    match std::fs::metadata(file) {
        Ok(found) => Ok(found.mode() & 0o777),
        Err(source) => Err(CertificateError::Unreadable {
            file: file.to_owned(),
            source,
        }),
    }
}

fn damaged(file: &Path, reason: impl Into<String>) -> CertificateError {
    CertificateError::Damaged {
        file: file.to_owned(),
        reason: reason.into(),
    }
}

/// The library's text may quote the file; a key must not end up in a log.
fn pem_reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its end is missing",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is garbled",
        pem::Error::Base64Decode(_) => "its base64 is garbled",
        pem::Error::NoItemsFound => "it holds nothing of the expected kind",
        _ => "it cannot be parsed",
    }
}
