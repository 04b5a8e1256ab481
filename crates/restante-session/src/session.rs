//! The machine: feeds lines to states, states' requests to the outside.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use restante_wire::{Command, LineError, LineFramer, LineKind, ParseError, Verb, response};

use crate::authorization::{Authorization, Clear, Secure};
use crate::leaving::Farewell;
use crate::served::{Served, Serving};
use crate::step::Question;
use crate::transaction::Transaction;
use crate::{
    Answer, Channel, CloseReason, Receipts, Refusal, Removed, Request, SessionPolicy, SessionSummary, Step,
    TlsFacts, UnexpectedAnswer,
};

/// One POP3 session over one connection, from greeting to close.
///
/// Drive it so: call [`Session::next`]; do what the step says; repeat. Octets are handed in only after
/// [`Step::NeedInput`], so a client that sends faster than it is served is held back by its own connection.
pub struct Session<R: Receipts> {
    state: State,
    framer: LineFramer,
    policy: Arc<SessionPolicy>,
    summary: SessionSummary,
    greet: bool,
    /// What the TLS handshake offers to a login.
    tls: TlsFacts,
    pending: Option<Request<R>>,
    /// Credentials that were found right, until the client has seen the server's own proof.
    granted: Option<R::Authenticated>,
    /// What was asked last and is not answered yet.
    asked: Option<Question>,
    /// The line that is being answered.
    serving: Option<Serving>,
    /// Lines that were answered, until somebody asks for them.
    served: Vec<Served>,
    /// Nobody hears the last words any more.
    mute: bool,
    input_ended: bool,
    opened_at: Instant,
    last_command: Instant,
    now: Instant,
}

/// Where a session is. A transition consumes the state it leaves.
pub(crate) enum State {
    Clear(Authorization<Clear>),
    Secure(Authorization<Secure>),
    /// The maildrop of a verified client is being opened.
    Opening {
        channel: Channel,
        utf8: bool,
    },
    Transaction(Transaction),
    /// The deletions are being written.
    Update,
    /// The maildrop is being given back.
    Releasing(Farewell),
    /// The last line is to be written.
    Leaving(Farewell),
    /// STLS was accepted: this session is over, a new one begins inside TLS.
    Stls,
    Closed(CloseReason),
}

impl From<Authorization<Clear>> for State {
    fn from(authorization: Authorization<Clear>) -> Self {
        Self::Clear(authorization)
    }
}

impl From<Authorization<Secure>> for State {
    fn from(authorization: Authorization<Secure>) -> Self {
        Self::Secure(authorization)
    }
}

/// What a state needs to handle a command.
pub(crate) struct Context<'a, R: Receipts> {
    pub(crate) policy: &'a SessionPolicy,
    pub(crate) tls: &'a TlsFacts,
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) summary: &'a mut SessionSummary,
    pub(crate) logged_in: bool,
    /// What kind of line comes next.
    pub(crate) expect: LineKind,
    /// Credentials that were found right, while the client has yet to confirm.
    pub(crate) granted: &'a mut Option<R::Authenticated>,
    /// The line that is being answered.
    serving: &'a mut Option<Serving>,
    pending: &'a mut Option<Request<R>>,
}

impl<R: Receipts> Context<'_, R> {
    pub(crate) fn ask(&mut self, request: Request<R>) {
        *self.pending = Some(request);
    }

    /// Asks for the maildrop to be given back before these last words.
    pub(crate) fn release(&mut self, farewell: Farewell) -> Farewell {
        self.ask(Request::Release);
        farewell
    }

    /// Takes note which command the line is.
    fn serve(&mut self, verb: Option<Verb>) {
        if let Some(serving) = self.serving {
            serving.verb = verb;
        }
    }

    /// Answers `-ERR`.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        if let Some(serving) = self.serving {
            serving.refusal = Some(refusal);
        }
        refusal.write(self.out);
    }

    /// Refuses a line that should not have been sent.
    pub(crate) fn bad(&mut self, refusal: Refusal) {
        self.summary.n_bad_commands += 1;
        self.refuse(refusal);
    }

    /// A command that is not served in this state.
    pub(crate) fn wrong_state(&mut self, command: &Command) {
        let offered = self.policy.utf8 || !matches!(command, Command::Utf8 | Command::Lang(_));
        self.bad(if offered {
            Refusal::WrongState
        } else {
            Refusal::UnknownCommand
        });
    }

    pub(crate) fn refuse_login(&mut self, refusal: Refusal) {
        self.summary.n_refused_logins += 1;
        self.refuse(refusal);
    }
}

