//! A POP3 client that says exactly what it is told.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use crate::socket::lossy;
use crate::{PASSWORD, Socket, TestCertificate, TlsOptions};

/// A connection to a POP3 listener. The octets beneath it are reached through [`Socket`].
#[derive(Debug)]
pub struct Pop3Client {
    socket: Socket,
}

impl Deref for Pop3Client {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl DerefMut for Pop3Client {
    fn deref_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }
}

impl Pop3Client {
    /// A client on a connection of which nothing was read yet.
    pub const fn on(socket: Socket) -> Self {
        Self { socket }
    }

    /// Connects and takes the greeting.
    ///
    /// # Panics
    /// If there is none.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::on(Socket::connect(address).await).greeted().await
    }

    /// Connects, shakes hands and takes the greeting.
    ///
    /// # Panics
    /// If the handshake fails or no greeting comes.
    pub async fn connect_tls(address: SocketAddr, certificate: &TestCertificate) -> Self {
        let socket = Socket::connect(address).await;
        let socket = socket.start_tls(certificate, &TlsOptions::default()).await;
        Self::on(socket.expect("the handshake succeeds")).greeted().await
    }

    /// The connection.
    pub fn into_socket(self) -> Socket {
        self.socket
    }

    async fn greeted(mut self) -> Self {
        let greeting = self.reply().await;
        assert!(greeting.starts_with("+OK"), "{greeting}");
        assert!(
            !greeting.contains('<'),
            "a timestamp would offer APOP: {greeting}"
        );
        self
    }

    /// Says STLS and shakes hands.
    ///
    /// # Panics
    /// If either fails.
    pub async fn stls(mut self, certificate: &TestCertificate) -> Self {
        let reply = self.command("STLS").await;
        assert!(reply.starts_with("+OK"), "{reply}");
        let socket = self.socket.start_tls(certificate, &TlsOptions::default()).await;
        Self::on(socket.expect("the handshake succeeds"))
    }

    /// The next line.
    ///
    /// # Panics
    /// If the connection ends instead.
    pub async fn reply(&mut self) -> String {
        let line = self.socket.line().await.expect("the server answers");
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Sends a line and answers the one that comes back.
    ///
    /// # Panics
    /// If the connection ends instead.
    pub async fn command(&mut self, line: &str) -> String {
        self.socket.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Sends a line that must be answered `+OK`.
    ///
    /// # Panics
    /// If it is not.
    pub async fn ok(&mut self, line: &str) -> String {
        let reply = self.command(line).await;
        assert!(reply.starts_with("+OK"), "{line}: {reply}");
        reply
    }

    /// USER and PASS; the answer to PASS.
    ///
    /// # Panics
    /// If USER is refused.
    pub async fn try_login(&mut self, name: &str, password: &str) -> String {
        self.ok(&format!("USER {name}")).await;
        self.command(&format!("PASS {password}")).await
    }

    /// Logs in with the password that every test account has.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn login(mut self, name: &str) -> Self {
        let reply = self.try_login(name, PASSWORD).await;
        assert!(reply.starts_with("+OK"), "{name}: {reply}");
        self
    }

    /// The rest of a multi-line reply as it is on the wire, terminator included.
    ///
    /// # Panics
    /// If the connection ends before the terminator.
    pub async fn multiline(&mut self) -> Vec<u8> {
        let all = self.socket.until_terminator().await;
        all.expect("a multi-line reply comes to its end")
    }

    /// Sends a line and answers the lines of its multi-line reply.
    ///
    /// # Panics
    /// If it is refused or the connection ends.
    pub async fn listing(&mut self, line: &str) -> Vec<String> {
        self.ok(line).await;
        let wire = self.multiline().await;
        let octets = unstuffed(&wire).expect("a multi-line reply");
        String::from_utf8_lossy(&octets)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Sends RETR or TOP and answers the message without its stuffing.
    ///
    /// # Panics
    /// If it is refused or the connection ends.
    pub async fn message(&mut self, line: &str) -> Vec<u8> {
        self.ok(line).await;
        let wire = self.multiline().await;
        unstuffed(&wire).expect("a multi-line reply")
    }

    /// Sees that the connection is closed without a further octet.
    ///
    /// # Panics
    /// If it is not.
    pub async fn expect_closed(mut self) {
        let rest = self.socket.rest().await;
        assert!(rest.is_empty(), "the server went on: {:?}", lossy(&rest));
    }

    /// QUIT, answered `+OK`, and the connection closed.
    ///
    /// # Panics
    /// If not.
    pub async fn quit(mut self) -> String {
        let reply = self.ok("QUIT").await;
        self.expect_closed().await;
        reply
    }
}

/// What a multi-line reply carries (RFC 1939 section 3); `None` unless it ends with its terminator, and has no line
/// that starts with a single dot before it.
pub fn unstuffed(wire: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(wire.len());
    let mut rest = wire;
    loop {
        if rest == b".\r\n" {
            return Some(octets);
        }
        let end = rest.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let (line, later) = rest.split_at(end);
        let line = match line.strip_prefix(b".") {
            Some(stuffed) if stuffed.starts_with(b".") => stuffed,
            Some(_) => return None,
            None => line,
        };
        octets.extend_from_slice(line);
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_reply_is_unstuffed() {
        assert_eq!(unstuffed(b".\r\n").unwrap(), b"");
        assert_eq!(unstuffed(b"a\r\n..b\r\n.\r\n").unwrap(), b"a\r\n.b\r\n");
        for broken in [
            &b""[..],
            b"a\r\n",
            b"a\r\n.",
            b"a\r\n.\r",
            b".a\r\n.\r\n",
            b"a.\r\n",
        ] {
            assert_eq!(unstuffed(broken), None, "{broken:?}");
        }
    }
}
