//! The outside of a session, in memory: verdicts, a maildrop, bodies, UPDATE. Also the place where the promises that
//! hold for every session are checked, whatever the client sends and however the outside answers.
//!
//! Start at [`Driver`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use restante_sasl::{Claim, Salting};
use restante_session::{
    Access, Answer, Channel, CloseReason, Cut, Opened, Receipts, Refusal, Removed, Request, Session,
    SessionPolicy, SnapshotBuilder, Step, TlsFacts,
};
use restante_types::{AccountId, MessageId, Octets, TenantId, UniqueId};
use restante_wire::{DotStuffer, Expire, TopCutter};

/// The proofs of this world.
#[derive(Debug)]
pub(crate) enum Proofs {}

#[derive(Debug)]
pub(crate) struct Login {
    account: AccountId,
    server_signature: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Whole;

#[derive(Debug)]
pub(crate) struct Deleted(pub(crate) usize);

impl Receipts for Proofs {
    type Authenticated = Login;
    type Verified = Whole;
    type Committed = Deleted;
}

impl Login {
    pub(crate) fn somebody() -> Self {
        Self {
            account: AccountId::new(TenantId::new(1).unwrap(), 2).unwrap(),
            server_signature: None,
        }
    }
}

impl Access for Login {
    fn account(&self) -> AccountId {
        self.account
    }

    fn server_signature(&self) -> Option<&[u8]> {
        self.server_signature.as_deref()
    }
}

impl Removed for Deleted {
    fn n_deleted(&self) -> usize {
        self.0
    }
}

/// A message of the maildrop.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) unique_id: String,
    /// Canonical: ends with CRLF unless it is empty.
    pub(crate) body: Vec<u8>,
    pub needs_utf8: bool,
}

impl Message {
    /// A message of exactly so many octets, at least 5.
    pub(crate) fn of_octets(unique_id: String, octets: usize) -> Self {
        let mut body = b"a:\r\n\r\n".to_vec();
        while body.len() + 62 <= octets {
            body.extend_from_slice(&[b'x'; 58]);
            body.extend_from_slice(b"\r\n");
        }
        body.resize(octets.saturating_sub(2), b'y');
        body.extend_from_slice(b"\r\n");
        Self {
            unique_id,
            body,
            needs_utf8: false,
        }
    }

    /// What goes over the wire for RETR (`None`) or TOP, without the terminator.
    pub(crate) fn stuffed(&self, lines: Option<u64>) -> Vec<u8> {
        let octets = match lines {
            None => self.body.len(),
            Some(lines) => TopCutter::new(lines).cut(&self.body),
        };
        let mut out = Vec::new();
        DotStuffer::new().stuff(&self.body[..octets], &mut out);
        out
    }
}

/// What becomes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFate {
    Sent,
    Refused(Refusal),
    /// Breaks off in the middle.
    Breaks,
    /// The client is gone before it begins.
    ClientGone,
}

/// How the outside answers.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) messages: Vec<Message>,
    pub(crate) tls: TlsFacts,
    pub(crate) salt: Result<(), Refusal>,
    pub(crate) verify: Result<(), Refusal>,
    pub(crate) open: Result<(), Refusal>,
    pub(crate) body: BodyFate,
    pub(crate) commit: Result<(), Refusal>,
    pub(crate) may_delete: bool,
    pub(crate) expire: Option<Expire>,
    pub(crate) login_delay: Option<Duration>,
    /// How long every answer takes.
    pub(crate) delay: Duration,
}

impl Default for World {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            tls: TlsFacts::default(),
            salt: Ok(()),
            verify: Ok(()),
            open: Ok(()),
            body: BodyFate::Sent,
            commit: Ok(()),
            may_delete: true,
            expire: None,
            login_delay: None,
            delay: Duration::ZERO,
        }
    }
}

impl World {
    pub(crate) fn of_sizes(sizes: &[usize]) -> Self {
        Self {
            messages: (1..)
                .zip(sizes)
                .map(|(n, size)| Message::of_octets(format!("uid-{n}"), *size))
                .collect(),
            ..Self::default()
        }
    }

    pub(crate) fn opened(&self) -> Opened {
        let mut builder = SnapshotBuilder::with_capacity(self.messages.len());
        for (index, message) in (1..).zip(&self.messages) {
            builder
                .push(
                    MessageId::new(index * 7).unwrap(),
                    Octets::of(&message.body),
                    &UniqueId::new(message.unique_id.as_str()).unwrap(),
                    message.needs_utf8,
                )
                .unwrap();
        }
        Opened {
            snapshot: Arc::new(builder.finish()),
            may_delete: self.may_delete,
            expire: self.expire,
            login_delay: self.login_delay,
        }
    }
}