impl<R: Receipts> Session<R> {
    /// A session on a fresh connection; the first step writes the greeting.
    ///
    /// The greeting bears no timestamp: APOP is not offered.
    pub fn new(policy: Arc<SessionPolicy>, channel: Channel, tls: TlsFacts, now: Instant) -> Self {
        Self::begin(policy, channel, tls, true, now, now)
    }

    /// The session inside TLS after STLS: no greeting (RFC 2595 section 4). `connected` is when the connection
    /// was accepted, for the time limit of the login.
    pub fn after_stls(policy: Arc<SessionPolicy>, tls: TlsFacts, connected: Instant, now: Instant) -> Self {
        Self::begin(policy, Channel::Tls, tls, false, connected, now)
    }

    fn begin(
        policy: Arc<SessionPolicy>,
        channel: Channel,
        tls: TlsFacts,
        greet: bool,
        opened_at: Instant,
        now: Instant,
    ) -> Self {
        let state = match channel {
            Channel::Clear => State::Clear(Authorization::<Clear>::new()),
            Channel::Trusted | Channel::Tls => State::Secure(Authorization::<Secure>::new(channel)),
        };
        Self {
            state,
            framer: LineFramer::new(policy.limits),
            policy,
            summary: SessionSummary::default(),
            greet,
            tls,
            pending: None,
            granted: None,
            asked: None,
            serving: None,
            served: Vec::new(),
            mute: false,
            input_ended: false,
            opened_at,
            last_command: now,
            now,
        }
    }

    /// Takes octets from the client and answers how many it took. What it did not take is to be handed in again
    /// at the next [`Step::NeedInput`].
    pub fn receive(&mut self, octets: &[u8], now: Instant) -> usize {
        self.now = now;
        if self.summary.n_commands == 0 && self.framer.is_empty() && octets.first() == Some(&TLS_HANDSHAKE) {
            self.leave(Farewell::silent(CloseReason::ForeignProtocol));
            return octets.len();
        }
        self.framer.push(octets)
    }

    /// The output was sent. A client may take its time to read a reply: its silence counts from here.
    pub fn flushed(&mut self, now: Instant) {
        self.now = now;
        self.last_command = now;
    }

