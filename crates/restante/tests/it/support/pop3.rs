//! A POP3S session, line by line.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;

use restante_testkit::{TestCertificate, TlsOptions};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::PATIENCE;

/// A raw POP3S session.
pub(crate) struct Pop3 {
    stream: BufReader<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>,
}

impl Pop3 {
    /// Connects and reads the greeting.
    pub(crate) fn connect(port: u16, certificate: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let config = TestCertificate::client_config(certificate, &TlsOptions::default());
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let tls = rustls::ClientConnection::new(config, name).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut pop3 = Self {
            stream: BufReader::with_capacity(1 << 16, rustls::StreamOwned::new(tls, tcp)),
        };
        let greeting = pop3.line();
        assert!(greeting.starts_with("+OK"), "{greeting}");
        pop3
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        self.stream.get_mut().flush().unwrap();
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
