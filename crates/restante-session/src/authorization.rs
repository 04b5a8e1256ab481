//! AUTHORIZATION state (RFC 1939 section 4). Credentials exist only on [`Secure`]: a client on a clear connection
//! has no state that could hold one.

use restante_sasl::{Claim, Exchange, LoginMechanism, Salting, SaslError, Turn};
use restante_wire::{Command, LineKind};

use crate::command::{auth, capa, lang};
use crate::leaving::Farewell;
use crate::session::{Context, State};
use crate::{Access, Channel, Receipts, Refusal, Request};

/// A connection that is neither TLS nor declared trusted.
#[derive(Debug)]
pub(crate) struct Clear;

/// A connection that may carry credentials.
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) tls: bool,
    /// What USER said, until PASS.
    pub(crate) name: Option<Vec<u8>>,
    /// What the next line belongs to, if not a command.
    pub(crate) dialogue: Option<Dialogue>,
    /// The SASL exchange that waits for an answer from outside.
    waiting: Option<Exchange>,
}

/// What a line of a SASL exchange is for.
#[derive(Debug)]
pub(crate) enum Dialogue {
    /// The mechanism's next response.
    Response(Exchange),
    /// The client's answer to the server's own proof, after which the maildrop is opened.
    Confirmation(Exchange),
    /// Anything: the client was told why it is refused, and the refusal follows (RFC 7628 section 3.2.3).
    LastWord,
}

/// The state before a maildrop is open.
#[derive(Debug)]
pub(crate) struct Authorization<C> {
    pub(crate) channel: C,
    pub(crate) utf8: bool,
}

impl Authorization<Clear> {
    pub(crate) const fn new() -> Self {
        Self {
            channel: Clear,
            utf8: false,
        }
    }

    pub(crate) fn command<R: Receipts>(self, command: Command, ctx: &mut Context<'_, R>) -> State {
        match command {
            // The secrets of these lines go down with `command`, unseen.
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } => {
                ctx.bad(Refusal::TlsRequired);
            }
            Command::Capa => capa::write(ctx, Channel::Clear, capa::Own::default()),
            Command::Stls => return self.stls(ctx),
            Command::Quit => return State::Leaving(Farewell::before_login()),
            Command::Utf8 if ctx.policy.utf8 => return State::Clear(self.utf8_mode(ctx)),
            Command::Lang(range) if ctx.policy.utf8 => lang::handle(range.as_deref(), ctx),
            other => ctx.wrong_state(&other),
        }
        State::Clear(self)
    }
}

impl Authorization<Secure> {
    pub(crate) const fn new(channel: Channel) -> Self {
        let tls = matches!(channel, Channel::Tls);
        Self {
            channel: Secure {
                tls,
                name: None,
                dialogue: None,
                waiting: None,
            },
            utf8: false,
        }
    }

    pub(crate) const fn channel(&self) -> Channel {
        if self.channel.tls {
            Channel::Tls
        } else {
            Channel::Trusted
        }
    }

    pub(crate) fn command<R: Receipts>(mut self, command: Command, ctx: &mut Context<'_, R>) -> State {
        match command {
            Command::User(_) | Command::Pass(_) if !ctx.policy.offers(LoginMechanism::User, ctx.tls) => {
                ctx.bad(Refusal::UnknownMechanism);
            }
            Command::User(name) => {
                self.channel.name = Some(name);
                restante_wire::response::ok(ctx.out, "Send PASS");
            }
            Command::Pass(password) => match self.channel.name.take() {
                Some(name) => ctx.ask(Request::Verify(Claim::Password {
                    name,
                    password,
                    mechanism: LoginMechanism::User,
                })),
                None => ctx.bad(Refusal::NameFirst),
            },
            Command::Auth { mechanism: None, .. } => auth::list(ctx),
            Command::Auth {
                mechanism: Some(mechanism),
                initial,
            } => {
                self.channel.name = None;
                match auth::begin(&mechanism, initial.as_ref(), ctx) {
                    Some(turn) => self.turn(turn, ctx),
                    None => ctx.bad(Refusal::UnknownMechanism),
                }
            }
            Command::Capa => capa::write(ctx, self.channel(), capa::Own::default()),
            Command::Stls if !self.channel.tls => return self.stls(ctx),
            Command::Stls => ctx.bad(Refusal::StlsNotAvailable),
            Command::Quit => return State::Leaving(Farewell::before_login()),
            Command::Utf8 if ctx.policy.utf8 => return State::Secure(self.utf8_mode(ctx)),
            Command::Lang(range) if ctx.policy.utf8 => lang::handle(range.as_deref(), ctx),
            other => ctx.wrong_state(&other),
        }
        State::Secure(self)
    }