    /// The client will send no more. Commands that came whole are still served.
    pub fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    /// The next thing to do. Replies are appended to `out`.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Step<R> {
        if std::mem::take(&mut self.greet) {
            response::ok(out, "Restante POP3 ready");
        }
        loop {
            if let Some(request) = self.pending.take() {
                self.asked = request.question();
                return Step::Ask(request);
            }
            if out.len() >= self.policy.high_water {
                return Step::Flush;
            }
            match &mut self.state {
                State::Transaction(transaction) if transaction.listing.is_some() => {
                    transaction.go_on_listing(out, self.policy.high_water);
                    continue;
                }
                State::Leaving(farewell) => {
                    let (reason, refusal) = (farewell.reason, farewell.refusal());
                    if !self.mute && !farewell.is_silent() {
                        farewell.write(out);
                        let mut serving = self.serving.take().unwrap_or(Serving::begin(self.now));
                        serving.refusal = refusal;
                        self.served.push(serving.end(self.now));
                    }
                    self.state = State::Closed(reason);
                    continue;
                }
                State::Stls => return self.start_tls(out),
                State::Closed(reason) => return Step::Close(*reason),
                // A command waits for the answer to the one before it.
                _ if self.asked.is_some() => return Step::NeedInput,
                _ => {}
            }
            if self.is_over() {
                self.expire(self.now);
                continue;
            }
            match self.framer.next_line() {
                Some(Ok(line)) => self.line(&line, out),
                Some(Err(LineError::TooLong)) => {
                    self.leave(Farewell::refused(CloseReason::LineTooLong, Refusal::LineTooLong));
                }
                None if self.input_ended => self.leave(Farewell::silent(CloseReason::Disconnected)),
                None => return Step::NeedInput,
            }
        }
    }

    /// Hands in the outcome of the request that the last step asked. If the session was ended meanwhile, the outcome
    /// is dropped.
    ///
    /// # Errors
    /// [`UnexpectedAnswer`]: the answer does not fit what was asked; the session is as before.
    pub fn answer(
        &mut self,
        answer: Answer<R>,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), UnexpectedAnswer> {
        if self.asked != Some(answer.question()) {
            return Err(UnexpectedAnswer);
        }
        self.asked = None;
        self.now = now;
        self.last_command = now;
        let expect = self.with_context(out, |state, ctx| answered(state, answer, ctx));
        self.framer.expect(expect);
        self.enforce_limits();
        Ok(())
    }

    /// The lines that were answered since this was asked last, and what the server said by itself.
    pub fn served(&mut self) -> impl Iterator<Item = Served> {
        self.served.drain(..)
    }

    /// When [`Session::expire`] is to be called if nothing comes from the client.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Clear(_) | State::Secure(_) => Some(self.opened_at + self.policy.login_timeout),
            State::Transaction(_) => {
                let idle = self.last_command + self.policy.idle_timeout;
                Some(idle.min(self.opened_at + self.policy.session_max))
            }
            _ => None,
        }
    }

    /// Ends the session if its time is over: without UPDATE (RFC 1939 section 3).
    pub fn expire(&mut self, now: Instant) {
        self.now = now;
        if !self.is_over() {
            return;
        }
        let (reason, refusal) = match self.state {
            State::Transaction(_) if now >= self.opened_at + self.policy.session_max => {
                (CloseReason::SessionTooLong, Refusal::SessionTooLong)
            }
            State::Transaction(_) => (CloseReason::IdleTimeout, Refusal::IdleTimeout),
            _ => (CloseReason::LoginTimeout, Refusal::LoginTimeout),
        };
        self.leave(Farewell::refused(reason, refusal));
    }

    /// Ends the session between two commands, without UPDATE: the server stops, the account was suspended, a later
    /// session holds the maildrop. A QUIT that is being served is not interrupted.
    pub fn interrupt(&mut self, reason: CloseReason, refusal: Refusal) {
        self.leave(Farewell::refused(reason, refusal));
    }

    /// Ends the session without a further word: a body broke off, the connection is gone.
    ///
    /// A QUIT that came whole is served to its end, though nobody hears of it.
    pub fn abandon(&mut self, reason: CloseReason) {
        self.mute = true;
        self.leave(Farewell::silent(reason));
    }

    /// From now on this session deletes nothing, not even what is marked already: the account became read-only.
    pub const fn restrict(&mut self) {
        if let State::Transaction(transaction) = &mut self.state {
            transaction.restrict();
        }
    }

    /// What the session has done so far.
    pub const fn summary(&self) -> &SessionSummary {
        &self.summary
    }

    /// Whether a maildrop is open.
    pub const fn in_transaction(&self) -> bool {
        matches!(self.state, State::Transaction(_))
    }

    const fn in_authorization(&self) -> bool {
        matches!(self.state, State::Clear(_) | State::Secure(_))
    }

    /// Whether the time of the present state has run out. Also asked before every command: a client that sends
    /// without a pause must not outlast its time.
    fn is_over(&self) -> bool {
        self.deadline().is_some_and(|deadline| self.now >= deadline)
    }

    /// Last words; an open maildrop is given back first. What has begun to end goes on ending as it was.
    fn leave(&mut self, farewell: Farewell) {
        match self.state {
            State::Transaction(_) | State::Opening { .. } => {
                self.pending = Some(Request::Release);
                self.state = State::Releasing(farewell);
            }
            State::Update | State::Releasing(_) | State::Leaving(_) | State::Closed(_) => {}
            State::Clear(_) | State::Secure(_) | State::Stls => {
                self.pending = None;
                self.state = State::Leaving(farewell);
            }
        }
    }

    fn start_tls(&mut self, out: &mut Vec<u8>) -> Step<R> {
        if self.framer.is_empty() {
            response::ok(out, "Begin TLS negotiation");
            self.conclude();
            self.state = State::Closed(CloseReason::TlsFailed);
            Step::Ask(Request::StartTls)
        } else {
            self.state = State::Closed(CloseReason::PipelinedBehindStls);
            Step::Close(CloseReason::PipelinedBehindStls)
        }
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        self.summary.n_commands += 1;
        self.last_command = self.now;
        if self.summary.n_commands == 1 && is_foreign(line) {
            self.leave(Farewell::silent(CloseReason::ForeignProtocol));
            return;
        }
        self.serving
            .get_or_insert_with(|| Serving::begin(self.now))
            .line(self.now);
        let expect = self.with_context(out, |state, ctx| state.line(line, ctx));
        self.framer.expect(expect);
        self.enforce_limits();
    }

    /// Lets the state handle something; answers what kind of line comes next.
    fn with_context(
        &mut self,
        out: &mut Vec<u8>,
        handle: impl FnOnce(State, &mut Context<'_, R>) -> State,
    ) -> LineKind {
        let state = std::mem::replace(&mut self.state, State::Closed(CloseReason::Disconnected));
        let before = out.len();
        let mut ctx = Context {
            policy: &self.policy,
            tls: &self.tls,
            out,
            summary: &mut self.summary,
            logged_in: matches!(state, State::Transaction(_)),
            expect: LineKind::Command,
            granted: &mut self.granted,
            serving: &mut self.serving,
            pending: &mut self.pending,
        };
        self.state = handle(state, &mut ctx);
        let (expect, replied) = (ctx.expect, ctx.out.len() > before);
        if replied
            && expect == LineKind::Command
            && let Some(serving) = &mut self.serving
        {
            serving.replied(self.now);
        }
        let is_answered = self.pending.is_none() && expect == LineKind::Command;
        if is_answered && (self.in_authorization() || self.in_transaction()) {
            self.conclude();
        }
        expect
    }

    /// Takes note that the line is answered.
    fn conclude(&mut self) {
        if let Some(serving) = self.serving.take() {
            self.served.push(serving.end(self.now));
        }
    }

    fn enforce_limits(&mut self) {
        if !matches!(
            self.state,
            State::Clear(_) | State::Secure(_) | State::Transaction(_)
        ) {
            return;
        }
        if self.summary.n_bad_commands >= self.policy.bad_commands {
            self.leave(Farewell::refused(
                CloseReason::TooManyBadCommands,
                Refusal::TooManyBadCommands,
            ));
        } else if self.in_authorization() && self.summary.n_refused_logins >= self.policy.failed_logins {
            self.leave(Farewell::silent(CloseReason::TooManyFailures));
        }
    }
}

