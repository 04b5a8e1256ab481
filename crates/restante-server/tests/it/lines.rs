//! The lines that clients send, and the ways in which they stop sending.

use std::time::Duration;

use restante_net::{AcceptEvent, ProxyError, ProxyPolicy, RateFloor};
use restante_testkit::{ALICE, Account, PASSWORD, Pop3Client, Socket, TestServer, eventually};
use restante_types::Octets;

use crate::support::letter;

const UNKNOWN: &str = "-ERR Unknown command";

#[tokio::test]
async fn n01_empty_lines_are_refused_and_the_tenth_closes() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    drop(client.try_send(&b"\r\n".repeat(1000)).await);
    let mut expected = format!("{UNKNOWN}\r\n").repeat(10);
    expected.push_str("-ERR Too many bad commands\r\n");
    assert_eq!(String::from_utf8(client.rest().await).unwrap(), expected);
    server.still_serves().await;
}

#[tokio::test]
async fn n02_hostile_words_get_a_fixed_text() {
    let server = TestServer::start().await;
    for line in [
        &b":"[..],
        b"\0",
        b"\xff\xfe",
        b"%s%n",
        b"%u%{x}",
        b"${jndi:ldap://x}",
        b"\x1b[31mred",
    ] {
        let mut client = server.client().await;
        client.send(&[line, b"\r\n"].concat()).await;
        assert_eq!(client.reply().await, UNKNOWN, "{line:?}");
        client.ok("CAPA").await;
    }
    server.still_serves().await;
}

#[tokio::test]
async fn n03_a_line_of_512_octets_is_read_and_one_of_513_closes() {
    let server = TestServer::start().await;
    let user = |octets: usize| format!("USER {}\r\n", "a".repeat(octets - 7));
    let mut client = server.client().await;
    client.send(user(512).as_bytes()).await;
    assert!(client.reply().await.starts_with("+OK"));
    drop(client.try_send(user(513).as_bytes()).await);
    assert_eq!(client.reply().await, "-ERR Line too long");
    client.expect_closed().await;
    server.still_serves().await;
}

