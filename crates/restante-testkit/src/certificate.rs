//! A certificate of our own, and TLS clients that trust it and nothing else.

use std::sync::Arc;

use restante_net::CertificateFiles;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate for `localhost` with its key, in files of a directory that goes with it.
#[derive(Debug)]
pub struct TestCertificate {
    directory: TempDir,
}

/// What a TLS client offers and asks for.
#[derive(Debug)]
pub struct TlsOptions {
    /// Application protocols, none by default.
    pub alpn: Vec<&'static str>,
    /// The name asked for: `localhost` by default. It must be in the certificate.
    pub name: String,
    /// What it speaks: TLS 1.2 and 1.3 by default.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The certificate, in DER, that it shows when asked, with its key: none by default.
    pub identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            alpn: Vec::new(),
            name: "localhost".to_owned(),
            versions: rustls::ALL_VERSIONS.to_vec(),
            identity: None,
        }
    }
}

impl TestCertificate {
    /// Makes a fresh pair.
    ///
    /// # Panics
    /// If it cannot be made or written.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let certificate = Self { directory };
        certificate.renew();
        certificate
    }

    /// Writes a fresh pair over the old one; a reload puts it in force.
    ///
    /// # Panics
    /// If it cannot be made or written.
    pub fn renew(&self) {
        let files = self.files();
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("localhost is a name");
        let certificate = params.self_signed(&key).expect("a certificate can be signed");
        std::fs::write(&files.certificate, certificate.pem()).expect("the certificate can be written");
        std::fs::write(&files.key, key.serialize_pem()).expect("the key can be written");
    }

    /// Where the pair lies.
    pub fn files(&self) -> CertificateFiles {
        CertificateFiles {
            names: Vec::new(),
            certificate: self.directory.path().join("server.crt"),
            key: self.directory.path().join("server.key"),
        }
    }

    /// The certificate in the file now.
    ///
    /// # Panics
    /// If the file does not hold one.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.files().certificate).expect("the file holds a certificate")
    }

    /// A client configuration that trusts `certificate` alone.
    ///
    /// # Panics
    /// If the certificate cannot be trusted at all, or the client's key is another certificate's.
    pub fn client_config(certificate: CertificateDer<'static>, options: &TlsOptions) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("the certificate can be a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&options.versions)
            .expect("the provider knows all versions")
            .with_root_certificates(roots);
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .expect("the key is the certificate's"),
        };
        config.alpn_protocols = options.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Shakes hands as a client that trusts the certificate in the file.
    ///
    /// # Errors
    /// The handshake failed.
    ///
    /// # Panics
    /// If the name in `options` cannot be a server's name.
    pub async fn connect(
        &self,
        stream: TcpStream,
        options: &TlsOptions,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(options.name.clone()).expect("a server's name");
        let config = Self::client_config(self.der(), options);
        TlsConnector::from(config).connect(name, stream).await
    }
}

impl Default for TestCertificate {
    fn default() -> Self {
        Self::new()
    }
}
