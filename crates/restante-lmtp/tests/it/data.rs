//! DATA: which octets end up in the maildrop.

use restante_types::Octets;

use crate::world::World;

/// Octets after `354`, before CRLF dot CRLF, and what RETR will give.
const TABLE: &[(&str, &[u8], &[u8])] = &[
    ("empty", b"", b""),
    ("one line end", b"\r\n", b"\r\n"),
    ("plain", b"A: b\r\n\r\nbody\r\n", b"A: b\r\n\r\nbody\r\n"),
    ("first octet a dot", b"..first\r\n", b".first\r\n"),
    ("line of one dot", b"a\r\n..\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
    ("two dots", b"...\r\n", b"..\r\n"),
    ("dot that was not stuffed", b".x\r\n", b"x\r\n"),
    ("LF dot LF", b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n"),
    ("LF dot CRLF", b"a\n.\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
    ("CR dot CR LF", b"a\r.\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
    ("CR dot CR", b"a\r.\rb\r\n", b"a\r\n.\r\nb\r\n"),
    ("CRLF dot LF", b"a\r\n.\nb\r\n", b"a\r\n\r\nb\r\n"),
    ("CRLF dot CR", b"a\r\n.\rb\r\n", b"a\r\n\r\nb\r\n"),
    ("bare LF", b"a\nb\n\r\n", b"a\r\nb\r\n\r\n"),
    ("bare CR", b"a\rb\r\n", b"a\r\nb\r\n"),
    ("NUL", b"a\0b\r\n", b"a\0b\r\n"),
    ("8 bit", b"\xFF\xFE\x80\r\n", b"\xFF\xFE\x80\r\n"),
    ("a POP3 reply", b"..\r\n+OK 5\r\n", b".\r\n+OK 5\r\n"),
];

#[tokio::test]
async fn what_is_taken_is_what_is_kept() {
    for (name, sent, kept) in TABLE {
        for piece in [usize::MAX, 1] {
            let world = World::new();
            let mut client = world.addressed(&["ann@a.example"]).await;
            client.command("DATA", "354 ").await;
            for piece in [sent, &b".\r\n"[..]].concat().chunks(piece) {
                client.send(piece).await;
            }
            client.expect("250 2.0.0").await;
            client.quit().await;
            assert_eq!(world.octets(1).await, [*kept], "{name}");
        }
    }
}

/// SMTP smuggling (FAULTS X01, CVE-2023-51747): what looks like an end to others is none here.
#[tokio::test]
async fn only_crlf_dot_crlf_ends_a_message() {
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r.\r\n",
        "\r.\r",
        "\r\n.\n",
        "\r\n.\r",
        "\r\n.\r\r\n",
        "\r\n\0.\r\n",
    ] {
        let world = World::new();
        let mut client = world.addressed(&["ann@a.example"]).await;
        client
            .data(format!(
                "text{end}MAIL FROM:<evil@s.example>\r\nRCPT TO:<bob@a.example>\r\nDATA\r\nevil\r\n"
            ))
            .await;
        client.expect("250 2.0.0").await;
        client.command("NOOP", "250 2.0.0").await;
        assert_eq!(client.quit().await.n_messages, 1, "{end:?}");
        assert_eq!(world.octets(2).await.len(), 0, "{end:?}");
    }
}

#[tokio::test]
async fn needs_utf8_is_smtputf8_with_an_eight_bit_header() {
    for (parameter, header, needs_utf8) in [
        (" SMTPUTF8", "Subject: ü", true),
        (" SMTPUTF8", "Subject: u", false),
        ("", "Subject: ü", false),
    ] {
        let world = World::new();
        let mut client = world.greeted().await;
        client.command(&format!("MAIL FROM:<>{parameter}"), "250").await;
        client.command("RCPT TO:<ann@a.example>", "250").await;
        client.data(format!("{header}\r\n\r\nü\r\n")).await;
        client.expect("250 2.0.0").await;
        assert_eq!(world.stored(1).await[0].1, needs_utf8, "{parameter} {header}");
    }
}

#[tokio::test]
async fn one_octet_too_many_is_refused_for_each_recipient_and_the_session_goes_on() {
    let mut world = World::new();
    world.settings.message_octets = Octets(300_000);
    let mut client = world.addressed(&["ann@a.example", "bob@a.example"]).await;
    let fits = "x".repeat(299_998) + "\r\n";
    client.data(format!("x{fits}")).await;
    client.expect("552 5.3.4").await;
    client.expect("552 5.3.4").await;
    client.address(&["ann@a.example"]).await;
    client.data(&fits).await;
    client.expect("250 2.0.0").await;
    let summary = client.quit().await;
    assert_eq!(
        (summary.n_messages, summary.n_delivered, summary.n_refused),
        (2, 1, 2)
    );
    assert_eq!(world.octets(1).await, [fits.as_bytes()]);
    assert_eq!(world.octets(2).await.len(), 0);
}

#[tokio::test]
async fn a_line_of_a_megabyte_and_a_header_of_a_million_lines_are_kept_untouched() {
    let line = "x".repeat(1 << 20) + "\r\n";
    let header = "X: y\r\n".repeat(1_000_000) + "\r\n";
    let world = World::new();
    let mut client = world.greeted().await;
    for message in [&line, &header] {
        client.address(&["ann@a.example"]).await;
        client.data(message).await;
        client.expect("250 2.0.0").await;
    }
    let kept = world.octets(1).await;
    assert!(kept[0] == line.as_bytes() && kept[1] == header.as_bytes());
}

#[tokio::test]
async fn a_return_path_is_put_before_the_message_only_where_asked() {
    for (mail, line) in [
        ("<a@s.example>", "Return-Path: <a@s.example>\r\n"),
        ("<>", "Return-Path: <>\r\n"),
    ] {
        let mut world = World::new();
        world.settings.return_path = true;
        world.settings.message_octets = Octets(8);
        let mut client = world.greeted().await;
        client.command(&format!("MAIL FROM:{mail}"), "250").await;
        client.command("RCPT TO:<ann@a.example>", "250").await;
        client.data("A: b\r\n\r\n").await;
        client.expect("250 2.0.0").await;
        assert_eq!(world.octets(1).await, [format!("{line}A: b\r\n\r\n").as_bytes()]);
    }
}
