//! BDAT (RFC 3030): octets counted, not stuffed.

use restante_lmtp::LmtpEnd;
use restante_types::Octets;

use crate::world::World;

#[tokio::test]
async fn chunks_are_one_message_octet_for_octet() {
    for (chunks, kept) in [
        (&[&b"a\r\n.\r\nb\r\n"[..]][..], &b"a\r\n.\r\nb\r\n"[..]),
        (&[b".", b"\r", b"\n"], b".\r\n"),
        (&[b"no line end"], b"no line end\r\n"),
        (&[b"a\r\n", b""], b"a\r\n"),
        (&[b""], b""),
        (&[b"\n.\n"], b"\r\n.\r\n"),
        (&[b"QUIT\r\n", b"..x\r\n"], b"QUIT\r\n..x\r\n"),
    ] {
        let world = World::new();
        let mut client = world.addressed(&["ann@a.example", "bob@a.example"]).await;
        let (last, first) = chunks.split_last().unwrap();
        for chunk in first {
            client.bdat(chunk, "").await;
            client.expect("250 2.0.0 octets").await;
        }
        client.bdat(last, " LAST").await;
        client.expect("250 2.0.0 delivered").await;
        client.expect("250 2.0.0 delivered").await;
        client.quit().await;
        assert_eq!(world.octets(1).await, [kept]);
        assert_eq!(world.octets(2).await, [kept]);
    }
}

#[tokio::test]
async fn octets_follow_a_refused_chunk_too() {
    let mut client = World::new().greeted().await;
    client.bdat(b"QUIT\r\n", "").await;
    client.expect("503 5.5.1").await;
    client.bdat(b"QUIT\r\n", " LAST").await;
    client.expect("503 5.5.1").await;
    client.command("MAIL FROM:<>", "250").await;
    client.command("RCPT TO:<nobody@a.example>", "550").await;
    client.bdat(b"QUIT\r\n", "").await;
    client.expect("503 5.5.1").await;
    // RFC 2033 section 4.3: no recipients, no replies.
    client.bdat(b"QUIT\r\n", " LAST").await;
    client.command("MAIL FROM:<>", "250 2.1.0").await;
}

#[tokio::test]
async fn between_chunks_only_chunks_have_a_place() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.bdat(b"lost\r\n", "").await;
    client.expect("250 2.0.0").await;
    for line in ["DATA", "MAIL FROM:<>", "RCPT TO:<bob@a.example>"] {
        client.command(line, "503 5.5.1").await;
    }
    client.command("RSET", "250 2.0.0").await;
    client.address(&["bob@a.example"]).await;
    client.bdat(b"kept\r\n", " LAST").await;
    client.expect("250 2.0.0").await;
    assert_eq!(world.octets(1).await.len(), 0);
    assert_eq!(world.octets(2).await, [b"kept\r\n"]);
}

#[tokio::test]
async fn a_chunk_shorter_than_it_says_delivers_nothing() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.send("BDAT 18446744073709551615 LAST\r\nQUIT\r\n").await;
    let summary = client.vanish().await;
    assert_eq!((summary.end, summary.n_messages), (LmtpEnd::Disconnected, 0));
    assert_eq!(world.octets(1).await.len(), 0);
}

#[tokio::test]
async fn a_chunk_longer_than_it_says_ends_where_it_said() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.send("BDAT 3 LAST\r\nabcdef\r\n").await;
    client.expect("250 2.0.0").await;
    client.expect("500 5.5.2").await;
    client.quit().await;
    assert_eq!(world.octets(1).await, [b"abc\r\n"]);
}

#[tokio::test]
async fn a_chunk_of_unknown_size_ends_the_connection() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.send("BDAT many LAST\r\nQUIT\r\n").await;
    client.expect("501 5.5.4").await;
    client.expect("421 4.7.0").await;
    assert_eq!(client.ended().await.end, LmtpEnd::GaveUp);
}

#[tokio::test]
async fn too_many_octets_are_refused_at_the_last_chunk() {
    let mut world = World::new();
    world.settings.message_octets = Octets(1000);
    let mut client = world.addressed(&["ann@a.example"]).await;
    for _ in 0..3 {
        client.bdat(&[b'x'; 500], "").await;
        client.expect("250 2.0.0").await;
    }
    client.bdat(b"", " LAST").await;
    client.expect("552 5.3.4").await;
    client.command("MAIL FROM:<>", "250 2.1.0").await;
}