impl State {
    fn line<R: Receipts>(self, line: &[u8], ctx: &mut Context<'_, R>) -> Self {
        let state = match self {
            Self::Secure(mut authorization) => match authorization.channel.dialogue.take() {
                Some(dialogue) => return authorization.sasl_line(dialogue, line, ctx),
                None => Self::Secure(authorization),
            },
            other => other,
        };
        let command = match Command::parse(line) {
            Ok(command) => {
                ctx.serve(Some(command.verb()));
                command
            }
            Err(error) => {
                ctx.serve(error.verb());
                state.refuse_line(error, ctx);
                return state;
            }
        };
        match state {
            Self::Clear(authorization) => authorization.command(command, ctx),
            Self::Secure(authorization) => authorization.command(command, ctx),
            Self::Transaction(transaction) => transaction.command(command, ctx),
            other => other,
        }
    }

    fn refuse_line<R: Receipts>(&self, error: ParseError, ctx: &mut Context<'_, R>) {
        match error {
            ParseError::Empty | ParseError::Unknown => ctx.bad(Refusal::UnknownCommand),
            ParseError::Syntax(_) => ctx.bad(Refusal::Syntax),
            ParseError::NoSuchMessage(_) if matches!(self, Self::Transaction(_)) => {
                ctx.refuse(Refusal::NoSuchMessage);
            }
            ParseError::NoSuchMessage(_) => ctx.bad(Refusal::WrongState),
        }
    }
}

