//! Reads and plays a transcript. The notation:
//!
//! ```text
//! # a comment; the section of the RFC belongs here
//! @ channel tls            before the first C: or S: the set-up (see `Setup::set_up`)
//! C: DELE 1                the client sends a line; neighbouring C: lines travel in one segment
//! S: +OK Message deleted   the server sends exactly this line
//! S: -ERR [IN-USE] *       a line that begins so; \s is a space that can be seen
//! S: <1>                   message 1 as RETR sends it, without the terminator; <1 top 3> as TOP does
//! @ advance 601            something happens (see `Play::happens`)
//! | Subject: a             a line of the message that `@ message` began
//! ```
//!
//! Every octet that the server sends must be expected, in order. A trace ends with the connection closed or
//! with nothing outstanding.

use std::time::Duration;

use restante_sasl::{ChannelBinding, LoginMechanism};
use restante_session::{Channel, CloseReason, LoginDelay, Refusal, SessionPolicy};
use restante_wire::Expire;

use crate::world::{Asked, BodyFate, Driver, Message, World};

/// How the client's segments are cut on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chunks {
    Whole,
    /// The segment in which this octet lies, counted over the trace, is cut before it.
    SplitAt(usize),
    OctetByOctet,
}

/// A transcript.
pub(crate) struct Trace<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Trace<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text }
    }

    /// Whether it matters how the client's octets are cut into segments.
    pub(crate) fn is_about_segments(&self) -> bool {
        self.text.lines().any(|line| line == "@ segments matter")
    }

    /// Plays it and returns how many octets the client sent. Panics at the first line that differs.
    pub(crate) fn play(&self, chunks: Chunks) -> usize {
        let mut setup = Setup::default();
        let mut lines = self.text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.peek() {
            let set_up = match line.split_once(' ') {
                Some(("@", directive)) => setup.set_up(directive, self.name, *number),
                Some(("|", text)) => setup.message_line(text),
                _ if *line == "|" => setup.message_line(""),
                _ => line.is_empty() || line.starts_with('#'),
            };
            if !set_up {
                break;
            }
            lines.next();
        }
        let mut play = Play {
            driver: Driver::new(setup.policy, setup.channel, setup.world),
            chunks,
            seen: 0,
            n_octets: 0,
            segment: Vec::new(),
            place: String::new(),
        };
        for (number, line) in lines {
            play.line(line, &format!("{}.trace:{}", self.name, number + 1));
        }
        play.end();
        play.n_octets
    }
}

struct Setup {
    policy: SessionPolicy,
    channel: Channel,
    world: World,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: SessionPolicy::default(),
            channel: Channel::Tls,
            world: World::default(),
        }
    }
}

impl Setup {
    /// Takes a directive that comes before the session; `false` if it belongs to the session.
    fn set_up(&mut self, directive: &str, trace: &str, line: usize) -> bool {
        let words: Vec<&str> = directive.split(' ').collect();
        match words.as_slice() {
            ["channel", "tls"] => self.channel = Channel::Tls,
            ["channel", "trusted"] => self.channel = Channel::Trusted,
            ["channel", "clear"] => self.channel = Channel::Clear,
            ["segments", "matter"] => {}
            ["policy", "utf8"] => self.policy.utf8 = true,
            ["policy", "no-stls"] => self.policy.stls = false,
            ["policy", "crlf-only"] => self.policy.limits.accept_bare_lf = false,
            ["policy", "no-implementation"] => self.policy.implementation = None,
            ["policy", "login-delay", secs, per_user @ ..] => {
                self.policy.login_delay = LoginDelay {
                    at_most: Duration::from_secs(number(secs)),
                    per_user: *per_user == ["user"],
                };
            }
            ["account", "login-delay", secs] => {
                self.world.login_delay = Some(Duration::from_secs(number(secs)));
            }
            ["tls", "binding"] => self.world.tls.binding = ChannelBinding::exporter([7; 32]),
            ["tls", "certificate"] => self.world.tls.certificate = true,
            ["policy", "expire", days] => self.policy.expire = Some(Expire::Days(number(days))),
            ["mechanisms", names @ ..] => {
                let known = |name: &&str| LoginMechanism::from_name(name).expect("a way to log in");
                self.policy.mechanisms = names.iter().map(known).collect();
            }
            ["account", "read-only"] => self.world.may_delete = false,
            ["account", "expire", days] => self.world.expire = Some(Expire::Days(number(days))),
            ["sizes", sizes @ ..] => {
                let sizes: Vec<usize> = sizes.iter().map(|size| number(size)).collect();
                self.world.messages = World::of_sizes(&sizes).messages;
            }
            ["message", unique_id] => self.begin_message(unique_id, false),
            ["message", unique_id, "needs-utf8"] => self.begin_message(unique_id, true),
            ["logged-in"] | ["salt" | "verify" | "open" | "body" | "commit", ..] => return false,
            _ => panic!("{trace}.trace:{}: what is `{directive}`?", line + 1),
        }
        true
    }

