//! The streams that a session can stand on, under one type each.
//!
//! No buffering and no limits: those are [`crate::PacedStream`] and [`crate::CountedStream`]. Start at [`Stream`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::{HandshakeInfo, TlsStream};

/// An accepted socket, before any TLS.
#[derive(Debug)]
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A local process.
    Unix(UnixStream),
}

impl Stream {
    /// Sends `text` as far as the socket takes it at once, without waiting: for a refusal to a fresh connection.
    pub(crate) fn send_now(&self, text: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => socket2::SockRef::from(stream).send(text),
            Self::Unix(stream) => socket2::SockRef::from(stream).send(text),
        }
    }
}

/// A connection whose protocol may or may not have started TLS.
#[derive(Debug)]
pub enum MaybeTls<S> {
    /// The bare stream.
    Plain(S),
    /// The same stream after a handshake. Boxed: a TLS state is large, and a plaintext session should not pay.
    Tls(Box<TlsStream<S>>),
}

impl<S> MaybeTls<S> {
    /// What the handshake agreed on; `None` on a bare stream.
    pub fn handshake(&self) -> Option<&HandshakeInfo> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.info()),
        }
    }

    /// The `tls-exporter` channel binding; `None` without TLS 1.3.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.tls()?.channel_binding()
    }

    /// Whether the client showed a certificate, which was verified, in this handshake.
    pub fn has_client_certificate(&self) -> bool {
        self.tls().is_some_and(|tls| tls.client_certificate().is_some())
    }

    /// The mail addresses (rfc822Name) in the client's certificate.
    pub fn client_mail_addresses(&self) -> Vec<String> {
        self.tls()
            .map(TlsStream::client_mail_addresses)
            .unwrap_or_default()
    }

    fn tls(&self) -> Option<&TlsStream<S>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream),
        }
    }
}

/// Forwards both halves of a stream to whichever variant is there.
macro_rules! forward_to_variants {
    ([$($bound:tt)*] $target:ty, $($variant:ident),+) => {
        impl<$($bound)*> AsyncRead for $target {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_read(cx, buf)),+ }
            }
        }

        impl<$($bound)*> AsyncWrite for $target {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_write(cx, buf)),+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_write_vectored(cx, bufs)),+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $(Self::$variant(stream) => stream.is_write_vectored()),+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_flush(cx)),+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_shutdown(cx)),+ }
            }
        }
    };
}

forward_to_variants!([] Stream, Tcp, Unix);
forward_to_variants!([S: AsyncRead + AsyncWrite + Unpin] MaybeTls<S>, Plain, Tls);
