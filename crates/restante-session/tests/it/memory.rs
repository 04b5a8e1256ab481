//! Bounds: of what is held of the input, and of what is gathered for output.

use restante_session::{Channel, SessionPolicy};

use crate::world::{Driver, Message, World};

#[test]
fn ten_thousand_pipelined_noops_are_answered_in_order() {
    let mut driver = Driver::new(SessionPolicy::default(), Channel::Tls, World::of_sizes(&[10]));
    driver.send(b"USER mrose\r\nPASS secret\r\n");
    driver.sent.clear();
    let mut input = b"NOOP\r\n".repeat(9_999);
    input.extend_from_slice(b"STAT\r\n");
    for piece in input.chunks(1_460) {
        // The driver asserts that the session takes no more than a line's limit at a time.
        driver.send(piece);
    }
    let mut replies = b"+OK\r\n".repeat(9_999);
    replies.extend_from_slice(b"+OK 1 10\r\n");
    assert!(driver.sent == replies);
    assert!(driver.n_flushes > 100, "replies do not pile up");
}

#[test]
fn a_session_takes_no_more_than_a_line_at_once() {
    let mut driver = Driver::new(SessionPolicy::default(), Channel::Tls, World::default());
    driver.send(&b"CAPA\r\n".repeat(10_000));
    assert!(driver.most_taken <= SessionPolicy::default().limits.command);
}

#[test]
fn a_listing_of_100_000_messages_streams() {
    let policy = SessionPolicy::default();
    let high_water = policy.high_water;
    let messages = (0..100_000)
        .map(|n| Message {
            unique_id: format!("{n:070}"),
            body: Vec::new(),
            needs_utf8: false,
        })
        .collect();
    let world = World {
        messages,
        ..World::default()
    };
    let mut driver = Driver::new(policy, Channel::Tls, world);
    driver.send(b"USER mrose\r\nPASS secret\r\n");
    driver.sent.clear();
    driver.n_flushes = 0;
    driver.send(b"UIDL\r\nLIST\r\n");
    assert!(driver.sent.len() > 8_000_000);
    assert!(driver.sent.ends_with(b"\r\n100000 0\r\n.\r\n"));
    assert_eq!(driver.sent.split(|octet| *octet == b'\n').count(), 200_005);
    assert!(
        driver.most_out < high_water + 512,
        "{} octets at once",
        driver.most_out
    );
    assert!(driver.n_flushes >= driver.sent.len() / (high_water + 512));
}
