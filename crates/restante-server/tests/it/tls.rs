//! TLS and STLS: nothing that was said in the clear is heard inside TLS.

use std::time::Duration;

use restante_testkit::{ALICE, PASSWORD, Pop3Client, Socket, TestServer, TlsOptions};
use restante_types::{Clock, SystemClock};

const TLS_REQUIRED: &str = "-ERR [SYS/PERM] TLS required, use STLS or port 995";

/// Sends `octets` in the clear, then shakes hands if the server lets us; answers the client inside TLS.
async fn inject(server: &TestServer, octets: &[u8]) -> Option<Pop3Client> {
    let mut client = Pop3Client::connect(server.clear()).await;
    client.send(octets).await;
    let said = client.until(b"Begin TLS negotiation\r\n").await;
    if !said.ends_with(b"Begin TLS negotiation\r\n") {
        assert_eq!(said, b"", "closed without a word");
        return None;
    }
    let socket = client.into_socket();
    let shaken = socket
        .start_tls(&server.certificate, &TlsOptions::default())
        .await;
    shaken.ok().map(Pop3Client::on)
}

#[tokio::test]
async fn s01_octets_behind_stls_close_the_connection() {
    let server = TestServer::start().await;
    for behind in ["CAPA\r\n", "\r\n", "\n", "x", "NOOP\r\nNOOP\r\n"] {
        let injected = inject(&server, format!("STLS\r\n{behind}").as_bytes()).await;
        assert!(injected.is_none(), "{behind:?}");
    }
    server.still_serves().await;
}

#[tokio::test]
async fn s01_octets_behind_stls_that_did_not_fit_the_line_buffer_close_the_connection() {
    let server = TestServer::start().await;
    // The line buffer has 512 octets. After the last of these fillers STLS is what ends it, to the octet.
    let fillers = [
        b"CAPA\r\n".repeat(84),
        b"CAPA\r\n".repeat(200),
        [&b"USER a\r\n"[..], &b"CAPA\r\n".repeat(83)].concat(),
    ];
    for filler in fillers {
        let octets = [&filler, &b"STLS\r\nUSER mallory\r\n"[..]].concat();
        let filler = filler.len();
        let mut client = Pop3Client::connect(server.clear()).await;
        client.send(&octets).await;
        let said = client.rest().await;
        let said = String::from_utf8(said).unwrap();
        assert!(!said.contains("Begin TLS"), "{filler}");
        // What was not sent yet may be lost with the connection.
        assert!(
            said.is_empty() || said.ends_with(".\r\n"),
            "{filler}: a word behind STLS"
        );
    }
    server.still_serves().await;
}

#[tokio::test]
async fn s02_half_a_line_behind_stls_closes_the_connection() {
    let server = TestServer::start().await;
    assert!(inject(&server, b"STLS\r\nUSER mallory").await.is_none());
    server.still_serves().await;
}

#[tokio::test]
async fn s03_octets_behind_stls_in_any_split_never_reach_the_tls_session() {
    let server = TestServer::start().await;
    let script = b"STLS\r\nUSER mallory\r\nPASS x";
    for cut in 1..script.len() {
        let mut client = Pop3Client::connect(server.clear()).await;
        client.send(&script[..cut]).await;
        tokio::task::yield_now().await;
        // The server may be gone by then.
        drop(client.try_send(&script[cut..]).await);
        let said = client.rest().await;
        let (begun, rest) = match said.strip_prefix(b"+OK Begin TLS negotiation\r\n") {
            Some(rest) => (true, rest),
            None => (false, &said[..]),
        };
        // Behind the reply there is a TLS alert at most: a record of type 21.
        assert!(rest.is_empty() || (begun && rest[0] == 21), "{cut}: {rest:?}");
    }
    server.still_serves().await;
}