    /// Takes a line of a SASL exchange. The caller has made sure that one is in progress.
    pub(crate) fn sasl_line<R: Receipts>(
        mut self,
        dialogue: Dialogue,
        line: &[u8],
        ctx: &mut Context<'_, R>,
    ) -> State {
        match dialogue {
            Dialogue::Response(exchange) => self.turn(exchange.line(line), ctx),
            Dialogue::LastWord => ctx.refuse_login(Refusal::Credentials),
            Dialogue::Confirmation(exchange) => {
                let granted = ctx.granted.take();
                match (exchange.confirm(line), granted) {
                    (Ok(()), Some(authenticated)) => return self.open(authenticated, ctx),
                    (Err(error), _) => Self::fail(error, ctx),
                    (Ok(()), None) => Self::fail(SaslError::Malformed, ctx),
                }
            }
        }
        State::Secure(self)
    }

    /// Takes the salt that the exchange asked for.
    pub(crate) fn salted<R: Receipts>(
        mut self,
        salting: Result<Salting, Refusal>,
        ctx: &mut Context<'_, R>,
    ) -> State {
        match (self.channel.waiting.take(), salting) {
            (Some(exchange), Ok(salting)) => self.turn(exchange.salted(&salting), ctx),
            (_, Err(refusal)) => ctx.refuse_login(refusal),
            (None, Ok(_)) => {}
        }
        State::Secure(self)
    }

    /// Takes the verdict on the claim.
    pub(crate) fn decided<R: Receipts>(
        mut self,
        verdict: Result<R::Authenticated, Refusal>,
        ctx: &mut Context<'_, R>,
    ) -> State {
        let exchange = self.channel.waiting.take();
        match verdict {
            Ok(authenticated) => {
                match exchange.and_then(|exchange| exchange.granted(authenticated.server_signature())) {
                    Some((exchange, proof)) => {
                        self.challenge(Dialogue::Confirmation(exchange), &proof, ctx);
                        *ctx.granted = Some(authenticated);
                    }
                    None => return self.open(authenticated, ctx),
                }
            }
            Err(Refusal::Credentials) => match exchange.and_then(Exchange::refused) {
                Some(reason) => self.challenge(Dialogue::LastWord, &reason, ctx),
                None => ctx.refuse_login(Refusal::Credentials),
            },
            Err(refusal) => ctx.refuse_login(refusal),
        }
        State::Secure(self)
    }

    fn open<R: Receipts>(self, authenticated: R::Authenticated, ctx: &mut Context<'_, R>) -> State {
        ctx.ask(Request::Open(authenticated));
        State::Opening {
            channel: self.channel(),
            utf8: self.utf8,
        }
    }

    fn turn<R: Receipts>(&mut self, turn: Turn, ctx: &mut Context<'_, R>) {
        match turn {
            Turn::Challenge(exchange, challenge) => {
                self.challenge(Dialogue::Response(exchange), &challenge, ctx);
            }
            Turn::Salt(exchange, name) => {
                self.channel.waiting = Some(exchange);
                ctx.ask(Request::Salt(name));
            }
            Turn::Verify(exchange, claim) => {
                self.channel.waiting = Some(exchange);
                ctx.ask(Request::Verify(claim));
            }
            Turn::Fail(error) => Self::fail(error, ctx),
        }
    }

    fn challenge<R: Receipts>(&mut self, dialogue: Dialogue, challenge: &str, ctx: &mut Context<'_, R>) {
        restante_wire::response::continuation(ctx.out, challenge);
        ctx.expect = LineKind::Sasl;
        self.channel.dialogue = Some(dialogue);
    }

    fn fail<R: Receipts>(error: SaslError, ctx: &mut Context<'_, R>) {
        match error {
            SaslError::Cancelled => ctx.refuse(Refusal::Cancelled),
            SaslError::Malformed => ctx.bad(Refusal::MalformedResponse),
            SaslError::Authorization | SaslError::Refused => ctx.refuse_login(Refusal::Credentials),
        }
    }
}

impl<C> Authorization<C> {
    /// Consumes the state: whatever the client said in the clear is gone before TLS begins (RFC 2595 section 4).
    fn stls<R: Receipts>(self, ctx: &mut Context<'_, R>) -> State
    where
        State: From<Self>,
    {
        if !ctx.policy.stls || self.utf8 {
            ctx.bad(Refusal::StlsNotAvailable);
            return self.into();
        }
        State::Stls
    }

    fn utf8_mode<R: Receipts>(self, ctx: &mut Context<'_, R>) -> Self {
        restante_wire::response::ok(ctx.out, "UTF-8 mode");
        Self { utf8: true, ..self }
    }
}
