//! A floor under the rate at which a client reads, so that a connection cannot be held for ever by one octet a minute.
//!
//! Only time in which the *client* keeps a write waiting is counted: neither the client's pauses between commands nor
//! our own storage count against it. Start at [`PacedStream`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use restante_types::Octets;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The slowest client that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateFloor {
    /// Octets per second, on average over `window`, that a client must take while a write waits for it.
    pub octets_per_second: Octets,
    /// The time of waiting over which the average is formed. A client that takes nothing is cut after this.
    pub window: Duration,
}

impl Default for RateFloor {
    /// 1 KiB a second over 60 seconds.
    fn default() -> Self {
        Self {
            octets_per_second: Octets(1024),
            window: Duration::from_mins(1),
        }
    }
}

impl RateFloor {
    /// What a client must take within one window.
    fn octets_per_window(self) -> u64 {
        let millis = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        self.octets_per_second.0.saturating_mul(millis) / 1000
    }
}

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] once the client reads below the floor.
///
/// After that every write fails; reads pass unchanged.
#[derive(Debug)]
pub struct PacedStream<S> {
    inner: S,
    floor: RateFloor,
    /// Waiting time of this window up to the current wait.
    waited: Duration,
    /// Octets taken in this window.
    taken: u64,
    /// The current wait: since when, and the alarm that ends the window.
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
    too_slow: bool,
}

impl<S> PacedStream<S> {
    /// Puts `floor` under the writes of `inner`.
    pub fn new(inner: S, floor: RateFloor) -> Self {
        Self {
            inner,
            floor,
            waited: Duration::ZERO,
            taken: 0,
            wait: None,
            too_slow: false,
        }
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The stream itself, to look at.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The stream itself. Writing to it directly passes the floor by.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Books the outcome of one attempt to write, of which `taken` octets went through.
    fn book<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
        taken: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(Ok(value)) => {
                self.taken = self
                    .taken
                    .saturating_add(u64::try_from(taken(&value)).unwrap_or(u64::MAX));
                self.end_wait();
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_wait(cx).map(Err),
        }
    }

    /// The client took something: the clock of the window stands still until the next wait.
    fn end_wait(&mut self) {
        if let Some((since, _)) = self.wait.take() {
            self.waited += since.elapsed();
            if self.waited >= self.floor.window {
                self.close_window();
            }
        }
    }

    /// Waits on, or says that the window has ended below the floor.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let now = Instant::now();
            let left = self.floor.window.saturating_sub(self.waited);
            let (_, alarm) = self
                .wait
                .get_or_insert_with(|| (now, Box::pin(sleep_until(now + left))));
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.wait = None;
            self.close_window();
            if self.too_slow {
                return Poll::Ready(too_slow());
            }
        }
    }

    fn close_window(&mut self) {
        self.too_slow |= self.taken < self.floor.octets_per_window();
        self.waited = Duration::ZERO;
        self.taken = 0;
    }

    fn check(&self) -> io::Result<()> {
        if self.too_slow { Err(too_slow()) } else { Ok(()) }
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "client reads too slowly")
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let outcome = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.book(cx, outcome, |written| *written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let outcome = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.book(cx, outcome, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let outcome = Pin::new(&mut this.inner).poll_flush(cx);
        this.book(cx, outcome, |()| 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let outcome = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.book(cx, outcome, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const FLOOR: RateFloor = RateFloor {
        octets_per_second: Octets(10),
        window: Duration::from_mins(1),
    };

    /// Reads `octets` at once, then sleeps a second, for ever.
    async fn read_slowly(mut client: DuplexStream, octets: usize) {
        let mut buf = vec![0; octets];
        while client.read_exact(&mut buf).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_reads_nothing_is_cut_after_one_window() {
        let (ours, _theirs) = duplex(16);
        let mut stream = PacedStream::new(ours, FLOOR);
        let start = Instant::now();
        let error = stream.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 60);
        assert_eq!(
            stream.write(b"x").await.unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }

    #[tokio::test(start_paused = true)]
    async fn client_below_the_floor_is_cut_and_one_above_is_served() {
        let (ours, theirs) = duplex(16);
        let slow = tokio::spawn(read_slowly(theirs, 5));
        let error = PacedStream::new(ours, FLOOR)
            .write_all(&[0; 10_000])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        slow.abort();

        let (ours, theirs) = duplex(16);
        let steady = tokio::spawn(read_slowly(theirs, 15));
        PacedStream::new(ours, FLOOR)
            .write_all(&[0; 10_000])
            .await
            .unwrap();
        steady.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_between_writes_do_not_count_against_the_client() {
        let (ours, mut theirs) = duplex(16);
        let mut stream = PacedStream::new(ours, FLOOR);
        for _ in 0..10 {
            stream.write_all(b"+OK\r\n").await.unwrap();
            theirs.read_exact(&mut [0; 5]).await.unwrap();
            tokio::time::sleep(Duration::from_mins(5)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_time_adds_up_over_many_short_waits() {
        let (ours, mut theirs) = duplex(8);
        let mut stream = PacedStream::new(ours, FLOOR);
        let client = tokio::spawn(async move {
            // One octet every 20 seconds keeps each single wait short of the window.
            while theirs.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        });
        let start = Instant::now();
        let error = stream.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() <= Duration::from_secs(100));
        client.abort();
    }
}
