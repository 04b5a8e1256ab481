//! Counts what goes over a stream, readable from outside while the stream is in use.
//!
//! Changes nothing that passes. Start at [`CountedStream`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use restante_types::Octets;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The octets that passed one stream. Clones read the same counters.
#[derive(Clone, Debug, Default)]
pub struct StreamOctets(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
}

impl StreamOctets {
    /// Octets read from the peer so far.
    pub fn received(&self) -> Octets {
        Octets(self.0.received.load(Ordering::Relaxed))
    }

    /// Octets that the stream took for the peer so far. Some may still wait in the system's buffers.
    pub fn sent(&self) -> Octets {
        Octets(self.0.sent.load(Ordering::Relaxed))
    }

    fn add(counter: &AtomicU64, octets: usize) {
        counter.fetch_add(u64::try_from(octets).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A stream with counters.
#[derive(Debug)]
pub struct CountedStream<S> {
    inner: S,
    octets: StreamOctets,
}

impl<S> CountedStream<S> {
    /// Counts from zero.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            octets: StreamOctets::default(),
        }
    }

    /// A handle on the counters that outlives the stream.
    pub fn octets(&self) -> StreamOctets {
        self.octets.clone()
    }

    /// Gives the stream back; handles keep what was counted.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The stream itself, to look at.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        StreamOctets::add(&this.octets.0.received, buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, buf))?;
        StreamOctets::add(&this.octets.0.sent, written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, bufs))?;
        StreamOctets::add(&this.octets.0.sent, written);
        Poll::Ready(Ok(written))
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn octets_are_counted_in_both_directions_and_outlive_the_stream() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut stream = CountedStream::new(ours);
        let octets = stream.octets();
        stream.write_all(b"hello").await.unwrap();
        theirs.write_all(b"hi").await.unwrap();
        stream.read_exact(&mut [0; 2]).await.unwrap();
        drop(stream);
        assert_eq!((octets.received(), octets.sent()), (Octets(2), Octets(5)));
    }
}