#[tokio::test]
async fn n04_bare_lf_ends_a_line_and_bare_cr_does_not() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.send(b"CAPA\n").await;
    client.reply().await;
    client.multiline().await;
    for line in [&b"NOOP\r\r\n"[..], b"CA\rPA\r\n", b"CAPA\r\r\n"] {
        client.send(line).await;
        assert!(client.reply().await.starts_with("-ERR"), "{line:?}");
    }
    client.send(b"CAPA\n\rCAPA\r\n").await;
    client.reply().await;
    client.multiline().await;
    assert_eq!(client.reply().await, UNKNOWN);
    client.quit().await;

    let strict = TestServer::builder()
        .policy(|policy| policy.limits.accept_bare_lf = false)
        .start()
        .await;
    let mut client = strict.client().await;
    client.send(b"CAPA\nCAPA\r\n").await;
    assert!(client.reply().await.starts_with("-ERR"));
    client.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn n05_a_bare_cr_in_a_password_is_not_taken_out_of_it() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.ok(&format!("USER {ALICE}")).await;
    client.send(b"PASS correct\r horse\r\n").await;
    assert!(client.reply().await.starts_with("-ERR"));
    client.login(ALICE).await.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn n06_n07_only_one_space_at_the_end_is_tolerated() {
    let server = TestServer::builder()
        .policy(|policy| policy.bad_commands = 100)
        .start()
        .await;
    let mut client = server.alice().await;
    for line in [
        "NOOP\0", " NOOP", "NOOP  ", "NOOP\t", "LIST  1", "LIST\t1", "RETR 1 2", "\tNOOP",
    ] {
        assert!(client.command(line).await.starts_with("-ERR"), "{line:?}");
    }
    client.ok("NOOP ").await;
    client.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn n08_mixed_case_is_understood() {
    let server = TestServer::start().await;
    server
        .backends
        .deliver(Account::Alice, b"Subject: x\r\n\r\nhello\r\n")
        .await;
    let mut client = server.client().await;
    client.ok(&format!("uSeR {ALICE}")).await;
    client.ok(&format!("pAsS {PASSWORD}")).await;
    assert_eq!(client.message("rEtR 1").await, b"Subject: x\r\n\r\nhello\r\n");
    client.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn n09_one_octet_per_segment_is_served_and_too_slow_a_login_is_not() {
    let server = TestServer::start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.client().await;
    let script = format!("USER {ALICE}\r\nPASS {PASSWORD}\r\nSTAT\r\nQUIT\r\n");
    for octet in script.as_bytes() {
        client.send(&[*octet]).await;
        tokio::task::yield_now().await;
    }
    let said = String::from_utf8(client.rest().await).unwrap();
    assert_eq!(
        said.lines().filter(|line| line.starts_with("+OK")).count(),
        4,
        "{said}"
    );

    let impatient = TestServer::builder()
        .policy(|policy| policy.login_timeout = Duration::from_millis(300))
        .start()
        .await;
    let mut client = impatient.client().await;
    // Steady octets do not prolong the time for the login.
    let dribble = async {
        while client.try_send(b"C").await.is_ok() && client.is_silent_for(Duration::from_millis(20)).await {}
    };
    tokio::time::timeout(Duration::from_secs(10), dribble)
        .await
        .unwrap();
    eventually("the place is free", || impatient.usage().open == 0).await;
}

#[tokio::test]
async fn n10_ten_thousand_pipelined_commands_are_answered_in_order() {
    let server = TestServer::start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    let mut script = b"NOOP\r\nSTAT\r\nLIST 1\r\n".repeat(3333);
    script.extend_from_slice(b"QUIT\r\n");
    client.send(&script).await;
    let mut expected = b"+OK\r\n+OK 1 3\r\n+OK 1 3\r\n".repeat(3333);
    expected.extend_from_slice(b"+OK Goodbye\r\n");
    assert!(
        client.rest().await == expected,
        "another order, or another number"
    );
    server.still_serves().await;
}

#[tokio::test]
async fn n11_l14_a_client_that_does_not_read_is_closed_and_loses_nothing() {
    let floor = RateFloor {
        octets_per_second: Octets(1024),
        window: Duration::from_millis(300),
    };
    let server = TestServer::builder().rate_floor(floor).start().await;
    server
        .backends
        .deliver(Account::Alice, &letter(1 << 20, false))
        .await;
    let before = server.backends.unique_ids(Account::Alice).await;
    let socket = Socket::connect(server.trusted()).await;
    socket.limit_receive_buffer(4096);
    let mut client = Pop3Client::on(socket);
    client.reply().await;
    let mut client = client.login(ALICE).await;
    client.ok("DELE 1").await;
    client.ok("RSET").await;
    client.send(&b"RETR 1\r\n".repeat(500)).await;
    eventually("the slow client is gone", || server.usage().open == 0).await;
    assert_eq!(server.backends.unique_ids(Account::Alice).await, before);
    drop(client);
    server.still_serves().await;
}

#[tokio::test]
async fn n12_commands_behind_quit_are_not_served() {
    let server = TestServer::start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    client.send(b"QUIT\r\nDELE 1\r\nQUIT\r\n").await;
    assert_eq!(client.rest().await, b"+OK Goodbye\r\n");
    assert_eq!(server.backends.unique_ids(Account::Alice).await.len(), 1);
    server.still_serves().await;
}

#[tokio::test]
async fn n13_quit_before_a_half_close_is_an_update_with_a_reply() {
    let server = TestServer::start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    client.send(b"QUIT\r\n").await;
    client.finish().await;
    assert_eq!(client.rest().await, b"+OK 1 message deleted\r\n");
    assert!(server.backends.unique_ids(Account::Alice).await.is_empty());
    server.still_serves().await;
}

#[tokio::test]
async fn n14_an_end_without_quit_deletes_nothing() {
    let server = TestServer::start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    for tls in [false, true] {
        let mut client = if tls {
            server.tls_client().await.login(ALICE).await
        } else {
            server.alice().await
        };
        client.ok("DELE 1").await;
        client.send(b"QUIT").await;
        client.finish().await;
        client.expect_closed().await;
        assert_eq!(
            server.backends.unique_ids(Account::Alice).await.len(),
            1,
            "tls: {tls}"
        );
    }
    server.still_serves().await;
}

/// Resets the connection after `sent` octets of the script, having read the replies to its whole lines or not.
async fn reset_after(server: &TestServer, script: &[u8], sent: usize, read_replies: bool) {
    let mut client = server.client().await;
    client.send(&script[..sent]).await;
    if read_replies {
        let lines = script[..sent].split(|octet| *octet == b'\n').count() - 1;
        for _ in 0..lines {
            client.reply().await;
        }
    }
    client.into_socket().reset();
}

#[tokio::test]
async fn n15_reset_at_every_octet_deletes_nothing_before_the_quit_line_is_whole() {
    let server = TestServer::start().await;
    for message in ["one\r\n", "two\r\n", "three\r\n"] {
        server.backends.deliver(Account::Alice, message.as_bytes()).await;
    }
    let all = server.backends.unique_ids(Account::Alice).await;
    let script = format!("USER {ALICE}\r\nPASS {PASSWORD}\r\nDELE 1\r\nDELE 3\r\nQUIT\r\n").into_bytes();
    for read_replies in [true, false] {
        for sent in 1..script.len() {
            reset_after(&server, &script, sent, read_replies).await;
            let left = server.backends.unique_ids(Account::Alice).await;
            assert_eq!(left, all, "reset after {sent} octets");
        }
    }
    reset_after(&server, &script, script.len(), false).await;
    eventually("the session is over", || server.usage().open == 0).await;
    let left = server.backends.unique_ids(Account::Alice).await;
    assert!(left == all || left == all[1..2], "all or none: {left:?}");
    server.still_serves().await;
}

#[tokio::test]
async fn n16_commands_of_other_servers_are_refused_and_auth_alone_lists_as_capa_does() {
    let server = TestServer::builder()
        .policy(|policy| policy.bad_commands = 100)
        .start()
        .await;
    let mut client = server.client().await;
    for line in [
        "XTND XMIT",
        "LAST",
        "LANG",
        "LANG en",
        "UTF8",
        "UTF8 x",
        "APOP a b",
        "RPOP a",
        "TOP",
    ] {
        assert!(client.command(line).await.starts_with("-ERR"), "{line}");
    }
    let capa = client.listing("CAPA").await;
    let sasl = capa.iter().find_map(|line| line.strip_prefix("SASL ")).unwrap();
    assert_eq!(client.listing("AUTH").await.join(" "), sasl);
    client.quit().await;
    server.still_serves().await;
}

async fn behind_a_proxy(trusted: &str) -> TestServer {
    let policy = ProxyPolicy {
        trusted: vec![trusted.parse().unwrap()],
        timeout: Duration::from_millis(300),
    };
    TestServer::builder().proxy(policy).start().await
}

#[tokio::test]
async fn n17_a_proxy_header_from_a_stranger_closes_the_connection() {
    let server = behind_a_proxy("192.0.2.0/24").await;
    let mut client = Pop3Client::on(Socket::connect(server.trusted()).await);
    drop(
        client
            .try_send(b"PROXY TCP4 198.51.100.7 192.0.2.1 5000 110\r\nQUIT\r\n")
            .await,
    );
    client.expect_closed().await;
    assert!(
        server
            .events()
            .contains(&AcceptEvent::ProxyRejected(ProxyError::Untrusted))
    );
}

#[tokio::test]
async fn n17_a_proxy_header_from_a_trusted_network_is_taken_and_a_broken_one_closes() {
    let server = behind_a_proxy("127.0.0.0/8").await;
    let mut client = Pop3Client::on(Socket::connect(server.trusted()).await);
    client
        .send(b"PROXY TCP4 198.51.100.7 192.0.2.1 5000 110\r\n")
        .await;
    assert!(client.reply().await.starts_with("+OK"));
    client.login(ALICE).await.quit().await;

    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let v2 = |rest: &[u8]| [&signature[..], rest].concat();
    let huge = v2(&[0x21, 0x11, 0xff, 0xff]);
    let of_a_unix_socket = [&v2(&[0x21, 0x31, 0, 216])[..], &[0; 216]].concat();
    for header in [
        &b"PROXY TCP4 nonsense\r\n"[..],
        b"PROXY TCP4 198.51",
        &huge,
        &of_a_unix_socket,
        &v2(&[0x21, 0x11, 0, 12, 1, 2, 3]),
    ] {
        let mut client = Pop3Client::on(Socket::connect(server.trusted()).await);
        client.send(header).await;
        client.expect_closed().await;
    }
}

#[tokio::test]
async fn n18_a_listener_behind_a_proxy_serves_nobody_without_a_header() {
    let server = behind_a_proxy("127.0.0.0/8").await;
    for first in ["CAPA\r\nCAPA\r\nCAPA\r\n", ""] {
        let mut client = Pop3Client::on(Socket::connect(server.trusted()).await);
        drop(client.try_send(first.as_bytes()).await);
        client.expect_closed().await;
    }
}
