//! The certificate that all servers of a measurement show, and the clients that trust it. Start at [`Pair::make`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name in the certificate.
pub(crate) const HOST: &str = "localhost";

/// A certificate and its key (ECDSA P-256), in files.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// Makes a fresh one in a folder.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let pair = Self::of(folder);
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        std::fs::write(&pair.certificate, made.cert.pem())?;
        std::fs::write(&pair.key, made.signing_key.serialize_pem())?;
        Ok(pair)
    }

    /// The one that was made in a folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        }
    }

    /// A client whose every handshake is a full one.
    pub(crate) fn client(&self) -> anyhow::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).context("the certificate")?)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// A server without anything else.
    pub(crate) fn server(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let certificate = CertificateDer::from_pem_file(&self.certificate).context("the certificate")?;
        let key = PrivateKeyDer::from_pem_file(&self.key).context("the key")?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(Arc::new(config))
    }
}

/// The key exchanges that all servers know: with the post-quantum one, which not every server has, the handshakes
/// would not be the same work.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        ..default_provider()
    })
}
