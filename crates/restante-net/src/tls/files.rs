//! A certificate and its key, from two PEM files to a pair that is known to fit.
//!
//! Reads and checks; keeps nothing. Start at [`load`].

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
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

/// Reads, checks and pairs.
pub(super) fn load(files: &CertificateFiles, provider: &CryptoProvider) -> Result<Loaded, CertificateError> {
    let chain = read_chain(&files.certificate)?;
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
    let key = read_key(&files.key)?;
    Ok(Loaded {
        files: files.clone(),
        key: Arc::new(pair(files, chain, key, provider)?),
        names,
        not_before: facts.not_before,
        not_after: facts.not_after,
        key_mode: key_mode(&files.key)?,
    })
}

/// Every certificate of a PEM file, at least one.
pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read(file)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
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

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| damaged(file, pem_reason(&error)))
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

struct Facts {
    names: Vec<String>,
    not_before: SystemTime,
    not_after: SystemTime,
}

fn leaf_facts(chain: &[CertificateDer<'_>]) -> Result<Facts, &'static str> {
    let leaf = chain.first().ok_or("it holds no certificate")?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| "the certificate is garbled")?;
    let alternatives = leaf
        .subject_alternative_name()
        .map_err(|_| "its subjectAltName is garbled")?;
    let names = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    Ok(Facts {
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

/// Times before 1970 count as 1970: nobody asks how long ago such a certificate ended.
fn civil(time: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

fn normalised(names: &[String]) -> Vec<String> {
    names.iter().map(|name| normalise_name(name)).collect()
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