/// The state after the answer to what was asked.
fn answered<R: Receipts>(state: State, answer: Answer<R>, ctx: &mut Context<'_, R>) -> State {
    match (state, answer) {
        (State::Secure(authorization), Answer::Salt(salting)) => authorization.salted(salting, ctx),
        (State::Secure(authorization), Answer::Verdict(verdict)) => authorization.decided(verdict, ctx),
        (State::Opening { channel, utf8 }, Answer::Opened(Ok(opened))) => {
            let (messages, octets) = (opened.snapshot.len(), opened.snapshot.octets());
            ctx.summary.n_messages = messages;
            ctx.summary.maildrop = octets;
            response::ok(
                ctx.out,
                &format!("Maildrop has {messages} messages ({octets} octets)"),
            );
            State::Transaction(Transaction::new(opened, channel, utf8))
        }
        (State::Opening { channel, utf8 }, Answer::Opened(Err(refusal))) => {
            ctx.refuse_login(refusal);
            let mut authorization = Authorization::<Secure>::new(channel);
            authorization.utf8 = utf8;
            State::Secure(authorization)
        }
        (State::Transaction(mut transaction), Answer::Body(opened)) => {
            match opened {
                Ok(()) => transaction.body_opened(ctx),
                Err(refusal) => transaction.body_refused(refusal, ctx),
            }
            State::Transaction(transaction)
        }
        (State::Transaction(mut transaction), Answer::Sent(verified)) => {
            transaction.body_sent(verified, ctx);
            State::Transaction(transaction)
        }
        (State::Update, Answer::Committed(Ok(receipt))) => {
            ctx.summary.n_deleted = receipt.n_deleted();
            State::Releasing(ctx.release(Farewell::committed::<R>(&receipt)))
        }
        (State::Update, Answer::Committed(Err(refusal))) => {
            State::Releasing(ctx.release(Farewell::refused(CloseReason::Quit, refusal)))
        }
        (State::Releasing(farewell), Answer::Released) => State::Leaving(farewell),
        // The session was ended while the answer was on its way.
        (state, _) => state,
    }
}

/// The first octet of a TLS handshake, sent to a port where TLS does not come first. No command begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// Whether a first line belongs to another protocol: a browser sent here by an attacker, a mail transfer agent. Such
/// a peer gets no word, so that nothing of ours can be read as an answer.
fn is_foreign(line: &[u8]) -> bool {
    const VERBS: [&[u8]; 12] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"OPTIONS ",
        b"CONNECT ",
        b"TRACE ",
        b"PATCH ",
        b"PRI ",
        b"HELO ",
        b"EHLO ",
    ];
    VERBS.iter().any(|verb| {
        line.get(..verb.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(verb))
    })
}

impl<R: Receipts> fmt::Debug for Session<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Clear(_) | State::Secure(_) | State::Opening { .. } => "AUTHORIZATION",
            State::Transaction(_) => "TRANSACTION",
            State::Update => "UPDATE",
            State::Releasing(_) | State::Leaving(_) | State::Stls | State::Closed(_) => "closing",
        };
        f.debug_struct("Session")
            .field("state", &state)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}
