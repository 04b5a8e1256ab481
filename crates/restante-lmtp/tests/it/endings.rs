//! How connections end.

use std::time::Duration;

use restante_lmtp::LmtpEnd;
use restante_types::Octets;
use tokio::io::AsyncWriteExt;

use crate::world::World;

#[tokio::test]
async fn a_connection_that_dies_before_the_end_of_data_delivers_nothing() {
    for octets in [
        "",
        "x\r\n",
        "x\r\n.",
        "x\r\n.\r",
        "x\n.\n",
        &"x\r\n".repeat(200_000),
    ] {
        let world = World::new();
        let mut client = world.addressed(&["ann@a.example"]).await;
        client.command("DATA", "354 ").await;
        client.send(octets).await;
        assert_eq!(client.vanish().await.end, LmtpEnd::Disconnected);
        assert_eq!(world.octets(1).await.len(), 0);
        assert_eq!(world.n_spool_files(), 0);
    }
}

#[tokio::test]
async fn a_client_that_stops_writing_still_reads_its_replies() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.send("DATA\r\nx\r\n.\r\n").await;
    client.writer.shutdown().await.unwrap();
    client.expect("354 ").await;
    client.expect("250 2.0.0").await;
    assert_eq!(client.ended().await.n_delivered, 1);
}

#[tokio::test]
async fn twenty_protocol_errors_end_the_connection_and_unknown_users_do_not() {
    let mut client = World::new().addressed(&[]).await;
    for _ in 0..100 {
        client.command("RCPT TO:<nobody@a.example>", "550 5.1.1").await;
    }
    for _ in 0..20 {
        client.command("XYZZY", "500 5.5.2").await;
    }
    client.expect("421 4.7.0").await;
    assert_eq!(client.ended().await.end, LmtpEnd::GaveUp);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_told_and_left() {
    for start in ["", "NOO"] {
        let mut client = World::new().greeted().await;
        client.send(start).await;
        let since = tokio::time::Instant::now();
        client.expect("421 4.4.2").await;
        assert_eq!(since.elapsed().as_secs(), 300);
        assert_eq!(client.ended().await.end, LmtpEnd::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_trickles_has_no_more_time_than_one_that_does_not_come() {
    let mut client = World::new().greeted().await;
    let since = tokio::time::Instant::now();
    let mut writer = client.writer;
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    });
    client.replies.expect("421 4.4.2").await;
    assert_eq!(since.elapsed().as_secs(), 300);
    assert_eq!(client.server.await.unwrap().end, LmtpEnd::TimedOut);
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn a_message_has_ten_minutes_for_each_block() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.command("DATA", "354 ").await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(599)).await;
        client.send("x\r\n").await;
    }
    client.expect("421 4.4.2").await;
    assert_eq!(client.ended().await.end, LmtpEnd::TimedOut);
    assert_eq!(world.octets(1).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_no_replies_is_left() {
    let client = World::new().greeted().await;
    let mut writer = client.writer;
    let flood =
        tokio::spawn(async move { while writer.write_all(&b"NOOP\r\n".repeat(1000)).await.is_ok() {} });
    assert_eq!(client.server.await.unwrap().end, LmtpEnd::TimedOut);
    flood.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_drained_at_once() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    world.drain.start(Duration::from_mins(10));
    client.expect("421 4.3.2").await;
    assert_eq!(client.ended().await.end, LmtpEnd::Drained);
}

#[tokio::test]
async fn a_message_under_way_is_delivered_before_the_drain() {
    let world = World::new();
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.command("DATA", "354 ").await;
    world.drain.start(Duration::from_mins(10));
    client.send("x\r\n.\r\n").await;
    client.expect("250 2.0.0").await;
    client.expect("421 4.3.2").await;
    assert_eq!(client.ended().await.end, LmtpEnd::Drained);
    assert_eq!(world.octets(1).await.len(), 1);
}

#[tokio::test]
async fn a_message_without_end_is_cut_off_after_the_overrun() {
    let mut world = World::new();
    world.settings.message_octets = Octets(1000);
    world.settings.overrun_octets = Octets(1 << 20);
    let mut client = world.addressed(&["ann@a.example"]).await;
    client.command("DATA", "354 ").await;
    let mut writer = client.writer;
    let flood = tokio::spawn(async move {
        let mut n = 0_u64;
        while writer.write_all(&[b'x'; 8192]).await.is_ok() {
            n += 8192;
        }
        n
    });
    client.replies.expect("421 4.7.0").await;
    assert_eq!(client.server.await.unwrap().end, LmtpEnd::GaveUp);
    drop(client.replies);
    assert!(flood.await.unwrap() < 2 << 20);
}