    fn begin_message(&mut self, unique_id: &str, needs_utf8: bool) {
        self.world.messages.push(Message {
            unique_id: unique_id.to_owned(),
            body: Vec::new(),
            needs_utf8,
        });
    }

    fn message_line(&mut self, text: &str) -> bool {
        let message = self.world.messages.last_mut().expect("`@ message` before `|`");
        message.body.extend_from_slice(text.as_bytes());
        message.body.extend_from_slice(b"\r\n");
        true
    }
}

struct Play {
    driver: Driver,
    chunks: Chunks,
    /// How much of what the server sent was expected.
    seen: usize,
    n_octets: usize,
    segment: Vec<u8>,
    place: String,
}

impl Play {
    fn line(&mut self, line: &str, place: &str) {
        if let Some(command) = line.strip_prefix("C: ").or((line == "C:").then_some("")) {
            place.clone_into(&mut self.place);
            self.segment.extend_from_slice(command.as_bytes());
            self.segment.extend_from_slice(b"\r\n");
            return;
        }
        if let Some(octets) = line.strip_prefix("@ raw ") {
            place.clone_into(&mut self.place);
            self.segment.extend_from_slice(&unescaped(octets));
            return;
        }
        self.send_segment();
        place.clone_into(&mut self.place);
        if let Some(expected) = line.strip_prefix("S: ").or((line == "S:").then_some("")) {
            self.expect(&expected.replace("\\s", " "));
        } else if let Some(directive) = line.strip_prefix("@ ") {
            self.happens(directive);
        } else {
            assert!(
                line.is_empty() || line.starts_with('#'),
                "{place}: what is `{line}`?"
            );
        }
    }

    fn send_segment(&mut self) {
        let segment = std::mem::take(&mut self.segment);
        if segment.is_empty() {
            return;
        }
        self.nothing_unexpected();
        let start = self.n_octets;
        self.n_octets += segment.len();
        match self.chunks {
            Chunks::SplitAt(at) if start < at && at < self.n_octets => {
                let (first, second) = segment.split_at(at - start);
                self.driver.send(first);
                self.driver.send(second);
            }
            Chunks::OctetByOctet => {
                for octet in segment.chunks(1) {
                    self.driver.send(octet);
                }
            }
            Chunks::Whole | Chunks::SplitAt(_) => self.driver.send(&segment),
        }
    }

