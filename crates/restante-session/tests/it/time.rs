//! Virtual time: the login's, the idle client's, the session's.

use std::time::Duration;

use restante_session::{Channel, CloseReason, SessionPolicy};

use crate::world::{Driver, World};

const LOGIN: &[u8] = b"USER mrose\r\nPASS secret\r\n";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn driver(sizes: &[usize]) -> Driver {
    Driver::new(SessionPolicy::default(), Channel::Tls, World::of_sizes(sizes))
}

fn time_left(driver: &Driver) -> Option<Duration> {
    driver.session().deadline().map(|deadline| deadline - driver.now)
}

#[test]
fn a_login_has_60_s_in_all_however_slowly_the_octets_come() {
    let mut driver = driver(&[]);
    assert_eq!(time_left(&driver), Some(secs(60)));
    for octet in b"USER mro" {
        driver.send(&[*octet]);
        driver.advance(secs(7));
    }
    assert_eq!((driver.closed, time_left(&driver)), (None, Some(secs(4))));
    driver.send(b"s");
    driver.advance(secs(4));
    assert_eq!(driver.closed, Some(CloseReason::LoginTimeout));
    assert!(driver.sent.ends_with(b"-ERR [SYS/TEMP] Login timeout\r\n"));
}

#[test]
fn stls_does_not_give_a_login_more_time() {
    let mut driver = Driver::new(SessionPolicy::default(), Channel::Clear, World::default());
    driver.advance(secs(40));
    driver.send(b"STLS\r\n");
    assert_eq!(time_left(&driver), Some(secs(20)));
    driver.advance(secs(20));
    assert_eq!(driver.closed, Some(CloseReason::LoginTimeout));
}

#[test]
fn a_client_that_never_pauses_does_not_outlast_its_time() {
    let mut driver = driver(&[]);
    driver.advance_unnoticed(secs(60));
    driver.send(b"CAPA\r\n");
    assert_eq!(driver.closed, Some(CloseReason::LoginTimeout));

    let mut driver = self::driver(&[10]);
    driver.send(LOGIN);
    driver.send(b"DELE 1\r\n");
    for _ in 0..719 {
        driver.advance_unnoticed(secs(10));
        driver.send(b"NOOP\r\n");
    }
    assert_eq!(driver.closed, None);
    driver.advance_unnoticed(secs(10));
    driver.send(b"NOOP\r\nQUIT\r\n");
    assert_eq!(driver.closed, Some(CloseReason::SessionTooLong));
    assert_eq!(driver.committed(), None);
}

#[test]
fn idle_for_9_59_lives_and_for_10_01_is_closed_without_update() {
    let mut driver = driver(&[10]);
    driver.send(LOGIN);
    driver.send(b"DELE 1\r\n");
    assert_eq!(time_left(&driver), Some(secs(600)));
    driver.advance(secs(599));
    driver.send(b"NOOP\r\n");
    assert_eq!((driver.closed, time_left(&driver)), (None, Some(secs(600))));
    driver.advance(secs(601));
    assert_eq!(driver.closed, Some(CloseReason::IdleTimeout));
    assert_eq!(driver.committed(), None);
    assert!(driver.sent.ends_with(b"-ERR [SYS/TEMP] Idle timeout\r\n"));
    assert_eq!(time_left(&driver), None);
}

#[test]
fn half_a_command_is_no_sign_of_life() {
    let mut driver = driver(&[]);
    driver.send(LOGIN);
    for octet in b"NOOP" {
        driver.advance(secs(120));
        driver.send(&[*octet]);
    }
    driver.advance(secs(120));
    assert_eq!(driver.closed, Some(CloseReason::IdleTimeout));
}

#[test]
fn a_session_ends_after_its_longest_time() {
    let mut driver = driver(&[10]);
    driver.send(LOGIN);
    driver.send(b"DELE 1\r\n");
    for _ in 0..14 {
        driver.advance(secs(500));
        driver.send(b"NOOP\r\n");
    }
    assert_eq!((driver.closed, time_left(&driver)), (None, Some(secs(200))));
    driver.advance(secs(200));
    assert_eq!(driver.closed, Some(CloseReason::SessionTooLong));
    assert_eq!(driver.committed(), None);
}

#[test]
fn the_idle_time_begins_after_a_long_body() {
    let mut driver = driver(&[10]);
    driver.send(LOGIN);
    driver.world.delay = secs(1200);
    driver.send(b"RETR 1\r\nSTAT\r\n");
    assert_eq!(driver.closed, None, "what came behind RETR is served");
    assert!(driver.sent.ends_with(b"+OK 1 10\r\n"));
    driver.advance(secs(599));
    assert_eq!(driver.closed, None);
}

#[test]
fn a_slow_verdict_still_counts() {
    let mut driver = driver(&[]);
    driver.advance(secs(59));
    driver.world.delay = secs(10);
    driver.send(LOGIN);
    assert_eq!(driver.closed, None);
    assert!(driver.session().in_transaction());
    assert_eq!(time_left(&driver), Some(secs(600)));
}

#[test]
fn a_listing_that_is_read_slowly_is_not_silence() {
    let mut driver = driver(&vec![10; 20_000]);
    driver.send(LOGIN);
    driver.reading = secs(120);
    driver.send(b"UIDL\r\n");
    assert_eq!(
        time_left(&driver),
        Some(secs(600)),
        "silence begins after the last octet"
    );
    assert!(driver.n_flushes > 10, "it took more than 20 minutes");
    driver.reading = Duration::ZERO;
    driver.send(b"NOOP\r\n");
    assert_eq!(driver.closed, None);
}

#[test]
fn a_tls_handshake_in_the_clear_is_closed_at_its_first_octet() {
    let mut driver = Driver::new(SessionPolicy::default(), Channel::Clear, World::default());
    driver.sent.clear();
    driver.send(b"\x16\x03\x01");
    assert_eq!(driver.closed, Some(CloseReason::ForeignProtocol));
    assert_eq!(driver.sent, b"");
}
