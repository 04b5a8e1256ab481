//! What a TLS handshake led to: a stream with its facts, or a fault of a closed kind.
//!
//! The deadline is [`super::TlsStack::accept`]'s. Start at [`TlsStream`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::{AlertDescription, HandshakeKind, ProtocolVersion, ServerConnection};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::files::mail_addresses;
use super::names::normalise_name;

/// The version of TLS that was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// As logs and metrics name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// What the handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeInfo {
    /// The version.
    pub version: TlsVersion,
    /// The name the client asked for, lower case and without a trailing dot. A DNS name, but otherwise the client's
    /// word: it may be one that nobody configured.
    pub sni: Option<String>,
    /// Whether the client named the application protocol and it is ours.
    pub alpn: bool,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The cipher suite's name.
    pub cipher: &'static str,
}

/// Why there is no TLS. Closed: metrics label by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeFault {
    /// Not complete in time.
    TimedOut,
    /// The client closed, or the connection broke.
    Closed,
    /// What came is not TLS.
    NotTls,
    /// The client speaks other application protocols only.
    Alpn,
    /// The client refused with an alert, such as for a certificate it does not trust.
    Alert,
    /// No version, cipher, certificate or client certificate that both accept.
    Incompatible,
    /// The client broke the protocol.
    Protocol,
}

impl HandshakeFault {
    /// The value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::NotTls => "not_tls",
            Self::Alpn => "alpn",
            Self::Alert => "alert",
            Self::Incompatible => "incompatible",
            Self::Protocol => "protocol",
        }
    }
}

/// A handshake that failed.
#[derive(Debug, thiserror::Error)]
#[error("tls handshake: {source}")]
pub struct HandshakeError {
    /// The kind.
    pub fault: HandshakeFault,
    /// What the library or the system said.
    #[source]
    source: io::Error,
}

impl HandshakeError {
    pub(super) fn timed_out() -> Self {
        let source = io::Error::new(io::ErrorKind::TimedOut, "not complete in time");
        Self {
            fault: HandshakeFault::TimedOut,
            source,
        }
    }

    pub(super) fn from_io(source: io::Error) -> Self {
        let inner = source
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let fault = inner.map_or(HandshakeFault::Closed, fault_of);
        Self { fault, source }
    }
}

fn fault_of(error: &rustls::Error) -> HandshakeFault {
    use rustls::{Error, InvalidMessage};
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => HandshakeFault::NotTls,
        Error::NoApplicationProtocol => HandshakeFault::Alpn,
        Error::AlertReceived(AlertDescription::CloseNotify) => HandshakeFault::Closed,
        Error::AlertReceived(_) => HandshakeFault::Alert,
        // "General" is how the library says that the resolver had no certificate for the name.
        Error::PeerIncompatible(_)
        | Error::NoCertificatesPresented
        | Error::InvalidCertificate(_)
        | Error::General(_) => HandshakeFault::Incompatible,
        _ => HandshakeFault::Protocol,
    }
}

/// A stream under TLS.
#[derive(Debug)]
pub struct TlsStream<S> {
    inner: tokio_rustls::server::TlsStream<S>,
    info: HandshakeInfo,
}

impl<S> TlsStream<S> {
    pub(super) fn new(inner: tokio_rustls::server::TlsStream<S>) -> Self {
        let info = describe(inner.get_ref().1);
        Self { inner, info }
    }

    /// What the handshake agreed on.
    pub fn info(&self) -> &HandshakeInfo {
        &self.info
    }

    /// The `tls-exporter` channel binding (RFC 9266). `None` below TLS 1.3, where it is not safe by itself.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        if self.info.version < TlsVersion::Tls13 {
            return None;
        }
        let connection = self.inner.get_ref().1;
        connection
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            .ok()
    }

    /// The certificate that the client showed in this handshake; verified against the client authority.
    pub fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.inner.get_ref().1.peer_certificates()?.first()
    }

    /// The mail addresses (rfc822Name) in the client's certificate; none if there is none or it is garbled.
    pub fn client_mail_addresses(&self) -> Vec<String> {
        self.client_certificate().map(mail_addresses).unwrap_or_default()
    }

    /// The stream below, to look at.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref().0
    }
}

fn describe(connection: &ServerConnection) -> HandshakeInfo {
    HandshakeInfo {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        },
        sni: connection.server_name().map(normalise_name),
        alpn: connection.alpn_protocol().is_some(),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        cipher: connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown"),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
