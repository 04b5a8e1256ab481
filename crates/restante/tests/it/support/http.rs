//! Just enough HTTP: to ask the admin port, and to be the collector of traces.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::PATIENCE;

/// The status and the body of an answer.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    request(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
}

/// Any other request, as it is sent.
pub(crate) fn request(port: u16, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The value of a series in the text form of Prometheus; `None` if there is none.
pub(crate) fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics
        .lines()
        .find(|line| line.split(' ').next() == Some(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// How a collector behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    /// It takes what comes.
    Willing,
    /// It takes connections and never answers.
    Silent,
}

/// A collector of traces that keeps what it is sent.
pub(crate) struct Collector {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    pub(crate) fn start(temper: Temper) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.unwrap(), Arc::clone(&kept));
                std::thread::spawn(move || converse(stream, temper, &kept));
            }
        });
        Self { port, received }
    }

    /// Everything that was sent to it: paths, headers, bodies.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        let received = self.received();
        received
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

fn converse(stream: TcpStream, temper: Temper, kept: &Mutex<Vec<u8>>) {
    stream.set_read_timeout(Some(Duration::from_mins(5))).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let mut stream = BufReader::new(stream);
    loop {
        let mut n_octets = 0;
        loop {
            let mut line = String::new();
            // The server may go at any time.
            if !stream.read_line(&mut line).is_ok_and(|n| n > 0) {
                return;
            }
            kept.lock().unwrap().extend_from_slice(line.as_bytes());
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                n_octets = length.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; n_octets];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        kept.lock().unwrap().extend_from_slice(&body);
        if temper == Temper::Willing {
            let answer =
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
            if answers.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}
