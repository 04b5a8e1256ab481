//! Any octets as the script of a session: what the client sends, how time passes, how the outside answers. What holds
//! for every session is asserted by [`Driver`] step by step; the rest stands here.

use std::time::Duration;

use restante_session::{Channel, CloseReason, Refusal, SessionPolicy};
use restante_wire::LineLimits;

use crate::world::{Asked, BodyFate, Driver, World};

/// Lines that bring a script forward.
const LINES: [&[u8]; 16] = [
    b"USER mrose\r\nPASS secret\r\n",
    b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n",
    b"AUTH LOGIN\r\n",
    b"dGlt\r\n",
    b"STLS\r\n",
    b"CAPA\r\n",
    b"UTF8\r\n",
    b"LIST\r\nUIDL\r\n",
    b"RETR 1\r\n",
    b"TOP 2 1\r\n",
    b"DELE 1\r\n",
    b"DELE 2\r\nDELE 3\r\n",
    b"RSET\r\n",
    b"QUIT\r\n",
    b"QUIT",
    b"STAT\r\nNOOP\r\n",
];

const REFUSALS: [Refusal; 6] = [
    Refusal::Credentials,
    Refusal::TooManyAttempts,
    Refusal::Unavailable,
    Refusal::InUse,
    Refusal::BodyDamaged,
    Refusal::OutcomeUnknown,
];

/// Plays a script to its end.
pub(crate) fn session(script: &[u8]) {
    let mut script = Script(script);
    let policy = SessionPolicy {
        utf8: script.octet() % 2 == 0,
        high_water: 1 << (script.octet() % 12),
        limits: LineLimits {
            accept_bare_lf: script.octet() % 2 == 0,
            ..LineLimits::default()
        },
        ..SessionPolicy::default()
    };
    let channel = [Channel::Tls, Channel::Trusted, Channel::Clear][usize::from(script.octet() % 3)];
    let mut world = World::of_sizes(&[120, 5, 2000]);
    world.messages[1].needs_utf8 = true;
    let mut driver = Driver::new(policy, channel, world);
    let mut received = Vec::new();
    while !script.0.is_empty() && driver.closed.is_none() {
        play(&mut script, &mut driver, &mut received);
        a_commit_follows_a_whole_quit(&driver, &received);
    }
    driver.abandon(CloseReason::Disconnected);
    a_commit_follows_a_whole_quit(&driver, &received);
    assert!(driver.closed.is_some(), "an abandoned session comes to its end");
    nothing_is_released_that_was_not_opened(&driver);
}

fn play(script: &mut Script<'_>, driver: &mut Driver, received: &mut Vec<u8>) {
    match script.octet() % 12 {
        0..=2 => {
            let line = LINES[usize::from(script.octet() % 16)];
            received.extend_from_slice(line);
            driver.send(line);
        }
        3 => {
            let octets = script.octets();
            received.extend_from_slice(octets);
            driver.send(octets);
        }
        4 => driver.advance(Duration::from_secs(u64::from(script.octet()) * 5)),
        5 => driver.advance_unnoticed(Duration::from_secs(u64::from(script.octet()) * 5)),
        6 => driver.world.verify = script.outcome(),
        7 => driver.world.open = script.outcome(),
        8 => {
            driver.world.body = match script.octet() % 4 {
                0 => BodyFate::Sent,
                1 => BodyFate::Refused(Refusal::BodyUnavailable),
                2 => BodyFate::Breaks,
                _ => BodyFate::ClientGone,
            };
        }
        9 => driver.world.commit = script.outcome(),
        10 => match script.octet() % 3 {
            0 => driver.interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown),
            1 => driver.abandon(CloseReason::SlowReader),
            _ => driver.end_of_input(),
        },
        _ => driver.world.delay = Duration::from_secs(u64::from(script.octet())),
    }
}

/// RFC 1939 section 6: nothing but QUIT enters UPDATE, and QUIT is a line.
fn a_commit_follows_a_whole_quit(driver: &Driver, received: &[u8]) {
    let Some(numbers) = driver.committed() else {
        return;
    };
    let quit = received.split_inclusive(|octet| *octet == b'\n').any(|line| {
        let line = line
            .strip_suffix(b"\n")
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        line.is_some_and(|line| line.trim_ascii_end().eq_ignore_ascii_case(b"QUIT"))
    });
    assert!(quit, "UPDATE without QUIT");
    assert!(numbers.iter().all(|number| (1..=3).contains(number)));
    assert_ne!(driver.session().summary().n_commands, 0);
}

fn nothing_is_released_that_was_not_opened(driver: &Driver) {
    let count = |wanted: &Asked| driver.asked.iter().filter(|asked| *asked == wanted).count();
    assert!(count(&Asked::Release) <= 1);
    assert!(count(&Asked::Release) <= count(&Asked::Open));
}

struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A length, and so many octets.
    fn octets(&mut self) -> &'a [u8] {
        let n = usize::from(self.octet()).min(self.0.len());
        let (octets, rest) = self.0.split_at(n);
        self.0 = rest;
        octets
    }

    fn outcome(&mut self) -> Result<(), Refusal> {
        match REFUSALS.get(usize::from(self.octet() % 12)) {
            Some(refusal) => Err(*refusal),
            None => Ok(()),
        }
    }
}
