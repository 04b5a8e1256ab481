//! A raw LMTP session.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::PATIENCE;

/// A raw LMTP session; every step fails when the server is gone.
pub(crate) struct Lmtp(BufReader<TcpStream>);

impl Lmtp {
    pub(crate) fn connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut lmtp = Self(BufReader::new(stream));
        lmtp.reply()?;
        lmtp.ask("LHLO sender.test")?;
        Ok(lmtp)
    }

    pub(crate) fn ask(&mut self, line: &str) -> std::io::Result<String> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// The last line of a reply.
    fn reply(&mut self) -> std::io::Result<String> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// Sends one message, in lines that need no stuffing, and returns the reply for its recipient.
    pub(crate) fn send(&mut self, recipient: &str, message: &str) -> std::io::Result<String> {
        self.ask("MAIL FROM:<sender@example.org>")?;
        self.ask(&format!("RCPT TO:<{recipient}>"))?;
        self.ask("DATA")?;
        self.ask(&format!("{message}."))
    }
}
