//! Clients that mean harm or know no better: each is sent away, and the server goes on.

use std::time::Duration;

use restante_admin::AdminLimits;
use restante_testkit::Socket;
use tokio::time::Instant;

use crate::serving::{Served, answer, get};
use crate::world::{PROVIDER, World};

/// Soon enough to wait for, late enough for a busy machine.
fn impatient() -> AdminLimits {
    AdminLimits {
        header_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_millis(500),
        ..AdminLimits::default()
    }
}

fn serve(world: &World) -> Served {
    Served::start(&world.service(impatient()))
}

async fn still_serves(served: &Served) {
    let mut socket = Socket::connect(served.address).await;
    assert!(get(&mut socket, "/livez").await.0.ends_with("200 OK"));
}

#[tokio::test]
async fn a_header_of_a_megabyte_is_not_taken() {
    let world = World::new().await;
    let served = serve(&world);
    let mut socket = Socket::connect(served.address).await;
    let header = format!(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Large: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    // It may be closed before all of it is sent.
    let sent = socket.try_send(header.as_bytes()).await;
    let answered = String::from_utf8_lossy(&socket.rest().await).into_owned();
    assert!(
        sent.is_err() || answered.starts_with("HTTP/1.1 431"),
        "{answered}"
    );
    let mut socket = Socket::connect(served.address).await;
    let many = "X-Many: y\r\n".repeat(1_000);
    let header = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    let sent = socket.try_send(header.as_bytes()).await;
    let answered = String::from_utf8_lossy(&socket.rest().await).into_owned();
    assert!(
        sent.is_err() || answered.starts_with("HTTP/1.1 431"),
        "{answered}"
    );
    still_serves(&served).await;
}

#[tokio::test]
async fn a_slow_header_is_not_waited_for() {
    let world = World::new().await;
    let served = serve(&world);
    let begun = Instant::now();
    let mut silent = Socket::connect(served.address).await;
    let mut slow = Socket::connect(served.address).await;
    slow.send(b"GET /livez HTTP/1.1\r\nHo").await;
    silent.rest().await;
    slow.rest().await;
    assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(15));
    // Nor is a connection kept that asks for nothing more.
    let mut idle = Socket::connect(served.address).await;
    get(&mut idle, "/livez").await;
    idle.rest().await;
    still_serves(&served).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_with_the_time_of_its_request() {
    let world = World::new().await;
    let served = serve(&world);
    let mut socket = Socket::connect(served.address).await;
    let head = format!(
        "POST /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {PROVIDER}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"name\""
    );
    socket.send(head.as_bytes()).await;
    let (status, text) = answer(&mut socket).await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert!(text.contains("urn:restante:problem:late"), "{text}");
    socket.rest().await;
    still_serves(&served).await;
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_before_it_is_read() {
    let world = World::new().await;
    let served = serve(&world);
    for framing in ["Content-Length: 1000000000000", "Transfer-Encoding: chunked"] {
        let mut socket = Socket::connect(served.address).await;
        let head = format!(
            "POST /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {PROVIDER}\r\n\
             Content-Type: application/json\r\n{framing}\r\n\r\n"
        );
        socket.send(head.as_bytes()).await;
        if framing.starts_with("Transfer") {
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            for _ in 0..16 {
                if socket.try_send(chunk.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
        let (status, text) = answer(&mut socket).await;
        assert_eq!(status, "HTTP/1.1 413 Payload Too Large", "{framing}: {text}");
    }
    still_serves(&served).await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let world = World::new().await;
    let served = serve(&world);
    for octets in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"USER alice\r\nPASS secret\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\0\0\0\0\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: local\0host\r\n\r\n",
    ] {
        let mut socket = Socket::connect(served.address).await;
        socket.send(octets).await;
        let answered = String::from_utf8_lossy(&socket.rest().await).into_owned();
        assert!(
            answered.is_empty() || answered.starts_with("HTTP/1.1 400"),
            "{octets:?}: {answered}"
        );
    }
    still_serves(&served).await;
}

#[tokio::test]
async fn paths_and_names_with_an_effect_elsewhere_have_none() {
    let world = World::new().await.settled().await;
    for path in [
        "/api/v1/tenants/..%2f..%2fetc%2fpasswd",
        "/api/v1/tenants/%00",
        "/api/v1/tenants/%1b%5b31m",
        "/api/v1/tenants/'%20OR%201=1--",
        "/api/v1/domains/%3Cscript%3E",
        "/api/v1/accounts/%0d%0aX-Evil:%20y@acme.example",
        "/api/v1/plugins/..%2f..%2fx",
        "/api/v1/storages/%E2%80%AE",
        "/api/v1/tenants/%ff%fe",
    ] {
        let answer = world.get(PROVIDER, path).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 404 | 422),
            "{path}: {answer:?}"
        );
        assert!(
            !answer.text.contains(['\u{1b}', '\r', '\0']),
            "{path}: {answer:?}"
        );
        assert!(!answer.headers.contains_key("x-evil"), "{path}");
    }
    assert_eq!(
        world.get(PROVIDER, "/%61pi/v1/tenants").await.status,
        404,
        "no other way to write an address"
    );
    assert_eq!(
        world.get("wrong-0123456789", "/%61pi/v1/tenants").await.status,
        404
    );
}