    fn expect(&mut self, expected: &str) {
        if let Some(body) = expected.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
            let words: Vec<&str> = body.split(' ').collect();
            let (n, lines) = match words.as_slice() {
                [n] => (n, None),
                [n, "top", lines] => (n, Some(number(lines))),
                _ => panic!("{}: <n> or <n top lines>", self.place),
            };
            let octets = self.driver.world.messages[number::<usize>(n) - 1].stuffed(lines);
            return self.expect_octets(&octets);
        }
        let Some(beginning) = expected.strip_suffix('*') else {
            return self.expect_octets(format!("{expected}\r\n").as_bytes());
        };
        self.expect_octets(beginning.as_bytes());
        let rest = &self.driver.sent[self.seen..];
        let end = rest
            .iter()
            .position(|octet| *octet == b'\n')
            .expect("a whole line");
        self.seen += end + 1;
    }

    fn expect_octets(&mut self, expected: &[u8]) {
        let unseen = &self.driver.sent[self.seen..];
        assert!(
            unseen.starts_with(expected),
            "{}: {:?}\nexpected `{}`\nthe server sent `{}`",
            self.place,
            self.chunks,
            expected.escape_ascii(),
            unseen.escape_ascii(),
        );
        self.seen += expected.len();
    }

    fn nothing_unexpected(&self) {
        assert!(
            self.seen == self.driver.sent.len(),
            "{}: {:?}\nexpected no more\nthe server sent `{}`",
            self.place,
            self.chunks,
            self.driver.sent[self.seen..].escape_ascii(),
        );
    }

    /// Something happens outside, or is claimed.
    fn happens(&mut self, directive: &str) {
        let words: Vec<&str> = directive.split(' ').collect();
        let driver = &mut self.driver;
        match words.as_slice() {
            ["logged-in"] => {
                driver.send(b"USER mrose\r\nPASS secret\r\n");
                assert!(driver.session().in_transaction(), "{}", self.place);
                self.seen = driver.sent.len();
            }
            ["open", "still"] => assert_eq!(driver.closed, None, "{}", self.place),
            ["salt", outcome] => driver.world.salt = verdict(outcome),
            ["restrict"] => driver.restrict(),
            ["verify", outcome] => driver.world.verify = verdict(outcome),
            ["open", outcome] => driver.world.open = verdict(outcome),
            ["commit", outcome] => driver.world.commit = verdict(outcome),
            ["body", "sent"] => driver.world.body = BodyFate::Sent,
            ["body", "breaks"] => driver.world.body = BodyFate::Breaks,
            ["body", outcome] => {
                driver.world.body = BodyFate::Refused(verdict(outcome).expect_err("a refusal"));
            }
            ["advance", seconds] => driver.advance(Duration::from_secs(number(seconds))),
            ["end-of-input"] => driver.end_of_input(),
            ["drain"] => driver.interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown),
            ["suspend"] => driver.interrupt(CloseReason::AccountDisabled, Refusal::AccountDisabled),
            ["supersede"] => driver.interrupt(CloseReason::Superseded, Refusal::Superseded),
            ["tls", "begun"] => assert!(driver.asked.contains(&Asked::StartTls), "{}", self.place),
            ["no", "tls"] => assert!(!driver.asked.contains(&Asked::StartTls), "{}", self.place),
            ["claimed", mechanism] => self.claimed(mechanism, "", ""),
            ["claimed", mechanism, name] => self.claimed(mechanism, name, ""),
            ["claimed", mechanism, name, password] => self.claimed(mechanism, name, password),
            ["nothing", "claimed"] => {
                let claimed = driver
                    .asked
                    .iter()
                    .any(|asked| matches!(asked, Asked::Verify { .. }));
                assert!(!claimed, "{}", self.place);
            }
            ["deleted", numbers @ ..] => {
                let numbers: Vec<u32> = numbers.iter().map(|n| number(n)).collect();
                assert_eq!(driver.committed(), Some(numbers.as_slice()), "{}", self.place);
            }
            ["nothing", "deleted"] => assert_eq!(driver.committed(), None, "{}", self.place),
            ["closed", reason] => {
                let closed = driver.closed.map(CloseReason::as_str);
                assert_eq!(closed, Some(*reason), "{}", self.place);
            }
            _ => panic!("{}: what is `{directive}`?", self.place),
        }
    }

    /// The last claim; octets as in `@ raw`.
    fn claimed(&self, mechanism: &str, name: &str, password: &str) {
        let last = self
            .driver
            .asked
            .iter()
            .rev()
            .find(|asked| matches!(asked, Asked::Verify { .. }));
        let Some(Asked::Verify {
            name: claimed_name,
            password: claimed_password,
            mechanism: claimed_mechanism,
        }) = last
        else {
            panic!("{}: nothing was claimed", self.place);
        };
        assert_eq!(
            (*claimed_mechanism, claimed_name, claimed_password),
            (mechanism, &unescaped(name), &unescaped(password)),
            "{}",
            self.place
        );
    }

    fn end(&mut self) {
        self.send_segment();
        self.nothing_unexpected();
        if self.driver.closed.is_none() {
            self.driver.abandon(CloseReason::Disconnected);
            self.nothing_unexpected();
        }
    }
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is no number"))
}

/// The outcome of that name.
fn verdict(outcome: &str) -> Result<(), Refusal> {
    Err(match outcome {
        "granted" | "done" => return Ok(()),
        "refused" => Refusal::Credentials,
        "too-many" => Refusal::TooManyAttempts,
        "unavailable" => Refusal::Unavailable,
        "in-use" => Refusal::InUse,
        "too-many-sessions" => Refusal::TooManySessions,
        "read-limit" => Refusal::ReadLimit,
        "login-delay" => Refusal::LoginDelay,
        "late" => Refusal::BodyUnavailable,
        "missing" => Refusal::BodyMissing,
        "damaged" => Refusal::BodyDamaged,
        "not-deleted" => Refusal::NotDeleted,
        "expired" => Refusal::Expired,
        "unknown" => Refusal::OutcomeUnknown,
        _ => panic!("what is the outcome `{outcome}`?"),
    })
}

/// `\r \n \t \0 \xHH \s \\`, and `\{n}c` for `n` times `c`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            Some('r') => octets.push(b'\r'),
            Some('n') => octets.push(b'\n'),
            Some('t') => octets.push(b'\t'),
            Some('0') => octets.push(0),
            Some('s') => octets.push(b' '),
            Some('\\') => octets.push(b'\\'),
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                octets.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
            }
            Some('{') => {
                let count: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let repeated = u8::try_from(chars.next().expect("an octet to repeat")).expect("ASCII");
                octets.extend(std::iter::repeat_n(repeated, number(&count)));
            }
            other => panic!("what is \\{other:?}?"),
        }
    }
    octets
}
