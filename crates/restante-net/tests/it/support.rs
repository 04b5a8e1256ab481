//! Certificates on disk, a TLS client that trusts anybody, and listeners on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_net::{CertificateFiles, CertificateStore, ListenerSpec, TlsSettings, TlsStack};
use restante_types::{Clock, SystemClock};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

/// Long enough for a busy machine, short enough to fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn now() -> SystemTime {
    SystemClock.wall()
}

pub(crate) fn loopback() -> ListenerSpec {
    ListenerSpec::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// A folder with pairs of certificate and key.
pub(crate) struct Shelf {
    pub(crate) dir: TempDir,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Writes a fresh pair `stem.crt`, `stem.key` for `names`.
    pub(crate) fn put(&self, stem: &str, names: &[&str]) -> CertificateFiles {
        self.put_with_end(stem, names, 2095)
    }

    /// The same, with the year in which the certificate ends.
    pub(crate) fn put_with_end(&self, stem: &str, names: &[&str], year: i32) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let files = self.pair(stem);
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        chmod(&files.key, 0o600);
        files
    }

    /// The paths of a pair, written or not.
    pub(crate) fn pair(&self, stem: &str) -> CertificateFiles {
        CertificateFiles {
            names: Vec::new(),
            certificate: self.path(&format!("{stem}.crt")),
            key: self.path(&format!("{stem}.key")),
        }
    }
}

pub(crate) fn chmod(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn pop3_settings() -> TlsSettings {
    TlsSettings {
        alpn: Some("pop3"),
        ..TlsSettings::default()
    }
}

pub(crate) fn stack_with(settings: &TlsSettings, files: &[CertificateFiles]) -> TlsStack {
    let (store, _) = CertificateStore::open(files, now()).unwrap();
    TlsStack::new(settings, store).unwrap()
}

/// A stack for POP3 with one certificate for `pop.example.org`.
pub(crate) fn pop3_stack() -> TlsStack {
    stack_with(&pop3_settings(), &[Shelf::new().put("pop", &["pop.example.org"])])
}

/// Trusts every certificate: the tests look at which one it was.
#[derive(Debug)]
struct TrustAnybody;

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A client that offers `alpn`, for TLS 1.2 and 1.3.
pub(crate) fn client(alpn: &[&str]) -> ClientConfig {
    client_of(&[&TLS13, &TLS12], alpn)
}

pub(crate) fn client_of(
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&str],
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAnybody))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(crate) type ClientStream<S> = tokio_rustls::client::TlsStream<S>;

pub(crate) async fn connect<S>(
    config: &ClientConfig,
    name: &str,
    stream: S,
) -> std::io::Result<ClientStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config.clone()))
        .connect(name, stream)
        .await
}

/// The certificate the server showed.
pub(crate) fn shown<S>(stream: &ClientStream<S>) -> CertificateDer<'static> {
    stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap()
        .first()
        .unwrap()
        .clone()
}

/// The certificate in a file.
pub(crate) fn on_file(files: &CertificateFiles) -> CertificateDer<'static> {
    use rustls_pki_types::pem::PemObject;
    CertificateDer::from_pem_file(&files.certificate).unwrap()
}

/// Runs a server half on its own, bounded in time.
pub(crate) fn beside<T: Send + 'static>(half: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(async move {
        tokio::time::timeout(PATIENCE, half)
            .await
            .expect("server half hangs")
    })
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
