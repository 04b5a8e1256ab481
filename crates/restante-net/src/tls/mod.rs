//! TLS: certificates by name with reload, one configuration per kind of listener, the handshake with its deadline.
//!
//! Does not know whether TLS began at once or after STLS. Start at [`TlsStack`]; names are matched in `names.rs`,
//! files are read in `files.rs`.

mod certificates;
mod files;
mod handshake;
mod names;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use certificates::{CertificateNotice, CertificateReport, CertificateStatus, CertificateStore};
pub use files::{CertificateError, CertificateFiles, HeldPair, PairFacts, pairs_in};
pub use handshake::{HandshakeError, HandshakeFault, HandshakeInfo, TlsStream, TlsVersion};
pub(crate) use names::normalise_name;

use certificates::Resolver;

/// The oldest TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsFloor {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// What a client is shown that asks for a name nobody configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownName {
    /// The default certificate.
    #[default]
    Default,
    /// An alert. A client that asks for no name still gets the default certificate.
    Refuse,
}

/// How a [`TlsStack`] shakes hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The application protocol, such as `pop3`. A client that offers protocols must offer this one; a client that
    /// offers none is served. `None`: whatever is offered is ignored.
    pub alpn: Option<&'static str>,
    /// The oldest version.
    pub floor: TlsFloor,
    /// What to do about unknown names.
    pub unknown_name: UnknownName,
    /// Time for the whole handshake.
    pub handshake_timeout: Duration,
    /// Sessions that are remembered for clients of TLS 1.2 without tickets.
    pub n_remembered_sessions: usize,
    /// Asks clients for a certificate that this authority signed.
    pub client_authority: Option<ClientAuthority>,
}

/// Who signs the certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthority {
    /// PEM file with one or more authority certificates. Read once, when the stack is made.
    pub file: PathBuf,
    /// Whether a client without certificate is refused.
    pub required: bool,
}

impl Default for TlsSettings {
    /// No ALPN, TLS 1.2 and 1.3, the default certificate for unknown names, 10 seconds, no client certificates.
    fn default() -> Self {
        Self {
            alpn: None,
            floor: TlsFloor::default(),
            unknown_name: UnknownName::default(),
            handshake_timeout: Duration::from_secs(10),
            n_remembered_sessions: 1024,
            client_authority: None,
        }
    }
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// No certificate is configured.
    #[error("no certificate is configured; TLS needs at least one certificate file and its key")]
    NoCertificate,
    /// At least one configured certificate cannot be used.
    #[error("{}", join(.0))]
    Certificates(Vec<CertificateError>),
    /// The certificates of the client authority cannot be used.
    #[error("client authority {}: {reason}", .file.display())]
    ClientAuthority {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refused the settings.
    #[error("tls settings: {0}")]
    Library(#[from] rustls::Error),
}

fn join(errors: &[CertificateError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// TLS for one kind of listener: settings, and certificates that may be shared with other stacks.
///
/// A stack has ticket keys of its own, in memory only. Sessions are never resumed under another name than the one
/// they began with, nor at all where clients show certificates: who they are is established afresh each time.
#[derive(Clone, Debug)]
pub struct TlsStack {
    config: Arc<ServerConfig>,
    certificates: Arc<CertificateStore>,
    handshake_timeout: Duration,
}

impl TlsStack {
    /// Puts `settings` and `certificates` together.
    ///
    /// # Errors
    /// [`TlsSetupError::ClientAuthority`], and [`TlsSetupError::Library`] when no ticket key can be made.
    pub fn new(settings: &TlsSettings, certificates: Arc<CertificateStore>) -> Result<Self, TlsSetupError> {
        let provider = Arc::new(default_provider());
        let verifier = client_verifier(settings, &provider)?;
        let resolver = Resolver::new(Arc::clone(&certificates), settings.unknown_name);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(settings.floor))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = settings
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config.max_early_data_size = 0;
        if settings.client_authority.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = ServerSessionMemoryCache::new(settings.n_remembered_sessions);
            config.ticketer = Ticketer::new()?;
            config.send_tls13_tickets = 1;
        }
        Ok(Self {
            config: Arc::new(config),
            certificates,
            handshake_timeout: settings.handshake_timeout,
        })
    }

    /// The certificates; reload them there.
    pub fn certificates(&self) -> &Arc<CertificateStore> {
        &self.certificates
    }

    /// Shakes hands on `stream`, which may be fresh or already in use up to STLS. On failure the client has been
    /// sent an alert if it could take one, and the stream is gone.
    ///
    /// # Errors
    /// [`HandshakeError`].
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future drops the stream.
    pub async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        match timeout(self.handshake_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Ok(TlsStream::new(stream)),
            Ok(Err(error)) => Err(HandshakeError::from_io(error)),
            Err(_) => Err(HandshakeError::timed_out()),
        }
    }
}

fn versions(floor: TlsFloor) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_TLS12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static FROM_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];
    match floor {
        TlsFloor::Tls12 => &FROM_TLS12,
        TlsFloor::Tls13 => &FROM_TLS13,
    }
}

fn client_verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsSetupError> {
    let Some(authority) = &settings.client_authority else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let refused = |reason: String| TlsSetupError::ClientAuthority {
        file: authority.file.clone(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for certificate in files::read_chain(&authority.file).map_err(|error| refused(error.to_string()))? {
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if authority.required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(|error| refused(error.to_string()))
}
