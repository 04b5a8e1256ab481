//! A client that takes nothing on trust: every answer is checked, every octet of a message compared.
//!
//! Start at [`Client::connect`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use crate::corpus::Message;
use crate::pair::HOST;

/// The longest wait for an answer. Whoever takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(2);
const READ_AHEAD: usize = 256 * 1024;
const LONGEST_LINE: usize = 4_096;

/// Where a server is reached.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) port: u16,
    /// For a connection that begins with a handshake.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One connection, for POP3 or LMTP.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    /// What of the buffer was taken.
    taken: usize,
}

impl Client {
    /// Connects from an address of loopback that is the `nth` client's own: servers count by address, and a pair of
    /// addresses has ports for only so many connections a minute.
    pub(crate) async fn connect(door: &Door, nth: usize) -> anyhow::Result<Self> {
        let stream = within(connect(door.port, nth)).await.context("connecting")?;
        let stream: Box<dyn Stream> = match &door.tls {
            None => Box::new(stream),
            Some(config) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let shaken = connector.connect(ServerName::try_from(HOST)?, stream);
                Box::new(within(shaken).await.context("the handshake")?)
            }
        };
        Ok(Self {
            stream,
            buffer: Vec::new(),
            taken: 0,
        })
    }

    /// Sends octets as they are.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> anyhow::Result<()> {
        within(async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        })
        .await
    }

    /// The next line, without its CRLF.
    pub(crate) async fn line(&mut self) -> anyhow::Result<String> {
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let line = rest[..end].strip_suffix(b"\r").context("a line without CR")?;
                let line = String::from_utf8_lossy(line).into_owned();
                self.taken += end + 1;
                return Ok(line);
            }
            ensure!(rest.len() < LONGEST_LINE, "a line without end");
            self.fill().await?;
        }
    }

    /// The next line, which must begin with `+OK`.
    pub(crate) async fn ok(&mut self) -> anyhow::Result<String> {
        let line = self.line().await?;
        ensure!(line.starts_with("+OK"), "not +OK but {line}");
        Ok(line)
    }

    /// Sends a command that must be answered `+OK`.
    pub(crate) async fn command(&mut self, command: &str) -> anyhow::Result<String> {
        self.send(format!("{command}\r\n").as_bytes()).await?;
        self.ok().await.with_context(|| command.to_owned())
    }

    /// The rest of the answer to RETR: exactly this message.
    pub(crate) async fn body(&mut self, message: &Message) -> anyhow::Result<()> {
        let mut expected = &message.wire[..];
        loop {
            let n = expected.len().min(self.buffer.len() - self.taken);
            let (here, later) = expected.split_at(n);
            if self.buffer[self.taken..self.taken + n] != *here {
                bail!(
                    "another message than was delivered, within {n} octets before the last {}",
                    later.len()
                );
            }
            self.taken += n;
            expected = later;
            if expected.is_empty() {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// The rest of the answer to LIST or UIDL: so many lines, numbered from 1, each with something behind.
    pub(crate) async fn listing(&mut self, n: usize) -> anyhow::Result<()> {
        for number in 1..=n {
            let line = self.line().await?;
            let (said, what) = line.split_once(' ').with_context(|| line.clone())?;
            ensure!(
                said.parse() == Ok(number) && (1..=70).contains(&what.len()),
                "line {number} of a listing is {line}"
            );
        }
        let end = self.line().await?;
        ensure!(end == ".", "after {n} lines of a listing comes {end}");
        Ok(())
    }

    /// Sees that the server closes the connection and says nothing more.
    pub(crate) async fn closed(mut self) -> anyhow::Result<()> {
        ensure!(self.taken == self.buffer.len(), "words after the last");
        self.buffer.clear();
        self.taken = 0;
        let stream = &mut self.stream;
        // Some servers end TLS without saying so: after QUIT that is as good.
        let read = within(async { Ok(stream.read_buf(&mut self.buffer).await.unwrap_or(0)) }).await?;
        ensure!(read == 0, "words after QUIT");
        Ok(())
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..self.taken);
        }
        self.taken = 0;
        if self.buffer.capacity() - self.buffer.len() < READ_AHEAD / 4 {
            self.buffer.reserve(READ_AHEAD);
        }
        let n = within(self.stream.read_buf(&mut self.buffer)).await?;
        ensure!(n > 0, "the server closed the connection");
        Ok(())
    }
}

async fn connect(port: u16, nth: usize) -> std::io::Result<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((source(nth), 0)))?;
    let stream = socket
        .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An address of loopback for each of some 16,000 clients, a network of 256 addresses each: servers also count by
/// network.
fn source(nth: usize) -> Ipv4Addr {
    let [low, high] = [nth % 250, nth / 250 % 64].map(|part| u8::try_from(part).unwrap_or(0));
    Ipv4Addr::new(127, 64 + high, low, 1)
}

async fn within<T>(what: impl Future<Output = std::io::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, what)
        .await
        .context("no answer")?
        .map_err(Into::into)
}

/// Delivers messages by LMTP over one connection.
pub(crate) struct Lmtp(Client);

impl Lmtp {
    /// Connects and says LHLO.
    pub(crate) async fn connect(port: u16, nth: usize) -> anyhow::Result<Self> {
        let mut client = Client::connect(&Door { port, tls: None }, nth).await?;
        client.expect("220").await?;
        client.send(b"LHLO client.bench.test\r\n").await?;
        client.expect("250").await?;
        Ok(Self(client))
    }

    /// Delivers one message to one recipient; it is durable when this returns.
    pub(crate) async fn deliver(&mut self, recipient: &str, message: &Message) -> anyhow::Result<()> {
        let envelope = format!("MAIL FROM:<sender@example.org>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        self.0.send(envelope.as_bytes()).await?;
        for code in ["250", "250", "354"] {
            self.0.expect(code).await?;
        }
        self.0.send(&message.wire).await?;
        self.0.expect("250").await
    }
}

impl Client {
    /// The last line of a reply of SMTP's form, which must begin with `code`.
    async fn expect(&mut self, code: &str) -> anyhow::Result<()> {
        loop {
            let line = self.line().await?;
            ensure!(line.starts_with(code), "not {code} but {line}");
            if !line.starts_with(&format!("{code}-")) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_networks_of_their_own() {
        let mut all: Vec<Ipv4Addr> = (0..16_000).map(source).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 16_000);
    }
}
