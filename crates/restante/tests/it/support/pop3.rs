//! A POP3 session, line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use restante_testkit::{TestCertificate, TlsOptions};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::PATIENCE;

/// A raw session.
pub(crate) struct Pop3 {
    stream: BufReader<Box<dyn Stream>>,
    /// The `tls-exporter` channel binding (RFC 9266).
    pub(crate) exporter: Option<[u8; 32]>,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Pop3 {
    /// Connects over TLS and reads the greeting.
    pub(crate) fn connect(port: u16, certificate: &Path) -> Self {
        Self::connect_with(port, trusting(certificate))
    }

    /// The same with another configuration.
    pub(crate) fn connect_with(port: u16, config: Arc<rustls::ClientConfig>) -> Self {
        Self::shake_hands(tcp(port), config)
    }

    fn shake_hands(mut tcp: TcpStream, config: Arc<rustls::ClientConfig>) -> Self {
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let mut tls = rustls::ClientConnection::new(config, name).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).unwrap();
        }
        let exporter = tls
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            .unwrap();
        Self::greeted(Box::new(rustls::StreamOwned::new(tls, tcp)), Some(exporter))
    }

    /// Connects as a load balancer does for a client of that address.
    pub(crate) fn behind_balancer(port: u16, client: Ipv4Addr) -> Self {
        Self::greeted(Box::new(balanced(port, client)), None)
    }

    /// The same over TLS.
    pub(crate) fn behind_balancer_tls(port: u16, client: Ipv4Addr, certificate: &Path) -> Self {
        Self::shake_hands(balanced(port, client), trusting(certificate))
    }

    fn greeted(stream: Box<dyn Stream>, exporter: Option<[u8; 32]>) -> Self {
        let stream = BufReader::with_capacity(1 << 16, stream);
        let mut pop3 = Self { stream, exporter };
        let greeting = pop3.line();
        assert!(greeting.starts_with("+OK"), "{greeting}");
        pop3
    }

    /// The reply to USER and PASS.
    pub(crate) fn try_login(&mut self, name: &str, password: &str) -> String {
        self.ok(&format!("USER {name}"));
        self.ask(&format!("PASS {password}"))
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    /// Sends what the server may not want to hear the end of.
    pub(crate) fn try_send(&mut self, text: &str) {
        drop(self.stream.get_mut().write_all(text.as_bytes()));
    }

    /// The next line, if one comes before the server closes.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let n = self.stream.read_until(b'\n', &mut line).unwrap_or(0);
        (n > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Waits until the server closes; the last line that came, if any did.
    pub(crate) fn last_line(&mut self) -> Option<String> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("still open"),
            // A reset, because more was sent than it read.
            Ok(_) | Err(_) => {}
        }
        let rest = String::from_utf8_lossy(&rest);
        rest.lines().last().map(str::to_owned)
    }

    /// A line without its CRLF.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        let line = line
            .strip_suffix(b"\r\n")
            .unwrap_or_else(|| panic!("cut: {}", String::from_utf8_lossy(&line)));
        String::from_utf8_lossy(line).into_owned()
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n"));
        self.line()
    }

    pub(crate) fn ok(&mut self, command: &str) -> String {
        let reply = self.ask(command);
        assert!(reply.starts_with("+OK"), "{command}: {reply}");
        reply
    }

    pub(crate) fn dele(&mut self, numbers: std::ops::RangeInclusive<usize>) {
        for number in numbers {
            self.ok(&format!("DELE {number}"));
        }
    }

    /// Messages and octets.
    pub(crate) fn stat(&mut self) -> (usize, u64) {
        let reply = self.ok("STAT");
        let mut numbers = reply.split(' ').skip(1);
        (
            numbers.next().unwrap().parse().unwrap(),
            numbers.next().unwrap().parse().unwrap(),
        )
    }

    /// The lines of a listing.
    pub(crate) fn listing(&mut self, command: &str) -> Vec<String> {
        self.ok(command);
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line == "." {
                return lines;
            }
            lines.push(line);
        }
    }

    /// The octets of a message, unstuffed.
    pub(crate) fn retr(&mut self, number: usize) -> Vec<u8> {
        self.retr_lines(number).flatten().collect()
    }

    /// The lines of a message, unstuffed, one by one; all of them are to be taken.
    pub(crate) fn retr_lines(&mut self, number: usize) -> impl Iterator<Item = Vec<u8>> {
        self.ok(&format!("RETR {number}"));
        std::iter::from_fn(move || {
            let mut line = Vec::new();
            self.stream.read_until(b'\n', &mut line).unwrap();
            match line.as_slice() {
                b".\r\n" => None,
                [b'.', rest @ ..] => Some(rest.to_vec()),
                [] => panic!("cut in a message"),
                _ => Some(line),
            }
        })
    }
}

fn tcp(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// A connection on which a load balancer has said for whom it is.
fn balanced(port: u16, client: Ipv4Addr) -> TcpStream {
    let mut tcp = tcp(port);
    tcp.write_all(format!("PROXY TCP4 {client} 192.0.2.1 50000 110\r\n").as_bytes())
        .unwrap();
    tcp
}

/// A client that trusts this certificate.
fn trusting(certificate: &Path) -> Arc<rustls::ClientConfig> {
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    TestCertificate::client_config(certificate, &TlsOptions::default())
}
