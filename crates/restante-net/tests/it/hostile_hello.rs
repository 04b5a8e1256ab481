//! What is not a proper ClientHello ends in an alert or a close, never in a panic.

use std::sync::Arc;

use restante_net::{HandshakeError, HandshakeFault, HandshakeInfo};
use rustls::ClientConnection;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::support::{beside, client, pop3_stack};

/// The record types that an answer begins with.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const PROTOCOL_VERSION: u8 = 70;

/// Sends `pieces` one by one, then the end of the stream; returns the answer and what the server made of it.
async fn send(pieces: Vec<Vec<u8>>) -> (Vec<u8>, Result<HandshakeInfo, HandshakeError>) {
    let stack = pop3_stack();
    let (ours, mut theirs) = duplex(64 * 1024);
    let server = beside(async move { stack.accept(ours).await.map(|stream| stream.info().clone()) });
    for piece in pieces {
        if theirs.write_all(&piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    theirs.shutdown().await.unwrap();
    let mut answer = Vec::new();
    theirs.read_to_end(&mut answer).await.unwrap();
    (answer, server.await.unwrap())
}

/// The ClientHello message of a real client, without its record header.
fn hello_message(name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(client(&["pop3"])), name).unwrap();
    let mut record = Vec::new();
    connection.write_tls(&mut record).unwrap();
    record.split_off(5)
}

fn record(payload: &[u8]) -> Vec<u8> {
    let mut record = vec![HANDSHAKE, 3, 1];
    record.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    record.extend(payload);
    record
}

fn n16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

/// A ClientHello of TLS 1.2 or older with one `cipher` and a server name extension with `name` as it stands.
fn hello_with(version: [u8; 2], cipher: [u8; 2], name: &[u8]) -> Vec<u8> {
    // Groups x25519 and P-256; ECDSA over P-256 with SHA-256: all that the certificate needs.
    let mut extensions = vec![0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 0];
    extensions.extend(n16(name.len() + 5));
    extensions.extend(n16(name.len() + 3));
    extensions.push(0);
    extensions.extend(n16(name.len()));
    extensions.extend(name);

    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2]);
    body.extend(cipher);
    body.extend([1, 0]);
    body.extend(n16(extensions.len()));
    body.extend(extensions);

    let mut message = vec![1, 0];
    message.extend(n16(body.len()));
    message.extend(body);
    message
}

/// ECDHE_ECDSA_WITH_AES_128_GCM_SHA256.
const GOOD_CIPHER: [u8; 2] = [0xc0, 0x2b];
const RC4: [u8; 2] = [0x00, 0x05];

#[tokio::test]
async fn plaintext_pop3_on_the_tls_port_is_refused() {
    let (answer, outcome) = send(vec![b"CAPA\r\n".to_vec()]).await;
    assert!(!answer.starts_with(b"+OK") && !answer.starts_with(b"-ERR"));
    assert_eq!(outcome.unwrap_err().fault, HandshakeFault::NotTls);
}

#[tokio::test]
async fn http_on_the_tls_port_is_refused() {
    let (_, outcome) = send(vec![b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()]).await;
    assert_eq!(outcome.unwrap_err().fault, HandshakeFault::NotTls);
}

#[tokio::test]
async fn hello_octet_by_octet_is_answered() {
    let pieces = record(&hello_message("pop.example.org"))
        .into_iter()
        .map(|octet| vec![octet])
        .collect();
    let (answer, _) = send(pieces).await;
    assert_eq!(answer.first(), Some(&HANDSHAKE));
}

#[tokio::test]
async fn cve_2024_11738_hello_in_one_octet_records_does_not_panic() {
    let pieces = hello_message("pop.example.org")
        .iter()
        .map(|octet| record(&[*octet]))
        .collect();
    let (answer, outcome) = send(pieces).await;
    assert!(matches!(answer.first(), Some(&HANDSHAKE | &ALERT)));
    assert!(outcome.is_err(), "the client went away after its hello");
}

#[tokio::test]
async fn hello_cut_at_any_octet_is_a_closed_handshake() {
    let whole = record(&hello_message("pop.example.org"));
    for n in (1..whole.len()).step_by(7) {
        let (_, outcome) = send(vec![whole[..n].to_vec()]).await;
        assert_eq!(
            outcome.unwrap_err().fault,
            HandshakeFault::Closed,
            "cut after {n}"
        );
    }
}

#[tokio::test]
async fn hello_with_one_octet_spoilt_never_panics() {
    let whole = record(&hello_message("pop.example.org"));
    for n in (0..whole.len()).step_by(5) {
        let mut spoilt = whole.clone();
        spoilt[n] ^= 0xff;
        // The task of the server half carries a panic over to its handle, where `send` unwraps it.
        let (_, outcome) = send(vec![spoilt]).await;
        assert!(outcome.is_err());
    }
}

#[tokio::test]
async fn odd_server_names_are_normalised_ignored_or_alerted_and_never_panic() {
    let long = vec![b'x'; 300];
    let names: [(&[u8], u8); 10] = [
        (b"pop.example.org.", HANDSHAKE),
        (b"POP.EXAMPLE.ORG", HANDSHAKE),
        (b"192.0.2.1", HANDSHAKE),
        (b"[2001:db8::1]", ALERT),
        (b"", ALERT),
        (b".", ALERT),
        (b"pop\0.example.org", ALERT),
        (b"\xff\xfe", ALERT),
        (b"-bad-.example..org", ALERT),
        (&long, ALERT),
    ];
    for (name, expected) in names {
        let (answer, _) = send(vec![record(&hello_with([3, 3], GOOD_CIPHER, name))]).await;
        assert_eq!(
            answer.first(),
            Some(&expected),
            "{:?}",
            String::from_utf8_lossy(name)
        );
    }
}

#[tokio::test]
async fn tls_10_and_11_get_the_alert_protocol_version() {
    for version in [[3, 1], [3, 2]] {
        let (answer, outcome) = send(vec![record(&hello_with(
            version,
            GOOD_CIPHER,
            b"pop.example.org",
        ))])
        .await;
        assert_eq!(
            (answer.first(), answer.last()),
            (Some(&ALERT), Some(&PROTOCOL_VERSION))
        );
        assert_eq!(outcome.unwrap_err().fault, HandshakeFault::Incompatible);
    }
}

#[tokio::test]
async fn client_that_knows_rc4_alone_gets_an_alert() {
    let (answer, outcome) = send(vec![record(&hello_with([3, 3], RC4, b"pop.example.org"))]).await;
    assert_eq!(answer.first(), Some(&ALERT));
    assert_eq!(outcome.unwrap_err().fault, HandshakeFault::Incompatible);
}
