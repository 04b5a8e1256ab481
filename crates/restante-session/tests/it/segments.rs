//! CVE-2011-0411 (STLS injection) with the client's octets cut at every position: what came in the clear is never
//! served inside TLS.

use restante_session::{Channel, CloseReason, SessionPolicy};

use crate::world::{Asked, Driver, World};

#[test]
fn octets_behind_stls_are_never_served() {
    let input = b"NOOP\r\nSTLS\r\nUSER mallory\r\nPASS x\r\nQUIT\r\n";
    let stls_end = 12;
    for first in 1..input.len() {
        for second in first..input.len() {
            let mut driver = Driver::new(SessionPolicy::default(), Channel::Clear, World::default());
            for piece in [&input[..first], &input[first..second], &input[second..]] {
                // Once TLS begins, octets in the clear are TLS's to refuse.
                if !driver.asked.contains(&Asked::StartTls) {
                    driver.send(piece);
                }
            }
            let begun = driver.asked == [Asked::StartTls];
            assert_eq!(begun, first == stls_end || second == stls_end, "{first} {second}");
            if !begun {
                assert_eq!(
                    driver.closed,
                    Some(CloseReason::PipelinedBehindStls),
                    "{first} {second}"
                );
                assert!(!driver.sent.ends_with(b"negotiation\r\n"));
            }
        }
    }
}

#[test]
fn a_quit_that_is_cut_short_deletes_nothing() {
    let input = b"USER mrose\r\nPASS secret\r\nDELE 1\r\nNOOP\r\nQUIT\r\n";
    for end in 0..=input.len() {
        let mut driver = Driver::new(SessionPolicy::default(), Channel::Tls, World::of_sizes(&[10]));
        driver.send(&input[..end]);
        driver.end_of_input();
        assert!(driver.closed.is_some());
        assert_eq!(driver.committed().is_some(), end == input.len(), "cut at {end}");
    }
}