/// What the session asked of the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    StartTls,
    Salt(Vec<u8>),
    Verify {
        name: Vec<u8>,
        /// The password, the token, or nothing.
        password: Vec<u8>,
        mechanism: &'static str,
    },
    Open,
    Body(u32, Option<u64>),
    Commit(Vec<u32>),
    Release,
}

/// Drives one connection. Asserts after every step what holds for all sessions.
pub(crate) struct Driver {
    pub(crate) world: World,
    /// Everything the client was sent.
    pub(crate) sent: Vec<u8>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) now: Instant,
    /// How often output was sent, and the most that was sent at once outside bodies.
    pub(crate) n_flushes: usize,
    pub(crate) most_out: usize,
    /// The most octets that were taken from the client at once.
    pub(crate) most_taken: usize,
    session: Session<Proofs>,
    policy: Arc<SessionPolicy>,
    out: Vec<u8>,
    left_over: Vec<u8>,
    input_ended: bool,
    /// How long the client takes to read what one flush sends.
    pub(crate) reading: Duration,
    begun: Instant,
    holds_maildrop: bool,
}

impl Driver {
    pub(crate) fn new(policy: SessionPolicy, channel: Channel, world: World) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one starting point of virtual time")]
        let now = Instant::now();
        let policy = Arc::new(policy);
        let session = Session::new(Arc::clone(&policy), channel, world.tls.clone(), now);
        let mut driver = Self {
            world,
            sent: Vec::new(),
            asked: Vec::new(),
            closed: None,
            now,
            n_flushes: 0,
            most_out: 0,
            most_taken: 0,
            session,
            policy,
            out: Vec::new(),
            left_over: Vec::new(),
            input_ended: false,
            reading: Duration::ZERO,
            begun: now,
            holds_maildrop: false,
        };
        driver.run();
        driver
    }

    /// Sends octets as one segment.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.left_over.extend_from_slice(octets);
        self.run();
    }

    /// The client closes its side.
    pub(crate) fn end_of_input(&mut self) {
        self.input_ended = true;
        self.run();
    }

    /// Time passes; the session is told when its deadline comes, as a real driver would tell it.
    pub(crate) fn advance(&mut self, time: Duration) {
        let then = self.now + time;
        while let Some(deadline) = self.session.deadline().filter(|deadline| *deadline <= then) {
            self.now = self.now.max(deadline);
            self.session.expire(self.now);
            assert_ne!(
                self.session.deadline(),
                Some(deadline),
                "a deadline that passes ends something"
            );
            self.run();
        }
        self.now = then;
    }

    /// Time passes, and nobody tells the session.
    pub(crate) fn advance_unnoticed(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn interrupt(&mut self, reason: CloseReason, refusal: Refusal) {
        self.session.interrupt(reason, refusal);
        self.run();
    }

    pub(crate) const fn restrict(&mut self) {
        self.session.restrict();
    }

    pub(crate) fn abandon(&mut self, reason: CloseReason) {
        self.session.abandon(reason);
        self.run();
    }

    pub(crate) fn session(&self) -> &Session<Proofs> {
        &self.session
    }

    /// The message numbers that UPDATE was asked to remove.
    pub(crate) fn committed(&self) -> Option<&[u32]> {
        self.asked.iter().find_map(|asked| match asked {
            Asked::Commit(numbers) => Some(numbers.as_slice()),
            _ => None,
        })
    }

    fn run(&mut self) {
        while self.closed.is_none() {
            match self.session.next(&mut self.out) {
                Step::NeedInput => {
                    self.flush();
                    if !self.feed() {
                        return;
                    }
                }
                Step::Flush => {
                    assert!(self.out.len() >= self.policy.high_water, "no needless flush");
                    self.flush();
                }
                Step::Ask(request) => self.fulfil(request),
                Step::Close(reason) => self.close(reason),
            }
        }
    }

    /// Hands in what there is. `false` if that is nothing.
    fn feed(&mut self) -> bool {
        if self.left_over.is_empty() {
            if std::mem::take(&mut self.input_ended) {
                self.session.end_of_input();
                return true;
            }
            return false;
        }
        let taken = self.session.receive(&self.left_over, self.now);
        assert!(taken > 0, "a session that needs input takes some");
        self.most_taken = self.most_taken.max(taken);
        self.left_over.drain(..taken);
        true
    }

    fn flush(&mut self) {
        check_lines(&self.out);
        if self.out.is_empty() {
            return;
        }
        self.n_flushes += 1;
        self.most_out = self.most_out.max(self.out.len());
        self.sent.append(&mut self.out);
        self.now += self.reading;
        self.session.flushed(self.now);
    }

    fn close(&mut self, reason: CloseReason) {
        self.flush();
        self.closed = Some(reason);
        assert!(
            !self.holds_maildrop,
            "a maildrop is given back before the connection closes"
        );
        self.session.receive(b"QUIT\r\nNOOP\r\n", self.now);
        assert!(
            matches!(self.session.next(&mut self.out), Step::Close(again) if again == reason),
            "after Close there is nothing more"
        );
        assert!(self.out.is_empty(), "not a word after Close");
    }

    fn fulfil(&mut self, request: Request<Proofs>) {
        self.now += self.world.delay;
        let answer = match request {
            Request::StartTls => return self.start_tls(),
            Request::Verify(claim) => {
                let mut login = Login::somebody();
                let mechanism = claim.mechanism().name();
                let (name, password) = match claim {
                    Claim::Password { name, password, .. } => (name, password.expose().clone()),
                    Claim::Bearer { name, token, .. } => {
                        (name.unwrap_or_default(), token.expose().clone().into_bytes())
                    }
                    Claim::External { authzid } => (authzid.unwrap_or_default(), Vec::new()),
                    Claim::Scram { name, .. } => {
                        login.server_signature = Some(rfc_7677_signature());
                        (name, Vec::new())
                    }
                };
                self.asked.push(Asked::Verify {
                    name,
                    password,
                    mechanism,
                });
                Answer::Verdict(self.world.verify.map(|()| login))
            }
            Request::Salt(name) => {
                self.asked.push(Asked::Salt(name));
                Answer::Salt(self.world.salt.map(|()| rfc_7677_salting()))
            }
            Request::Open(login) => {
                assert_eq!(login.account().tenant().get(), 1);
                assert!(!self.holds_maildrop, "a session opens one maildrop");
                self.asked.push(Asked::Open);
                self.holds_maildrop = self.world.open.is_ok();
                Answer::Opened(self.world.open.map(|()| self.world.opened()))
            }
            Request::Body { message, cut } => {
                let lines = match cut {
                    Cut::Whole => None,
                    Cut::Top { lines } => Some(lines),
                };
                self.asked.push(Asked::Body(message.get(), lines));
                Answer::Body(match self.world.body {
                    BodyFate::Refused(refusal) => Err(refusal),
                    _ => Ok(()),
                })
            }
            Request::Send => return self.send_body(),
            Request::Commit(deletes) => {
                assert!(self.holds_maildrop, "only a maildrop that is held is changed");
                assert!(!deletes.is_empty());
                assert!(self.committed().is_none(), "UPDATE is asked once");
                self.asked.push(Asked::Commit(
                    deletes.iter().map(|entry| entry.number.get()).collect(),
                ));
                Answer::Committed(self.world.commit.map(|()| Deleted(deletes.len())))
            }
            Request::Release => {
                assert!(self.holds_maildrop, "only what is held is given back, and once");
                self.asked.push(Asked::Release);
                self.holds_maildrop = false;
                Answer::Released
            }
        };
        self.session.answer(answer, &mut self.out, self.now).unwrap();
    }

    fn start_tls(&mut self) {
        self.flush();
        self.asked.push(Asked::StartTls);
        if self.left_over.is_empty() {
            self.session = Session::after_stls(
                Arc::clone(&self.policy),
                self.world.tls.clone(),
                self.begun,
                self.now,
            );
        } else {
            self.closed = Some(CloseReason::PipelinedBehindStls);
        }
    }

    fn send_body(&mut self) {
        self.flush();
        if self.world.body == BodyFate::ClientGone {
            return self.session.abandon(CloseReason::SlowReader);
        }
        let Some(Asked::Body(number, lines)) = self.asked.last() else {
            panic!("a body is opened before it is sent");
        };
        let message = &self.world.messages[*number as usize - 1];
        let body = message.stuffed(*lines);
        if self.world.body == BodyFate::Breaks {
            self.sent.extend_from_slice(&body[..body.len() / 2]);
            self.session.abandon(CloseReason::BodyFault);
        } else {
            self.sent.extend_from_slice(&body);
            self.session
                .answer(Answer::Sent(Whole), &mut self.out, self.now)
                .unwrap();
        }
    }
}

/// What holds for every line outside bodies (RFC 1939 section 3, RFC 2449 section 4).
fn check_lines(out: &[u8]) {
    assert!(out.is_empty() || out.ends_with(b"\r\n"), "whole lines only");
    for line in out.split_inclusive(|octet| *octet == b'\n') {
        assert!(line.len() <= 512, "{} octets in a line", line.len());
        let text = line.strip_suffix(b"\r\n").expect("CRLF ends a line");
        assert!(
            text.iter().all(|octet| matches!(octet, b' '..=b'~')),
            "printable ASCII only: {:?}",
            text.escape_ascii().to_string()
        );
    }
}

/// The server's side of the example of RFC 7677 section 3.
fn rfc_7677_salting() -> Salting {
    Salting {
        salt: BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(),
        iterations: 4096,
        nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned(),
    }
}

fn rfc_7677_signature() -> Vec<u8> {
    BASE64
        .decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        .unwrap()
}
