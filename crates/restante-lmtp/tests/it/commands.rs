//! The commands apart from recipients and messages.

use crate::world::World;

#[tokio::test]
async fn lhlo_offers_exactly_what_is_there() {
    let mut client = World::new().connect().await;
    client.send("LHLO c.example\r\n").await;
    let reply = client.replies.next().await;
    let mut lines: Vec<&str> = reply.lines().collect();
    assert_eq!(lines.remove(0), "250-mx.example");
    assert_eq!(
        lines,
        [
            "250-PIPELINING",
            "250-ENHANCEDSTATUSCODES",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-CHUNKING",
            "250 SIZE 52428800"
        ]
    );
}

#[tokio::test]
async fn every_command_has_its_code() {
    let mut client = World::new().connect().await;
    for (line, code) in [
        ("HELO c.example", "500 5.5.1"),
        ("EHLO c.example", "500 5.5.1"),
        ("MAIL FROM:<a@s.example>", "503 5.5.1"),
        ("LHLO", "501 5.5.4"),
        ("LHLO c.example", "250-mx.example"),
        ("NOOP", "250 2.0.0"),
        ("VRFY ann", "252 2.0.0"),
        ("HELP", "214 2.0.0"),
        ("STARTTLS", "502 5.5.1"),
        ("XYZZY", "500 5.5.2"),
        ("RCPT TO:<ann@a.example>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("MAIL FROM:<>", "250 2.1.0"),
        ("MAIL FROM:<>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("RSET", "250 2.0.0"),
        ("MAIL FROM:<a@s.example> SIZE=52428801", "552 5.3.4"),
        ("MAIL FROM:<a@s.example> XYZZY", "555 5.5.4"),
        ("MAIL FROM:<a b@s.example>", "501 5.1.7"),
        ("MAIL FROM:<a@s.example> SIZE=52428800 BODY=8BITMIME", "250 2.1.0"),
        ("QUIT", "221 2.0.0"),
    ] {
        client.command(line, code).await;
    }
    client.ended().await;
}

#[tokio::test]
async fn rset_and_lhlo_end_the_transaction() {
    let mut client = World::new().greeted().await;
    for reset in ["RSET", "LHLO c.example"] {
        client.address(&["ann@a.example"]).await;
        client.command(reset, "250").await;
        client.command("DATA", "503 5.5.1").await;
    }
}

#[tokio::test]
async fn a_client_string_is_never_reflected() {
    let mut client = World::new().connect().await;
    for line in [
        "LHLO canary",
        "canary",
        "MAIL FROM:<canary",
        "VRFY canary",
        "NOOP canary",
        "HELP canary",
    ] {
        client.send(format!("{line}\r\n")).await;
        assert!(!client.replies.next().await.contains("canary"), "{line}");
    }
    client
        .command("MAIL FROM:<canary@s.example>", "250 2.1.0 sender OK\r\n")
        .await;
    client
        .command("RCPT TO:<canary@a.example>", "550 5.1.1 no such user\r\n")
        .await;
}

#[tokio::test]
async fn an_over_long_line_is_refused_once_and_the_next_is_read() {
    let mut client = World::new().greeted().await;
    client
        .send("NOOP ".to_owned() + &"x".repeat(100_000) + "\r\nNOOP\r\n")
        .await;
    client.expect("500 5.5.2").await;
    client.expect("250 2.0.0").await;
}

#[tokio::test]
async fn a_bare_lf_ends_the_connection_before_what_follows_is_a_command() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.send("NOOP\nRCPT TO:<bob@a.example>\r\n").await;
    client.expect("500 5.5.2").await;
    client.expect("421 4.7.0").await;
    client.ended().await;
}

#[tokio::test]
async fn a_pipelined_session_in_one_segment_or_octet_by_octet_is_the_same() {
    let session = b"LHLO c.example\r\nMAIL FROM:<a@s.example>\r\nRCPT TO:<ann@a.example>\r\nRCPT TO:<nobody@a.example>\r\n\
        RCPT TO:<bob@a.example>\r\nDATA\r\n..one\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.example>\r\n\
        BDAT 3\r\ntwoBDAT 2 LAST\r\n\r\nQUIT\r\n";
    let replies = [
        "250-mx.example",
        "250 2.1.0",
        "250 2.1.5",
        "550 5.1.1",
        "250 2.1.5",
        "354 ",
        "250 2.0.0",
        "250 2.0.0",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.0.0",
        "250 2.0.0",
        "221 2.0.0",
    ];
    for piece in [session.len(), 1, 7] {
        let world = World::new();
        let mut client = world.connect().await;
        for piece in session.chunks(piece) {
            client.send(piece).await;
            tokio::task::yield_now().await;
        }
        for reply in replies {
            client.expect(reply).await;
        }
        let summary = client.ended().await;
        assert_eq!((summary.n_messages, summary.n_delivered), (2, 3));
        assert_eq!(world.octets(1).await, [b".one\r\n"]);
        assert_eq!(world.octets(2).await, [&b".one\r\n"[..], b"two\r\n"]);
    }
}