#[tokio::test]
async fn s04_the_name_given_in_the_clear_is_forgotten_by_stls() {
    let server = TestServer::start().await;
    let mut client = Pop3Client::connect(server.clear()).await;
    assert_eq!(client.command(&format!("USER {ALICE}")).await, TLS_REQUIRED);
    let mut client = client.stls(&server.certificate).await;
    let reply = client.command(&format!("PASS {PASSWORD}")).await;
    assert_eq!(reply, "-ERR USER first");
    client.login(ALICE).await.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn s05_stls_as_a_sasl_response_is_no_stls() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    assert!(client.command("AUTH PLAIN").await.starts_with("+ "));
    assert_eq!(
        client.command("STLS").await,
        "-ERR Malformed authentication response"
    );
    client.login(ALICE).await.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn s06_commands_pipelined_around_stls_do_not_run_after_it() {
    let server = TestServer::start().await;
    let mut client = Pop3Client::connect(server.clear()).await;
    client.send(b"NOOP\r\nSTLS\r\nQUIT\r\n").await;
    let said = client.rest().await;
    assert_eq!(said, b"-ERR Command not valid in this state\r\n");
    server.still_serves().await;
}

#[tokio::test]
async fn s07_credentials_in_the_clear_are_refused_unevaluated() {
    let server = TestServer::start().await;
    let mut client = Pop3Client::connect(server.clear()).await;
    for line in [
        "USER alice@example.test",
        "PASS correct horse",
        "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNl",
    ] {
        assert_eq!(client.command(line).await, TLS_REQUIRED, "{line}");
    }
    let capa = client.listing("CAPA").await;
    assert!(capa.contains(&"STLS".to_owned()), "{capa:?}");
    assert!(
        !capa
            .iter()
            .any(|line| line.starts_with("USER") || line.starts_with("SASL"))
    );
    client.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn s08_stls_inside_tls_or_after_login_is_refused_and_the_session_goes_on() {
    let server = TestServer::start().await;
    let mut client = server.tls_client().await;
    assert_eq!(client.command("STLS").await, "-ERR STLS not available");
    let mut client = client.login(ALICE).await;
    assert!(client.command("STLS").await.starts_with("-ERR"));
    client.quit().await;
    let client = Pop3Client::connect(server.clear()).await;
    let mut client = client.stls(&server.certificate).await;
    assert_eq!(client.command("STLS").await, "-ERR STLS not available");
    assert!(!client.listing("CAPA").await.contains(&"STLS".to_owned()));
    client.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn s09_plaintext_on_the_tls_port_gets_an_alert_and_no_word_of_pop3() {
    let server = TestServer::start().await;
    let mut socket = Socket::connect(server.tls()).await;
    socket.send(b"CAPA\r\n").await;
    let said = socket.rest().await;
    assert!(said.is_empty() || said[0] == 21, "{said:?}");
    server.still_serves().await;
}

#[tokio::test]
async fn s10_client_hello_on_the_clear_port_is_closed_without_an_echo() {
    let server = TestServer::start().await;
    let mut client = Pop3Client::connect(server.clear()).await;
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    hello.extend_from_slice(&[0x41; 600]);
    drop(client.try_send(&hello).await);
    let said = client.rest().await;
    assert!(said.is_empty() || said == b"-ERR Line too long\r\n", "{said:?}");

    let mut client = Pop3Client::connect(server.clear()).await;
    client.send(b"\x16\x03\x01\x02\x00\x01 hello\n").await;
    client.expect_closed().await;
    server.still_serves().await;
}

#[tokio::test]
async fn s12_a_handshake_without_end_is_closed_and_its_place_is_free() {
    let server = TestServer::builder()
        .tls(|tls| tls.handshake_timeout = Duration::from_millis(200))
        .start()
        .await;
    let mut silent = Socket::connect(server.tls()).await;
    silent.send(&[0x16, 3, 1]).await;
    let mut behind_stls = Pop3Client::connect(server.clear()).await;
    behind_stls.ok("STLS").await;
    behind_stls.send(&[0x16, 3, 1]).await;
    silent.rest().await;
    behind_stls.rest().await;
    restante_testkit::eventually("the places are free", || server.usage().open == 0).await;
    server.still_serves().await;
}

#[tokio::test]
async fn s13_s14_application_protocols_are_pop3_or_none() {
    let server = TestServer::start().await;
    for (offered, served) in [
        (vec!["h2", "http/1.1"], false),
        (vec!["pop3"], true),
        (vec!["http/1.1", "pop3"], true),
        (vec![], true),
    ] {
        let options = TlsOptions {
            alpn: offered.clone(),
            ..TlsOptions::default()
        };
        let socket = Socket::connect(server.tls()).await;
        let shaken = socket.start_tls(&server.certificate, &options).await;
        assert_eq!(shaken.is_ok(), served, "{offered:?}");
        if let Ok(socket) = shaken {
            let mut client = Pop3Client::on(socket);
            assert!(client.reply().await.starts_with("+OK"));
            client.quit().await;
        }
    }
    server.still_serves().await;
}

#[tokio::test]
async fn s22_a_browser_inside_tls_is_closed_without_a_word() {
    let server = TestServer::start().await;
    for request in [
        "GET / HTTP/1.1\r\nHost: pop.example\r\n\r\n",
        "POST /x HTTP/1.1\r\n\r\n",
        "EHLO x\r\n",
    ] {
        let mut client = server.tls_client().await;
        client.send(request.as_bytes()).await;
        client.expect_closed().await;
    }
    server.still_serves().await;
}

#[tokio::test]
async fn s23_reload_of_a_broken_pair_keeps_the_old_one_and_of_a_good_one_renews() {
    let server = TestServer::start().await;
    let files = [server.certificate.files()];
    let old = server.certificate.der();
    let key = std::fs::read(&files[0].key).unwrap();
    let pem = std::fs::read(&files[0].certificate).unwrap();

    server.certificate.renew();
    std::fs::write(&files[0].key, &key).unwrap();
    let report = server.certificates.reload(&files, SystemClock.wall());
    assert_eq!(report.errors.len(), 1, "key and certificate do not fit");
    std::fs::write(&files[0].certificate, &pem[..pem.len() / 2]).unwrap();
    let report = server.certificates.reload(&files, SystemClock.wall());
    assert_eq!(report.errors.len(), 1, "half-written");
    std::fs::write(&files[0].certificate, &pem).unwrap();
    server.still_serves().await;

    let mut session = server.tls_client().await.login(ALICE).await;
    server.certificate.renew();
    assert_ne!(server.certificate.der(), old);
    let report = server.certificates.reload(&files, SystemClock.wall());
    assert_eq!(report.errors.len(), 0);
    session.ok("NOOP").await;
    session.quit().await;
    // This client trusts the new one alone.
    server.still_serves().await;
}
