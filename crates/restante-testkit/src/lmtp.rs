//! An LMTP client (RFC 2033): one message after another, each reply looked at.

use std::net::SocketAddr;

use crate::Socket;

/// A connection to an LMTP listener, after LHLO.
#[derive(Debug)]
pub struct LmtpClient {
    socket: Socket,
}

impl LmtpClient {
    /// Connects and says LHLO.
    ///
    /// # Panics
    /// If the server does not greet, or refuses.
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = Socket::connect(address).await;
        let mut client = Self { socket };
        assert!(client.reply().await.starts_with("220 "));
        let reply = client.command("LHLO client.test").await;
        assert!(reply.starts_with("250"), "{reply}");
        client
    }

    /// Sends a command line and answers the last line of its reply.
    ///
    /// # Panics
    /// If the connection ends instead.
    pub async fn command(&mut self, line: &str) -> String {
        self.socket.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// The last line of the next reply.
    ///
    /// # Panics
    /// If the connection ends instead.
    pub async fn reply(&mut self) -> String {
        loop {
            let line = self.socket.line().await.expect("the server answers");
            if line.get(3) != Some(&b'-') {
                return String::from_utf8_lossy(&line).into_owned();
            }
        }
    }

    /// Names sender and recipient and begins DATA: after this come the message, stuffed, and its end.
    ///
    /// # Panics
    /// If one of them is refused.
    pub async fn begin(&mut self, recipient: &str) {
        for (line, code) in [
            ("MAIL FROM:<sender@elsewhere.test>".to_owned(), "250"),
            (format!("RCPT TO:<{recipient}>"), "250"),
            ("DATA".to_owned(), "354"),
        ] {
            let reply = self.command(&line).await;
            assert!(reply.starts_with(code), "{line}: {reply}");
        }
    }

    /// Sends octets of a message as they are; the caller has stuffed them.
    ///
    /// # Panics
    /// If the connection breaks.
    pub async fn send(&mut self, octets: &[u8]) {
        self.socket.send(octets).await;
    }

    /// Delivers one message to one recipient: its octets are stuffed here, and a CRLF is put before the final dot if
    /// they do not end in one.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deliver(&mut self, recipient: &str, message: &[u8]) {
        self.begin(recipient).await;
        let mut wire = stuffed(message);
        if !(wire.is_empty() || wire.ends_with(b"\r\n")) {
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
        self.socket.send(&wire).await;
        let reply = self.reply().await;
        assert!(reply.starts_with("250"), "message refused: {reply}");
    }
}

/// A second dot before every dot that follows a CRLF, or comes first (RFC 5321 section 4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 64);
    for (at, octet) in message.iter().enumerate() {
        if *octet == b'.' && (at == 0 || message[..at].ends_with(b"\r\n")) {
            wire.push(b'.');
        }
        wire.push(*octet);
    }
    wire
}
