//! A client's end of a connection: lines and octets with a deadline on every wait.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::{PATIENCE, TestCertificate, TlsOptions};

/// Octets read at once.
const READ: usize = 64 * 1024;

/// A TCP connection, in the clear or inside TLS.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket has this option");
        Self::from_plain(stream)
    }

    fn from_plain(stream: TcpStream) -> Self {
        Self {
            stream: Stream::Plain(stream),
            buffer: Vec::new(),
        }
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// The handshake failed; the connection is gone.
    ///
    /// # Panics
    /// If TLS has begun already, or octets came in the clear that nobody read.
    pub async fn start_tls(self, certificate: &TestCertificate, options: &TlsOptions) -> io::Result<Self> {
        assert!(
            self.buffer.is_empty(),
            "octets before TLS: {:?}",
            lossy(&self.buffer)
        );
        let stream = self.into_plain();
        let shaking = certificate.connect(stream, options);
        let stream = timeout(PATIENCE, shaking).await.map_err(io::Error::other)??;
        Ok(Self {
            stream: Stream::Tls(Box::new(stream)),
            buffer: Vec::new(),
        })
    }

    /// The bare stream.
    ///
    /// # Panics
    /// If TLS has begun.
    pub fn into_plain(self) -> TcpStream {
        match self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(_) => panic!("TLS has begun"),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Asks the kernel to buffer at most about so many octets that nobody reads. Before the first read.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn limit_receive_buffer(&self, octets: usize) {
        SockRef::from(self.tcp())
            .set_recv_buffer_size(octets)
            .expect("a TCP socket has this option");
    }

    /// Sends all of `octets`.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn try_send(&mut self, octets: &[u8]) -> io::Result<()> {
        let stream = self.stream.as_write();
        stream.write_all(octets).await?;
        stream.flush().await
    }

    /// Sends all of `octets`.
    ///
    /// # Panics
    /// If the connection broke or the server does not read.
    pub async fn send(&mut self, octets: &[u8]) {
        timeout(PATIENCE, self.try_send(octets))
            .await
            .expect("the server reads")
            .expect("the connection lives");
    }

    /// Ends our side: FIN, after `close_notify` inside TLS.
    pub async fn finish(&mut self) {
        // Whoever is gone cannot be told.
        drop(self.stream.as_write().shutdown().await);
    }

    /// Ends the connection with RST, as a crashed client's host does.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn reset(self) {
        self.tcp()
            .set_zero_linger()
            .expect("a TCP socket has this option");
    }

    /// What comes next, at most 64 KiB; `None` once the connection has ended, in whatever way.
    ///
    /// # Panics
    /// If nothing comes within [`PATIENCE`].
    pub async fn octets(&mut self) -> Option<Vec<u8>> {
        if self.buffer.is_empty() && !self.fill(PATIENCE).await {
            return None;
        }
        Some(std::mem::take(&mut self.buffer))
    }

    /// The next line without its CRLF; `None` if the connection ended before there was one.
    ///
    /// # Panics
    /// If neither comes within [`PATIENCE`], or the line does not end in CRLF.
    pub async fn line(&mut self) -> Option<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(found) = self.buffer[searched..].iter().position(|octet| *octet == b'\n') {
                let rest = self.buffer.split_off(searched + found + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                let line = line.strip_suffix(b"\r\n").expect("a line ends in CRLF");
                return Some(line.to_vec());
            }
            searched = self.buffer.len();
            if !self.fill(PATIENCE).await {
                return None;
            }
        }
    }

    /// Everything up to and with the first occurrence of `end`; all there is if the connection ends before.
    ///
    /// # Panics
    /// If neither comes within [`PATIENCE`].
    pub async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..]
                .windows(end.len())
                .position(|seen| seen == end);
            if let Some(found) = found {
                let rest = self.buffer.split_off(searched + found + end.len());
                return std::mem::replace(&mut self.buffer, rest);
            }
            searched = self.buffer.len().saturating_sub(end.len() - 1);
            if !self.fill(PATIENCE).await {
                return std::mem::take(&mut self.buffer);
            }
        }
    }

    /// Everything up to and with the line `.`; `None` if the connection ends before.
    pub(crate) async fn until_terminator(&mut self) -> Option<Vec<u8>> {
        const END: &[u8] = b"\r\n.\r\n";
        let mut searched = 0;
        loop {
            let found = match self.buffer.get(..3) {
                Some(b".\r\n") => Some(3),
                _ => self.buffer[searched..]
                    .windows(END.len())
                    .position(|seen| seen == END)
                    .map(|found| searched + found + END.len()),
            };
            if let Some(end) = found {
                let rest = self.buffer.split_off(end);
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            searched = self.buffer.len().saturating_sub(END.len() - 1);
            if !self.fill(PATIENCE).await {
                return None;
            }
        }
    }

    /// Everything up to the end of the connection.
    ///
    /// # Panics
    /// If the server keeps the connection open without a word for [`PATIENCE`].
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill(PATIENCE).await {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether nothing comes within `wait`.
    pub async fn is_silent_for(&mut self, wait: Duration) -> bool {
        let mut octet = [0; 1];
        self.buffer.is_empty()
            && timeout(wait, self.stream.as_read().read(&mut octet))
                .await
                .is_err()
    }

    /// Reads once more; `false` at the end of the connection.
    async fn fill(&mut self, patience: Duration) -> bool {
        let start = self.buffer.len();
        self.buffer.resize(start + READ, 0);
        let read = timeout(patience, self.stream.as_read().read(&mut self.buffer[start..])).await;
        let Ok(read) = read else {
            self.buffer.truncate(start);
            panic!("the server is silent; so far: {:?}", lossy(&self.buffer));
        };
        // A reset is an end, too.
        let n = read.unwrap_or(0);
        self.buffer.truncate(start + n);
        n > 0
    }
}

impl Stream {
    fn as_read(&mut self) -> &mut (dyn AsyncRead + Unpin + Send) {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }

    fn as_write(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }
}

/// The start of some octets, for messages of failed tests.
pub(crate) fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(&octets[..octets.len().min(400)]).into_owned()
}
