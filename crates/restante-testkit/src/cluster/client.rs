//! A client that expects everything to fail: each call ends with an answer, or with an error and the connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than the server's own longest wait, which is that for the outcome of a QUIT.
const PATIENCE: Duration = Duration::from_secs(45);

/// A connection to a server that speaks in lines.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub async fn connect(address: SocketAddr) -> io::Result<(Self, String)> {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .map_err(late)??;
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        let greeting = client.line().await?;
        Ok((client, greeting))
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.get_mut().write_all(octets))
            .await
            .map_err(late)?
    }

    /// A line without its CRLF.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub async fn line(&mut self) -> io::Result<String> {
        let line = self.octets().await?;
        let text = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Sends a line, and answers the one that comes.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub async fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(format!("{command}\r\n").as_bytes()).await?;
        self.line().await
    }

    /// What follows a `+OK`, to the end, unstuffed.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        loop {
            let line = self.octets().await?;
            if line == b".\r\n" {
                return Ok(rest);
            }
            if !line.ends_with(b"\r\n") {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// The reply of LMTP, which may have several lines: the last one.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub async fn reply(&mut self) -> io::Result<String> {
        loop {
            let line = self.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    async fn octets(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        timeout(PATIENCE, self.stream.read_until(b'\n', &mut line))
            .await
            .map_err(late)??;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }
}

fn late(_: tokio::time::error::Elapsed) -> io::Error {
    io::ErrorKind::TimedOut.into()
}
